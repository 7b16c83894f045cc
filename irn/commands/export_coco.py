"""The instances of label caches as an instances file of COCO."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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

    Ids of images, annotations and categories count from 1, categories in the order of `labels`. Images without a
    piece stay. Names of files count from the folder that all images are in. Raises IrnError for caches that lack an
    image or do not fit the tables.
    """
    made_by = provenance("export_coco", split=split)
    names, records = read_classes(labels).names, images_of(manifest, split)
    reader = CacheReader(label_caches, "label", classes=len(names))
    reader.require(
        (record.image_id for record in records), "make its labels, or name a split that has them with --split"
    )
    paths = [os.path.normpath(record.path) for record in records]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    images = [
        {"id": number, "file_name": os.path.relpath(path, folder), "height": record.height, "width": record.width}
        for number, (record, path) in enumerate(zip(records, paths, strict=True), 1)
    ]
    annotations: list[dict[str, Any]] = []
    pieces = map_images(partial(_pieces, reader=reader), records, workers)
    for number, of_image in enumerate(progress(pieces, len(records), "export coco"), 1):
        annotations += [
            {"id": len(annotations) + row, "image_id": number, **piece} for row, piece in enumerate(of_image, 1)
        ]
    categories = [{"id": number, "name": name, "supercategory": name} for number, name in enumerate(names, 1)]
    info = {"description": "Instance labels made from image-level class labels by irn", "provenance": made_by}
    parts = {"info": info, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
    with whole_file(out) as partial_file:
        partial_file.write_text(json.dumps(parts), encoding="utf-8")
    empty = len(images) - len({annotation["image_id"] for annotation in annotations})
    print(
        f"{len(annotations)} instances in {len(images)} images, {empty} of them without any; names of files count"
        f" from {folder}"
    )


def _pieces(record: ImageRecord, reader: CacheReader) -> list[dict[str, Any]]:
    """The annotations of an image, without ids."""
    arrays = reader.image(record, ["instance_map", "instance_class", "instance_score"])
    pieces = []
    for row in np.flatnonzero(arrays["instance_score"] > 0):
        mask = arrays["instance_map"] == row + 1
        if mask.any():
            category, score = int(arrays["instance_class"][row]) + 1, float(arrays["instance_score"][row])
            pieces.append({"category_id": category, **encoded(mask), "iscrowd": 0, "score": score})
    return pieces
