"""The categories of an instances file of COCO as classes."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from irn.data.coco_ids import rows_by_id
from irn.data.names import check_class_names, is_text
from irn.errors import IrnError

Key = int | str


def read_categories(
    path: Path, categories: Any, used: Collection[Key | None], remarks: list[str]
) -> tuple[dict[Key, int], list[str], tuple[Key, ...]]:
    """The class index of each category id, the names of the classes, and their ids as they are written.

    Classes are in ascending order of ids, text after numbers; those without an annotation too, except the group that
    Roboflow puts above all others. `used` are the ids that annotations have; what was left out is added to `remarks`.

    Raises IrnError where there is none, and for names that cannot be those of classes.
    """
    row_of = rows_by_id(path, "category", categories)
    for category in categories:
        name = category.get("name")
        if not isinstance(name, str) or not is_text(name):
            raise IrnError(f"{path}: category {category} lacks a name that is text; add it")
    named = {number: categories[row] for number, row in row_of.items()}
    roots = [number for number in named if number not in used and _is_root(number, named)]
    if roots and len(roots) < len(named):
        remarks.append(f"category {named[roots[0]]['name']!r} is the group of the others and left out")
        named = {number: category for number, category in named.items() if number not in roots}
    if not named:
        raise IrnError(f"{path}: no category in it; expected one for each class")
    numbers = sorted(named, key=lambda number: (isinstance(number, str), number))
    names = [named[number]["name"] for number in numbers]
    check_class_names(path, names)
    index_of = {number: index for index, number in enumerate(numbers)}
    return index_of, names, tuple(named[number]["id"] for number in numbers)


def _is_root(number: Key, named: dict[Key, dict[str, Any]]) -> bool:
    """Whether a category is the one that Roboflow puts above all others."""
    about = named[number]
    others = [category for other, category in named.items() if other != number]
    names = [name for category in others for name in (category["name"], category.get("supercategory"))]
    return about.get("supercategory") == "none" and about["name"] in names
