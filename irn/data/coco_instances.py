"""Instances files of COCO: images, categories and annotations in one JSON file.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. Such a file of all of COCO has half a gigabyte, so
it is scanned once. What stays in memory is where in the file each annotation is; masks are read from there when they
are wanted.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.coco_scan import scan
from irn.data.names import check_class_names, is_text, safe_id
from irn.data.segmentations import decoded
from irn.errors import IrnError

PLURALS = {"image": "images", "category": "categories"}


class Picture(NamedTuple):
    """An image of an instances file: its name, its (height, width) if given, and the range of its annotations."""

    file_name: str
    size: tuple[int, int] | None
    first: int
    end: int

    @property
    def annotations(self) -> slice:
        """Where they are in the arrays of `InstancesFile`."""
        return slice(self.first, self.end)


class InstancesFile:
    """The images of an instances file by their ids, made of their names without folder and extension, in its order.

    `names` holds the categories by ascending category id, those without an annotation too; a class index is a
    position in it. `outlined` says of each annotation whether it has a segmentation.

    Raises IrnError on opening for a file that is missing, not JSON or not an instances file, ids and names that
    repeat, and annotations of unknown images or categories.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        parts, annotations = scan(path)
        index_of = self._read_categories(parts["categories"])
        row_of = _rows_by_id(path, "image", parts["images"])
        rows = self._looked_up("image", row_of, [annotation.image for annotation in annotations])
        indices = self._looked_up("category", index_of, [annotation.category for annotation in annotations])
        # By image; of one image in the file's order.
        order = np.argsort(rows, kind="stable")
        self.index = indices[order]
        self.crowd = np.array([bool(annotation.crowd) for annotation in annotations], bool)[order]
        self.outlined = np.array([annotation.is_outlined for annotation in annotations], bool)[order]
        spans = [(annotation.start, annotation.end) for annotation in annotations]
        self._spans = np.array(spans, np.int64).reshape(-1, 2)[order]
        bounds = np.searchsorted(rows[order], np.arange(len(row_of) + 1))
        self.images = self._read_images(parts["images"], bounds)

    def _read_categories(self, categories: Any) -> dict[Any, int]:
        """The class index of each category id."""
        row_of = _rows_by_id(self.path, "category", categories)
        for category in categories:
            name = category.get("name")
            if not isinstance(category["id"], int) or not isinstance(name, str) or not is_text(name):
                raise IrnError(f"{self.path}: category {category} lacks a whole number as id or a name; expected both")
        ids = sorted(row_of)
        self.names = [categories[row_of[number]]["name"] for number in ids]
        if not ids:
            raise IrnError(f"{self.path}: no category in it; expected one for each class")
        check_class_names(self.path, self.names)
        return {number: index for index, number in enumerate(ids)}

    def _read_images(self, entries: Sequence[dict[str, Any]], bounds: np.ndarray) -> dict[str, Picture]:
        images: dict[str, Picture] = {}
        for row, entry in enumerate(entries):
            name = entry.get("file_name")
            if not isinstance(name, str) or not name or not is_text(name):
                raise IrnError(
                    f"{self.path}: image {entry['id']!r} has no file_name, or one that is not text; expected the"
                    " path of its file"
                )
            name = name.replace("\\", "/")  # as Windows writes paths
            image_id = safe_id(Path(name).stem)
            if image_id in images:
                raise one_id(self.path, images[image_id].file_name, name)
            images[image_id] = Picture(name, _size(entry), int(bounds[row]), int(bounds[row + 1]))
        return images

    def _looked_up(self, what: str, positions: dict[Any, int], ids: Sequence[Any]) -> np.ndarray:
        """The position of each id of an image or category that an annotation names."""
        try:
            return np.fromiter((positions[number] for number in ids), np.int64, len(ids))
        except KeyError as error:
            unknown = error.args[0]
        remedy = f"add the {what} or take its annotations out"
        if any(str(number) == str(unknown).removesuffix(".0") for number in positions):
            remedy = f"write the {what} ids in the same way there, as whole numbers"
        raise IrnError(
            f"{self.path}: an annotation is of {what} {unknown!r}, which is not among the {len(positions)}"
            f" {PLURALS[what]};"
            f" {remedy}"
        )

    def classes(self, image_id: str) -> list[int]:
        """The class indices of all annotations of an image, crowds included, ascending."""
        return np.unique(self.index[self.images[image_id].annotations]).tolist()

    def outlines(self, image_id: str) -> np.ndarray:
        """(N,) bool, of each annotation of an image whether it has a segmentation."""
        return self.outlined[self.images[image_id].annotations]

    def masks(self, image_id: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read the annotations of an image, in the file's order.

        Returns
        -------
        masks: (N, height, width) bool.
        index: (N,) class indices.
        crowd: (N,) bool, whether the annotation is a crowd: several objects that were not told apart.

        Raises
        ------
        IrnError for an annotation whose segmentation is missing, cannot be read, or is of another size.
        """
        picture = self.images[image_id]
        masks = np.zeros((picture.end - picture.first, height, width), bool)
        with open(self.path, "rb") as file:
            for mask, (start, end) in zip(masks, self._spans[picture.annotations], strict=True):
                file.seek(start)
                mask[:] = self._mask(image_id, file.read(end - start), height, width)
        return masks, self.index[picture.annotations], self.crowd[picture.annotations]

    def _mask(self, image_id: str, text: bytes, height: int, width: int) -> np.ndarray:
        try:
            annotation = json.loads(text)
        except ValueError as error:
            raise IrnError(
                f"{self.path}: an annotation of image {image_id!r} cannot be read ({error}); fix it"
            ) from None
        try:
            return decoded(annotation.get("segmentation"), height, width)
        except ValueError as error:
            where = f"{self.path}: annotation {annotation.get('id')!r} of image {image_id!r}"
            raise IrnError(f"{where} {error}") from None


def one_id(path: Path, first: str | Path, second: str | Path) -> IrnError:
    """The mistake of two images whose names differ by folder or extension alone."""
    return IrnError(
        f"{path}: {first} and {second} would both be image {Path(second).stem!r}, since an id is a file's name"
        " without folder"
        " and extension; rename one of the files"
    )


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _rows_by_id(path: Path, what: str, entries: Any) -> dict[Any, int]:
    """The row of each id in a list of images or categories."""
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("id"), int | str) for entry in entries
    ):
        raise IrnError(
            f"{path}: its {PLURALS[what]} are not a list of objects with an id; expected an instances file of COCO"
        )
    counts = Counter(entry["id"] for entry in entries)
    number, count = counts.most_common(1)[0] if counts else (None, 1)
    if count > 1:
        raise IrnError(f"{path}: {what} id {number!r} appears {count} times; every id must be unique")
    return {entry["id"]: row for row, entry in enumerate(entries)}
