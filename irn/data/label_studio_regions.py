"""Regions as Label Studio's exports have them, drawn."""

from typing import Any

import numpy as np

from irn.data.label_studio_brush import brushed
from irn.data.shapes import Drawing, ellipse, polygon, turned


def is_box(content: dict[str, Any]) -> bool:
    """Whether a region is a box around the object."""
    return {"x", "y", "width", "height"} <= content.keys() and "keypointlabels" not in content


def drawing(content: dict[str, Any], size: tuple[Any, Any]) -> Drawing | None:
    """Draws a region, whose numbers are percent of the image's sides; None for one without an area.

    size: (height, width) of the image as the region has it.

    Raises KeyError, TypeError or ValueError for other content.
    """
    if "points" in content:
        return polygon(np.array(content["points"], np.float64) / 100, is_relative=True)
    if content.get("format") == "rle" or "rle" in content:
        return brushed(content["rle"], size)
    if "radiusX" in content:
        return _sized(content, ("x", "y", "radiusX", "radiusY"), size)
    if is_box(content):
        return _sized(content, ("x", "y", "width", "height"), size)
    return None


def _sized(content: dict[str, Any], keys: tuple[str, ...], size: tuple[Any, Any]) -> Drawing:
    """Draws a box, turned around its upper left corner, or an ellipse."""
    x, y, first, second = (float(content[key]) / 100 for key in keys)
    angle = float(content.get("rotation") or 0)
    if not np.isfinite((x, y, first, second, angle)).all():
        raise ValueError("numbers that are not finite")

    def draw(height: int, width: int) -> np.ndarray:
        sides = np.array((width, height))
        corner, extent = sides * (x, y), sides * (first, second)
        if "radiusX" in keys:
            points = ellipse(corner.tolist(), extent.tolist(), angle)
        else:
            points = turned(np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * extent, angle) + corner
        return polygon(points)(height, width)

    return draw
