"""What the readers of all kinds of data sets need: image files by their ids, and rows of the user's tables."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from irn.data.tables import ImageClasses, read_classes
from irn.errors import IrnError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Listed:
    """An image that the manifest is to hold, before it was looked at; `size` is what its annotations say, (height, width)."""

    image_id: str
    path: Path
    split: str
    size: tuple[int, int] | None = None


def find_images(folder: Path, wanted: Collection[str] | None = None) -> dict[str, Path]:
    """Image files by their name without extension, sorted by name; those of the ids `wanted`, or all."""
    with os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    paths: dict[str, Path] = {}
    for name in files:
        image_id, suffix = os.path.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES or (wanted is not None and image_id not in wanted):
            continue
        if image_id in paths:
            raise IrnError(f"{folder}: {paths[image_id].name} and {name} would both be image {image_id!r}; rename or remove one of them")
        paths[image_id] = folder / name
    return paths


def read_labels_csv(path: Path) -> ImageClasses:
    """The user's own table of classes."""
    if not path.is_file():
        raise IrnError(f"{path}: no such table of labels; expected a CSV with the header 'image_id' and a 0/1 column for each class")
    return read_classes(path)


def select(table: Path, classes: ImageClasses, ids: Sequence[str]) -> ImageClasses:
    """The rows of `ids` in their order; IrnError where `table`, which they come from, lacks one."""
    missing = [image_id for image_id in ids if image_id not in classes.present]
    if missing:
        raise IrnError(
            f"{table}: no row for image {named(missing)}; add a row (the file's name without its extension), or take the image out"
        )
    return ImageClasses(classes.names, {image_id: classes.present[image_id] for image_id in ids})


def refuse_extra_rows(table: Path, rows: Iterable[str], ids: Collection[str], folder: Path) -> None:
    """IrnError where a table of a folder has rows without an image: most often ids with an extension, or a file forgotten."""
    known = set(ids)
    extra = [image_id for image_id in rows if image_id not in known]
    if extra:
        raise IrnError(
            f"{table}: no image in {folder} for the row {named(extra)}; an id is a file's name without its extension: fix or remove it"
        )


def all_taken(path: Path, split: str) -> IrnError:
    """The mistake of a split, listed in a file, that is left without images, since each belongs to the first split that has it."""
    return IrnError(f"{path}: every image of split {split!r} is also in a split named before it; name it first, or leave it out")


def named(ids: Sequence[str]) -> str:
    """The first id, and how many more there are."""
    return repr(ids[0]) + (f" (and {len(ids) - 1} more)" if len(ids) > 1 else "")
