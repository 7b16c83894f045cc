"""Tables as CSV files."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from irn.errors import IrnError

# What a brush painted in Label Studio fills a cell beyond csv's limit.
csv.field_size_limit(2**31 - 1)


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV, every cell as text, so that the id 000123 stays that.

    Cells that a short row lacks are empty.

    Raises IrnError for a file that is missing or not a CSV, a row longer than the header, or a column name that
    repeats.
    """
    if not path.is_file():
        raise IrnError(f"{path}: no such file; expected a CSV table (irn build-manifest makes it)")
    try:
        # utf-8-sig leaves out the mark that spreadsheets put before a text.
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = table_rows(file)
    except (csv.Error, UnicodeDecodeError) as error:
        raise IrnError(f"{path}: not a readable CSV table ({error}); expected comma-separated UTF-8 text") from None
    if len(set(header)) < len(header):
        repeated = next(name for name in header if header.count(name) > 1)
        raise IrnError(f"{path}: column {repeated!r} appears twice in the header; every name must be unique")
    return header, rows


def table_rows(lines: Iterable[str], separator: str = ",") -> list[list[str]]:
    """The rows of a CSV, the header first, without empty lines; cells that a short row lacks are empty.

    Raises csv.Error for a table without a row, and for cells beyond the header.
    """
    rows: list[list[str]] = []
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        for row in reader:
            if len(row) < 2 and not "".join(row).strip():
                continue
            header = rows[0] if rows else row
            if "".join(row[len(header) :]).strip():
                raise csv.Error(f"{len(row)} cells, the header has {len(header)}")
            rows.append(row[: len(header)] + [""] * (len(header) - len(row)))
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from None
    if not rows:
        raise csv.Error("it is empty")
    return rows


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV in UTF-8."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
