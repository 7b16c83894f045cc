"""What corrected masks are, whatever their format."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irn.errors import IrnError
from irn.records import ImageRecord


class CorrectedMasks(ABC):
    """Corrected masks of some images, in the format of a tool; each format is a module with such a class, `MASKS`.

    Raises IrnError on opening for files that cannot be read at all.
    """

    @abstractmethod
    def __init__(self, place: Path, classes: Sequence[str]) -> None: ...

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


def label_of(where: str, name: object, classes: Sequence[str]) -> int:
    """1 + index of a class; IrnError for one that the data set does not have."""
    if name not in classes:
        raise IrnError(f"{where}: class {name!r} is not one of {', '.join(classes)}; rename it, or take it out")
    return 1 + list(classes).index(str(name))
