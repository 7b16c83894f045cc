"""Tables that users bring, as spreadsheets and annotation tools write them. How one was understood is noted, not guessed in silence."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from irn.data.findings import Findings
from irn.data.listing import Listed, without_suffix
from irn.data.tables import ImageClasses, check_class_names, same_but_for_case, table_rows
from irn.errors import IrnError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
ID_COLUMNS = ("image_id", "image", "id", "name", "file", "filename", "file_name", "path")
NAME_COLUMNS = ("class", "classes", "label", "labels", "tag", "tags", "category", "categories")
TELLS = re.compile(r'"?sep=([,;\t])"?\r?\n', re.I)  # the line that tells spreadsheets what stands between the columns
PRESENT, ABSENT = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def read_labels(path: Path, images: Sequence[Listed], findings: Findings, every_row: bool = True) -> ImageClasses:
    """The classes of each image by a user's table: a column for each class with 1 or 0, or one column of names such as `cat|dog`.

    every_row: whether a row without an image is a problem.
    Raises IrnError for a file that is no table; adds a problem for each row, image or cell with a mistake.
    """
    if not path.is_file():
        raise IrnError(
            f"{path}: no such table of labels; expected a CSV with the header 'image_id' and a 0/1 column for each class"
        )
    table = _read_table(path, findings)
    names, cells = table.columns, table.cells
    if not names:
        raise IrnError(f"{path}: one column, 'image_id'; expected 'image_id' and then a 0/1 column for each class")
    if len(names) == 1 and names[0].lower() in NAME_COLUMNS:
        each = [sorted({part.strip() for part in re.split(r"[|,;]", row[0])} - {""}) for row in cells]
        findings.notes.append(
            f"{path}: class names in the column {names[0]!r}, several in a cell joined by '|', ',' or ';'"
        )
        names = sorted({name for row in each for name in row})
        for one, other in same_but_for_case(names):
            remedy = "write one of them everywhere, or give each class a column of 0 and 1 if both are meant"
            findings.problem(path, f"class {other!r} differs from {one!r} by case or blanks alone", remedy)
    else:
        each = [_present(path, row_id, names, row, findings) for row_id, row in zip(table.ids, cells, strict=True)]
    check_class_names(path, names)
    index = {name: number for number, name in enumerate(names)}
    rows = match_rows(path, table.ids, images, findings, every_row)
    _each_has_row(path, images, rows, "row", findings)
    return ImageClasses(
        names,
        {i.image_id: sorted(index[name] for name in each[rows[i.image_id]]) for i in images if i.image_id in rows},
    )


def read_splits(path: Path, images: Sequence[Listed], findings: Findings) -> dict[str, str]:
    """The split of each image by a user's table of the columns `image_id` and `split`."""
    table = _read_table(path, findings)
    if table.columns != ["split"]:
        raise IrnError(
            f"{path}: expected the header 'image_id,split', found {','.join(['image_id', *table.columns])!r}; fix the header"
        )
    rows = match_rows(path, table.ids, images, findings)
    splits = [row[0].strip() for row in table.cells]
    found = {image_id: splits[row] for image_id, row in rows.items() if splits[row]}
    _each_has_row(path, images, found, "split", findings)
    return found


class _Table(NamedTuple):
    """A table of texts: the first cell of each row, and the names and cells of the other columns."""

    ids: list[str]
    columns: list[str]
    cells: list[list[str]]


def _read_table(path: Path, findings: Findings) -> _Table:
    """The table in a file; IrnError where it is none."""
    text = _text(path, findings)
    told = TELLS.match(text)
    separator = told[1] if told else max(SEPARATORS, key=text.partition("\n")[0].count)
    text = text[told.end() :] if told else text
    try:
        first, *rows = _without_empty(path, table_rows(io.StringIO(text, newline=""), separator), findings)
    except csv.Error as error:
        raise IrnError(f"{path}: not a readable CSV table ({error}); expected rows as long as the header") from None
    header = [name.strip() for name in first]
    if header[0].lower() not in ID_COLUMNS:
        raise IrnError(
            f"{path}: expected the header 'image_id' and then one column for each class, found {','.join(header)!r}"
        )
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise IrnError(f"{path}: column {repeated[0]!r} stands there twice; every name must be unique")
    if separator != ",":
        findings.notes.append(f"{path}: read with {SEPARATORS[separator]} between the columns")
    if header[0] != "image_id":
        findings.notes.append(f"{path}: the column {header[0]!r} is taken as image_id")
    return _Table([row[0] for row in rows], header[1:], [row[1:] for row in rows])


