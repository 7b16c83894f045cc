"""How far something is, in a line of any width: its name, a bar, how many are done, the time left."""

from collections import deque
from typing import NamedTuple

NAME = 35  # columns that the names of stages have where there is room
COUNT, TIME = 17, 12  # columns of "120 of 420 steps" and of "1:02:10 left"
SHORTEST_BAR = 4
WATCHED = 30  # seconds by which the time left is told
FULL, REST = "━", "─"
FULL_IN_ASCII, REST_IN_ASCII = "#", "."


class Reached(NamedTuple):
    """How many of how many units are done."""

    what: str
    done: int
    total: int
    unit: str

    @property
    def share(self) -> float:
        """What is done, from 0 to 1."""
        return self.done / self.total if self.total else 1.0

    @property
    def in_words(self) -> str:
        """Such as "120 of 420 steps"."""
        return f"{self.done} of {in_units(self.total, self.unit)}"


class Pace:
    """How long the rest takes if it goes on as in the last half minute: the parts of a stage differ in pace."""

    def __init__(self) -> None:
        self.seen: deque[tuple[float, float]] = deque()

    def left(self, share: float, now: float) -> float | None:
        """Seconds until the share is 1, from the share that is done at `now`; None while nothing has been done."""
        if self.seen and share < self.seen[-1][1]:
            self.seen.clear()
        if not self.seen or share > self.seen[-1][1]:
            self.seen.append((now, share))
        while len(self.seen) > 2 and now - self.seen[1][0] >= WATCHED:
            self.seen.popleft()
        start, before = self.seen[0]
        return (now - start) * (1 - share) / (share - before) if share > before else None


def in_units(count: int, unit: str) -> str:
    """A number of images or steps in words."""
    return f"{count} {unit}{'' if count == 1 else 's'}"


def clock(seconds: float) -> str:
    """A time as minutes and seconds, from an hour on with hours."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def fitted(text: str, width: int) -> str:
    """The text in exactly so many columns, cut at its end where it is longer."""
    return text.ljust(width) if len(text) <= width else text[: max(0, width - 2)] + ".." if width > 1 else ""


def bar(share: float, width: int, in_ascii: bool) -> str:
    full, rest = (FULL_IN_ASCII, REST_IN_ASCII) if in_ascii else (FULL, REST)
    filled = int(share * width)
    return full * filled + rest * (width - filled)


def progress_line(
    name: str, share: float, count: str, time: str, width: int, in_ascii: bool = False, column: int = NAME
) -> str:
    """Name, bar, count and time in at most `width` columns; a narrow line has a percentage instead of bar and count.

    column: how many columns the name has where there is room.
    """
    bar_width = width - column - max(COUNT, len(count)) - TIME - 3
    if bar_width >= SHORTEST_BAR:
        return f"{fitted(name, column)} {bar(share, bar_width, in_ascii)} {count:>{COUNT}} {time:>{TIME}}".rstrip()
    figures = f" {share:4.0%} {time:>{TIME}}"
    return (fitted(name, max(0, min(column, width - len(figures)))) + figures).rstrip()[:width]
