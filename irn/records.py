"""What all rooms speak of: an image's row in the manifest, and the share of the images that a job works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Range = tuple[float, float]


@dataclass(frozen=True)
class Colours:
    """How the values in image files become RGB, the same for all images of a data set.

    value_range: of 16 bits or more, and of floats, the values that become 0 and 255; None where there is none.
    profiles: whether colour profiles are followed.
    """

    value_range: Range | None = None
    profiles: bool = True


PLAIN = Colours()


@dataclass(frozen=True)
class ImageRecord:
    """One row of the manifest; `path` is absolute, `height` and `width` are pixels of the original image."""

    image_id: str
    path: Path
    height: int
    width: int
    split: str
    colours: Colours = PLAIN


@dataclass(frozen=True)
class Shard:
    """Rows index, index + count, ... of a table."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard(0, 1)


def rows_of(shard: Shard, rows: Sequence[T]) -> list[T]:
    """The rows of one shard, in order."""
    return list(rows[shard.index :: shard.count])
