"""Which images a job works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


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
