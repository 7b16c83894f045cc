"""What corrected masks are, whatever their format."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from irn.data.shapes import Shape, objects_of
from irn.errors import IrnError
from irn.ops.object_masks import mask_of_objects
from irn.records import ImageRecord

VOID = "__ignore__"  # labelme's name of what does not count


class CorrectedMasks(ABC):
    """Corrected masks of some images, in the format of a tool; each format is a module with such a class, `MASKS`.

    classes: names in their order. left_out: names that are void, in formats that have names.
    Raises IrnError on opening for files that cannot be read at all.
    """

    @abstractmethod
    def __init__(self, place: Path, classes: Sequence[str], left_out: Collection[str] = ()) -> None: ...

    @abstractmethod
    def images(self) -> list[str]:
        """What the format calls each image that has been corrected, one without any object included."""

    @abstractmethod
    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of one of `images`, which is the image of a record: `label` and `instances` of an IR label cache.

        Raises IrnError for a mask of another size, an unknown class, and what cannot be read.
        """


def check_size(where: str, height: object, width: object, record: ImageRecord) -> None:
    """Raise IrnError for a mask of another size than its image."""
    if (height, width) != (record.height, record.width):
        raise IrnError(
            f"{where}: the mask is {height} x {width} pixels, image {record.image_id!r} is {record.height} x"
            f" {record.width}; correct the image that is in the data set"
        )


def label_of(where: str, name: str, classes: Sequence[str]) -> int:
    """1 + index of a class; IrnError for one that the data set does not have."""
    if name not in classes:
        raise IrnError(f"{where}: unknown class {name!r}; expected one of {', '.join(classes)}")
    return 1 + list(classes).index(name)


def mask_of_shapes(
    path: Path,
    name: str,
    shapes: Sequence[Shape],
    record: ImageRecord,
    classes: Sequence[str],
    left_out: Collection[str],
) -> dict[str, np.ndarray]:
    """The mask of an image from the shapes that somebody drew; those named `__ignore__` or as in left_out are void.

    Points, lines and classes of the whole image have no pixel and do not count. Raises IrnError as `read` does.
    """
    objects = objects_of(path, shapes, record.height, record.width)
    void = np.zeros((record.height, record.width), bool)
    for label, mask in objects:
        if label in (VOID, *left_out):
            void |= mask
    drawn = [(label, mask) for label, mask in objects if label not in (VOID, *left_out)]
    where = f"{path}: image {name!r}"
    labels = np.array([label_of(where, label, classes) for label, _ in drawn], np.int64)
    return mask_of_objects(np.array([mask for _, mask in drawn], bool).reshape(-1, *void.shape), labels, void)
