"""Corrected masks as labelme writes them: a JSON file for each image, `<id>.json`."""

import base64
import binascii
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from irn.data.corrected.masks import CorrectedMasks, check_size, label_of
from irn.data.segmentations import decoded
from irn.errors import IrnError
from irn.ops.object_masks import mask_of_objects
from irn.records import ImageRecord

IGNORED = "__ignore__"  # labelme's name of what does not count
CORNERS = 64  # of a circle
DRAWN = "polygon, rectangle, circle or mask"


class LabelmeMasks(CorrectedMasks):
    """A folder of labelme's JSON files. Shapes of one label and one group are one object; `__ignore__` is void."""

    def __init__(self, place: Path, classes: Sequence[str]) -> None:
        self.place, self.classes = place, classes

    def images(self) -> list[str]:
        """The names of the files."""
        return sorted(path.stem for path in self.place.glob("*.json"))

    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of an image, from all its shapes."""
        path = self.place / f"{name}.json"
        content = _content(path)
        check_size(str(path), content.get("imageHeight"), content.get("imageWidth"), record)
        objects: dict[Any, np.ndarray] = {}
        void = np.zeros((record.height, record.width), bool)
        for number, shape in enumerate(content["shapes"], 1):
            where = f"{path}: shape {number}"
            try:
                mask = shape_mask(shape, record.height, record.width)
            except ValueError as error:
                raise IrnError(f"{where} {error}") from None
            if shape.get("label") == IGNORED:
                void |= mask
                continue
            label, group = label_of(where, shape.get("label"), self.classes), shape.get("group_id")
            key = (label, "shape", number) if group is None else (label, "group", str(group))
            objects[key] = objects[key] | mask if key in objects else mask
        masks = np.array(list(objects.values()), bool).reshape(-1, record.height, record.width)
        return mask_of_objects(masks, np.array([label for label, *_ in objects], np.int64), void)


MASKS = LabelmeMasks


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise IrnError(f"{path}: not readable as JSON ({error}); save it in labelme again") from None
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise IrnError(f"{path}: no list of shapes in it; expected a file of labelme, or move it out of the folder")
    return content


def shape_mask(shape: dict[str, Any], height: int, width: int) -> np.ndarray:
    """(height, width) bool of a shape; ValueError, with words to put after its name, for one without an area."""
    kind = shape.get("shape_type") or "polygon"
    try:
        points = np.array(shape.get("points"), np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise ValueError("has points that are not pairs of numbers; draw it again") from None
    if not np.isfinite(points).all() or not len(points):
        raise ValueError("has no points, or some that are not finite; draw it again")
    if kind == "mask":
        return _pasted(shape.get("mask"), points, height, width)
    if kind == "circle" and len(points) == 2:
        points = _circle(*points)
    elif kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points.min(0), points.max(0)
        points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    elif kind not in ("polygon", "rectangle", "oriented_rectangle"):
        raise ValueError(f"is a {kind}; expected {DRAWN}")
    return decoded([points.ravel().tolist()], height, width)


def _circle(centre: np.ndarray, edge: np.ndarray) -> np.ndarray:
    angles = np.arange(CORNERS) * 2 * math.pi / CORNERS
    return centre + math.dist(centre, edge) * np.stack([np.cos(angles), np.sin(angles)], 1)


def _pasted(text: Any, points: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture of a mask within a box, whose first corner is its first point."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as picture:
            part = np.array(picture.convert("L")) > 0
    except (TypeError, ValueError, OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise ValueError("has a mask that is not a picture; draw it again") from None
    left, top = np.rint(points.min(0)).astype(int)
    if top < 0 or left < 0 or top + part.shape[0] > height or left + part.shape[1] > width:
        raise ValueError("has a mask that reaches beyond the image; draw it again")
    mask = np.zeros((height, width), bool)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask
