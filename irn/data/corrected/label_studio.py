"""Corrected masks in Label Studio's JSON export: a list of tasks with the annotations that people submitted."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from irn.data.corrected.masks import CorrectedMasks, check_size, label_of
from irn.data.segmentations import decoded
from irn.errors import IrnError
from irn.ops.object_masks import mask_of_objects
from irn.records import ImageRecord

DRAWN = ("brushlabels", "polygonlabels", "rectanglelabels")
UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the names of uploaded files


class LabelStudioMasks(CorrectedMasks):
    """Label Studio's JSON export. Tasks with a submitted annotation have been corrected; the latest of them counts."""

    def __init__(self, place: Path, classes: Sequence[str]) -> None:
        self.place, self.classes = place, classes
        self._results: dict[str, list[dict[str, Any]]] = {}
        for task in _tasks(place):
            annotations = [entry for entry in task["annotations"] if not entry.get("was_cancelled")]
            if not annotations:
                continue
            name = _image_of(place, task)
            if name in self._results:
                raise IrnError(f"{place}: two tasks are of image {name!r}; leave one of them out of the export")
            latest = max(annotations, key=lambda entry: str(entry.get("updated_at") or entry.get("created_at") or ""))
            results = latest.get("result")
            if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
                raise IrnError(f"{place}: image {name!r} has an annotation without a list of results; export it again")
            self._results[name] = [result for result in results if str(result.get("type")).endswith("labels")]

    def images(self) -> list[str]:
        """The names of the tasks' images."""
        return list(self._results)

    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of an image, each region of which is an object."""
        masks, labels = [], []
        for number, result in enumerate(self._results[name], 1):
            where = f"{self.place}: region {number} of image {name!r}"
            check_size(where, result.get("original_height"), result.get("original_width"), record)
            try:
                masks.append(region_mask(result, record.height, record.width))
            except ValueError as error:
                raise IrnError(f"{where} {error}") from None
            names = result["value"].get(result["type"])
            if not isinstance(names, list) or len(names) != 1:
                raise IrnError(f"{where} has {names or 'no label'}; give it one label")
            labels.append(label_of(where, names[0], self.classes))
        stack = np.array(masks, bool).reshape(-1, record.height, record.width)
        return mask_of_objects(stack, np.array(labels, np.int64), np.zeros(stack.shape[1:], bool))


MASKS = LabelStudioMasks


def _tasks(place: Path) -> list[dict[str, Any]]:
    try:
        tasks = json.loads(place.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise IrnError(f"{place}: not readable as JSON ({error}); export it again") from None
    for task in tasks:
        if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
            raise IrnError(
                f"{place}: a task has no list of annotations; export from Label Studio as JSON, not JSON-MIN"
            )
        if not all(isinstance(entry, dict) for entry in task["annotations"]):
            raise IrnError(f"{place}: an annotation is not an object; export the annotations in full")
    return tasks


def _image_of(place: Path, task: dict[str, Any]) -> str:
    """The id or file name of a task's image."""
    data = task.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("image_id", data.get("image")), str):
        raise IrnError(f"{place}: task {task.get('id')!r} names no image in data.image or data.image_id; add it")
    if "image_id" in data:
        return data["image_id"]
    address = urlsplit(data["image"])
    # Local files are asked for as /data/local-files/?d=folder/photo.jpg.
    path = parse_qs(address.query).get("d", [unquote(address.path)])[0]
    folder, _, file = path.rpartition("/")
    return UPLOADED.sub("", file) if "/upload" in folder else path


def region_mask(result: dict[str, Any], height: int, width: int) -> np.ndarray:
    """(height, width) bool of a region; ValueError, with words to put after its name, for one without an area."""
    kind, value = result.get("type"), result.get("value")
    if kind not in DRAWN or not isinstance(value, dict):
        raise ValueError(f"is of type {kind}; expected {', '.join(DRAWN)}")
    if result.get("image_rotation"):
        raise ValueError("is of an image that was turned in Label Studio; turn the file itself instead")
    try:
        if kind == "brushlabels":
            return brush_mask(value["rle"], height, width)
        corners = _corners(value) if kind == "rectanglelabels" else np.array(value["points"], np.float64)
        # Both are in percent of the sides. A rectangle turns in pixels.
        points = corners.reshape(-1, 2) * (width / 100, height / 100)
        if kind == "rectanglelabels" and value.get("rotation"):
            points = _turned(points, float(value["rotation"]))
    except (KeyError, TypeError, IndexError, OverflowError):
        raise ValueError("cannot be read; draw it again") from None
    return decoded([points.ravel().tolist()], height, width)


def _corners(value: dict[str, Any]) -> np.ndarray:
    left, top = float(value["x"]), float(value["y"])
    right, bottom = left + float(value["width"]), top + float(value["height"])
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Points turned clockwise around the first."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points[0] + (points - points[0]) @ np.array([[cosine, sine], [-sine, cosine]])


def brush_mask(rle: Sequence[int], height: int, width: int) -> np.ndarray:
    """(height, width) bool of a brush's run lengths: where the picture that they hold is mostly opaque.

    Raises ValueError, with words to put after the region's name, for run lengths that cannot be read or are of another
    size.

    Reference: thi.ng/rle-pack, the format of Label Studio, here of an RGBA picture: 32 bits for the number of values,
    5 for the bits of a value, 4 for each of four widths of lengths; then runs, each with a bit that says whether one
    value repeats, two bits for the width of its length, the length, and its value or values.
    """
    try:
        bits = np.unpackbits(np.array(rle, np.uint8))
        values = _unpacked(bits, 4 * height * width)
    except (TypeError, ValueError, IndexError, OverflowError):
        raise ValueError(
            f"has run lengths that are not those of its {height} x {width} pixels; draw it again"
        ) from None
    return values.reshape(height, width, 4)[..., 3] > 127


def _unpacked(bits: np.ndarray, count: int) -> np.ndarray:
    """(count,) integers from the bits of a pack."""
    text = "".join(map(str, bits.tolist()))
    place = 0

    def number(width: int) -> int:
        nonlocal place
        place += width
        if place > len(text):
            raise ValueError
        return int(text[place - width : place], 2)

    if number(32) != count:
        raise ValueError
    word = number(5) + 1
    lengths = [number(4) + 1 for _ in range(4)]
    values, filled = np.zeros(count, np.int64), 0
    while filled < count:
        repeats = number(1)
        length = 1 + number(lengths[number(2)])
        if filled + length > count:
            raise ValueError
        if repeats:
            values[filled : filled + length] = number(word)
        else:
            single = bits[place : place + length * word].reshape(length, word)
            values[filled : filled + length] = single @ (1 << np.arange(word)[::-1])
            place += length * word
        filled += length
    return values
