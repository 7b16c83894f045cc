"""Ground truth as index PNGs, and how ground truth of any format is opened."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from irn.data.index_png import missing_mask, read_index_png
from irn.data.kinds import KINDS
from irn.data.labelmap import class_mask_of, labelmap_of, object_mask_of, read_colours
from irn.data.listing import Listed, regular_files
from irn.data.names import names_of
from irn.data.truth import Objects, SplitTruth, Truth
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.overlaps import object_classes
from irn.records import ImageRecord


class MaskFolder(Truth):
    """A folder with an index PNG `<image_id>.png` for each image, of classes or of objects; or CVAT's, in colours."""

    expected = "<image_id>.png"

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path, self.names = path, list(names)
        self.labelmap = labelmap_of(path)

    @classmethod
    def open(cls, place: Path, split: str, names: Sequence[str]) -> "MaskFolder":
        """The folder of all splits."""
        return cls(place, names)

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """False, since any folder may be one: what no other format recognises is."""
        return False

    @classmethod
    def lacking(cls, place: Path, images: Sequence[Listed]) -> list[str]:
        """The names of images without a file."""

        regular = regular_files(place) if place.is_dir() else set()

        def has_mask(image: Listed) -> bool:
            return f"{image.image_id}.png" in regular or any(
                os.path.isfile(f"{place}/{name}.png") for name in names_of(image.image_id, image.path)
            )

        return [image.name for image in images if not has_mask(image)]

    def require(self, records: Sequence[ImageRecord]) -> None:
        """Raise IrnError for the first image without a file."""
        for record in records:
            if not self.has(record):
                raise missing_mask(self._mask(record))

    def has(self, record: ImageRecord) -> bool:
        """Whether an image has a file."""
        return self._mask(record).is_file()

    def class_mask(self, record: ImageRecord) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index, 255 void; IrnError for other values."""
        colours = self._colours(record)
        if colours is not None and self.labelmap is not None:
            return class_mask_of(self._mask(record), colours, self.labelmap, self.names, self.left_out)
        mask = read_index_png(self._mask(record), record.height, record.width)
        beyond = mask[(mask > len(self.names)) & (mask != UNSURE)]
        if beyond.size:
            raise IrnError(
                f"{self.path}: the mask of image {record.image_id!r} holds value {beyond[0]}, "
                f"expected 0 to {len(self.names)} or {UNSURE}; fix the mask or give the labels table of this data set"
            )
        return mask

    def objects(self, record: ImageRecord, class_mask: np.ndarray) -> Objects:
        """The objects, none of them empty; IrnError for one that the class mask gives no class."""
        mask, ids, labels = self._numbered(record, class_mask)
        # An object that is void all over is not one to be found.
        return mask == ids[labels != UNSURE, None, None], labels[labels != UNSURE]

    def check_objects(self, record: ImageRecord, class_mask: np.ndarray) -> None:
        """As `Truth.check_objects`."""
        self._numbered(record, class_mask)

    def _numbered(self, record: ImageRecord, class_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(H, W) numbers of objects, which there are, and 1 + class index of each, 255 for one that is void."""
        path = self._mask(record)
        colours = self._colours(record)
        if colours is None:
            mask = read_index_png(path, record.height, record.width)
        else:
            mask = object_mask_of(colours)
        ids, labels = object_classes(mask, class_mask)
        if (labels == 0).any():
            raise IrnError(
                f"{path}: object {ids[labels == 0][0]} lies on background alone in the class mask, "
                f"expected its class number or {UNSURE} (void) there; fix one of the two masks"
            )
        return mask, ids, labels

    def _colours(self, record: ImageRecord) -> np.ndarray | None:
        """The colours of an image's mask; None where its values are numbers, as without a labelmap."""
        return read_colours(self._mask(record), record.height, record.width) if self.labelmap else None

    def _mask(self, record: ImageRecord) -> Path:
        """The file of an image's mask, which may have the image's own name instead of the id made of it."""
        paths = [self.path / f"{name}.png" for name in names_of(record.image_id, record.path)]
        return next((path for path in paths if path.is_file()), paths[0])


TRUTH = MaskFolder


def format_of(place: Path) -> type[Truth]:
    """The format of the ground truth in a file or folder.

    It is that of the first kind of data set that recognises it, or else index PNGs.
    """
    formats = dict.fromkeys(kind.truth for kind in KINDS.values())
    return next((truth for truth in formats if truth.recognises(place)), MaskFolder)


def open_truth(place: Path, split: str, names: Sequence[str], left_out: Collection[str] = ()) -> Truth:
    """Ground truth of a split by class names in order, from a file or folder of any format.

    left_out: names that are not among the classes, and whose pixels are void.

    Raises IrnError where the split's is missing, and for a file that is not of its format.
    """
    truth = format_of(place).open(place, split, names)
    truth.left_out = frozenset(left_out)
    return truth


def open_truths(
    class_masks: Path,
    object_masks: Path | None,
    records: Sequence[ImageRecord],
    names: Sequence[str],
    left_out: Collection[str] = (),
) -> SplitTruth:
    """Ground truth of classes, and of objects if a place is given, for images of one split.

    left_out: as of `open_truth`.

    Raises IrnError where it lacks an image.
    """
    split = records[0].split
    classes = open_truth(Path(class_masks), split, names, left_out)
    classes.require(records)
    if object_masks is None or Path(object_masks) == Path(class_masks):
        return SplitTruth(classes, classes if object_masks else None)
    objects = open_truth(Path(object_masks), split, names, left_out)
    objects.require(records)
    return SplitTruth(classes, objects)
