"""Names of classes and images, and the ids that images get."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from irn.errors import IrnError
from irn.grid import MAX_CLASSES

RESERVED_CLASSES = ("__background__", "mean")  # scores.csv has rows of these names beside those of the classes
IMAGE_ID = re.compile(r"[A-Za-z0-9_.-]+")
LONGEST_ID = 200  # characters; results put endings behind ids, and names of files end at 255


def check_class_names(path: Path, names: Sequence[str]) -> None:
    """Raise IrnError, naming `path`, for more than 254 classes, or a name that repeats, is empty or reserved."""
    if len(names) > MAX_CLASSES:
        raise IrnError(
            f"{path}: {len(names)} classes; label maps hold at most {MAX_CLASSES}: split the data set or merge classes"
        )
    seen = set()
    for name in names:
        if not name or name != name.strip():
            raise IrnError(
                f"{path}: class name {name!r} is empty or has spaces around it; expected a plain name, without a"
                " comma at the"
                " end"
            )
        if name in ("image_id", *RESERVED_CLASSES):
            raise IrnError(
                f"{path}: no class can be named {name!r}, which has a meaning of its own in the tables; rename it or"
                " take it"
                " out"
            )
        if name in seen:
            raise IrnError(f"{path}: class {name!r} appears twice; every name must be unique")
        seen.add(name)


def same_but_for_case(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of class names that differ by case or blanks alone: for each such name the first like it, and itself."""
    first_of: dict[str, str] = {}
    pairs = [(first_of.setdefault("".join(name.casefold().split()), name), name) for name in names]
    return [(first, name) for first, name in pairs if first != name]


def is_id(name: str) -> bool:
    """Whether a name can be an image's id."""
    # "." and ".." would name folders and HDF5 groups other than their own.
    return bool(IMAGE_ID.fullmatch(name)) and bool(name.strip("."))


def check_ids(path: Path, ids: Sequence[str]) -> None:
    """Raise IrnError, naming `path`, for an image id that repeats or that `is_id` refuses."""
    for image_id in ids:
        if not is_id(image_id):
            raise IrnError(f"{path}: image id {image_id!r} is not allowed; use letters, digits, '_', '.' and '-' only")
    repeated = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if repeated:
        raise IrnError(f"{path}: image id {repeated[0]!r} appears in more than one row; every id must be unique")


def check_splits(path: Path, splits: Iterable[str]) -> None:
    """Raise IrnError, naming `path`, for a split that cannot be the name of a folder, or has the sign that joins."""
    for split in splits:
        if not split.strip(". ") or set("/\\+") & set(split):
            raise IrnError(
                f"{path}: a split cannot be named {split!r}; expected a plain name, such as train, without / and +"
            )


def safe_id(name: str) -> str:
    """The id of an image: its name, or one derived from a name that is long or has characters that ids must not have.

    `photo (1)` becomes `photo_1-` and eight hexadecimal digits of the name's SHA-256, which keep it unique.
    """
    name = unicodedata.normalize("NFC", name)
    if is_id(name) and len(name) <= LONGEST_ID:
        return name
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.") or "image"
    return f"{plain[:80]}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def is_text(name: str) -> bool:
    """Whether UTF-8 can hold a name. That of a file in another encoding, or half a character in JSON, cannot."""
    return name.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in name)


def names_of(image_id: str, path: Path) -> Iterator[str]:
    """The names that an image of this id and file may have in the data set: its id, and those that give this id."""
    yield image_id
    parts = path.with_suffix("").parts
    for count in range(1, len(parts)):
        name = "/".join(parts[-count:])
        if name != image_id and safe_id(name) == image_id:
            yield name
