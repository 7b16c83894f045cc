"""Folders with instances files of COCO: which file is that of a split, and what a quick search of it shows."""

import json
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irn.data.listing import IMAGE_SUFFIXES
from irn.data.names import is_text
from irn.errors import IrnError

_OUTLINE = re.compile(rb'"segmentation"\s*:\s*(?:\[\s*\[|\{)')
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
    raise IrnError(f"{folder}: no instances_<split>.json for split {split!r} (has {known}); name a split that has one")


def with_year(folder: Path, split: str) -> list[Path]:
    """The files that a split's name can mean."""
    exact = folder / f"instances_{split}.json"
    if exact.is_file():
        return [exact]
    with_digits = re.compile(rf"{re.escape(split)}\d+")
    return sorted(path for path in folder.glob("instances_*.json") if with_digits.fullmatch(name_of(path)))


def name_of(path: Path) -> str:
    """What COCO calls the split of an instances file, such as `train2014`."""
    return path.stem.removeprefix("instances_")


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
    return [name.replace("\\", "/") for name in names if name.lower().endswith(IMAGE_SUFFIXES) and is_text(name)]


def boxes_at_a_glance(path: Path) -> tuple[int, int]:
    """How many annotations have no segmentation, and how many there are, by such a search."""
    with _searched(path) as content:
        count, outlines = (sum(1 for _ in words.finditer(content)) for words in (_CATEGORY, _OUTLINE))
    return max(count - outlines, 0), count


def boxes_alone(path: Path) -> bool:
    """Whether an instances file has annotations, but no segmentation, by such a search.

    False for a file that cannot be read: a data set with another split is of use without it, and one that lists it is
    refused by `irn build-manifest`.
    """
    try:
        with mapped(path) as content:
            return _OUTLINE.search(content) is None and content.find(b'"image_id"') >= 0
    except (OSError, ValueError):
        return False
