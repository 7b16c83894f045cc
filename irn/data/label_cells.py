"""Cells that say whether a class is there: 0 and 1, yes and no, or a mark and nothing."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from irn.data.findings import Findings, some
from irn.data.user_tables import UserTable

# As programs, and spreadsheets in several languages, write them.
PRESENT = (
    *("1", "true", "yes", "t", "y", "wahr", "ja", "vrai", "oui", "verdadero", "verdadeiro", "vero", "waar", "sant"),
    *("prawda", "истина", "да", "sí", "si", "sì", "sim", "tak", "present"),
)
ABSENT = (
    *("0", "false", "no", "f", "n", "falsch", "nein", "faux", "non", "falso", "onwaar", "falskt", "fałsz", "ложь"),
    *("нет", "não", "nao", "nee", "nej", "nie", "absent"),
)
USUAL = ("1", "true", "yes", "0", "false", "no")
MARKS = ("x", "✓", "✔", "✗", "☑", "*", "+", "•", "v")  # alone in a table whose other cells are empty
MISSING = ("", "nan", "na", "n/a", "null", "none", "<na>")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?")

Marks = list[list[str]]


class _Cell(NamedTuple):
    image: str
    column: str
    written: str


def marks_of(table: UserTable, findings: Findings) -> Marks:
    """The classes of each row; a problem for each kind of cells that say neither yes nor no.

    A dialect is one for the whole table: -1 is no where there is no 0, an empty cell is where nothing else says no.
    """
    # A table has few different cells, and many of each.
    words = {cell: word_of(cell) for cell in set().union(*table.cells)}
    counts: Counter[str] = Counter()
    for cell, count in Counter(chain.from_iterable(table.cells)).items():
        counts[words[cell]] += count
    present, absent = _dialect(table, counts, findings)
    used = sorted(word for word in counts if word in present | absent and word not in (*USUAL, *MARKS, "", "-1"))
    if used:
        findings.note(f"{table.path}: {', '.join(used)} are read as 1 (present) and 0 (absent)")
    odd = {cell for cell, word in words.items() if word not in present and word not in absent}
    if odd:
        _refuse_odd(table, odd, words, findings)
    yes = {cell for cell, word in words.items() if word in present}
    columns = table.columns
    return [[columns[place] for place, cell in enumerate(row) if cell in yes] for row in table.cells]


def _refuse_odd(table: UserTable, odd: set[str], words: dict[str, str], findings: Findings) -> None:
    """Add a problem for each kind of cells."""
    by_kind: dict[str, list[_Cell]] = {}
    for image, row in zip(table.ids, table.cells, strict=True):
        for column, cell in zip(table.columns, row, strict=True):
            if cell in odd:
                by_kind.setdefault(_kind(words[cell]), []).append(_Cell(image, column, cell))
    for kind, cells in by_kind.items():
        _refuse(table, kind, cells, findings)


def word_of(cell: str) -> str:
    """A cell in lower case, numbers without what changes nothing: 1,0 and 1. are 1."""
    word = cell.strip().lower()
    if not _NUMBER.fullmatch(word):
        return "" if word in MISSING else word
    number = float(word.replace(",", "."))
    return str(int(number)) if number in (-1, 0, 1) else word


def _dialect(table: UserTable, counts: Counter[str], findings: Findings) -> tuple[set[str], set[str]]:
    """The words for yes and for no in a table, by all that is in it."""
    present, absent = set(PRESENT), set(ABSENT)
    if counts["-1"] and not counts["0"]:
        absent.add("-1")
        findings.notice(f"{table.path}: {counts['-1']} cells are -1, which is read as 0 (absent), since no cell is 0")
    if not any(counts[word] for word in present | absent):
        used = [mark for mark in MARKS if counts[mark]]
        if used:
            present |= set(used)
            absent.add("-")
            marked = sum(counts[mark] for mark in used)
            findings.notice(
                f"{table.path}: {marked} cells hold a mark ({', '.join(used)}), which is read as 1 (present)"
            )
    says_yes = any(counts[word] for word in present)
    if counts[""] and says_yes and not any(counts[word] for word in absent):
        absent.add("")
        findings.notice(
            f"{table.path}: {counts['']} cells are empty, which is read as 0 (absent), since no cell says so otherwise"
        )
    return present, absent


def _kind(word: str) -> str:
    if not word:
        return "empty"
    if not _NUMBER.fullmatch(word):
        return "word"
    number = float(word.replace(",", "."))
    if number == -1:
        return "minus"
    return "share" if 0 < number < 1 else "number"


_REMEDIES = {
    "empty": ("are empty", "write 0 (absent) or 1 (present)"),
    "minus": (
        "are -1 beside others that are 0, and one of the two may mean that nobody knows",
        "write 0 (absent) or 1 (present)",
    ),
    "share": (
        "are between 0 and 1, as probabilities are",
        "write 1 (present) from the value on that counts as present for you, and 0 (absent) below",
    ),
    "number": (
        "are other numbers than 0 and 1",
        "write 1 (present) for any number of objects, and 0 (absent) for none",
    ),
    "word": ("say neither yes nor no", "expected 0 (absent) or 1 (present)"),
}


def _refuse(table: UserTable, kind: str, cells: Sequence[_Cell], findings: Findings) -> None:
    words, remedy = _REMEDIES[kind]
    first = cells[0]
    filled = Counter(column for row in table.cells for column, cell in zip(table.columns, row, strict=True) if cell)
    whole = [column for column, count in Counter(cell.column for cell in cells).items() if count == filled[column]]
    if kind == "word" and len(cells) > 1 and len(whole) == len({cell.column for cell in cells}):
        columns = f"the column{'s' if len(whole) > 1 else ''} {some(list(map(repr, whole)))}"
        problem = f"no cell of {columns} says yes or no (the first has {first.written!r})"
        remedy = "leave the column out, or, where its cells are names of classes, call it 'labels'"
        findings.problem(table.path, problem, remedy)
        return
    if len(cells) == 1:
        problem = f"image {first.image!r}, class {first.column!r} has {first.written!r}"
        findings.problem(table.path, problem, "expected 0 (absent) or 1 (present)" if kind == "word" else remedy)
        return
    shown = "; ".join(f"image {cell.image!r}, class {cell.column!r}: {cell.written!r}" for cell in cells[:2])
    total = len(table.ids) * len(table.columns)
    findings.problem(table.path, f"{len(cells)} of {total} cells {words} ({shown})".replace("; ", ", "), remedy)
