"""The splits of images by tables that users bring."""

import re
from collections.abc import Sequence
from pathlib import Path

from irn.data.findings import Findings
from irn.data.listing import Listed
from irn.data.names import check_splits, same_but_for_case
from irn.data.row_names import match_rows
from irn.data.user_tables import (
    SPLIT_COLUMNS,
    VALID_COLUMN,
    UserTable,
    each_has_row,
    key,
    read_user_table,
    refuse_repeated,
)
from irn.errors import IrnError


def read_splits(path: Path, images: Sequence[Listed], findings: Findings) -> dict[str, str]:
    """The split of each image by a user's table of the columns `image_id` and `split`."""
    table = read_user_table(path, images, findings)
    if [key(name) for name in table.columns] != ["split"]:
        header = ",".join(["image_id", *table.columns])
        raise IrnError(f"{path}: expected the header 'image_id,split', found {header!r}; fix the header")
    return _splits(table, table.columns[0], images, findings)


def splits_in_labels(path: Path, images: Sequence[Listed], findings: Findings) -> dict[str, str] | None:
    """The split of each image by a column of a table of labels; None for a table without such a column."""
    # Whoever reads the labels tells all else about the table.
    silent = Findings()
    with open(path, "rb") as file:
        columns = re.split(r"[,;\t]", file.readline().decode("utf-8", "ignore").replace("\0", ""))
    if not any(key(name.strip(' \r\n"')) in (*SPLIT_COLUMNS, VALID_COLUMN) for name in columns):
        return None
    with silent.collected():
        table = read_user_table(path, images, silent)
        if column := table.split_column():
            findings.note(f"{path}: splits by the column {column!r}")
            return _splits(table, column, images, findings)
    return None


def _splits(table: UserTable, column: str, images: Sequence[Listed], findings: Findings) -> dict[str, str]:
    rows = match_rows(table.path, table.ids, images, findings)
    cells = table.column(column)
    if key(column) == VALID_COLUMN:
        cells = ["val" if cell.lower() == "true" else "train" for cell in cells]
    split_of = {}
    for image_id, numbers in rows.items():
        held = {cells[number] for number in numbers}
        if len(held) > 1 or (len(numbers) > 1 and table.columns == [column]):
            refuse_repeated(table, [numbers[1]], findings)
        elif held != {""}:
            split_of[image_id] = held.pop()
    splits = sorted(set(split_of.values()))
    check_splits(table.path, splits)
    for first, second in same_but_for_case(splits):
        findings.notice(f"{table.path}: splits {first!r} and {second!r} differ by case or blanks alone, and are two")
    each_has_row(table.path, images, split_of, "split", findings)
    return split_of
