"""What the readers and the check of a data set find: all problems, and what a user should know besides."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from irn.errors import IrnError

SHOWN = 5  # names in a notice


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


class Problem(NamedTuple):
    """A mistake in the data: the file that it lies in, what is wrong, and the remedy."""

    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass
class Findings:
    """Problems, for which a data set is refused; notices of what looks wrong; notes of how something was understood."""

    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def notice(self, text: str) -> None:
        """Add a notice."""
        self.notices.append(text)

    def note(self, text: str) -> None:
        """Add a note."""
        self.notes.append(text)

    def problem(self, file: object, problem: str, remedy: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(str(file), problem, remedy))

    def mistake(self, error: IrnError) -> None:
        """Add what an error says."""
        file, _, rest = str(error).partition(": ")
        problem, _, remedy = rest.rpartition("; ") if "; " in rest else (rest, "", "")
        self.problem(file, problem, remedy)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Add an error that ends the block, and go on behind it."""
        try:
            yield
        except IrnError as error:
            self.mistake(error)
        except OSError as error:
            self.problem(
                error.filename,
                f"cannot be read ({error.strerror})",
                "give yourself the right to read it, or fix the path",
            )

    def check(self) -> None:
        """Raise IrnError with the first problem, and how many more there are."""
        if self.problems:
            more = len(self.problems) - 1
            raise IrnError(f"{self.problems[0]}" + (f" ({more} more, in the table above)" if more else ""))
