"""YOLO's label files: a text for each image, a line for each object, with the names of classes in data.yaml."""

from collections.abc import Container, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from irn.data.listing import matching
from irn.data.shapes import Shape, damaged, polygon
from irn.errors import IrnError

NAME_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
BOX = (4, 5)  # numbers: centre and size, to which predictions add how sure they are
KEY_POINTS = range(4, 10**6)  # numbers
_ROUNDING = 0.002  # of shares of the sides
FARTHEST = 2  # what rounding and objects beyond the border leave is less
NAME_LISTS = ("classes.txt", "obj.names", "labels/classes.txt")


def names_file(root: Path) -> Path | None:
    """The file with the names of classes, if there is one: of a usual name, or any YAML with names."""
    usual = [root / name for name in (*NAME_FILES, *NAME_LISTS) if (root / name).is_file()]
    others = (path for path in matching(root, "*.y*ml") if b"names:" in path.read_bytes())
    return next(chain(usual, others), None)


def read_yolo_names(path: Path) -> list[str]:
    """The names of classes by their numbers, from `names` of a YAML file, or a list with one a line."""
    content = _content(path)
    if isinstance(content, str):
        return [line.strip() for line in content.splitlines() if line.strip()]
    names: Any = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        names = [names.get(number, names.get(str(number))) for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) for name in names):
        raise IrnError(f"{path}: no list 'names' in it; expected the names of the classes by their numbers")
    return [str(name).strip() for name in names]


def _content(path: Path) -> Any:
    """What a YAML file holds, or the text of another file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else text
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise damaged(path, "the file", " ".join(str(error).split())) from None


def box_lengths(names: Path, texts: Iterable[Path]) -> tuple[Container[int], str]:
    """How many numbers behind its class a line has that is a box, and words on it where it is not as usual, or none.

    They are 4, or 5 where predictions add how sure they are, and any number with key points. Lines of 6 are boxes of
    tracks, and lines of 8 oriented boxes, if all lines are so.

    names: the file with the names of classes. texts: some label files.
    """
    content = _content(names)
    if isinstance(content, dict) and content.get("kpt_shape"):
        return KEY_POINTS, ""
    lines = [line for path in texts for line in _numbers(path) if len(line) not in BOX]
    told = "boxes, which give classes and cannot be scored"
    if lines and all(len(line) == 6 and line[5] >= 1 and line[5].is_integer() for line in lines):
        return (*BOX, 6), f"lines end in the number of a track, so they are {told}"
    if lines and all(len(line) == 8 for line in lines) and not all(map(_is_upright, lines)):
        if all(map(_is_box, lines)):
            return (*BOX, 8), f"all outlines are oriented {told}"
        return BOX, "all outlines have four corners; if they are oriented boxes, scores against them mean little"
    return BOX, ""


def _numbers(path: Path) -> list[list[float]]:
    """The numbers of each line behind its class; none of a file that cannot be read."""
    try:
        words = map(str.split, path.read_text(encoding="utf-8-sig").splitlines())
        return [list(map(float, line[1:])) for line in words if line]
    except (OSError, ValueError):
        return []


def is_yolo(path: Path) -> bool:
    """Whether a text has a line of a box or more, and is not a caption of an image, for example."""
    return any(len(line) >= min(BOX) for line in _numbers(path))


def _is_box(corners: Sequence[float]) -> bool:
    """Whether opposite sides of four corners are parallel, as those of a turned box are in shares of any sides."""
    x, y = corners[::2], corners[1::2]
    return all(abs(a[0] - a[1] + a[2] - a[3]) <= _ROUNDING for a in (x, y))


def _is_upright(corners: Sequence[float]) -> bool:
    """Whether the first side of four corners is level or plumb; a tool for oriented boxes leaves few that are."""
    return min(abs(corners[0] - corners[2]), abs(corners[1] - corners[3])) <= _ROUNDING


def read_yolo(path: Path, names: list[str], boxes: Container[int] = BOX) -> list[Shape]:
    """The shapes of a label file: polygons, and boxes, which say the class alone; corners are shares of the sides.

    boxes: how many numbers a box has (`box_lengths`).

    Raises IrnError for a line with a class that has no name, or without numbers.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise damaged(path, "the file", error) from None
    shapes = []
    for number, words in enumerate(map(str.split, lines), 1):
        if not words:
            continue
        try:
            index, values = float(words[0]), list(map(float, words[1:]))
            is_box = len(values) in boxes
            if not is_box and len(values) % 2:
                raise ValueError(
                    f"{len(values)} numbers; expected 4 of a box, or x and y of each corner; with key points, kpt_shape"
                    " in data.yaml"
                )
            outline = None if is_box else polygon(list(zip(values[::2], values[1::2], strict=True)), is_relative=True)
        except (ValueError, OverflowError) as error:
            raise damaged(path, f"line {number}", error) from None
        if not (index.is_integer() and 0 <= index < len(names)):
            raise IrnError(
                f"{path}: line {number} is of class {words[0]}, but there are names for 0 to {len(names) - 1}; name all"
                " classes, or fix the line"
            )
        if any(abs(value) > FARTHEST for value in values[: 4 if is_box else None]):
            raise IrnError(
                f"{path}: line {number} has numbers above {FARTHEST}; expected shares of width and height, from 0 to 1:"
                " divide pixels by the image's sides"
            )
        shapes.append(Shape(names[int(index)], outline, is_box=is_box))
    return shapes
