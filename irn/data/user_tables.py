"""Tables that users bring, as spreadsheets and annotation tools write them. How one was read is always noted."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from irn.data.csv_table import table_rows
from irn.data.file_names import plain
from irn.data.findings import Findings, some
from irn.data.listing import Listed, without_suffix
from irn.data.row_names import Names
from irn.errors import IrnError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# Names of columns are compared without case, blanks, `_` and `-`.
ID_COLUMNS = (
    *("imageid", "image", "id", "name", "file", "filename", "path", "imagename", "img", "imgname", "imagepath"),
    *("filepath", "fname", "photo", "picture", "imgpath", "imgid", "url"),
)
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "dataset", "usage")
VALID_COLUMN = "isvalid"  # fastai's
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing", "dev", "trainval", "eval")
# What tools write beside labels.
OTHER_COLUMNS = (
    *("annotationid", "annotator", "createdat", "updatedat", "leadtime", "width", "height", "fold", "index", "row"),
    *("xmin", "ymin", "xmax", "ymax", "x", "y", "w", "h", "bbox", "area", "imagewidth", "imageheight", "comment"),
)
_TRIED = 200  # rows that tell which column names the images
SEPARATOR_LINE = re.compile(
    r'"?sep=([,;\t])"?\r?\n', re.I
)  # the line that tells spreadsheets what separates the columns


@dataclass(frozen=True)
class UserTable:
    """A table of text: the cell of each row that names the image, and the names and cells of the other columns."""

    path: Path
    ids: list[str]
    columns: list[str]
    cells: list[list[str]]

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        place = self.columns.index(name)
        return [row[place].strip() for row in self.cells]

    def without(self, columns: Collection[str]) -> "UserTable":
        """The table without some columns."""
        kept = [place for place, name in enumerate(self.columns) if name not in columns]
        cells = [[row[place] for place in kept] for row in self.cells]
        return UserTable(self.path, self.ids, [self.columns[place] for place in kept], cells)

    def split_column(self) -> str | None:
        """The column that says the split of each image, if there is one."""
        for name in self.columns:
            if key(name) in (*SPLIT_COLUMNS, VALID_COLUMN):
                words = {word.lower() for word in self.column(name)} - {""}
                if words and words <= ({"true", "false"} if key(name) == VALID_COLUMN else set(SPLITS)):
                    return name
        return None


def key(column: str) -> str:
    """The name of a column as it is compared."""
    return re.sub(r"[\s_-]+", "", column).lower()


def read_user_table(path: Path, images: Sequence[Listed], findings: Findings) -> UserTable:
    """The table in a file, whose images are named in the column that fits them best.

    Raises IrnError for a file that is not a table, and a table without such a column.
    """
    text = _text(path, findings)
    line = SEPARATOR_LINE.match(text)
    separator = line[1] if line else max(SEPARATORS, key=text.partition("\n")[0].count)
    text = text[line.end() :] if line else text
    try:
        first, *rows = _without_empty(path, table_rows(io.StringIO(text, newline=""), separator), findings)
    except csv.Error as error:
        raise IrnError(f"{path}: not a readable CSV table ({error}); expected rows as long as the header") from None
    header = [name.strip() for name in first]
    place = _id_place(path, header, rows, images)
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise IrnError(f"{path}: column {repeated[0]!r} appears twice; every name must be unique")
    if separator != ",":
        findings.note(f"{path}: read with {SEPARATORS[separator]} between the columns")
    if header[place] != "image_id":
        findings.note(f"{path}: the column {header[place]!r} is taken as image_id")
    table = UserTable(
        path,
        [row[place] for row in rows],
        header[:place] + header[place + 1 :],
        [row[:place] + row[place + 1 :] for row in rows],
    )
    counted = [name for name in table.columns if _has_no_name(name) and all(map(str.isdecimal, table.column(name)))]
    if counted:
        findings.note(f"{path}: the column {counted[0]!r} numbers the rows and is left out")
    return table.without(counted)


def _id_place(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], images: Sequence[Listed]) -> int:
    """The column that names the images: among those of a usual name, or else all, the one that fits the most."""
    names = Names(images)
    rows = rows[:: len(rows) // _TRIED + 1]
    usual = [place for place, name in enumerate(header) if key(name) in ID_COLUMNS]
    found = [[names.candidates(row[place]) for row in rows] for place in range(len(header))]
    counts = [sum(map(bool, column)) for column in found]
    for places, enough in ((usual, 1), (range(len(header)), len(rows) / 2)):
        best = max(places, key=lambda place: counts[place], default=None)
        if best is not None and rows and counts[best] >= max(enough, 1):
            if best not in usual and names.count([header[best]]):
                raise IrnError(
                    f"{path}: no header, since its first line names the image {header[best]!r}; put a line before it"
                    " with 'image_id' and the names of the classes"
                )
            others = [place for place in places if 2 * counts[place] > counts[best] and _differ(found, best, place)]
            return _surest(path, header, rows, sorted([best, *others]))
    if usual:
        return usual[0]
    raise IrnError(
        f"{path}: expected the header 'image_id' and then one column for each class, found {','.join(header)!r}"
    )


def _differ(found: Sequence[Sequence[list[str]]], first: int, second: int) -> bool:
    """Whether two columns name different images in any row."""
    pairs = zip(found[first], found[second], strict=True)
    return any(one and other and set(one).isdisjoint(other) for one, other in pairs)


def _surest(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int]) -> int:
    """Of columns that name different images: `image_id`, or one of file names, or that with the most names.

    Where images are numbered, numbers of rows and 0/1 look like them. IrnError where several of usual names are left.
    """
    cells = {place: {row[place].strip() for row in rows} for place in places}
    exact = [place for place in places if key(header[place]) == "imageid"]
    files = [
        place for place in places if any(without_suffix(cell) != cell or "/" in plain(cell) for cell in cells[place])
    ]
    surest = exact or files or places
    most = max(len(cells[place]) for place in surest)
    surest = [place for place in surest if len(cells[place]) == most]
    surest = [place for place in surest if not _has_no_name(header[place])] or surest
    if len(surest) > 1 and key(header[surest[0]]) in ID_COLUMNS:
        names = " and ".join(repr(header[place]) for place in surest[:2])
        raise IrnError(
            f"{path}: the columns {names} name different images in the same row; take one of them out, or call the"
            " right one 'image_id'"
        )
    return surest[0]


def _has_no_name(column: str) -> bool:
    """Whether a column has no name, as pandas leaves its index, or the one that pandas gives it on reading."""
    return not column or key(column).startswith("unnamed:")


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


def _text(path: Path, findings: Findings) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark."""
    content = path.read_bytes()
    if content.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        raise IrnError(f"{path}: a spreadsheet's own format, whatever its name; save it as CSV in UTF-8")
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a readable CSV table ({error}); save it as CSV in UTF-8") from None
    if utf16:
        findings.note(f"{path}: read as UTF-16")
    return text


def refuse_repeated(table: UserTable, rows: Sequence[int], findings: Findings) -> None:
    """Add a problem for the rows of images that have one before."""
    if len(rows) == 1:
        problem = f"image id {table.ids[rows[0]]!r} appears in more than one row"
    else:
        problem = f"{len(rows)} rows are of images that have one before ({some([table.ids[row] for row in rows])})"
    findings.problem(table.path, problem, "every image has one row: remove the others")


def each_has_row(path: Path, images: Sequence[Listed], rows: Collection[str], what: str, findings: Findings) -> None:
    """Add a problem for images without a row."""
    missing = [image.name for image in images if image.image_id not in rows]
    if len(missing) == 1:
        problem, remedy = f"no {what} for image {missing[0]!r}", f"add a {what} for it, or take the image out"
        findings.problem(path, problem, remedy)
    elif missing:
        problem = f"no {what} for {len(missing)} of the {len(images)} images ({some(list(map(repr, missing)))})"
        findings.problem(path, problem, f"add a {what} for each, or take the images out")
