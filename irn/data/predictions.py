"""Folders of predictions: instances as COCO results, index PNGs of classes and objects, and overlays to look at."""

import json
from collections.abc import Iterable, Sequence
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
    """A folder of predictions; `names` are the classes of the labels table, whose order need not be the network's.

    Raises IrnError for a folder that `irn predict` did not write, and for a network with a class that the table lacks.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        entries, lists = self._read(RESULTS), self._read(LISTS)
        classes = {category["id"]: category["name"] for category in lists["categories"]}
        other = next((name for name in classes.values() if name not in names), None)
        if other is not None:
            raise IrnError(
                f"{folder / LISTS}: the network's class {other!r} is not in the labels table; give predictions and a"
                " labels table of one data set"
            )
        self.index = {number: names.index(name) for number, name in classes.items()}
        self.images = {image["name"] for image in lists["images"]}
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
        return image_id in self.images

    def require(self, image_ids: Iterable[str]) -> None:
        """Raise IrnError when an image was not segmented."""
        wanted = list(image_ids)
        missing = [image_id for image_id in wanted if image_id not in self.images]
        if missing:
            raise IrnError(
                f"{self.folder}: lacks {len(missing)} of {len(wanted)} images to score, such as {missing[0]!r}; run irn"
                " predict again, for all images of the split"
            )

    def instances(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, H, W) bool masks, (N,) class indices and (N,) scores of an image, in the file's order.

        Raises IrnError for masks of another size than the image.
        """
        entries = self.results.get(record.image_id, [])
        try:
            masks = [decoded(entry["segmentation"], record.height, record.width) for entry in entries]
        except ValueError as error:
            raise IrnError(f"{self.folder / RESULTS}: an instance in image {record.image_id!r} {error}") from None
        return (
            np.array(masks, bool).reshape(-1, record.height, record.width),
            np.array([self.index[entry["category_id"]] for entry in entries], np.int64),
            np.array([entry["score"] for entry in entries], np.float64),
        )

    def semantic(self, record: ImageRecord) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index; IrnError for a value that is not a class of the network."""
        path = self.folder / CLASSES / f"{record.image_id}.png"
        mask = read_index_png(path, record.height, record.width)
        # In the file, classes are numbered as the network has them.
        labels = np.array([0, *(1 + index for index in self.index.values())], np.uint8)
        if mask.max() >= len(labels):
            raise IrnError(
                f"{path}: holds {mask.max()}, expected 0 to {len(labels) - 1}, since the network has"
                f" {len(labels) - 1} classes; run irn predict again"
            )
        return labels[mask]
