"""What all rooms speak of: an image's row in the manifest, and the share of the images that a job works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ImageRecord:
    """One row of the manifest; `path` is absolute, `height` and `width` are pixels of the original image.

    `value_range` is that of `read_image`, and None where there is none.
    """

    image_id: str
    path: Path
    height: int
    width: int
    split: str
    value_range: tuple[float, float] | None = None


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
