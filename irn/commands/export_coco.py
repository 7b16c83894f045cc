"""The instances of label caches as an instances file of COCO."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from irn.data.coco_lists import lists_of
from irn.data.segmentations import encoded
from irn.data.tables import images_of, read_classes
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord
from irn.workflow.provenance import provenance


def export_coco(
    manifest: Path,
    labels: Path,
    label_caches: Sequence[Path],
    out: Path,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write an instances file of the images of a split: the pieces whose score is above 0, as compressed run lengths.

    Ids of images and categories are the data set's own, where it has some; else those of images are the rows of the
    manifest, those of categories the order of `labels`, from 1. Images without a piece stay. Names of files count from
    the folder that all images are in. Raises IrnError for caches that lack an image or do not fit the tables.
    """
    made_by = provenance("export_coco", split=split)
    names, records = read_classes(labels).names, images_of(manifest, split)
    reader = CacheReader(label_caches, "label", classes=len(names))
    reader.require(
        (record.image_id for record in records), "make its labels, or name a split that has them with --split"
    )
    lists = lists_of(records, names, manifest)
    numbers, categories = ([entry["id"] for entry in entries] for entries in (lists.images, lists.categories))
    annotations: list[dict[str, Any]] = []
    pieces = map_images(partial(_pieces, reader=reader), records, workers)
    for number, of_image in zip(numbers, progress(pieces, len(records), "export coco"), strict=True):
        for index, piece in of_image:
            about = {"id": len(annotations) + 1, "image_id": number, "category_id": categories[index]}
            annotations.append({**about, **piece})
    info = {"description": "Instance labels made from image-level class labels by irn", "provenance": made_by}
    with whole_file(out) as partial_file:
        text = lists.as_file(info=info, licenses=[], annotations=annotations)
        partial_file.write_text(text, encoding="utf-8")
    empty = len(records) - len({annotation["image_id"] for annotation in annotations})
    print(
        f"{len(annotations)} instances in {len(records)} images, {empty} of them without any; names of files count"
        f" from {os.path.realpath(lists.folder)}"
    )


def _pieces(record: ImageRecord, reader: CacheReader) -> list[tuple[int, dict[str, Any]]]:
    """The class index of each annotation of an image, and the annotation without ids."""
    arrays = reader.image(record, ["instance_map", "instance_class", "instance_score"])
    pieces = []
    for row in np.flatnonzero(arrays["instance_score"] > 0):
        mask = arrays["instance_map"] == row + 1
        if mask.any():
            about = {**encoded(mask), "iscrowd": 0, "score": float(arrays["instance_score"][row])}
            pieces.append((int(arrays["instance_class"][row]), about))
    return pieces
