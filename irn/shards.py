"""Which images a job works on."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Shard(NamedTuple):
    """Rows index, index + count, ... of a table."""

    index: int
    count: int


WHOLE = Shard(0, 1)


def rows_of(shard: Shard, rows: Sequence[T]) -> list[T]:
    """The rows of one shard, in order."""
    return list(rows[shard.index :: shard.count])
