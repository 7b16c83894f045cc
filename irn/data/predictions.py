"""Folders of predictions: instances as COCO results, index PNGs of classes and objects, and overlays to look at."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from irn.data.index_png import read_index_png, write_index_png
from irn.data.segmentations import decoded
from irn.errors import IrnError
from irn.pictures.colours import distinct_colours, outlines, overlay, painted
from irn.records import ImageRecord

RESULTS, CLASSES, OBJECTS, OVERLAYS = "predictions.json", "SegmentationClass", "SegmentationObject", "overlays"
LISTS = "images.json"  # the images and categories of the results, with which pycocotools loads them
PICTURES = (CLASSES, OBJECTS, OVERLAYS)  # folders


def result(image: dict[str, Any], category: dict[str, Any], instance: dict[str, Any]) -> dict[str, Any]:
    """An entry of COCO's results, of an instance's score, run lengths, area and box.

    image, category: their entries in the lists (irn/data/coco_lists.py).
    """
    about = {"image_id": image["id"], "image": image["name"], "category_id": category["id"]}
    return {**about, "category": category["name"], **instance}


def write_pictures(folder: Path, image_id: str, pixels: np.ndarray, semantic: np.ndarray, objects: np.ndarray) -> None:
    """Write an image's index PNGs and its overlay.

    pixels: (H, W, 3) uint8. semantic: (H, W) uint8, 0 background, 1 + class index. objects: (H, W) integers, 0 none;
    after 254 the numbers start again at 1, since 255 is void.
    """
    objects = np.where(objects > 0, (objects - 1) % 254 + 1, 0).astype(np.uint8)
    for name, mask in ((CLASSES, semantic), (OBJECTS, objects)):
        write_index_png(folder / name / f"{image_id}.png", mask)
    colours = np.concatenate([np.zeros((1, 3), np.uint8), distinct_colours(254)])
    drawn = painted(overlay(pixels, objects, colours, 0.5), outlines(objects), (255, 255, 255))
    Image.fromarray(drawn).save(folder / OVERLAYS / f"{image_id}.jpg", quality=90)


class Predictions:
    """A folder of predictions; IrnError for a folder that `irn predict` did not write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        entries, lists = self._read(RESULTS), self._read(LISTS)
        self.index = {category["id"]: index for index, category in enumerate(lists["categories"])}
        self.results: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            self.results.setdefault(entry["image"], []).append(entry)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise IrnError(
                f"{self.folder / name}: not readable ({error}); expected a folder that irn predict wrote"
            ) from None

    def __contains__(self, image_id: str) -> bool:
        return (self.folder / CLASSES / f"{image_id}.png").is_file()

    def instances(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, H, W) bool masks, (N,) class indices and (N,) scores of an image, in the file's order."""
        entries = self.results.get(record.image_id, [])
        masks = [decoded(entry["segmentation"], record.height, record.width) for entry in entries]
        return (
            np.array(masks, bool).reshape(-1, record.height, record.width),
            np.array([self.index[entry["category_id"]] for entry in entries], np.int64),
            np.array([entry["score"] for entry in entries], np.float64),
        )

    def semantic(self, record: ImageRecord) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index."""
        return read_index_png(self.folder / CLASSES / f"{record.image_id}.png", record.height, record.width)
