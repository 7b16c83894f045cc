"""Ids in instances files of COCO, which tools write as numbers, as text or with a point."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from irn.errors import IrnError

PLURALS = {"image": "images", "category": "categories"}
_WHOLE = re.compile(r"(0|-?[1-9]\d{0,17})(\.0+)?")


def key_of(written: Any) -> int | str | None:
    """An id in one form however it is written: 7, "7" and 7.0 are one. None for what cannot be an id."""
    if isinstance(written, int):
        return written
    if isinstance(written, float) and written.is_integer():
        return int(written)
    if isinstance(written, str):
        match = _WHOLE.fullmatch(written)
        return int(match[1]) if match else written
    return None


def rows_by_id(path: Path, what: str, entries: Any) -> dict[int | str, int]:
    """The row of each id in a list of images or categories; IrnError for another thing, and for ids that repeat."""
    ids = [key_of(entry.get("id")) if isinstance(entry, dict) else None for entry in _listed(entries)]
    if not isinstance(entries, list) or None in ids:
        raise IrnError(
            f"{path}: its {PLURALS[what]} are not a list of objects with an id; expected an instances file of COCO"
        )
    number, count = Counter(ids).most_common(1)[0] if ids else (None, 1)
    if count > 1:
        raise IrnError(f"{path}: {what} id {number!r} appears {count} times; every id must be unique")
    return {number: row for row, number in enumerate(ids) if number is not None}


def _listed(entries: Any) -> Sequence[Any]:
    return entries if isinstance(entries, list) else ()


def positions(ids: Sequence[Any], position_of: Mapping[int | str, int]) -> list[int]:
    """The position of each image or category that an annotation names, and -1 for one that is not there."""
    return [-1 if (key := key_of(written)) is None else position_of.get(key, -1) for written in ids]


def unknown(path: Path, what: str, written: object, known: Collection[object]) -> IrnError:
    """The mistake of annotations of an image or category that is not there."""
    return IrnError(
        f"{path}: an annotation is of {what} {written!r}, which is not among the {len(known)} {PLURALS[what]};"
        f" add the {what} or take its annotations out"
    )


def is_crowd(path: Path, written: Any) -> bool:
    """Whether an annotation is a crowd, by 0 or 1 in any form; IrnError for other values."""
    if isinstance(written, int) and written in (0, 1):
        return bool(written)
    word = "0" if written in (None, "") else str(written).strip().lower()
    if word not in ("0", "1", "0.0", "1.0", "false", "true"):
        raise IrnError(f"{path}: an annotation has iscrowd {written!r}; expected 0, or 1 for several objects in one")
    return word in ("1", "1.0", "true")
