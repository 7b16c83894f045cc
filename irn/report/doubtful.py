"""The part "Look at these first" of the page: the images whose labels are most doubtful."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from irn.data.doubt_table import read_doubts
from irn.io.parallel import map_images
from irn.records import ImageRecord
from irn.report.gallery import CardClass, classes_of_card
from irn.report.images import Picture, RunImages, draw_label

MOST = 12  # images


class Doubtful(NamedTuple):
    """An image: why its label is doubtful, its classes, and the label over the photograph."""

    image_id: str
    why: list[str]
    classes: list[CardClass]
    picture: Picture


def most_doubtful(
    table: Path, records: Mapping[str, ImageRecord], images: RunImages, workers: int | None
) -> list[Doubtful]:
    """The first images of a table of doubt, if there is one, among those of `records`, by id, that have a label."""
    if not table.exists() or "label" not in images.caches:
        return []
    rows = [row for row in read_doubts(table) if row.doubt > 0 and row.image_id in records][:MOST]
    pictures = map_images(partial(draw_label, images), [records[row.image_id] for row in rows], workers)
    classes = [classes_of_card(images.classes.of(row.image_id), images.classes) for row in rows]
    return [
        Doubtful(row.image_id, row.why.split("; "), present, picture)
        for row, present, picture in zip(rows, classes, pictures, strict=True)
    ]
