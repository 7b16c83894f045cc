"""The two tables that describe a data set: `manifest.csv` (images) and `labels.csv` (classes present in each image)."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irn.errors import IrnError
from irn.grid import MAX_CLASSES
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.records import WHOLE, ImageRecord, Shard, rows_of

MANIFEST_COLUMNS = ["image_id", "path", "height", "width", "split"]
RANGE_COLUMNS = ["low", "high"]  # only of data sets with `dataset.value_range`
IMAGE_ID = re.compile(r"[A-Za-z0-9_.-]+")
RESERVED_CLASSES = ("__background__", "mean")  # scores.csv has rows of these names beside those of the classes


@dataclass(frozen=True)
class ImageClasses:
    """Class names in order, and for each image id the zero-based indices of the classes present, ascending."""

    names: list[str]
    present: dict[str, list[int]]

    def of(self, image_id: str, table: Path) -> list[int]:
        """The classes of one image; IrnError when `table`, the file that this came from, has no row for it."""
        try:
            return self.present[image_id]
        except KeyError:
            raise IrnError(
                f"{table}: no row for image {image_id!r}; add one, or take the image out of the manifest"
            ) from None


def read_manifest(path: Path, split: str | None = None) -> list[ImageRecord]:
    """Read the images of a manifest in its order, all of them or those of one split, or of several joined by `+`.

    Raises IrnError for a missing file or column, an id that repeats or has other characters than letters, digits, `_`,
    `.` and `-`, a size that is not a positive number, or a split without images.
    """
    path = Path(path)
    header, rows = _read_table(path)
    missing = [name for name in MANIFEST_COLUMNS if name not in header]
    if missing:
        raise IrnError(
            f"{path}: column {missing[0]!r} is missing; a manifest has the columns {','.join(MANIFEST_COLUMNS)}"
        )
    columns = [[row[header.index(name)] for row in rows] for name in MANIFEST_COLUMNS]
    _check_ids(path, columns[0])
    records = []
    for image_id, image_path, height, width, image_split, own in zip(
        *columns, _ranges(path, header, rows), strict=True
    ):
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            raise IrnError(
                f"{path}: image {image_id!r} has size {height!r} x {width!r}; expected whole numbers of pixels above 0"
            )
        # An absolute path stays what it is when joined.
        records.append(
            ImageRecord(image_id, path.parent.absolute() / image_path, int(height), int(width), image_split, own)
        )
    if split is not None:
        names = {record.split for record in records}
        unknown = sorted(set(split.split("+")) - names)
        if unknown:
            raise IrnError(
                f"{path}: no image has split {unknown[0]!r}; the splits in it: {', '.join(sorted(names)) or 'none'}"
            )
        return [record for record in records if record.split in split.split("+")]
    if not records:
        raise IrnError(f"{path}: the manifest lists no image; expected one row for each image")
    return records


def _ranges(path: Path, header: list[str], rows: list[list[str]]) -> list[tuple[float, float] | None]:
    if not set(RANGE_COLUMNS) <= set(header):
        return [None] * len(rows)
    low_column, high_column = map(header.index, RANGE_COLUMNS)
    try:
        found = [(float(row[low_column]), float(row[high_column])) for row in rows]
    except ValueError as error:
        raise IrnError(
            f"{path}: columns low and high: {error}; expected the range of values that images are read with"
        ) from None
    if not all(low < high for low, high in found):
        raise IrnError(f"{path}: columns low and high: expected numbers, low below high; build the manifest again")
    return list(found)


def images_of(manifest: Path, split: str | None = None, shard: Shard = WHOLE) -> list[ImageRecord]:
    """The images that a job works on: one shard of the manifest's, all of them or those of some splits (see `read_manifest`)."""
    return rows_of(shard, read_manifest(manifest, split))


def images_of_caches(
    caches: CacheReader, manifest: Path | None, split: str | None, shard: Shard = WHOLE
) -> list[ImageRecord]:
    """As `images_of`, or, without a manifest, the images of the first cache file, which have no path.

    Raises IrnError for a split without a manifest.
    """
    if manifest is not None:
        return images_of(manifest, split, shard)
    if split is not None:
        raise IrnError(f"--split {split}: caches know of no splits; give the manifest too, with --manifest")
    return [
        ImageRecord(image_id, Path(), *caches.size(image_id), "")
        for image_id in rows_of(shard, caches.ids_of_first_file)
    ]


