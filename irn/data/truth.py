"""What ground truth is, whatever its format: classes, objects and crowds of each image."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.listing import Listed
from irn.records import ImageRecord

# (T, H, W) bool masks, which may overlap, and (T,) 1 + class index of each.
Objects = tuple[np.ndarray, np.ndarray]


class Truth(ABC):
    """Ground truth of a split in some format; each format is a class."""

    # The file that is expected for an image, where each image has one.
    expected = ""
    # Names that are not among the classes, and whose pixels are void, in formats that have names.
    left_out: Collection[str] = ()

    @classmethod
    @abstractmethod
    def open(cls, place: Path, split: str, names: Sequence[str]) -> "Truth":
        """Ground truth of a split by class names in order; IrnError where it is missing or not of this format."""

    @classmethod
    @abstractmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a file or folder is of this format."""

    @classmethod
    @abstractmethod
    def lacking(cls, place: Path, images: Sequence[Listed]) -> list[str]:
        """The names of images without ground truth, as far as a glance shows; what is in the files is not checked.

        Raises IrnError where images cannot be scored for another reason.
        """

    @classmethod
    def lacking_split(cls, place: Path, split: str) -> str:
        """What is missing for a whole split, such as "no instances_val.json"; empty where nothing is."""
        return ""

    @abstractmethod
    def require(self, records: Sequence[ImageRecord]) -> None:
        """Raise IrnError for the first image without ground truth, or with one that cannot be of it."""

    @abstractmethod
    def has(self, record: ImageRecord) -> bool:
        """Whether an image has ground truth."""

    @abstractmethod
    def class_mask(self, record: ImageRecord) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index, 255 void; IrnError for other values."""

    @abstractmethod
    def objects(self, record: ImageRecord, class_mask: np.ndarray) -> Objects:
        """The objects of an image, none of them empty.

        class_mask: that of the image, for formats that keep classes and objects apart.
        """

    def check_objects(self, record: ImageRecord, class_mask: np.ndarray) -> None:
        """Raise what `objects` raises; formats override it that need not make all masks for that."""
        self.objects(record, class_mask)

    def crowds(self, record: ImageRecord) -> Objects:
        """The crowds of an image, regions of several objects that were not told apart; by default there are none."""
        return nothing_in(record)


def nothing_in(record: ImageRecord) -> Objects:
    """The objects of an image without any."""
    return np.zeros((0, record.height, record.width), bool), np.zeros(0, np.int64)


class ImageTruth:
    """Ground truth of one image. Each part is read when it is first asked for, and once."""

    def __init__(self, record: ImageRecord, classes: Truth, objects: Truth | None) -> None:
        self._record, self._classes, self._objects = record, classes, objects

    @property
    def has_objects(self) -> bool:
        """Whether there are object masks."""
        return self._objects is not None

    @cached_property
    def class_mask(self) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index, 255 void."""
        return self._classes.class_mask(self._record)

    @cached_property
    def objects(self) -> Objects:
        """The objects, none of them empty; there are none without object masks."""
        return self._objects.objects(self._record, self.class_mask) if self._objects else nothing_in(self._record)

    @cached_property
    def crowds(self) -> Objects:
        """The crowds; there are none without object masks."""
        return self._objects.crowds(self._record) if self._objects else nothing_in(self._record)


class SplitTruth(NamedTuple):
    """Ground truth of the images of a split: of classes, and of objects where there is some."""

    classes: Truth
    objects: Truth | None

    def of(self, record: ImageRecord) -> ImageTruth:
        """Ground truth of one image."""
        return ImageTruth(record, self.classes, self.objects)
