"""Where the lines of a run go: to a terminal, whose last rows are redrawn, or into plain lines."""

import textwrap
from collections.abc import Sequence
from typing import Protocol, TextIO

EVERY = 60  # seconds between two plain lines on progress
OK, FAILED = ("✓", "✗")
OK_IN_ASCII, FAILED_IN_ASCII = ("+", "x")
STYLES = {OK: "green", OK_IN_ASCII: "green", FAILED: "red", FAILED_IN_ASCII: "red"}


class Screen(Protocol):
    """A place for lines. `redraws` tells whether rows of progress can be drawn over the last ones."""

    redraws: bool
    in_ascii: bool

    @property
    def width(self) -> int: ...

    def say(self, line: str) -> None:
        """Print a line that stays."""

    def draw(self, rows: Sequence[str]) -> None:
        """Show rows in place of those drawn before."""

    def close(self) -> None:
        """Leave the place in order; what is printed later comes below."""


class Plain:
    """A file, a pipe, or a terminal without colours."""

    redraws, width, in_ascii = False, 80, False

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.in_ascii = not (stream.encoding or "ascii").lower().startswith("utf")

    def say(self, line: str) -> None:
        print(line, file=self.stream, flush=True)

    def draw(self, rows: Sequence[str]) -> None:
        """Nothing: rows that change are not for here."""

    def close(self) -> None:
        """Nothing is open."""


class Nowhere:
    """What is left of a terminal that is gone."""

    redraws, width, in_ascii = False, 80, True

    def say(self, line: str) -> None:
        """Nothing."""

    def draw(self, rows: Sequence[str]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing is open."""


class Terminal:
    """A terminal, as rich draws on it."""

    redraws = True

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(file=stream, highlight=False)
        self.in_ascii = not self.console.encoding.lower().startswith("utf")
        self.live = Live(console=self.console, auto_refresh=False, transient=True)

    @property
    def width(self) -> int:
        return self.console.width

    def say(self, line: str) -> None:
        from rich.text import Text

        text = Text("\n".join(row for part in line.split("\n") for row in self._wrapped(part)))
        if line[:1] in STYLES:
            text.stylize(STYLES[line[0]], 0, 1)
        self.console.print(text, soft_wrap=True)

    def _wrapped(self, line: str) -> list[str]:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        rows = textwrap.wrap(line, self.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        return rows or [""]

    def draw(self, rows: Sequence[str]) -> None:
        from rich.text import Text

        if not self.live.is_started:
            self.live.start()
        # The empty row is for what other processes write.
        self.live.update(Text("\n".join([*rows, ""]), no_wrap=True, overflow="crop"), refresh=True)

    def close(self) -> None:
        self.live.stop()
