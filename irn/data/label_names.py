"""Cells that hold class names: one, several with a sign between them, or a list as programs write it."""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from irn.data.findings import Findings, some
from irn.data.label_studio import names_in

# Words for no class, not names of one.
NOTHING = ("none", "nan", "null", "n/a", "na", "-", "nothing", "unlabeled", "unlabelled", "no label", "<na>", "set()")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_VALUE = re.compile(r"""["']\s*:\s*([^,}]*[^,}\s])""")  # of a name in quotes
_COUNT = re.compile(r"[1-9]\d*|true", re.I)
_SIGNS = re.compile(r"\s*[/+&]\s*|\s+(?:and|und|et|y|e)\s+")
_BRACKETS = ("[]", "()", "{}")


def names_of_cells(path: Path, cells: Sequence[str], findings: Findings) -> list[list[str]]:
    """The class names in each cell of a column, in their order."""
    mappings = [cell for cell in cells if _is_mapping(cell)]
    if mappings:
        problem = f"{len(mappings)} cells give each class a value, such as {mappings[0]!r}"
        findings.problem(path, problem, "write only the names of classes that are there, such as cat|dog")
    parts = [_parts(cell) for cell in cells]
    lists = sum(_is_list(cell) for cell in cells)
    if lists:
        findings.note(f"{path}: {lists} cells are lists, as programs write them")
    empty = [part for row in parts for part in row if part.lower() in NOTHING]
    if empty:
        findings.notice(f"{path}: {len(empty)} cells say that there is no class ({some(sorted(set(empty)))})")
    names = [[part for part in row if part and part.lower() not in NOTHING] for row in parts]
    return _without_blanks(path, names, findings)


def _note_signs(path: Path, names: set[str], findings: Findings) -> None:
    """A notice of names that are others with a sign between them that joins none here, as `cat/dog`."""
    doubtful = sorted(name for name in names if len(set(_SIGNS.split(name)) & names) > 1)
    if doubtful:
        findings.notice(f"{path}: {some(doubtful)}: one class each; write '|' between them if several are meant")


def _is_list(cell: str) -> bool:
    return any(cell.startswith(pair[0]) and cell.endswith(pair[1]) for pair in _BRACKETS if len(cell) > 1)


def _is_mapping(cell: str) -> bool:
    """Whether a cell gives names values that do not say that each is there, as numbers of objects do."""
    cell = cell.strip()
    if not cell.startswith("{") or _from_json(cell) is not None:
        return False
    return not all(_COUNT.fullmatch(value) for value in _VALUE.findall(cell))


def _parts(cell: str) -> list[str]:
    cell = cell.strip()
    if not _is_list(cell):
        return [part.strip() for part in re.split(r"[|,;\n]", cell)]
    written = _from_json(cell)
    if written is None:
        quoted = [first or second for first, second in _QUOTED.findall(cell)]
        written = quoted or re.split(r"[|,;]", cell[1:-1])
    return [part.strip() for part in written]


def _from_json(cell: str) -> list[str] | None:
    """The names in JSON, such as that of Label Studio; None for another text."""
    try:
        content: Any = json.loads(cell)
        return names_in(content)
    except (ValueError, RecursionError):
        return None


def _without_blanks(path: Path, names: list[list[str]], findings: Findings) -> list[list[str]]:
    """Names split at blanks, where each part is a name in another cell too; else a notice where some are."""
    alone = {name for row in names for name in row if " " not in name}
    _note_signs(path, {name for row in names for name in row}, findings)
    joined = {name for row in names for name in row if " " in name}
    if any(len(row) > 1 for row in names) or not joined:
        return names
    joined = {name for name in joined if not _SIGNS.search(name)}
    if not joined:
        return names
    if all(set(name.split()) <= alone for name in joined):
        findings.notice(f"{path}: several classes in a cell with blanks between them ({some(sorted(joined))})")
        return [[part for name in row for part in name.split()] for row in names]
    names_with = Counter(word for name in joined | alone for word in set(name.split()))
    doubtful = sorted(name for name in joined if _may_be_several(name.split(), alone, names_with))
    if doubtful:
        findings.notice(f"{path}: {some(doubtful)}: one class each; write '|' between them if several are meant")
    return names


def _may_be_several(words: Sequence[str], alone: Collection[str], names_with: Mapping[str, int]) -> bool:
    """Whether each of some words may be a class: numbers, two that are names elsewhere, or all in several names."""
    return (
        len(set(words) & set(alone)) > 1
        or all(word.isdecimal() for word in words)
        or all(names_with[word] > 1 for word in words)
    )
