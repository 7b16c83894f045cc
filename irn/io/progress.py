"""Progress of a long stage: a bar on a terminal, nothing in a log file."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from irn.io.processes import rank

T = TypeVar("T")
NOTICE = "notice: "  # before lines of a log that the workflow repeats at its end


def progress(items: Iterable[T], total: int, what: str, unit: str = "image", done: int = 0) -> Iterator[T]:
    """Pass `items` through; on a terminal show how many of `total` are done (`done` from before), units a second and the time left."""
    hidden = not sys.stderr.isatty() or rank() > 0
    return iter(tqdm(items, total=total, initial=done, desc=what, unit=unit, disable=hidden, dynamic_ncols=True))


def notice(text: str) -> None:
    """Say what looks wrong in what was made, and the setting to look at."""
    print(NOTICE + text)


def notices_in(log: Path) -> list[str]:
    """The lines of a log that `notice` wrote."""
    return [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith(NOTICE)]
