"""The two tables that describe a data set: `manifest.csv` (images) and `labels.csv` (classes present in each image)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from irn.errors import IrnError
from irn.grid import MAX_CLASSES
from irn.io.files import whole_file
from irn.io.shards import WHOLE, Shard, rows_of

MANIFEST_COLUMNS = ["image_id", "path", "height", "width", "split"]
RANGE_COLUMNS = ["low", "high"]  # only of data sets with `dataset.value_range`
IMAGE_ID = re.compile(r"[A-Za-z0-9_.-]+")
RESERVED_CLASSES = ("__background__", "mean")  # scores.csv has rows of these names beside those of the classes


@dataclass(frozen=True)
class ImageRecord:
    """One row of the manifest; `path` is absolute, `height` and `width` are pixels of the original image.

    `value_range` is that of `read_image`, and None where there is none.
    """

    image_id: str
    path: Path
    height: int
    width: int
    split: str
    value_range: tuple[float, float] | None = None


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
            raise IrnError(f"{table}: no row for image {image_id!r}; add one, or take the image out of the manifest") from None


def read_manifest(path: Path, split: str | None = None) -> list[ImageRecord]:
    """Read the images of a manifest in its order, all of them or those of one split, or of several joined by `+`.

    Raises IrnError for a missing file or column, an id that repeats or has other characters than letters, digits, `_`,
    `.` and `-`, a size that is not a positive number, or a split without images.
    """
    path = Path(path)
    table = read_text_table(path)
    missing = [name for name in MANIFEST_COLUMNS if name not in table.columns]
    if missing:
        raise IrnError(f"{path}: column {missing[0]!r} is missing; a manifest has the columns {','.join(MANIFEST_COLUMNS)}")
    check_ids(path, table["image_id"])
    records = []
    ranges = _ranges(path, table)
    for (image_id, image_path, height, width, image_split), own in zip(table[MANIFEST_COLUMNS].to_numpy(dtype=object), ranges, strict=True):
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            raise IrnError(f"{path}: image {image_id!r} has size {height!r} x {width!r}; expected whole numbers of pixels above 0")
        # An absolute path stays what it is when joined.
        records.append(ImageRecord(image_id, path.parent.absolute() / image_path, int(height), int(width), image_split, own))
    if split is not None:
        names = {record.split for record in records}
        unknown = sorted(set(split.split("+")) - names)
        if unknown:
            raise IrnError(f"{path}: no image has split {unknown[0]!r}; the splits in it: {', '.join(sorted(names)) or 'none'}")
        return [record for record in records if record.split in split.split("+")]
    if not records:
        raise IrnError(f"{path}: the manifest lists no image; expected one row for each image")
    return records


def _ranges(path: Path, table: pd.DataFrame) -> list[tuple[float, float] | None]:
    if not set(RANGE_COLUMNS) <= set(table.columns):
        return [None] * len(table)
    try:
        found = [(float(low), float(high)) for low, high in table[RANGE_COLUMNS].to_numpy(dtype=object)]
    except ValueError as error:
        raise IrnError(f"{path}: columns low and high: {error}; expected the range of values that images are read with") from None
    if not all(low < high for low, high in found):
        raise IrnError(f"{path}: columns low and high: expected numbers, low below high; build the manifest again")
    return list(found)


def images_of(manifest: Path, split: str | None = None, shard: Shard = WHOLE) -> list[ImageRecord]:
    """The images that a job works on: one shard of the manifest's, all of them or those of some splits (see `read_manifest`)."""
    return rows_of(shard, read_manifest(manifest, split))


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
        pd.DataFrame(rows, columns=columns).to_csv(partial, index=False, lineterminator="\n")


def read_classes(path: Path) -> ImageClasses:
    """Read which classes each image holds.

    Raises IrnError for a missing file, no class column, class names that `check_class_names` refuses, a repeated id, or a cell
    other than 0 and 1.
    """
    path = Path(path)
    table = read_text_table(path)
    if len(table.columns) < 2 or table.columns[0] != "image_id":
        raise IrnError(f"{path}: expected the header 'image_id' and then one column for each class, found {','.join(table.columns)!r}")
    names = [str(name) for name in table.columns[1:]]
    check_class_names(path, names)
    check_ids(path, table["image_id"])
    cells = table.iloc[:, 1:].to_numpy(dtype=object)
    present = cells == "1"
    wrong = np.argwhere(~present & (cells != "0"))
    if len(wrong):
        row, column = wrong[0]
        image_id, cell = table["image_id"].iloc[row], cells[row, column]
        raise IrnError(f"{path}: image {image_id!r}, class {names[column]!r} has {cell!r}; expected 0 (absent) or 1 (present)")
    indices = [np.flatnonzero(row).tolist() for row in present]
    return ImageClasses(names, dict(zip(table["image_id"], indices, strict=True)))


def write_classes(path: Path, classes: ImageClasses) -> None:
    """Write one 0/1 row for each image; IrnError for class names that `check_class_names` refuses."""
    check_class_names(path, classes.names)
    cells = np.zeros((len(classes.present), len(classes.names)), np.uint8)
    for row, present in enumerate(classes.present.values()):
        cells[row, present] = 1
    table = pd.DataFrame(cells, columns=pd.Index(classes.names, dtype=str))
    table.insert(0, "image_id", list(classes.present))
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def check_class_names(path: Path, names: Sequence[str]) -> None:
    """Raise IrnError, naming `path`, for more than 254 classes, or a name that repeats, is empty or means something else."""
    if len(names) > MAX_CLASSES:
        raise IrnError(f"{path}: {len(names)} classes; label maps hold at most {MAX_CLASSES}: split the data set or merge classes")
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


def is_id(name: str) -> bool:
    """Whether a name can be an image's id."""
    # "." and ".." would name folders and HDF5 groups other than their own.
    return bool(IMAGE_ID.fullmatch(name)) and set(name) != {"."}


def check_ids(path: Path, ids: pd.Series) -> None:
    """Raise IrnError, naming `path`, for an image id that repeats or has characters that file names or HDF5 groups cannot hold."""
    for image_id in ids:
        if not is_id(image_id):
            raise IrnError(f"{path}: image id {image_id!r} is not allowed; use letters, digits, '_', '.' and '-' only")
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise IrnError(f"{path}: image id {repeated.iloc[0]!r} stands in more than one row; every id must be unique")


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV with every cell as text, so that the id 000123 stays that.

    Raises IrnError for a file that is missing or not a CSV, a row longer than the header, or a column name that repeats.
    """
    if not path.is_file():
        raise IrnError(f"{path}: no such file; expected a CSV table (irn build-manifest makes it)")
    try:
        # Given a header, pandas renames repeated columns and takes the first cell of rows that are one too long as an index, in silence.
        rows = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise IrnError(f"{path}: not a readable CSV table ({' '.join(str(error).split())}); expected comma-separated UTF-8 text") from None
    header = rows.iloc[0].tolist()
    if len(set(header)) < len(header):
        repeated = next(name for name in header if header.count(name) > 1)
        raise IrnError(f"{path}: column {repeated!r} stands twice in the header; every name must be unique")
    return rows.iloc[1:].set_axis(header, axis="columns").reset_index(drop=True)
