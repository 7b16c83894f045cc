"""Progress of a long stage: a bar on a terminal, a line every minute in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from irn.io.processes import rank

T = TypeVar("T")
EVERY = 60  # seconds between two lines of a log
NOTICE = "notice: "  # before lines of a log that the workflow repeats at its end


def progress(items: Iterable[T], total: int, what: str, unit: str = "image", done: int = 0) -> Iterator[T]:
    """Pass `items` through and print how many of `total` are done (`done` from before), units a second, time left."""
    if rank() > 0:
        return iter(items)
    if sys.stderr.isatty():
        return iter(tqdm(items, total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True))
    return _in_lines(items, total, what, unit, done)


def _in_lines(items: Iterable[T], total: int, what: str, unit: str, done: int) -> Iterator[T]:
    start = said = time.monotonic()
    for count, item in enumerate(items):
        now = time.monotonic()
        if count and now - said >= EVERY:
            rate = count / (now - start)
            left = (total - done - count) / rate / 60
            print(
                f"{what}: {done + count} of {total} {unit}s, {rate:.2g} a second, {left:.0f} min left",
                file=sys.stderr,
                flush=True,
            )
            said = now
        yield item


def notice(text: str) -> None:
    """Print what looks wrong in a result, and the setting to look at."""
    print(NOTICE + text)


def notices_in(log: Path) -> list[str]:
    """The lines of a log that `notice` wrote."""
    return [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith(NOTICE)]
