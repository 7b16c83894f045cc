"""Ground truth as shapes: files of labelme, Label Studio and YOLO."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irn.data.listing import Listed
from irn.data.shape_files import ShapeFiles, at
from irn.data.shapes import Shape, check_shapes, objects_of
from irn.data.truth import Objects, Truth
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.stacking import smaller_on_top
from irn.records import ImageRecord


class Outlines(Truth):
    """Shapes whose labels are among the classes `names`, or left out and then void.

    Where they overlap, the class mask shows the smaller one, while the masks of objects stay whole. A shape too small
    to cover a pixel does not count.
    """

    def __init__(self, place: Path, files: ShapeFiles, names: Sequence[str]) -> None:
        self.place, self.files, self.names = place, files, list(names)

    @classmethod
    def open(cls, place: Path, split: str, names: Sequence[str]) -> "Outlines":
        """The files of all splits."""
        return cls(place, _files_at(place), names)

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a file or folder holds such shapes."""
        return place.exists() and at(place) is not None

    @classmethod
    def lacking(cls, place: Path, images: Sequence[Listed]) -> list[str]:
        """The names of images without a file; IrnError for images with shapes that cannot be scored."""
        files = _files_at(place)
        for image in images:
            _require_outlines(files, image.path, image.name)
        return [image.name for image in images if not _has(files, image.path)]

    def require(self, records: Sequence[ImageRecord]) -> None:
        """Raise IrnError for the first image without a file, or with one that cannot be scored."""
        for record in records:
            if not self.has(record):
                raise IrnError(
                    f"{self.place}: no shapes of {self.files.tool} for image {record.image_id!r}; draw them, or choose"
                    " a split that has them"
                )
            if error := self.other_size(record):
                raise error
            for shape in _require_outlines(self.files, record.path, record.image_id):
                self._number(record, shape.label)

    def other_size(self, record: ImageRecord) -> IrnError | None:
        """The mistake of shapes that were drawn on an image of another size; None where they were not."""
        size = self.files.size(record.path)
        if size in (None, (record.height, record.width)):
            return None
        return IrnError(
            f"{self.files.file(record.path)}: its shapes are of an image of {size[0]} x {size[1]} pixels, but"
            f" {record.path.name} has {record.height} x {record.width}; give the image that was annotated"
        )

    def mistakes(self, record: ImageRecord) -> tuple[IrnError | None, IrnError | None]:
        """Those of `other_size` and of `mistake`."""
        return self.other_size(record), self.mistake(record)

    def mistake(self, record: ImageRecord) -> IrnError | None:
        """Why an image cannot be scored; None where it can, or has no file."""
        try:
            shapes = _require_outlines(self.files, record.path, record.image_id)
            for shape in shapes:
                self._number(record, shape.label)
            check_shapes(self.files.file(record.path) or self.place, shapes, record.height, record.width)
        except IrnError as error:
            return error
        return None

    def has(self, record: ImageRecord) -> bool:
        """Whether an image has a file, or needs none."""
        return _has(self.files, record.path)

    def class_mask(self, record: ImageRecord) -> np.ndarray:
        """(H, W) uint8, 0 background, 1 + class index, 255 void."""
        masks, labels = self._drawn(record)
        mask = np.concatenate([[0], labels]).astype(np.uint8)[smaller_on_top(masks)]
        mask[masks[labels == UNSURE].any(0)] = UNSURE
        return mask

    def objects(self, record: ImageRecord, class_mask: np.ndarray) -> Objects:
        """The objects, none of them empty; the class mask is not needed."""
        masks, labels = self._drawn(record)
        return masks[labels != UNSURE], labels[labels != UNSURE]

    def _drawn(self, record: ImageRecord) -> Objects:
        """The objects, and what is left out as void."""
        shapes = _require_outlines(self.files, record.path, record.image_id)
        objects = objects_of(self.files.file(record.path) or self.place, shapes, record.height, record.width)
        drawn = [(self._number(record, label), mask) for label, mask in objects if mask.any()]
        masks = np.array([mask for _, mask in drawn], bool).reshape(-1, record.height, record.width)
        return masks, np.array([number for number, _ in drawn], np.int64)

    def _number(self, record: ImageRecord, label: str) -> int:
        if label in self.left_out:
            return UNSURE
        if label not in self.names:
            raise IrnError(
                f"{self.files.file(record.path)}: a shape is of class {label!r}, which is not a class of the labels"
                " table; add it there, name it in dataset.leave_out, or take the shape out"
            )
        return self.names.index(label) + 1


TRUTH = Outlines


def _files_at(place: Path) -> ShapeFiles:
    files = at(place)
    if files is None:
        raise IrnError(f"{place}: no shapes of labelme, Label Studio or YOLO in it; fix the path")
    return files


def _has(files: ShapeFiles, image: Path) -> bool:
    return files.without_file or files.file(image) is not None


def _require_outlines(files: ShapeFiles, image: Path, name: str) -> list[Shape]:
    """The shapes of an image, each with an outline or a class said of the whole image."""
    if doubt := files.doubt(image):
        raise IrnError(f"{files.file(image)}: image {name!r} has {doubt.what}; {doubt.remedy}")
    shapes = files.read(image) or []
    without = [shape for shape in shapes if not shape.has_outline and not shape.of_image]
    if without:
        raise IrnError(
            f"{files.file(image)}: a shape of image {name!r} ({without[0].label!r}) is a box or a point, which cannot"
            " be scored; draw its outline, or choose a split that has outlines"
        )
    return shapes
