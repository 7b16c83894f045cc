"""What all exports of labels share: the images, their files, and the pieces of their label caches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.doubt_table import doubtful_first
from irn.data.tables import images_of, read_classes
from irn.errors import IrnError
from irn.grid import MAX_CLASSES
from irn.io.cache import CacheReader
from irn.records import ImageRecord


class Labels(NamedTuple):
    """What is exported: images in the order of export, their label caches, and the names of classes, if known."""

    records: list[ImageRecord]
    caches: CacheReader
    names: list[str]


class Piece(NamedTuple):
    """An instance of a label cache: its class index, its score above 0, and its mask (height, width) bool."""

    class_index: int
    score: float
    mask: np.ndarray


def labels_to_export(
    manifest: Path,
    label_caches: Sequence[Path],
    split: str | None,
    labels: Path | None = None,
    doubt: Path | None = None,
    doubtful: int | None = None,
) -> Labels:
    """The images of a split, with `labels` also the names of classes.

    doubt, doubtful: a table in whose order the images come, and how many of them (`doubtful_first`).
    Raises IrnError for caches that lack an image, and for the table of another run.
    """
    names = read_classes(labels).names if labels is not None else []
    records = doubtful_first(images_of(manifest, split), doubt, doubtful, manifest, split)
    caches = CacheReader(label_caches, "label", classes=len(names) or MAX_CLASSES)
    caches.require(
        (record.image_id for record in records), "make its labels, or name a split that has them with --split"
    )
    return Labels(records, caches, names)


def pieces(record: ImageRecord, caches: CacheReader) -> Iterator[Piece]:
    """The instances of an image whose score is above 0 and that have a pixel, in the order of their rows.

    One after the other: the masks of hundreds in a large image do not fit into memory together.
    """
    arrays = caches.image(record, ["instance_map", "instance_class", "instance_score"])
    for row, (index, score) in enumerate(zip(arrays["instance_class"], arrays["instance_score"], strict=True), 1):
        if score > 0 and (mask := arrays["instance_map"] == row).any():
            yield Piece(int(index), float(score), mask)


def check_files(records: Sequence[ImageRecord]) -> None:
    """Raise IrnError for an image whose file is missing."""
    for record in records:
        if not record.path.is_file():
            raise IrnError(f"{record.path}: no such image; fix the path in the manifest or build the manifest again")
