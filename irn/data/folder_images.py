"""The images of a folder that somebody made for themselves or a tool, and their splits."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from irn.data.findings import Findings, some
from irn.data.listing import IMAGE_SUFFIXES, Listed, find_images, is_hidden, named, one_each
from irn.data.user_splits import read_splits, splits_in_labels
from irn.data.user_tables import SPLITS
from irn.errors import IrnError

IMAGES = "images"
# Folders in a root without `images/` whose pictures are not photographs; in any case.
NOT_IMAGES = ("segmentationclass", "segmentationobject", "masks", "labels", "annotations", "results")

_MASK = re.compile(r"(.+)[_-]mask(_?\d+)?", re.I)
_SPLIT = re.compile(rf"({'|'.join(SPLITS)})([ _-]?(\d{{4}}|set|images?|imgs|data))?")
OTHER_KINDS = (
    ("voc", "JPEGImages"),
    ("coco", "annotations/instances_*.json"),
    ("coco", "*/_annotations.coco.json"),
)


def images_folder(root: Path) -> Path:
    """The folder of the images: `images/`, or the root itself where the images or their splits lie there."""
    folder = named(root, IMAGES)
    if folder.is_dir() or not root.is_dir():
        return folder
    inside = sorted(path for path in root.iterdir() if not is_hidden(path.name))
    has_images = any(path.suffix.lower() in IMAGE_SUFFIXES for path in inside)
    has_folders = any(path.is_dir() and path.name.lower() not in NOT_IMAGES and _holds_images(path) for path in inside)
    return root if has_images or has_folders else folder


def _holds_images(folder: Path) -> bool:
    """Whether images lie in a folder, or in those within."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in (*folder.glob("*"), *folder.glob("*/*")))


def all_images(root: Path, splits_csv: Path, tables: Sequence[Path], findings: Findings) -> list[Listed]:
    """The images of all splits, by name.

    tables: tables of labels, the first of which with a column of splits says them if there is no `splits_csv`. Else the
        folders with the names of splits do, or all images are `train`.

    Raises IrnError for a folder without images, with the kind that it may be of.
    """
    folder = images_folder(root)
    if not folder.is_dir():
        check_kind(root)
        raise IrnError(f"{folder}: no such folder; expected the images there and their classes in {tables[0]}")
    skipped = () if folder != root else NOT_IMAGES
    paths = one_each(find_images(folder, findings, below=True, skipped=skipped), findings)
    if not paths:
        raise IrnError(f"{folder}: no image; expected files that end in {', '.join(IMAGE_SUFFIXES)}")
    images = [Listed(name, path, "train") for name, path in paths.items()]
    within = sum("/" in name for name in paths)
    if within:
        findings.note(
            f"{folder}: {within} of {len(paths)} images lie in folders within; the folder is part of their names"
        )
    masks = [name for name in paths if (match := _MASK.fullmatch(name)) and match[1] in paths]
    if masks:
        findings.notice(
            f"{folder}: {len(masks)} images are named as another with 'mask' behind it ({some(masks)}) and read as"
            " photographs; move them out if they are masks"
        )
    split_of: dict[str, str] | None
    if splits_csv.is_file():
        split_of = read_splits(splits_csv, images, findings)
    else:
        found = (splits_in_labels(table, images, findings) for table in tables if table.is_file())
        split_of = next((splits for splits in found if splits is not None), None)
    if split_of is not None:
        return [replace(image, split=split_of[image.image_id]) for image in images if image.image_id in split_of]
    return _by_folder(folder, images, findings)


def _by_folder(folder: Path, images: Sequence[Listed], findings: Findings) -> list[Listed]:
    """The images with the splits that the folders' names say; a problem for images that lie beside such folders."""
    splits = split_folders(images)
    if not splits:
        return list(images)
    shown = ", ".join(sorted(splits))
    findings.notice(f"{folder}: the folders {shown} are read as splits, not as classes")
    outside = [image.name for image in images if top_folder(image) not in splits]
    if outside:
        count = f"{len(outside)} of {len(images)} images"
        problem = f"{count} lie outside the folders of the splits {shown} ({some(outside)})"
        findings.problem(folder, problem, "move them out of the data set or into one of these, or give a splits.csv")
    return [replace(image, split=top) if (top := top_folder(image)) in splits else image for image in images]


def split_folders(images: Sequence[Listed]) -> set[str]:
    """The outermost folders that are splits, such as `train` and `val2017`: several of them, or what holds all images.

    One of such a name beside others may be a class.
    """
    tops = {top_folder(image) for image in images}
    splits = {top for top in tops if _SPLIT.fullmatch(top.lower())}
    return splits if len(splits) > 1 or splits == tops else set()


def top_folder(image: Listed) -> str:
    """The outermost folder in an image's name; empty if there is none."""
    return image.name.rpartition("/")[0].split("/")[0]


def check_kind(root: Path) -> None:
    """Raise IrnError for a data set in the layout of another kind."""
    for kind, sign in OTHER_KINDS:
        if signs := sorted(root.glob(sign)):
            raise IrnError(
                f"{root}: it has the layout of kind {kind} ({signs[0].relative_to(root)}); set dataset.kind:"
                f" {kind} (--kind {kind}), or add {root / 'labels.csv'}"
            )
