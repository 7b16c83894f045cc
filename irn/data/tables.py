"""The two tables that describe a data set: `manifest.csv` (images) and `labels.csv` (classes present in each image)."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from irn.data.csv_table import read_table, write_table
from irn.data.names import check_class_names, check_ids, check_splits
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.records import WHOLE, Colours, ImageRecord, Range, Shard, rows_of

MANIFEST_COLUMNS = ["image_id", "path", "height", "width", "split"]
RANGE_COLUMNS = ["low", "high"]  # only of data sets with `dataset.value_range`
PROFILE_COLUMN = "profiles"  # only of data sets whose colour profiles are not followed, for which it is `ignored`
IGNORED = "ignored"


@dataclass(frozen=True)
class ImageClasses:
    """Class names in order, and for each image id the zero-based indices of the classes present, ascending.

    `path` is the table that they were read from, for messages; `numbers` are their ids in a file of COCO, if any.
    """

    names: list[str]
    present: dict[str, list[int]]
    path: Path = field(default=Path("labels.csv"), compare=False)
    numbers: tuple[int | str, ...] = field(default=(), compare=False)

    def without(self, names: Collection[str]) -> "ImageClasses":
        """The same without some classes."""
        kept = [index for index, name in enumerate(self.names) if name not in names]
        place = {index: number for number, index in enumerate(kept)}
        present = {i: [place[index] for index in held if index in place] for i, held in self.present.items()}
        numbers = tuple(self.numbers[index] for index in kept) if self.numbers else ()
        return ImageClasses([self.names[index] for index in kept], present, self.path, numbers)

    def of(self, image_id: str) -> list[int]:
        """The classes of one image; IrnError when the table has no row for it."""
        try:
            return self.present[image_id]
        except KeyError:
            raise IrnError(
                f"{self.path}: no row for image {image_id!r}; add one, or take the image out of the manifest"
            ) from None


def read_manifest(path: Path, split: str | None = None) -> list[ImageRecord]:
    """Read the images of a manifest in its order, all of them or those of one split, or of several joined by `+`.

    Raises IrnError for a missing file or column, an id that repeats or has other characters than letters, digits, `_`,
    `.` and `-`, a size that is not a positive number, or a split without images.
    """
    path = Path(path)
    header, rows = read_table(path)
    missing = [name for name in MANIFEST_COLUMNS if name not in header]
    if missing:
        raise IrnError(
            f"{path}: column {missing[0]!r} is missing; a manifest has the columns {','.join(MANIFEST_COLUMNS)}"
        )
    places = [header.index(name) for name in MANIFEST_COLUMNS]
    cells = [[row[place] for place in places] for row in rows]
    check_ids(path, [row[0] for row in cells])
    colours = [
        Colours(value_range, profiles)
        for value_range, profiles in zip(_ranges(path, header, rows), _profiles(path, header, rows), strict=True)
    ]
    records = [_record(path, row, how) for row, how in zip(cells, colours, strict=True)]
    check_splits(path, {record.split for record in records})
    if split is not None:
        return _of_splits(path, records, split)
    if not records:
        raise IrnError(f"{path}: the manifest lists no image; expected one row for each image")
    return records


def _record(path: Path, cells: Sequence[str], colours: Colours) -> ImageRecord:
    """The image of a row, whose cells are in the order of MANIFEST_COLUMNS."""
    image_id, image_path, height, width, split = cells
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise IrnError(
            f"{path}: image {image_id!r} has size {height!r} x {width!r}; expected whole numbers of pixels above 0"
        )
    # An absolute path stays what it is when joined.
    place = path.parent.absolute() / image_path
    return ImageRecord(image_id, place, int(height), int(width), split, colours)


def _ranges(path: Path, header: list[str], rows: list[list[str]]) -> list[Range | None]:
    """The range of values of each row's image, where the manifest has these columns."""
    if not set(RANGE_COLUMNS) <= set(header):
        return [None] * len(rows)
    low_column, high_column = map(header.index, RANGE_COLUMNS)
    try:
        ranges = [(float(row[low_column]), float(row[high_column])) for row in rows]
    except ValueError as error:
        raise IrnError(
            f"{path}: columns low and high: {error}; expected the range of values that images are read with"
        ) from None
    if not all(low < high for low, high in ranges):
        raise IrnError(f"{path}: columns low and high: expected numbers, low below high; build the manifest again")
    return list(ranges)


