"""Tables of labels: a column of 0 and 1 for each class, or a column of class names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from irn.data.findings import Findings
from irn.data.label_cells import ABSENT, PRESENT, Marks, marks_of, word_of
from irn.data.label_names import NOTHING, names_of_cells
from irn.data.listing import Listed
from irn.data.missing_table import no_table
from irn.data.names import check_class_names, same_but_for_case
from irn.data.row_names import match_rows
from irn.data.tables import ImageClasses
from irn.data.user_tables import (
    ID_COLUMNS,
    OTHER_COLUMNS,
    UserTable,
    each_has_row,
    key,
    read_user_table,
    refuse_repeated,
)
from irn.errors import IrnError

NAME_COLUMNS = (
    *("class", "classes", "label", "labels", "tag", "tags", "category", "categories", "choice", "choices"),
    *("classname", "classnames", "labelname", "labelnames", "categoryname", "tagname", "annotation", "annotations"),
)
NUMBER_COLUMNS = ("classid", "labelid", "categoryid", "classindex", "labelindex")  # of classes
MASK_COLUMNS = ("segmentation", "encodedpixels", "rle", "mask")
_RUNS = re.compile(r"\d+(\s+\d+){3,}")  # run lengths of a mask


def read_labels(path: Path, images: Sequence[Listed], findings: Findings, every_row: bool = True) -> ImageClasses:
    """The classes of each image by a user's table: a 0/1 column for each class, or a column of names such as `cat|dog`.

    every_row: whether a row without an image is a problem.

    Raises IrnError for a file that is not a table; adds a problem for each kind of mistake in rows, images and cells.
    """
    if not path.is_file():
        raise no_table(path)
    table = read_user_table(path, images, findings)
    if not table.columns:
        raise IrnError(f"{path}: one column, 'image_id'; expected 'image_id' and then a 0/1 column for each class")
    rows = match_rows(path, table.ids, images, findings, every_row)
    column = _column_of_names(table)
    if column is None:
        names, present = _from_marks(table, rows, findings)
    else:
        names, present = _from_names(table, column, rows, findings)
    check_class_names(path, names)
    each_has_row(path, images, rows, "row", findings)
    index = {name: number for number, name in enumerate(names)}
    listed = [image.image_id for image in images if image.image_id in present]
    return ImageClasses(names, {i: sorted(index[name] for name in present[i]) for i in listed})


def _column_of_names(table: UserTable) -> str | None:
    """The column with class names, if there is one; IrnError where it could also be a class by itself."""
    columns = [name for name in table.columns if key(name) in NAME_COLUMNS and not _holds_runs(table, name)]
    numbers = [name for name in table.columns if key(name) in NUMBER_COLUMNS]
    split = table.split_column()
    rest = [
        name
        for name in table.columns
        if name not in (*columns, *numbers, split) and key(name) not in (*OTHER_COLUMNS, *ID_COLUMNS)
    ]
    candidates = sorted(columns, key=lambda name: NAME_COLUMNS.index(key(name))) or numbers
    if not candidates or any(_is_marked(table, name) for name in rest):
        return None
    column = candidates[0]
    if not _is_marked(table, column):
        return column if columns else None
    if len(candidates) == 1 and not rest:
        raise IrnError(
            f"{table.path}: the column {column!r} holds 0 and 1 alone, which can be numbers of classes or a class that"
            " is there or not; write the names of classes there, or name the column after its class"
        )
    return None


def _is_marked(table: UserTable, column: str) -> bool:
    return set(table.column(column)) <= {"0", "1"}


def _is_truth_value(table: UserTable, column: str) -> bool:
    return {word_of(cell) for cell in table.column(column)} <= {"0", "1", "false", "true"}


def _holds_runs(table: UserTable, column: str) -> bool:
    """Whether a column of annotations holds masks, as run lengths, and not names."""
    cells = set(table.column(column)) - {""}
    return key(column) in ("annotation", "annotations") and bool(cells) and all(map(_RUNS.fullmatch, cells))


def _left_out(table: UserTable) -> list[str]:
    """The columns that say nothing of classes."""
    split = table.split_column()
    others = [
        name
        for name in table.columns
        if (key(name) in OTHER_COLUMNS and not _is_marked(table, name))
        or (key(name) in ID_COLUMNS and not _is_truth_value(table, name))
    ]
    return [*others, *([split] if split else [])]


def _note_left_out(table: UserTable, columns: Sequence[str], findings: Findings) -> None:
    if columns:
        findings.note(f"{table.path}: not classes, and left out: the columns {', '.join(map(repr, columns))}")


def _from_names(
    table: UserTable, column: str, rows: Mapping[str, Sequence[int]], findings: Findings
) -> tuple[list[str], dict[str, set[str]]]:
    """All class names of a table with a column of names, sorted, and those of each image: of all of its rows."""
    path = table.path
    findings.note(f"{path}: class names in the column {column!r}, several in a cell joined by '|', ',' or ';'")
    _note_left_out(table, [name for name in table.columns if name != column], findings)
    names_in = names_of_cells(path, table.column(column), findings)
    several = sum(len(numbers) > 1 for numbers in rows.values())
    if several:
        findings.notice(f"{path}: {several} images have several rows, and the classes of all of them")
    names = sorted({name for row in names_in for name in row})
    for first, second in same_but_for_case(names):
        remedy = "write one of them everywhere, or give each class a column of 0 and 1 if both are meant"
        findings.problem(path, f"class {second!r} differs from {first!r} by case or blanks alone", remedy)
    present = {i: {name for number in numbers for name in names_in[number]} for i, numbers in rows.items()}
    if several:
        _check_absent(table, column, all(len(held) == len(names) > 1 for held in present.values()), findings)
    return names, present


def _check_absent(table: UserTable, column: str, everywhere: bool, findings: Findings) -> None:
    """Notices of columns that are left out and may tell that the class of a row is not there.

    everywhere: whether every image has all classes, of which there are several; then it is a problem.
    """
    known = (*NUMBER_COLUMNS, *OTHER_COLUMNS, *ID_COLUMNS)
    for name in [other for other in table.columns if key(other) not in known]:
        words = {word_of(cell) for cell in table.column(name)}
        is_mask = key(name) in MASK_COLUMNS and "" in words and len(words) > 1
        is_answer = (
            words - {""} <= {*PRESENT, *ABSENT} and not words.isdisjoint(PRESENT) and not words.isdisjoint(ABSENT)
        )
        if name == column or name == table.split_column() or not (is_mask or is_answer):
            continue
        unread = f"the column {name!r}, which may say that a class is not there, is not read"
        remedy = "take out the rows of classes that are not there"
        if everywhere:
            findings.problem(table.path, f"every image has rows of all classes, and {unread}", remedy)
        else:
            findings.notice(f"{table.path}: {unread}; if it does, {remedy}")


def _from_marks(
    table: UserTable, rows: Mapping[str, Sequence[int]], findings: Findings
) -> tuple[list[str], dict[str, set[str]]]:
    """The classes that are columns, and those of each image."""
    left_out = _left_out(table)
    _note_left_out(table, left_out, findings)
    table = table.without(left_out)
    marks = marks_of(table, findings)
    nothing = [name for name in table.columns if name.lower() in NOTHING and _is_nothing(name, marks)]
    if nothing:
        findings.notice(f"{table.path}: the column {nothing[0]!r} stands for no class, and is left out")
    names = [name for name in table.columns if name not in nothing]
    repeated = [numbers[1] for numbers in rows.values() if len({frozenset(marks[n]) for n in numbers}) > 1]
    if repeated:
        refuse_repeated(table, repeated, findings)
    doubled = sum(len(numbers) > 1 for numbers in rows.values()) - len(repeated)
    if doubled:
        findings.notice(f"{table.path}: {doubled} images have several rows that say the same")
    return names, {i: set(marks[numbers[0]]) - set(nothing) for i, numbers in rows.items()}


def _is_nothing(name: str, marks: Marks) -> bool:
    """Whether a column is marked only where no other is."""
    return all(len(present) == 1 for present in marks if name in present)
