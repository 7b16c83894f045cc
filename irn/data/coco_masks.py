"""Ground truth in instances files of COCO."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irn.data.coco_files import boxes_at_a_glance, in_split, instances_file, name_of, split_files, with_year
from irn.data.coco_images import names_and_files
from irn.data.coco_instances import InstancesFile
from irn.data.listing import Listed
from irn.data.names import safe_id
from irn.data.shape_files import is_list
from irn.data.truth import Objects, Truth
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.stacking import smaller_on_top
from irn.records import ImageRecord


class InstanceMasks(Truth):
    """Ground truth in an instances file, whose categories are among the classes `names` or left out.

    Crowds and what is left out are void, and not objects. Where other instances overlap, the class mask shows the
    smaller one (of equal ones the later in the file), while the masks of objects stay whole. An instance too small to
    cover a pixel does not count.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self.file = InstancesFile(path)
        self.labels = np.array([names.index(name) + 1 if name in names else 0 for name in self.file.names])
        self._last: tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None

    @classmethod
    def open(cls, place: Path, split: str, names: Sequence[str]) -> "InstanceMasks":
        """An instances file, or that of the split in a folder of such files."""
        return cls(_file_of(place, split), names)

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a path is a file, or a folder with an instances file."""
        return (place.is_file() and not is_list(place)) or bool(split_files(place))

    @classmethod
    def lacking(cls, place: Path, images: Sequence[Listed]) -> list[str]:
        """The names of images that are not in the file of their split.

        Raises IrnError for a split without a file, for boxes without a segmentation, which cannot be scored, and for
        segmentations that cannot be read.
        """
        files = {split: _file_of(place, split) for split in dict.fromkeys(image.split for image in images)}
        ids_in = {file: _ids(file) for file in set(files.values())}
        for file in ids_in:
            boxes, count = boxes_at_a_glance(file)
            if boxes:
                raise IrnError(
                    f"{file}: {boxes} of {count} annotations have no segmentation, and boxes cannot be scored; give"
                    " them one, take them out, or set dataset.eval_split to a split in which all have one"
                )
        for split, file in files.items():
            of_split = [image.image_id for image in images if image.split == split]
            if unreadable := InstancesFile(file).first_unreadable(of_split):
                raise unreadable
        return [image.name for image in images if image.image_id not in ids_in[files[image.split]]]

    @classmethod
    def lacking_split(cls, place: Path, split: str) -> str:
        """What is missing in a folder without the file of a split."""
        return f"no instances_{split}.json" if place.is_dir() and not with_year(place, split) else ""

    def require(self, records: Sequence[ImageRecord]) -> None:
        """Raise IrnError for the first image without ground truth, of another size there, or with an unknown class."""
        for record in records:
            self._require(record)

    def _require(self, record: ImageRecord) -> None:
        picture = self.file.picture(record.image_id)
        if picture is None:
            raise IrnError(f"{self.path}: no image {record.image_id!r} in it; give the file of split {record.split!r}")
        if picture.size not in (None, (record.height, record.width)):
            raise IrnError(
                f"{self.path}: image {record.image_id!r} is {picture.size[0]} x {picture.size[1]} pixels, the"
                " manifest says"
                f" {record.height} x {record.width}; give the file of these images"
            )
        unlabelled = [index for index in self.file.classes(record.image_id) if not self.labels[index]]
        unknown = [index for index in unlabelled if self.file.names[index] not in self.left_out]
        if unknown:
            raise IrnError(
                f"{self.path}: image {record.image_id!r} has category {self.file.names[unknown[0]]!r}, which is not"
                " a class of"
                " the labels table; give the labels table of this data set, or masks of its classes"
            )

    def has(self, record: ImageRecord) -> bool:
        """Whether the file has an image."""
        return self.file.picture(record.image_id) is not None

    def class_mask(self, record: ImageRecord) -> np.ndarray:
        """(H, W) uint8, 0 background, 1 + class index, 255 void."""
        masks, labels, crowd = self._read(record)
        mask = np.concatenate([[0], labels]).astype(np.uint8)[smaller_on_top(masks)]
        mask[masks[crowd | (labels == 0)].any(0)] = UNSURE
        return mask

    def objects(self, record: ImageRecord, class_mask: np.ndarray) -> Objects:
        """The objects, none of them empty; the class mask is not needed."""
        masks, labels, crowd = self._read(record)
        counted = ~crowd & (labels > 0) & masks.any((1, 2))
        return masks[counted], labels[counted]

    def crowds(self, record: ImageRecord) -> Objects:
        """The crowds, none of them empty."""
        masks, labels, crowd = self._read(record)
        counted = crowd & (labels > 0) & masks.any((1, 2))
        return masks[counted], labels[counted]

    def _read(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks, labels and crowds of an image; kept until another is read, since all methods want them."""
        if self._last is None or self._last[0] != record.image_id:
            masks, index, crowd = self.file.masks(record.image_id, record.height, record.width)
            self._last = record.image_id, (masks, self.labels[index], crowd)
        return self._last[1]


TRUTH = InstanceMasks


def _file_of(place: Path, split: str) -> Path:
    return place if place.is_file() else instances_file(place, split)


def _ids(path: Path) -> set[str]:
    """The ids that the images of an instances file may have, as far as a glance shows its names."""
    names = names_and_files(path)
    return {safe_id(form) for name in names for form in (name, in_split(name_of(path), name))}
