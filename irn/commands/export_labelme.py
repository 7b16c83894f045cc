"""The instances of label caches as labelme's files, one JSON an image."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from irn.data.exported import check_files, labels_to_export, pieces
from irn.io.cache import CacheReader
from irn.io.files import whole_folder
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.outlines import outlines
from irn.records import ImageRecord
from irn.settings.settings import Settings

VERSION = "5.5.0"  # of the format; labelme reads it as that of the program


def export_labelme(
    manifest: Path,
    labels: Path,
    label_caches: Sequence[Path],
    out: Path,
    settings: Settings,
    doubt: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write `out/<image_id>.json` for each image of a split, with its pieces whose score is above 0 as polygons.

    Several polygons of a piece have its number, from 1, as their group. Images are not copied: each file names its
    image by the path from `out`.

    Raises
    ------
    IrnError for a folder that holds something already, caches that lack an image, and an image whose file is missing.
    """
    records, caches, names = labels_to_export(manifest, label_caches, split, labels, doubt, settings.export.doubtful)
    check_files(records)
    folder = os.path.realpath(out)
    write = partial(_content, caches=caches, names=names, folder=folder, tolerance=settings.export.tolerance)
    with whole_folder(out) as unfinished:
        contents = map_images(write, records, workers)
        for record, content in zip(records, progress(contents, len(records), "export labelme"), strict=True):
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (unfinished / f"{record.image_id}.json").write_text(text, encoding="utf-8")
    print(f"{len(records)} files; labelme FOLDER_OF_IMAGES --output {out} opens them")


def _content(
    record: ImageRecord, caches: CacheReader, names: Sequence[str], folder: str, tolerance: float
) -> dict[str, Any]:
    shapes = []
    for number, piece in enumerate(pieces(record, caches), 1):
        rings = outlines(piece.mask, tolerance, inside=True)
        shapes += [
            {
                "label": names[piece.class_index],
                "points": ring.round(2).tolist(),
                "group_id": number if len(rings) > 1 else None,
                "description": f"score {piece.score:.3f}",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for ring in rings
        ]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": os.path.relpath(os.path.realpath(record.path), folder),
        "imageData": None,
        "imageHeight": record.height,
        "imageWidth": record.width,
    }
