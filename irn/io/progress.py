"""Progress of a long stage: a bar on a terminal, lines in a log file, and such lines read again."""

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO, TypeVar

from irn.io.bars import Pace, Reached, clock, in_units, progress_line
from irn.io.processes import rank

T = TypeVar("T")
EVERY = 60  # seconds between two lines of a log
# Set for the jobs of a workflow, whose display follows their logs: then there are lines at the start and at the end of
# each loop, and between them one for every percent, though at most one in so many seconds.
FOLLOWED = "IRN_PROGRESS_EVERY"
REDRAWN = 0.1  # seconds between two states of a bar
NOTICE = "notice: "  # before lines of a log that the workflow repeats at its end
LINE = re.compile(r"(?P<what>[^:]+): (?P<done>\d+) of (?P<total>\d+) (?P<unit>\w+?)s?(, [^,]+ a second, [\d:]+ left)?")
LAST_LINE = re.compile(r"(?P<what>[^:]+): (?P<total>\d+) (?P<unit>\w+?)s? in [\d:]+")
TAIL = 4096  # bytes of a log in which its last lines are looked for


def progress(items: Iterable[T], total: int, what: str, unit: str = "image", done: int = 0) -> Iterator[T]:
    """Pass `items` through and print how many of `total` are done (`done` from before), and the time left."""
    if rank() > 0:
        return iter(items)
    start = Reached(what, done, total, unit)
    if draws_on(sys.stderr):
        return _as_bar(items, start)
    return _in_lines(items, start)


def draws_on(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which lines can be redrawn."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return stream.isatty()


def _as_bar(items: Iterable[T], start: Reached) -> Iterator[T]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, pace, drawn = Console(file=sys.stderr), Pace(), 0.0
    in_ascii = not console.encoding.lower().startswith("utf")

    def line(reached: Reached, now: float) -> Text:
        left = pace.left(reached.share, now)
        time_left = "" if left is None else f"{clock(left)} left"
        words = (start.what, reached.share, reached.in_words, time_left, console.width - 1, in_ascii, len(start.what))
        return Text(progress_line(*words), no_wrap=True)

    # What goes to a file or a pipe must not be printed above the bar.
    shared = sys.stdout.isatty()
    with Live(line(start, time.monotonic()), console=console, auto_refresh=False, redirect_stdout=shared) as live:
        for count, item in enumerate(items, start.done + 1):
            yield item
            now = time.monotonic()
            if now - drawn >= REDRAWN or count == start.total:
                live.update(line(start._replace(done=count), now), refresh=True)
                drawn = now


def _in_lines(items: Iterable[T], start: Reached) -> Iterator[T]:
    what, done, total, unit = start
    followed = os.environ.get(FOLLOWED)
    every, percent = float(followed or EVERY), max(1, total // 100)
    began = said = time.monotonic()
    at = done
    if followed:
        _say(f"{what}: {start.in_words}")
    count = 0
    for count, item in enumerate(items):
        now = time.monotonic()
        if count and now - said >= every and (now - said >= EVERY or done + count - at >= percent):
            rate = count / (now - began)
            at, said = done + count, now
            _say(f"{what}: {at} of {total} {unit}s, {rate:.2g} a second, {clock((total - at) / rate)} left")
        yield item
    if followed:
        _say(f"{what}: {in_units(total, unit)} in {clock(time.monotonic() - began)}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# ---- what a log says


def notice(text: str) -> None:
    """Print what looks wrong in a result, and the setting to look at."""
    print(NOTICE + text)


def notices_in(log: Path) -> list[str]:
    """The lines of a log that `notice` wrote."""
    return [line for line in _lines(log) if line.startswith(NOTICE)]


def reached_in(log: Path) -> Reached | None:
    """How far a job is by the last line of progress in its log, if it has any."""
    for line in reversed(_last_lines(log)):
        words = LINE.fullmatch(line) or LAST_LINE.fullmatch(line)
        if words:
            total = int(words["total"])
            return Reached(words["what"], int(words.groupdict().get("done", total)), total, words["unit"])
    return None


def done_in(log: Path) -> Reached | None:
    """What the first loop of a job went through, once it is complete."""
    for line in _lines(log):
        if words := LAST_LINE.fullmatch(line):
            return Reached(words["what"], int(words["total"]), int(words["total"]), words["unit"])
    return None


def last_words(log: Path, count: int) -> list[str]:
    """The last `count` lines of a log, at most, that are not progress."""
    lines = [
        line for line in _last_lines(log) if line.strip() and not (LINE.fullmatch(line) or LAST_LINE.fullmatch(line))
    ]
    return lines[-count:]


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _last_lines(log: Path) -> list[str]:
    """The lines in the last bytes of a log; none of a file that does not exist yet."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
