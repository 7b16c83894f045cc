"""The instances of label caches as Label Studio's tasks, with predictions to correct."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from irn.data.brush import packed
from irn.data.coco_lists import lists_of
from irn.data.exported import Piece, labels_to_export, pieces
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.outlines import joined, outlines
from irn.pictures.colours import distinct_colours
from irn.records import ImageRecord
from irn.settings.settings import Settings

# The names that tie a region to the control of the labelling configuration, and this to the image.
CONTROL, IMAGE = "label", "image"
KINDS = {"rle": "BrushLabels", "polygons": "PolygonLabels"}


def export_label_studio(
    manifest: Path,
    labels: Path,
    label_caches: Sequence[Path],
    out: Path,
    settings: Settings,
    doubt: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write the images of a split as tasks, and the labelling configuration beside them: `out` with `.xml` at its end.

    A task has the address and the id of its image, and a prediction with a region for each piece whose score is above
    0: a brush, or a polygon. Addresses are `export.image_url` and the path of the image, which counts from the folder
    above the one that all images are in.

    Raises
    ------
    IrnError for caches that lack an image or do not fit the tables, and a name for the tasks that ends with `.xml`.
    """
    configuration = out.with_suffix(".xml")
    if configuration == out:
        raise IrnError(f"--out {out}: the labelling configuration gets this name; name the tasks .json")
    records, caches, names = labels_to_export(manifest, label_caches, split, labels, doubt, settings.export.doubtful)
    lists = lists_of(records, names, manifest)
    folder, files = Path(os.path.realpath(lists.folder)), [image["file_name"] for image in lists.images]
    results = map_images(partial(_regions, caches=caches, names=names, settings=settings), records, workers)
    tasks = []
    for record, file, regions in zip(records, files, progress(results, len(records), "export tasks"), strict=True):
        address = settings.export.image_url + quote(f"{folder.name}/{file}".lstrip("/"))
        score = sum(region["score"] for region in regions) / max(len(regions), 1)
        tasks.append(
            {
                "data": {IMAGE: address, "image_id": record.image_id},
                "predictions": [{"model_version": "irn", "score": score, "result": regions}],
            }
        )
    with whole_file(configuration) as unfinished:
        unfinished.write_text(_configuration(names, KINDS[settings.export.outlines]), encoding="utf-8")
    with whole_file(out) as unfinished:
        unfinished.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    print(
        f"{len(tasks)} tasks for the labelling configuration {configuration}; local files: document root"
        f" {folder.parent}, storage {folder}"
    )


def _regions(
    record: ImageRecord, caches: CacheReader, names: Sequence[str], settings: Settings
) -> list[dict[str, Any]]:
    kind = KINDS[settings.export.outlines].lower()
    return [
        {
            "id": f"piece{number}",
            "type": kind,
            "from_name": CONTROL,
            "to_name": IMAGE,
            "original_width": record.width,
            "original_height": record.height,
            "image_rotation": 0,
            "score": piece.score,
            "value": {**_shape(piece, settings), kind: [names[piece.class_index]]},
        }
        for number, piece in enumerate(pieces(record, caches), 1)
    ]


def _shape(piece: Piece, settings: Settings) -> dict[str, Any]:
    """A mask in Label Studio's words: the run lengths of a brush, or a polygon in percent of the image's sides."""
    if settings.export.outlines == "rle":
        return {"format": "rle", "rle": packed(piece.mask)}
    outline = joined(outlines(piece.mask, settings.export.tolerance))
    height, width = piece.mask.shape
    return {"points": (100 * outline / (width, height)).round(4).tolist(), "closed": True}


def _configuration(names: Sequence[str], control: str) -> str:
    """The labelling configuration: the image, and a control with a label in a colour of its own for each class."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=IMAGE, value=f"${IMAGE}", zoom="true", zoomControl="true")
    control_tag = ElementTree.SubElement(view, control, name=CONTROL, toName=IMAGE)
    for name, colour in zip(names, distinct_colours(len(names)).tolist(), strict=True):
        ElementTree.SubElement(control_tag, "Label", value=name, background="#{:02x}{:02x}{:02x}".format(*colour))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
