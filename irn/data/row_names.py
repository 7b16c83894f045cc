"""Which image a row of a user's table is about, whatever the row calls it."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from irn.data.file_names import forms, plain
from irn.data.findings import Findings, some
from irn.data.listing import Listed, without_suffix

# What an image may be called, the surest name first.
NAMES: tuple[Callable[[Listed], str], ...] = (
    lambda image: image.image_id,
    lambda image: unicodedata.normalize("NFC", image.name),
    lambda image: unicodedata.normalize("NFC", image.name) + image.path.suffix,
    lambda image: unicodedata.normalize("NFC", image.path.name),
    lambda image: unicodedata.normalize("NFC", image.path.stem),
)

_SHORTENED = re.compile(r"\d[.,]?\d*E\+\d+")  # a long number, as spreadsheets show it


class Names:
    """The images of a data set by all that a table may call them."""

    def __init__(self, images: Sequence[Listed]) -> None:
        self._ids_by_name = [_ids_by_name(images, name_of) for name_of in NAMES]
        # Last, since names may differ by case alone.
        self._ids_by_folded_name = [_folded(ids_by_name) for ids_by_name in self._ids_by_name]

    def candidates(self, row: str) -> list[str]:
        """The ids of the images that a row's name fits, by the surest of its forms and of their names."""
        row = row.strip()
        return self._candidates(row, self._ids_by_name) or self._candidates(row.casefold(), self._ids_by_folded_name)

    @staticmethod
    def _candidates(row: str, ids_by_name: Sequence[dict[str, list[str]]]) -> list[str]:
        for form in forms(row):
            short = form.removeprefix("images/")
            for part in (short, short.rpartition("/images/")[2]):
                for name in (part, without_suffix(part)):
                    for ids in ids_by_name:
                        if name in ids:
                            return ids[name]
        return []

    def count(self, rows: Iterable[str]) -> int:
        """How many of some rows fit an image."""
        return sum(bool(self.candidates(row)) for row in rows)

    def without_zeros(self, name: str) -> str | None:
        """An image id that is the name with zeros in front."""
        return self._ids_by_number.get(name)

    @cached_property
    def _ids_by_number(self) -> dict[str, str]:
        return {image_id.lstrip("0"): image_id for image_id in self._ids_by_name[0] if image_id.strip("0")}


def match_rows(
    path: Path, rows: Sequence[str], images: Sequence[Listed], findings: Findings, every_row: bool = True
) -> dict[str, list[int]]:
    """The rows of each image that has any, by image id.

    A row may name an image by its id, its name, or its file's name, with or without folders and extension, or as tools
    change them (`irn.data.file_names.forms`).

    Adds a problem for rows that fit several images and, with `every_row`, for those that fit none.
    """
    names, rows_of = Names(images), dict[str, list[int]]()
    by_other_names = 0
    missing: list[str] = []
    torn: list[str] = []
    for number, row in enumerate(rows):
        candidates = names.candidates(row)
        if len(candidates) == 1:
            rows_of.setdefault(candidates[0], []).append(number)
            by_other_names += plain(row).removeprefix("images/") != candidates[0]
        else:
            (torn if candidates else missing).append(row)
    if by_other_names:
        findings.note(f"{path}: {by_other_names} of {len(rows)} rows name the file (extension or folder), not the id")
    for row in torn[:1]:
        more = f", and so could {len(torn) - 1} other rows" if len(torn) > 1 else ""
        problem = f"row {row!r} could be any of {len(names.candidates(row))} images{more}"
        findings.problem(path, problem, "write the folder too")
    if every_row and missing:
        _refuse_missing(path, missing, len(rows), names, findings)
    return rows_of


def _refuse_missing(path: Path, missing: Sequence[str], count: int, names: Names, findings: Findings) -> None:
    zeros = next(filter(None, (names.without_zeros(plain(row)) for row in missing)), None)
    hint = f" (a spreadsheet may have removed the zeros of {zeros!r})" if zeros else ""
    if any(_SHORTENED.fullmatch(row.strip()) for row in missing):
        hint = " (a spreadsheet has shortened them as numbers: let it take the column as text)"
    if len(missing) == 1:
        problem, remedy = f"no image for the row {missing[0]!r}", "fix the name, add the image or remove the row"
    else:
        problem = f"no image for {len(missing)} of the {count} rows ({some(list(map(repr, missing)))})"
        remedy = "fix the names, add the images or remove the rows"
    findings.problem(path, problem + hint, remedy)


def _ids_by_name(images: Iterable[Listed], name_of: Callable[[Listed], str]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for image in images:
        ids.setdefault(name_of(image).strip(), []).append(image.image_id)
    return ids


def _folded(ids_by_name: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same by names without their case."""
    ids_by_folded_name: dict[str, list[str]] = {}
    for name, ids in ids_by_name.items():
        ids_by_folded_name.setdefault(name.casefold(), []).extend(ids)
    return ids_by_folded_name
