"""Data sets that are a folder of images with a table of their classes.

Layout: `images/`, `labels.csv`, and `splits.csv` (image_id,split) where there are more splits than `train`.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from irn.data.listing import IMAGE_SUFFIXES, Listed, find_images, named, read_labels_csv, refuse_extra_rows, select
from irn.data.tables import ImageClasses, check_ids, read_text_table
from irn.errors import IrnError

CLASS_MASKS, OBJECT_MASKS = "SegmentationClass", "SegmentationObject"


def watched(root: Path) -> list[Path]:
    """The files and folders that say what the data set holds."""
    return [root / name for name in ("images", "labels.csv", "splits.csv")]


def read(root: Path, splits: Sequence[str] | None, labels_csv: Path | None) -> tuple[list[Listed], ImageClasses]:
    """All images of `images/` in the order of their names, or those of the splits asked for, and their classes.

    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of `labels.csv`.
    """
    folder, table = root / "images", labels_csv or root / "labels.csv"
    if not folder.is_dir():
        raise IrnError(f"{folder}: no such folder; expected the images there and their classes in {table}")
    paths = find_images(folder)
    if not paths:
        raise IrnError(f"{folder}: no image; expected files that end in {', '.join(IMAGE_SUFFIXES)} (folders within are not searched)")
    check_ids(folder, pd.Series(list(paths), dtype=str))
    classes = read_labels_csv(table)
    refuse_extra_rows(table, classes.present, paths, folder)
    select(table, classes, list(paths))  # also where only one split is asked for, a row is missing by mistake
    split_of = _read_splits(root / "splits.csv", folder, list(paths))
    known = sorted(set(split_of.values()))
    unknown = [split for split in splits or () if split not in known]
    if unknown:
        raise IrnError(f"{root}: no image has split {unknown[0]!r}; the splits of this data set: {', '.join(known)}")
    images = [Listed(i, path, split_of[i]) for i, path in paths.items() if not splits or split_of[i] in splits]
    return images, select(table, classes, [image.image_id for image in images])


def _read_splits(path: Path, folder: Path, ids: Sequence[str]) -> dict[str, str]:
    """The split of each image by `splits.csv`; `train` for all where there is no such file."""
    if not path.is_file():
        return dict.fromkeys(ids, "train")
    table = read_text_table(path)
    if list(table.columns) != ["image_id", "split"]:
        raise IrnError(f"{path}: expected the header 'image_id,split', found {','.join(table.columns)!r}")
    check_ids(path, table["image_id"])
    split_of = dict(zip(table["image_id"], table["split"], strict=True))
    refuse_extra_rows(path, split_of, ids, folder)
    missing = [image_id for image_id in ids if not split_of.get(image_id, "").strip()]
    if missing:
        raise IrnError(f"{path}: no split for image {named(missing)}; give every image in {folder} a row with a split")
    return split_of