def images_by_split(manifest: Path, split: str | None = None) -> dict[str, list[ImageRecord]]:
    """The manifest's images, all of them or those of some splits, by split."""
    found: dict[str, list[ImageRecord]] = {}
    for record in images_of(manifest, split):
        found.setdefault(record.split, []).append(record)
    return found


def write_manifest(path: Path, records: Sequence[ImageRecord]) -> None:
    """Write the manifest, with absolute image paths; `value_range` is given for all images or none."""
    rows = [(r.image_id, str(r.path.absolute()), r.height, r.width, r.split, *(r.value_range or ())) for r in records]
    columns = MANIFEST_COLUMNS + (RANGE_COLUMNS if records and records[0].value_range else [])
    with whole_file(path) as partial:
        write_table(partial, columns, rows)


def read_classes(path: Path) -> ImageClasses:
    """Read which classes each image holds.

    Raises IrnError for a missing file, no class column, class names that `check_class_names` refuses, a repeated id, or a cell
    other than 0 and 1.
    """
    path = Path(path)
    header, rows = _read_table(path)
    if len(header) < 2 or header[0] != "image_id":
        raise IrnError(
            f"{path}: expected the header 'image_id' and then one column for each class, found {','.join(header)!r}"
        )
    names = header[1:]
    check_class_names(path, names)
    _check_ids(path, [row[0] for row in rows])
    present = {}
    for image_id, *cells in rows:
        present[image_id] = [index for index, cell in enumerate(cells) if cell == "1"]
        if len(present[image_id]) + cells.count("0") < len(cells):
            column, cell = next((column, cell) for column, cell in enumerate(cells) if cell not in ("0", "1"))
            raise IrnError(
                f"{path}: image {image_id!r}, class {names[column]!r} has {cell!r}; expected 0 (absent) or 1 (present)"
            )
    return ImageClasses(names, present)


def write_classes(path: Path, classes: ImageClasses) -> None:
    """Write one 0/1 row for each image; IrnError for class names that `check_class_names` refuses."""
    check_class_names(path, classes.names)
    columns = range(len(classes.names))
    with whole_file(path) as partial:
        rows = (
            (image_id, *(int(column in present) for column in columns)) for image_id, present in classes.present.items()
        )
        write_table(partial, ["image_id", *classes.names], rows)


def check_class_names(path: Path, names: Sequence[str]) -> None:
    """Raise IrnError, naming `path`, for more than 254 classes, or a name that repeats, is empty or means something else."""
    if len(names) > MAX_CLASSES:
        raise IrnError(
            f"{path}: {len(names)} classes; label maps hold at most {MAX_CLASSES}: split the data set or merge classes"
        )
    seen = set()
    for name in names:
        if not name or name != name.strip():
            raise IrnError(
                f"{path}: class name {name!r} is empty or has spaces around it; expected a plain name, without a comma at the end"
            )
        if name in ("image_id", *RESERVED_CLASSES):
            raise IrnError(
                f"{path}: no class can be named {name!r}, which has a meaning of its own in the tables; rename it or take it out"
            )
        if name in seen:
            raise IrnError(f"{path}: class {name!r} stands there twice; every name must be unique")
        seen.add(name)


def same_but_for_case(names: Sequence[str]) -> list[tuple[str, str]]:
    """Class names that are another one but for case or blanks, each behind that one."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault("".join(name.casefold().split()), name), name) for name in names]
    return [(one, other) for one, other in pairs if one != other]


def is_id(name: str) -> bool:
    """Whether a name can be an image's id."""
    # "." and ".." would name folders and HDF5 groups other than their own.
    return bool(IMAGE_ID.fullmatch(name)) and set(name) != {"."}


def _check_ids(path: Path, ids: Sequence[str]) -> None:
    """Raise IrnError, naming `path`, for an image id that repeats or has characters that file names or HDF5 groups cannot hold."""
    for image_id in ids:
        if not is_id(image_id):
            raise IrnError(f"{path}: image id {image_id!r} is not allowed; use letters, digits, '_', '.' and '-' only")
    repeated = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if repeated:
        raise IrnError(f"{path}: image id {repeated[0]!r} stands in more than one row; every id must be unique")


def _read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV, every cell as text, so that the id 000123 stays that; what a short row lacks is empty.

    Raises IrnError for a file that is missing or not a CSV, a row longer than the header, or a column name that repeats.
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
        raise IrnError(f"{path}: column {repeated!r} stands twice in the header; every name must be unique")
    return header, rows


def table_rows(lines: Iterable[str], separator: str = ",") -> list[list[str]]:
    """The rows of a CSV, the header first, without empty lines; what a row lacks is empty. csv.Error for cells beyond the header."""
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
