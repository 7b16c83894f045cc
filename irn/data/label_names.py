"""Cells that hold class names: one, several with a sign between them, or a list as programs write it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from irn.data.findings import Findings, some
from irn.data.label_studio import names_in

# Words for no class, not names of one.
NOTHING = ("none", "nan", "null", "n/a", "na", "-", "nothing", "unlabeled", "unlabelled", "no label", "<na>", "set()")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_SIGNS = re.compile(r"\s*[/+&]\s*|\s+(?:and|und|et|y|e)\s+")
_BRACKETS = ("[]", "()", "{}")


def names_of_cells(path: Path, cells: Sequence[str], findings: Findings) -> list[list[str]]:
    """The class names in each cell of a column, in their order."""
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
    doubtful = sorted(name for name in joined if len(set(name.split()) & alone) > 1)
    if doubtful:
        findings.notice(f"{path}: {some(doubtful)}: one class each; write '|' between them if several are meant")
    return names
