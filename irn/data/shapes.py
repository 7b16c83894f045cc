"""Shapes that people draw in annotation tools: a class and a region each, whatever the tool's file looks like."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.segmentations import decoded
from irn.errors import IrnError

Drawing = Callable[[int, int], np.ndarray]


class Shape(NamedTuple):
    """A shape, or a class said of the whole image.

    label: the name of its class.
    draw: draws its pixels, (H, W) bool, for an image of a height and width; None for a shape without an area, such as
        a point.
    group: shapes of one label and group are parts of one object; None where it is an object by itself.
    is_box: whether it is a box around the object.
    of_image: whether the class is said of the whole image.
    """

    label: str
    draw: Drawing | None = None
    group: object = None
    is_box: bool = False
    of_image: bool = False

    @property
    def has_outline(self) -> bool:
        """Whether it shows which pixels are the object's; otherwise it says that the class is there, no more."""
        return self.draw is not None and not self.is_box


def polygon(points: Any, is_relative: bool = False) -> Drawing:
    """Draws a polygon as COCO's are drawn; fewer than three points have no area, and so no pixel.

    points: (N, 2) numbers, x and y, in pixels, or in shares of width and height. Raises ValueError for anything else.
    """
    corners = np.array(points, np.float64)
    if corners.ndim != 2 or corners.shape[1:] != (2,) or not np.isfinite(corners).all():
        raise ValueError("points that are not pairs of numbers")

    def draw(height: int, width: int) -> np.ndarray:
        in_pixels = corners * (width, height) if is_relative else corners
        return decoded([in_pixels.ravel().tolist()], height, width)

    return draw


def ellipse(centre: Sequence[float], radii: Sequence[float], degrees: float = 0.0) -> np.ndarray:
    """(64, 2) corners of an ellipse, turned clockwise as the image shows it; all in pixels."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return turned(np.stack([np.cos(angles), np.sin(angles)], 1) * radii, degrees) + centre


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """(N, 2) points x, y turned around the origin, clockwise as the image shows it, where y points down."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def objects_of(path: Path, shapes: Sequence[Shape], height: int, width: int) -> list[tuple[str, np.ndarray]]:
    """The class and (height, width) bool mask of each object that can be drawn, in the order of the shapes.

    Raises IrnError, naming `path`, for a shape that is of another size or beyond any image.
    """
    objects: dict[object, tuple[str, np.ndarray]] = {}
    for number, shape in enumerate(shapes):
        mask = _drawn(path, shape, height, width)
        if mask is None:
            continue
        key = (shape.label, shape.group) if shape.group is not None else number
        objects[key] = (shape.label, objects[key][1] | mask if key in objects else mask)
    return list(objects.values())


def check_shapes(path: Path, shapes: Sequence[Shape], height: int, width: int) -> None:
    """Raise what `objects_of` raises, in the memory of one mask."""
    for shape in shapes:
        _drawn(path, shape, height, width)


def _drawn(path: Path, shape: Shape, height: int, width: int) -> np.ndarray | None:
    try:
        return None if shape.draw is None else shape.draw(height, width)
    except (ValueError, OverflowError) as error:
        raise damaged(path, f"a shape of {shape.label!r}", error) from None


def damaged(path: Path, what: str, error: object) -> IrnError:
    """The mistake of a shape, or a whole file, that cannot be read."""
    return IrnError(f"{path}: {what} cannot be read ({error}); draw it again, or take it out")
