"""The instances of label caches as an instances file of COCO."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from irn.data.coco_lists import lists_of
from irn.data.exported import labels_to_export, pieces
from irn.data.segmentations import encoded
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.outlines import outlines
from irn.records import ImageRecord
from irn.settings.settings import Settings
from irn.workflow.provenance import provenance


def export_coco(
    manifest: Path,
    labels: Path,
    label_caches: Sequence[Path],
    out: Path,
    settings: Settings,
    doubt: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write an instances file of the images of a split: the pieces whose score is above 0.

    Their masks are compressed run lengths, or polygons; `area` and `bbox` are those of the mask in either case. Ids of
    images and categories are the data set's own, where it has some; else those of images are the rows of the manifest,
    those of categories the order of `labels`, from 1. Images without a piece stay. Names of files count from the folder
    that all images are in. Raises IrnError for caches that lack an image or do not fit the tables.
    """
    made_by = provenance("export_coco", settings, split=split)
    records, caches, names = labels_to_export(manifest, label_caches, split, labels, doubt, settings.export.doubtful)
    lists = lists_of(records, names, manifest)
    numbers, categories = ([entry["id"] for entry in entries] for entries in (lists.images, lists.categories))
    annotations: list[dict[str, Any]] = []
    found = map_images(partial(_annotations, caches=caches, settings=settings), records, workers)
    for number, of_image in zip(numbers, progress(found, len(records), "export coco"), strict=True):
        for index, annotation in of_image:
            about = {"id": len(annotations) + 1, "image_id": number, "category_id": categories[index]}
            annotations.append({**about, **annotation})
    info = {"description": "Instance labels made from image-level class labels by irn", "provenance": made_by}
    with whole_file(out) as unfinished:
        text = lists.as_file(info=info, licenses=[], annotations=annotations)
        unfinished.write_text(text, encoding="utf-8")
    empty = len(records) - len({annotation["image_id"] for annotation in annotations})
    print(
        f"{len(annotations)} instances in {len(records)} images, {empty} of them without any; names of files count"
        f" from {os.path.realpath(lists.folder)}"
    )


def _annotations(record: ImageRecord, caches: CacheReader, settings: Settings) -> list[tuple[int, dict[str, Any]]]:
    """The class index of each annotation of an image, and the annotation without ids."""
    annotations = []
    for piece in pieces(record, caches):
        shape = encoded(piece.mask)
        if settings.export.outlines == "polygons":
            rings = outlines(piece.mask, settings.export.tolerance)
            shape["segmentation"] = [ring.round(2).ravel().tolist() for ring in rings]
        annotations.append((piece.class_index, {**shape, "iscrowd": 0, "score": piece.score}))
    return annotations
