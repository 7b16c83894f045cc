"""Progress of a long stage: a bar on a terminal, nothing in a log file."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
NOTICE = "notice: "  # before lines of a log that the workflow repeats at its end


def progress(items: Iterable[T], total: int, what: str, unit: str = "image", done: int = 0) -> Iterator[T]:
    """Pass `items` through; on a terminal show how many of `total` are done (`done` from before), units a second and the time left."""
    return iter(
        tqdm(
            items,
            total=total,
            initial=done,
            desc=what,
            unit=unit,
            disable=not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0",
            dynamic_ncols=True,
        )
    )


def notice(text: str) -> None:
    """Say what looks wrong in what was made, and the setting to look at."""
    print(NOTICE + text)
