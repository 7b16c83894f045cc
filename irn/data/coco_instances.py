"""Instances files of COCO: images, categories and annotations in one JSON file.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. Such a file of all of COCO has half a gigabyte, so
it is scanned once. What stays in memory is where in the file each annotation is; masks are read from there when they
are wanted.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from irn.data.coco_categories import read_categories
from irn.data.coco_files import image_names, in_split, mapped, name_of
from irn.data.coco_ids import is_crowd, key_of, positions, rows_by_id, unknown
from irn.data.coco_scan import Annotation, scan
from irn.data.findings import some
from irn.data.images import MAX_PIXELS
from irn.data.names import is_text, safe_id
from irn.data.segmentations import check_decodes, decoded
from irn.errors import IrnError

Value = TypeVar("Value")


class Picture(NamedTuple):
    """An image of an instances file: its name, file, (height, width) if given, range of its annotations, and id."""

    name: str
    file_name: str
    size: tuple[int, int] | None
    first: int
    end: int
    number: int | str

    @property
    def annotations(self) -> slice:
        """Where they are in the arrays of `InstancesFile`."""
        return slice(self.first, self.end)


class InstancesFile:
    """The images of an instances file by their ids, made of their names (`image_names`), in its order.

    `names` holds the categories by ascending category id, those without an annotation too, and `numbers` these ids; a
    class index is a position in both. `outlined` says of each annotation whether it has a segmentation. `remarks` are
    what was read otherwise than it is written, in words.

    is_labelled: whether it has to have annotations.

    Raises IrnError on opening for a file that is missing, not JSON or not an instances file, ids and names that
    repeat, and annotations of unknown categories, or of unknown images alone.
    """

    def __init__(self, path: Path, is_labelled: bool = True) -> None:
        self.path = path
        self.remarks: list[str] = []
        parts, annotations = scan(path, is_labelled)
        used = {key_of(annotation.category) for annotation in annotations}
        index_of, self.names, self.numbers = read_categories(path, parts["categories"], used, self.remarks)
        position_of = self._read_images(parts["images"])
        annotations, rows = self._of_images(annotations, position_of)
        indices = positions([annotation.category for annotation in annotations], index_of)
        if -1 in indices:
            raise unknown(path, "category", annotations[indices.index(-1)].category, index_of)
        # By image; of one image in the file's order.
        order = np.argsort(rows, kind="stable")
        self.index = np.array(indices, np.int64)[order]
        crowd = np.array([is_crowd(path, annotation.crowd) for annotation in annotations], bool)
        # CVAT marks every object that is painted, and not outlined, as a crowd.
        painted = crowd & np.array([annotation.has_attributes for annotation in annotations], bool)
        self.crowd = (crowd & ~painted)[order]
        self.outlined = np.array([annotation.is_outlined for annotation in annotations], bool)[order]
        spans = [(annotation.start, annotation.end) for annotation in annotations]
        self._spans = np.array(spans, np.int64).reshape(-1, 2)[order]
        bounds = np.searchsorted(rows[order], np.arange(len(self.images) + 1))
        for row, (image_id, picture) in enumerate(self.images.items()):
            self.images[image_id] = picture._replace(first=int(bounds[row]), end=int(bounds[row + 1]))
        self._remark_on(annotations, int(painted.sum()))

    def _read_images(self, entries: Any) -> dict[int | str, int]:
        """The position of each image id; entries of one file name are one image."""
        row_of = rows_by_id(self.path, "image", entries)
        file_names = [self._file_name(entry) for entry in entries]
        first_of = {name: row for row, name in reversed(list(enumerate(file_names)))}
        unique = sorted(first_of.values())
        twice = [name for row, name in enumerate(file_names) if first_of[name] != row]
        if twice:
            self.remarks.append(f"{len(twice)} images are listed twice and are one each ({some(twice)})")
        self.images: dict[str, Picture] = {}
        for row, name in zip(unique, image_names([file_names[row] for row in unique]), strict=True):
            image_id = safe_id(name)
            if image_id in self.images:
                raise one_id(self.path, self.images[image_id].file_name, file_names[row])
            self.images[image_id] = Picture(name, file_names[row], _size(entries[row]), 0, 0, entries[row]["id"])
        position_of_row = {row: position for position, row in enumerate(unique)}
        return {number: position_of_row[first_of[file_names[row]]] for number, row in row_of.items()}

    def _file_name(self, entry: dict[str, Any]) -> str:
        name = entry.get("file_name")
        if not isinstance(name, str) or not name or not is_text(name):
            raise IrnError(
                f"{self.path}: image {entry['id']!r} has no file_name, or one that is not text; expected the path of"
                " its file"
            )
        return name.replace("\\", "/")  # as Windows writes paths

    def _of_images(
        self, annotations: list[Annotation], position_of: dict[int | str, int]
    ) -> tuple[list[Annotation], np.ndarray]:
        """The annotations of the images that are listed, and the position of each one's image."""
        rows = np.array(positions([annotation.image for annotation in annotations], position_of), np.int64)
        astray = int((rows < 0).sum())
        if astray and astray == len(rows) and position_of:
            raise unknown(self.path, "image", annotations[0].image, position_of)
        if astray:
            self.remarks.append(f"{astray} of {len(rows)} annotations are of images that it does not list; left out")
        listed = [annotation for annotation, row in zip(annotations, rows, strict=True) if row >= 0]
        return listed, rows[rows >= 0]

    def _remark_on(self, annotations: Sequence[Annotation], painted: int) -> None:
        if painted:
            self.remarks.append(f"{painted} masks are crowds by iscrowd, as CVAT marks what is painted; an object each")
        thin = sum(annotation.thin for annotation in annotations)
        if thin:
            self.remarks.append(f"{thin} polygons have fewer than three points, and so no area; left out")
        odd = sum(not isinstance(annotation.crowd, int) for annotation in annotations)
        if odd:
            self.remarks.append(f"iscrowd of {odd} annotations is not a number; read as 0 or 1")
        ids = (number for annotation in annotations for number in (annotation.image, annotation.category))
        rewritten = sum(not isinstance(number, int) and key_of(number) != number for number in ids)
        if rewritten:
            self.remarks.append(f"{rewritten} ids in annotations are text or have a point; read as whole numbers")

    def picture(self, image_id: str) -> Picture | None:
        """The image of an id, which may be made of the split and its name; None for one that is not listed."""
        if image_id in self.images:
            return self.images[image_id]
        return self.images.get(self._with_split.get(image_id, ""))

    @cached_property
    def _with_split(self) -> dict[str, str]:
        split = name_of(self.path)
        return {safe_id(in_split(split, picture.name)): image_id for image_id, picture in self.images.items()}

    def _listed(self, image_id: str) -> Picture:
        picture = self.picture(image_id)
        if picture is None:
            raise KeyError(image_id)
        return picture

    def classes(self, image_id: str) -> list[int]:
        """The class indices of all annotations of an image, crowds included, ascending."""
        return np.unique(self.index[self._listed(image_id).annotations]).tolist()

    def outlines(self, image_id: str) -> np.ndarray:
        """(N,) bool, of each annotation of an image whether it has a segmentation."""
        return self.outlined[self._listed(image_id).annotations]

    def first_unreadable(self, image_ids: Iterable[str]) -> IrnError | None:
        """What `masks` raises for the first of some images, as far as the file tells their sizes; nothing is drawn."""
        with mapped(self.path) as content:
            for image_id in image_ids:
                picture = self.picture(image_id)
                if picture and picture.size and min(picture.size) > 0 and prod(picture.size) <= MAX_PIXELS:
                    error = self._unreadable(content, image_id, *picture.size)
                    if error is not None:
                        return error
        return None

    def unreadable(self, image_id: str, height: int, width: int) -> IrnError | None:
        """What `masks` raises for an image; nothing is drawn."""
        with mapped(self.path) as content:
            return self._unreadable(content, image_id, height, width)

    def _unreadable(self, content: Any, image_id: str, height: int, width: int) -> IrnError | None:
        try:
            for start, end in self._spans[self._listed(image_id).annotations]:
                self._read(check_decodes, image_id, content[start:end], height, width)
        except IrnError as error:
            return error
        return None

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
        picture = self._listed(image_id)
        masks = np.zeros((picture.end - picture.first, height, width), bool)
        with open(self.path, "rb") as file:
            for mask, (start, end) in zip(masks, self._spans[picture.annotations], strict=True):
                file.seek(start)
                mask[:] = self._read(decoded, image_id, file.read(end - start), height, width)
        return masks, self.index[picture.annotations], self.crowd[picture.annotations]

    def _read(
        self, read: Callable[[Any, int, int], Value], image_id: str, text: bytes, height: int, width: int
    ) -> Value:
        try:
            annotation = json.loads(text)
        except ValueError as error:
            raise IrnError(
                f"{self.path}: an annotation of image {image_id!r} cannot be read ({error}); fix it"
            ) from None
        try:
            return read(annotation.get("segmentation"), height, width)
        except ValueError as error:
            where = f"{self.path}: annotation {annotation.get('id')!r} of image {image_id!r}"
            raise IrnError(f"{where} {error}") from None


def one_id(path: Path, first: str | Path, second: str | Path) -> IrnError:
    """The mistake of two images whose names differ by extension alone."""
    return IrnError(
        f"{path}: {first} and {second} would both be image {Path(second).stem!r}, since an id is a file's name without"
        " extension; rename one of the files"
    )


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if type(height) is int and type(width) is int else None