def _without_empty(path: Path, rows: list[list[str]], findings: Findings) -> list[list[str]]:
    """The table without the rows and columns in which nothing stands, which spreadsheets leave at the ends."""
    filled = [[bool(cell.strip()) for cell in row] for row in rows]
    columns = [place for place in range(len(rows[0])) if any(row[place] for row in filled)]
    kept = [[row[place] for place in columns] for row, full in zip(rows, filled, strict=True) if any(full)]
    if not kept:
        raise IrnError(f"{path}: nothing in it; expected the header 'image_id' and then one column for each class")
    missing = {"rows": len(rows) - len(kept), "columns": len(rows[0]) - len(columns)}
    if any(missing.values()):
        said = " and ".join(f"{count} {what}" for what, count in missing.items() if count)
        findings.notes.append(f"{path}: {said} with nothing in them are left out")
    return kept


def match_rows(
    path: Path, rows: Sequence[str], images: Sequence[Listed], findings: Findings, every_row: bool = True
) -> dict[str, int]:
    """The row of each image, which may call it by its id, its name, or its file's name, with or without folders and extension.

    Adds a problem for a second row of an image and, with `every_row`, for one of no image or of several.
    """
    called = [_called(images, how) for how in WAYS]
    found: dict[str, int] = {}
    in_other_words = 0
    for number, row in enumerate(rows):
        name = unicodedata.normalize("NFC", row.strip()).replace("\\", "/").removeprefix("./").removeprefix("images/")
        forms = [form for way in (name, name.rpartition("/images/")[2]) for form in (way, without_suffix(way))]
        candidates = next((names[form] for form in forms for names in called if form in names), [])
        if len(candidates) == 1 and candidates[0] not in found:
            found[candidates[0]] = number
            in_other_words += name != candidates[0]
        elif len(candidates) == 1:
            findings.problem(
                path, f"image id {row!r} stands in more than one row", "every image has one row: remove the others"
            )
        elif candidates:
            findings.problem(path, f"row {row!r} could be any of {len(candidates)} images", "write the folder too")
        elif every_row:
            findings.problem(
                path,
                f"no image for the row {row!r}{_zeros(name, called[0])}",
                "fix the name, add the image or remove the row",
            )
    if in_other_words:
        findings.notes.append(
            f"{path}: {in_other_words} of {len(rows)} rows name the file (extension or folder), not the id"
        )
    return found


WAYS: tuple[Callable[[Listed], str], ...] = (
    lambda image: image.image_id,
    lambda image: unicodedata.normalize("NFC", image.name),
    lambda image: unicodedata.normalize("NFC", image.name) + image.path.suffix,
    lambda image: unicodedata.normalize("NFC", image.path.name),
    lambda image: unicodedata.normalize("NFC", image.path.stem),
)


def _called(images: Iterable[Listed], how: Callable[[Listed], str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for image in images:
        names.setdefault(how(image).strip(), []).append(image.image_id)
    return names


def _zeros(name: str, ids: Iterable[str]) -> str:
    like = next((image_id for image_id in ids if name and image_id.lstrip("0") == name), None)
    return f" (a spreadsheet may have taken the zeros of {like!r} away)" if like else ""


def _each_has_row(path: Path, images: Sequence[Listed], rows: Iterable[str], what: str, findings: Findings) -> None:
    known = set(rows)
    for image in images:
        if image.image_id not in known:
            findings.problem(path, f"no {what} for image {image.name!r}", f"add a {what} for it, or take the image out")


def _present(path: Path, row_id: str, names: Sequence[str], cells: Sequence[str], findings: Findings) -> list[str]:
    """The classes of a row, of which a problem is said for each cell that is neither yes nor no."""
    present = []
    for name, cell in zip(names, cells, strict=True):
        word = cell.strip().lower()
        if word in PRESENT:
            present.append(name)
        elif word not in ABSENT:
            findings.problem(
                path, f"image {row_id!r}, class {name!r} has {cell!r}", "expected 0 (absent) or 1 (present)"
            )
    return present


def _text(path: Path, findings: Findings) -> str:
    """The text of a file in UTF-8, or with a mark in UTF-16."""
    content = path.read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a readable CSV table ({error}); save it as CSV in UTF-8") from None
    if utf16:
        findings.notes.append(f"{path}: read as UTF-16")
    return text
