"""labelme's files: a JSON beside each image, with its shapes in pixels."""

import base64
import binascii
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from irn.data.shapes import Drawing, Shape, damaged, ellipse, polygon
from irn.errors import IrnError


def is_labelme(content: Any) -> bool:
    """Whether the content of a JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def read_labelme(path: Path) -> list[Shape]:
    """The shapes of a file, those of one `group_id` as parts of an object, and its flags as classes of the image.

    Points and lines have no area: they say the class alone. Raises IrnError for a file that is not labelme's or has a
    shape that cannot be read.
    """
    content = _content(path)
    if not is_labelme(content):
        raise IrnError(f"{path}: not a file of labelme; expected 'shapes' and 'imagePath' in it")
    return shapes_of(path, content)


def labelme_size(path: Path) -> tuple[int, int] | None:
    """The height and width of the image by its file; None where the file cannot be read or does not tell them."""
    try:
        content = _content(path)
    except IrnError:
        return None
    height, width = (content.get(key) if is_labelme(content) else None for key in ("imageHeight", "imageWidth"))
    return (height, width) if isinstance(height, int) and isinstance(width, int) and height and width else None


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "the JSON", error) from None


def shapes_of(path: Path, content: dict[str, Any]) -> list[Shape]:
    """As `read_labelme`, of the content of a file."""
    flags = content.get("flags")
    named = flags.items() if isinstance(flags, dict) else ()
    shapes = [Shape(name.strip(), of_image=True) for name, holds in named if holds is True]
    for number, shape in enumerate(content["shapes"], 1):
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise IrnError(f"{path}: shape {number} has no label; give it the name of its class")
        try:
            drawing = _drawing(shape)
        except (TypeError, ValueError, binascii.Error, OSError, SyntaxError) as error:
            raise damaged(path, f"shape {number} ({label!r})", error) from None
        group = shape.get("group_id")
        group = group if isinstance(group, int | str) else None
        is_box = shape.get("shape_type") in ("rectangle", "rotation")
        shapes.append(Shape(label.strip(), drawing, group, is_box))
    return shapes


def _drawing(shape: dict[str, Any]) -> Drawing | None:
    kind, points = shape.get("shape_type", "polygon") or "polygon", shape.get("points")
    if kind in ("point", "points", "line", "linestrip"):
        return None
    if kind in ("polygon", "rotation"):
        return polygon(points)
    corners = np.array(points, np.float64)
    # X-AnyLabeling writes all four corners of a rectangle.
    shapes = ((2, 2), (4, 2)) if kind == "rectangle" else ((2, 2),)
    if corners.shape not in shapes or not np.isfinite(corners).all():
        raise ValueError(f"a {kind} without two points")
    if kind == "rectangle":
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])
    if kind == "circle":
        radius = float(np.hypot(*(corners[1] - corners[0])))
        return polygon(ellipse(corners[0].tolist(), (radius, radius)))
    if kind == "mask" and isinstance(shape.get("mask"), str):
        return _mask(shape["mask"], corners)
    raise ValueError(f"a shape of type {kind!r}")


def _mask(text: str, corners: np.ndarray) -> Drawing:
    """Draws a mask that is given as a PNG in base64, of the pixels from the first corner to the second."""
    with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as picture:
        part = np.array(picture.convert("L")) > 0
    left, top = corners.min(0).round().astype(int)

    def draw(height: int, width: int) -> np.ndarray:
        whole = np.zeros((height, width), bool)
        rows, columns = np.nonzero(part)
        rows, columns = rows + top, columns + left
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        whole[rows[inside], columns[inside]] = True
        return whole

    return draw