def _profiles(path: Path, header: list[str], rows: list[list[str]]) -> list[bool]:
    """Whether the colour profile of each row's image is followed."""
    if PROFILE_COLUMN not in header:
        return [True] * len(rows)
    cells = [row[header.index(PROFILE_COLUMN)] for row in rows]
    odd = next((cell for cell in cells if cell not in ("", IGNORED)), "")
    if odd:
        raise IrnError(
            f"{path}: column {PROFILE_COLUMN}: {odd!r}; expected {IGNORED}, or nothing where colour profiles count"
        )
    return [not cell for cell in cells]


def _of_splits(path: Path, records: Sequence[ImageRecord], splits: str) -> list[ImageRecord]:
    wanted, known = splits.split("+"), {record.split for record in records}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise IrnError(
            f"{path}: no image has split {unknown[0]!r}; the splits in it: {', '.join(sorted(known)) or 'none'}"
        )
    return [record for record in records if record.split in wanted]


def images_of(manifest: Path, split: str | None = None, shard: Shard = WHOLE) -> list[ImageRecord]:
    """The images that a job works on: one shard of those of all splits or some, as in `read_manifest`."""
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
    splits: dict[str, list[ImageRecord]] = {}
    for record in images_of(manifest, split):
        splits.setdefault(record.split, []).append(record)
    return splits


def write_manifest(
    path: Path, records: Sequence[ImageRecord], root: Path | None = None, link: Path | None = None
) -> None:
    """Write the manifest; all images have the same `colours`.

    Paths are absolute; with a link to the root, those below the root count from the manifest and go through the link.
    """

    def place(record: ImageRecord) -> str:
        where = record.path.absolute()
        if root is None or link is None or not where.is_relative_to(root):
            return str(where)
        return str(Path(os.path.relpath(link.absolute(), path.parent.absolute())) / where.relative_to(root))

    colours = records[0].colours if records else Colours()
    more = dict(zip(RANGE_COLUMNS, colours.value_range or (), strict=False))
    how: dict[str, float | str] = {**more, **({} if colours.profiles else {PROFILE_COLUMN: IGNORED})}
    rows = [(r.image_id, place(r), r.height, r.width, r.split, *how.values()) for r in records]
    with whole_file(path) as partial:
        write_table(partial, [*MANIFEST_COLUMNS, *how], rows)


def read_classes(path: Path) -> ImageClasses:
    """Read which classes each image holds.

    Raises IrnError for a missing file, no class column, class names that `check_class_names` refuses, a repeated id,
    or a cell other than 0 and 1.
    """
    path = Path(path)
    header, rows = read_table(path)
    if len(header) < 2 or header[0] != "image_id":
        raise IrnError(
            f"{path}: expected the header 'image_id' and then one column for each class, found {','.join(header)!r}"
        )
    if header[: len(MANIFEST_COLUMNS)] == MANIFEST_COLUMNS:
        raise IrnError(f"{path}: a manifest, where the labels table is expected; give labels.csv, which lies beside it")
    names = header[1:]
    check_class_names(path, names)
    check_ids(path, [row[0] for row in rows])
    present = {}
    for image_id, *cells in rows:
        present[image_id] = [index for index, cell in enumerate(cells) if cell == "1"]
        if len(present[image_id]) + cells.count("0") < len(cells):
            column, cell = next((column, cell) for column, cell in enumerate(cells) if cell not in ("0", "1"))
            raise IrnError(
                f"{path}: image {image_id!r}, class {names[column]!r} has {cell!r}; expected 0 (absent) or 1 (present)"
            )
    return ImageClasses(names, present, path)


def write_classes(path: Path, classes: ImageClasses) -> None:
    """Write one 0/1 row for each image; IrnError for class names that `check_class_names` refuses."""
    check_class_names(path, classes.names)
    columns = range(len(classes.names))
    rows = ((image_id, *(int(c in present) for c in columns)) for image_id, present in classes.present.items())
    with whole_file(path) as partial:
        write_table(partial, ["image_id", *classes.names], rows)
