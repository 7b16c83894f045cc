"""YOLO's label files: a text for each image, a line for each object, with the names of classes in data.yaml."""

from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from irn.data.listing import matching
from irn.data.shapes import Shape, damaged, polygon
from irn.errors import IrnError

NAME_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
FARTHEST = 2  # what rounding and objects beyond the border leave is less
NAME_LISTS = ("classes.txt", "obj.names", "labels/classes.txt")


def names_file(root: Path) -> Path | None:
    """The file with the names of classes, if there is one: of a usual name, or any YAML with names."""
    usual = [root / name for name in (*NAME_FILES, *NAME_LISTS) if (root / name).is_file()]
    others = (path for path in matching(root, "*.y*ml") if b"names:" in path.read_bytes())
    return next(chain(usual, others), None)


def read_yolo_names(path: Path) -> list[str]:
    """The names of classes by their numbers, from `names` of a YAML file, or a list with one a line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix not in (".yaml", ".yml"):
            return [line.strip() for line in text.splitlines() if line.strip()]
        content = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise damaged(path, "the file", " ".join(str(error).split())) from None
    names: Any = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        names = [names.get(number, names.get(str(number))) for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) for name in names):
        raise IrnError(f"{path}: no list 'names' in it; expected the names of the classes by their numbers")
    return [str(name).strip() for name in names]


def read_yolo(path: Path, names: list[str]) -> list[Shape]:
    """The shapes of a label file: polygons, and boxes, which say the class alone; corners are shares of the sides.

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
            # Four numbers are a box, to which predictions add how sure they are.
            is_box = len(values) in (4, 5)
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
