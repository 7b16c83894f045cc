"""The table of doubt, `doubt.csv`: images in the order in which correcting their labels helps most."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from irn.data.csv_table import read_table, write_table
from irn.errors import IrnError
from irn.io.progress import notice
from irn.records import ImageRecord

COLUMNS = ["image_id", "doubt", "why", "classes", "agreement", "steepness"]


class Doubt(NamedTuple):
    """A row: how doubtful the label of an image is, in [0, 1], why, and the signs (irn/ops/doubt.py), None without."""

    image_id: str
    doubt: float
    why: str
    signs: Sequence[float] | None = None


def write_doubts(path: Path, doubts: Sequence[Doubt]) -> None:
    """Write the table, the most doubtful first."""
    rows = [
        (row.image_id, f"{row.doubt:.4f}", row.why, *((f"{sign:.4g}" for sign in row.signs) if row.signs else [""] * 3))
        for row in sorted(doubts, key=lambda row: -row.doubt)
    ]
    write_table(path, COLUMNS, rows)


def read_doubts(path: Path) -> list[Doubt]:
    """The rows of a table, without the signs. One that a user wrote may have no column but image_id.

    Raises IrnError for a table without that, and for doubt that is not a number.
    """
    header, rows = read_table(path)
    if "image_id" not in header:
        raise IrnError(f"{path}: column 'image_id' is missing; run snakemake again, which makes this table")
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    try:
        return [Doubt(row["image_id"], float(row.get("doubt") or 0), row.get("why", "")) for row in cells]
    except ValueError as error:
        raise IrnError(f"{path}: column 'doubt': {error}; run snakemake again, which makes this table") from None


def doubtful_first(
    records: Sequence[ImageRecord], doubt: Path | None, count: int | None, manifest: Path, split: str | None
) -> list[ImageRecord]:
    """The images that a table lists, in its order; all of them or the first `count`, without a table all as they are.

    manifest, split: where the images are from, for messages. Fewer than `count` are told in a notice.
    Raises IrnError for a count without a table, and for the table of another run.
    """
    if doubt is None:
        if count is not None:
            raise IrnError(f"--doubtful {count}: the table is missing; give results/<run>/doubt.csv with --doubt")
        return list(records)
    of_split = {record.image_id: record for record in records}
    ids = list(dict.fromkeys(row.image_id for row in read_doubts(doubt)))
    listed = [of_split[image_id] for image_id in ids if image_id in of_split]
    if len(listed) < len(ids):
        strange = next(image_id for image_id in ids if image_id not in of_split)
        of = f" with split {split}" if split else ""
        raise IrnError(
            f"{doubt}: image {strange!r} is not in {manifest}{of}; give the doubt.csv of the run that made the labels"
        )
    if count is not None and count > len(listed):
        notice(f"--doubtful {count}: {doubt} has {len(listed)} images, all of which are exported")
    return listed[:count]
