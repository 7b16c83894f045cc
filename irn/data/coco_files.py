"""Folders with instances files of COCO: which file is that of a split, and what a quick search of it shows.

They are `instances_<split>.json`, or, as Roboflow writes them, `<split>/_annotations.coco.json`.
"""

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from irn.data.listing import IMAGE_SUFFIXES, matching, without_suffix
from irn.data.names import is_text
from irn.errors import IrnError

ROBOFLOW = "_annotations.coco.json"
# CVAT calls the only split of a project so.
_DEFAULT = "default"
_OUTLINE = re.compile(rb'"segmentation"\s*:\s*(?:\[\s*[\[\d.-]|\{)')
_CATEGORY = re.compile(rb'"category_id"\s*:')
_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')


def instances_file(folder: Path, split: str) -> Path:
    """The file of a split: `instances_<split>.json`, or the only one with a year after the split's name.

    So `train` is that of `train2014` where there is no other year. Raises IrnError where there is none, or more than
    one.
    """
    paths = with_year(folder, split)
    if len(paths) == 1:
        return paths[0]
    if paths:
        raise IrnError(
            f"{folder}: {paths[0].name} and {paths[1].name} could both be split {split!r}; name one, such as"
            f" {name_of(paths[0])}"
        )
    known = ", ".join(sorted(path.name for path in folder.glob("*.json"))) or "no JSON file"
    known = ", ".join(sorted(f"{name}/{ROBOFLOW}" for name in split_files(folder))) if _is_roboflows(folder) else known
    raise IrnError(f"{folder}: no instances_<split>.json for split {split!r} (has {known}); name a split that has one")


def with_year(folder: Path, split: str) -> list[Path]:
    """The files that a split's name can mean."""
    files = split_files(folder)
    if split in files:
        return [files[split]]
    with_digits = re.compile(rf"{re.escape(split)}\d+")
    return sorted(path for name, path in files.items() if with_digits.fullmatch(name))


def split_files(folder: Path) -> dict[str, Path]:
    """The instances files in a folder, by what they call their split; CVAT's only one is that of `train`."""
    paths = matching(folder, "instances_*.json") or sorted(folder.glob(f"*/{ROBOFLOW}"))
    files = {name_of(path): path for path in paths}
    return {"train": files[_DEFAULT]} if list(files) == [_DEFAULT] else files


def annotations_folder(root: Path) -> Path:
    """The folder with the instances files of a data set: `annotations/`, or the root itself, as Roboflow has it."""
    folder = root / "annotations"
    return root if not folder.is_dir() and _is_roboflows(root) else folder


def _is_roboflows(folder: Path) -> bool:
    return any(folder.glob(f"*/{ROBOFLOW}"))


def name_of(path: Path) -> str:
    """What COCO calls the split of an instances file, such as `train2014`."""
    return path.parent.name if path.name == ROBOFLOW else path.stem.removeprefix("instances_")


def image_names(file_names: Sequence[str]) -> list[str]:
    """What images are called that an instances file lists by these names: without extension, and without folder.

    The folders are part of all names where two images would be called the same without them.
    """
    paths = [PurePosixPath(name) for name in file_names]
    short = [without_suffix(path.name) for path in paths]
    if len(set(short)) == len(set(file_names)):
        return short
    return [without_suffix(path.as_posix()) for path in paths]


def in_split(split: str, name: str) -> str:
    """What an image is called where another split has one of the same name."""
    return f"{split}/{name}"


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, to search without reading it whole; OSError or ValueError where it is missing or empty."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


@contextmanager
def _searched(path: Path) -> Iterator[mmap.mmap]:
    """As `mapped`, with IrnError for a file that is missing, empty, or has a name that is not JSON."""
    try:
        with mapped(path) as content:
            yield content
    except (OSError, ValueError) as error:
        raise IrnError(
            f"{path}: not a readable JSON file ({error}); expected an instances file of COCO, whole"
        ) from None


def names_at_a_glance(path: Path) -> list[str]:
    """The names of the images of an instances file, in its order.

    They are searched for, which takes a twentieth of the time of reading, and nothing else is checked.
    """
    with _searched(path) as content:
        names = [json.loads(name) for name in _NAME.findall(content)]
    names = [name.replace("\\", "/") for name in names if is_text(name)]
    # Other parts of the file have names too, such as that of a JSON; those of images may lack the extension.
    return [name for name in names if name.lower().endswith(IMAGE_SUFFIXES) or "." not in name.rpartition("/")[2]]


def boxes_at_a_glance(path: Path) -> tuple[int, int]:
    """How many annotations have no segmentation, and how many there are, by such a search."""
    with _searched(path) as content:
        count, outlines = (sum(1 for _ in words.finditer(content)) for words in (_CATEGORY, _OUTLINE))
    return max(count - outlines, 0), count


def boxes_alone(path: Path) -> bool:
    """Whether an instances file has annotations without any segmentation, or no list of them, by such a search.

    False for a file that cannot be read: a data set with another split is of use without it, and one that lists it is
    refused by `irn build-manifest`.
    """
    try:
        with mapped(path) as content:
            is_annotated = content.find(b'"annotations"') >= 0
            return _OUTLINE.search(content) is None and (content.find(b'"image_id"') >= 0 or not is_annotated)
    except (OSError, ValueError):
        return False
