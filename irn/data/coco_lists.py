"""The lists of images and categories in files of COCO, with the ids that all files made from a manifest share.

They are the data set's own where it has some, which a file beside the manifest holds (`own_ids_file`); so what is
exported or predicted loads together with the data set's instances files.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from irn.data.tables import read_manifest
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.records import ImageRecord

Id = int | str


class Lists(NamedTuple):
    """Entries of `images` and `categories`, in the order of records and classes; names of files count from `folder`."""

    images: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    folder: str

    def as_file(self, **more: Any) -> str:
        """The text of a file of COCO with these lists."""
        return json.dumps({"images": self.images, "categories": self.categories, **more}) + "\n"


def own_ids_file(manifest: Path) -> Path:
    """`coco_ids.json` beside `manifest.csv`, and `NAME.coco_ids.json` beside a manifest of another name."""
    return manifest.with_name("coco_ids.json" if manifest.name == "manifest.csv" else f"{manifest.stem}.coco_ids.json")


def write_own_ids(manifest: Path, images: Mapping[str, Id | None], categories: Mapping[str, Id]) -> None:
    """Write the ids that a data set has for its images and classes, or remove those of another one."""
    path = own_ids_file(manifest)
    path.unlink(missing_ok=True)
    if categories and all(number is not None for number in images.values()):
        with whole_file(path) as partial:
            partial.write_text(json.dumps({"images": images, "categories": categories}) + "\n", encoding="utf-8")


def lists_of(records: Sequence[ImageRecord], names: Sequence[str], manifest: Path | None = None) -> Lists:
    """The lists of some images and all classes.

    manifest: that the images are from; without it, or without ids of the data set's own that are unique among the
        images of these splits, images are numbered by their rows in it, or in `records`, and classes by their order,
        both from 1. Names of files then count from the folder that all images of the manifest are in, so that none has
        two meanings; with ids of the data set's own from that of all images of these splits.
    """
    rows: Sequence[ImageRecord] = read_manifest(manifest) if manifest else records
    numbers: dict[str, Id] = {record.image_id: row for row, record in enumerate(rows, 1)}
    categories: dict[str, Id] = {name: row for row, name in enumerate(names, 1)}
    own_images, own_categories = _own_ids(manifest) if manifest else ({}, {})
    if own_categories.keys() == categories.keys():
        categories = own_categories
        splits = {record.split for record in records}
        of_splits = [row for row in rows if row.split in splits]
        own = {row.image_id: own_images[row.image_id] for row in of_splits if row.image_id in own_images}
        if len(set(own.values())) == len(of_splits):
            numbers, rows = own, of_splits
    paths = [os.path.normpath(record.path) for record in records]
    folders = [os.path.dirname(os.path.normpath(record.path)) for record in rows]
    folder = os.path.commonpath(folders) if folders else ""
    images = [
        {
            "id": numbers[record.image_id],
            "file_name": os.path.relpath(path, folder),
            "height": record.height,
            "width": record.width,
            "name": record.image_id,
        }
        for record, path in zip(records, paths, strict=True)
    ]
    return Lists(images, [{"id": categories[n], "name": n, "supercategory": n} for n in names], folder)


def _own_ids(manifest: Path) -> tuple[dict[str, Id], dict[str, Id]]:
    path = own_ids_file(Path(manifest))
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))
        return dict(ids["images"]), dict(ids["categories"])
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IrnError(f"{path}: not readable ({error}); build the manifest again, or remove this file") from None
