"""Tables that users bring, as spreadsheets and annotation tools write them. How one was read is always noted."""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from irn.data.csv_table import table_rows
from irn.data.findings import Findings
from irn.data.listing import Listed
from irn.data.names import check_class_names, same_but_for_case
from irn.data.row_names import match_rows
from irn.data.tables import ImageClasses
from irn.errors import IrnError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
ID_COLUMNS = ("image_id", "image", "id", "name", "file", "filename", "file_name", "path")
NAME_COLUMNS = ("class", "classes", "label", "labels", "tag", "tags", "category", "categories")
SEPARATOR_LINE = re.compile(
    r'"?sep=([,;\t])"?\r?\n', re.I
)  # the line that tells spreadsheets what separates the columns
PRESENT, ABSENT = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


def read_labels(path: Path, images: Sequence[Listed], findings: Findings, every_row: bool = True) -> ImageClasses:
    """The classes of each image by a user's table: a 0/1 column for each class, or a column of names such as `cat|dog`.

    every_row: whether a row without an image is a problem.

    Raises IrnError for a file that is not a table; adds a problem for each row, image or cell with a mistake.
    """
    if not path.is_file():
        raise IrnError(
            f"{path}: no such table of labels; expected a CSV with the header 'image_id' and a 0/1 column for each"
            " class"
        )
    table = _read_table(path, findings)
    if not table.columns:
        raise IrnError(f"{path}: one column, 'image_id'; expected 'image_id' and then a 0/1 column for each class")
    if len(table.columns) == 1 and table.columns[0].lower() in NAME_COLUMNS:
        names, names_in = _from_names(path, table, findings)
    else:
        names = table.columns
        names_in = [_present(path, *row, names, findings) for row in zip(table.ids, table.cells, strict=True)]
    check_class_names(path, names)
    index = {name: number for number, name in enumerate(names)}
    rows = match_rows(path, table.ids, images, findings, every_row)
    _each_has_row(path, images, rows, "row", findings)
    listed = [image.image_id for image in images if image.image_id in rows]
    return ImageClasses(names, {i: sorted(index[name] for name in names_in[rows[i]]) for i in listed})


def _from_names(path: Path, table: "_Table", findings: Findings) -> tuple[list[str], list[list[str]]]:
    """All class names of a table with a column of names, sorted, and the names of each row."""
    findings.note(
        f"{path}: class names in the column {table.columns[0]!r}, several in a cell joined by '|', ',' or ';'"
    )
    names_in = [sorted({part.strip() for part in re.split(r"[|,;]", cell)} - {""}) for (cell,) in table.cells]
    names = sorted({name for row in names_in for name in row})
    for first, second in same_but_for_case(names):
        remedy = "write one of them everywhere, or give each class a column of 0 and 1 if both are meant"
        findings.problem(path, f"class {second!r} differs from {first!r} by case or blanks alone", remedy)
    return names, names_in


def read_splits(path: Path, images: Sequence[Listed], findings: Findings) -> dict[str, str]:
    """The split of each image by a user's table of the columns `image_id` and `split`."""
    table = _read_table(path, findings)
    if table.columns != ["split"]:
        header = ",".join(["image_id", *table.columns])
        raise IrnError(f"{path}: expected the header 'image_id,split', found {header!r}; fix the header")
    rows = match_rows(path, table.ids, images, findings)
    cells = [cell.strip() for (cell,) in table.cells]
    split_of = {image_id: cells[row] for image_id, row in rows.items() if cells[row]}
    _each_has_row(path, images, split_of, "split", findings)
    return split_of


class _Table(NamedTuple):
    """A table of text: the first cell of each row, and the names and cells of the other columns."""

    ids: list[str]
    columns: list[str]
    cells: list[list[str]]


def _read_table(path: Path, findings: Findings) -> _Table:
    """The table in a file; IrnError for a file that is not one."""
    text = _text(path, findings)
    line = SEPARATOR_LINE.match(text)
    separator = line[1] if line else max(SEPARATORS, key=text.partition("\n")[0].count)
    text = text[line.end() :] if line else text
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
        raise IrnError(f"{path}: column {repeated[0]!r} appears twice; every name must be unique")
    if separator != ",":
        findings.note(f"{path}: read with {SEPARATORS[separator]} between the columns")
    if header[0] != "image_id":
        findings.note(f"{path}: the column {header[0]!r} is taken as image_id")
    return _Table([row[0] for row in rows], header[1:], [row[1:] for row in rows])


def _without_empty(path: Path, rows: list[list[str]], findings: Findings) -> list[list[str]]:
    """The table without its empty rows and columns, which spreadsheets leave behind."""
    filled = [[bool(cell.strip()) for cell in row] for row in rows]
    columns = [place for place in range(len(rows[0])) if any(row[place] for row in filled)]
    kept = [[row[place] for place in columns] for row, full in zip(rows, filled, strict=True) if any(full)]
    if not kept:
        raise IrnError(f"{path}: nothing in it; expected the header 'image_id' and then one column for each class")
    missing = {"rows": len(rows) - len(kept), "columns": len(rows[0]) - len(columns)}
    if any(missing.values()):
        dropped = " and ".join(f"{count} {what}" for what, count in missing.items() if count)
        findings.note(f"{path}: {dropped} with nothing in them are left out")
    return kept


def _each_has_row(path: Path, images: Sequence[Listed], rows: Iterable[str], what: str, findings: Findings) -> None:
    known = set(rows)
    for image in images:
        if image.image_id not in known:
            findings.problem(path, f"no {what} for image {image.name!r}", f"add a {what} for it, or take the image out")


def _present(path: Path, row_id: str, cells: Sequence[str], names: Sequence[str], findings: Findings) -> list[str]:
    """The classes of a row; adds a problem for each cell that says neither yes nor no."""
    present = []
    for name, cell in zip(names, cells, strict=True):
        word = cell.strip().lower()
        if word in PRESENT:
            present.append(name)
        elif word not in ABSENT:
            problem = f"image {row_id!r}, class {name!r} has {cell!r}"
            findings.problem(path, problem, "expected 0 (absent) or 1 (present)")
    return present


def _text(path: Path, findings: Findings) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark."""
    content = path.read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a readable CSV table ({error}); save it as CSV in UTF-8") from None
    if utf16:
        findings.note(f"{path}: read as UTF-16")
    return text
