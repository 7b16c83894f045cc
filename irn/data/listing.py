"""What the readers of all kinds of data sets need: image files by their names, and the ids that those become."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from irn.data.findings import Findings, some
from irn.data.tables import is_id
from irn.errors import IrnError

LONGEST_ID = 200  # characters; results put endings behind ids, and names of files end at 255
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")


@dataclass(frozen=True)
class Listed:
    """An image that the manifest is to hold, before it was looked at.

    name: what the data set calls it: its file's name without extension, with the folders that are part of it.
    size: what its annotations say, (height, width).
    """

    name: str
    path: Path
    split: str
    size: tuple[int, int] | None = None

    @cached_property
    def image_id(self) -> str:
        """Its id in all tables, caches and results."""
        return safe_id(self.name)


def safe_id(name: str) -> str:
    """The id of an image of some name: the name itself, or where that is long or has characters that ids may not have, one made of it.

    `photo (1)` becomes `photo_1-` and eight hexadecimal digits of the name's SHA-256, which keep it unique.
    """
    name = unicodedata.normalize("NFC", name)
    if is_id(name) and len(name) <= LONGEST_ID:
        return name
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.") or "image"
    return f"{plain[:80]}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def is_text(name: str) -> bool:
    """Whether a name can be written in UTF-8: one of a file in another encoding, or half a character in JSON, cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def without_suffix(name: str) -> str:
    """A name without an image's extension. Only such a one goes: an id may have dots of its own."""
    return os.path.splitext(name)[0] if name.lower().endswith(IMAGE_SUFFIXES) else name


def names_of(image_id: str, path: Path) -> Iterator[str]:
    """The names that an image of this id and file may go by in the data set: its id, and the name that the id was made of."""
    yield image_id
    parts = path.with_suffix("").parts
    for count in range(1, len(parts)):
        name = "/".join(parts[-count:])
        if name != image_id and safe_id(name) == image_id:
            yield name


def find_images(folder: Path, findings: Findings, below: bool = False) -> dict[str, list[Path]]:
    """Image files by their names without extension, sorted by name; with `below` those in folders within too, as `folder/name`.

    Files that are no images by their extension, and links that lead nowhere, are counted in a notice.
    """
    paths: dict[str, list[Path]] = {}
    others: Counter[str] = Counter()
    astray: list[str] = []
    # With texts rather than paths, which would take most of the time that a dry run takes for many images.
    for place, files in islice(folders_within(folder, _raise), None if below else 1):
        within = "" if place == folder else f"{place.relative_to(folder).as_posix()}/"
        for name in sorted(name for name in files if not name.startswith(".")):
            stem, suffix = os.path.splitext(name)
            if not is_text(name):
                shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                findings.problem(folder, f"the file name {shown} is not text in UTF-8", "rename the file")
            elif suffix.lower() in IMAGE_SUFFIXES and not os.path.isfile(f"{place}/{name}"):
                astray.append(within + name)
            elif suffix.lower() in IMAGE_SUFFIXES:
                paths.setdefault(within + stem, []).append(place / name)
            else:
                others[suffix or name] += 1
    if astray:
        findings.notices.append(
            f"{folder}: {len(astray)} links that lead to no file, or pipes, not read ({some(astray)})"
        )
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        findings.notices.append(f"{folder}: {kinds}: not read, since images end in {', '.join(IMAGE_SUFFIXES)}")
    return dict(sorted(paths.items()))


def folders_within(folder: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all within it but hidden ones, through links too, each with the names of its files; `onerror` as in `os.walk`.

    A link to a folder that it lies in leads to nothing new and is not followed: through two of them there is no end of ways.
    """
    real = {folder: folder.resolve()}
    for place, folders, files in os.walk(folder, onerror=onerror, followlinks=True):
        around = {real[path] for path in (Path(place), *Path(place).parents) if path in real}
        real |= {path: path.resolve() for path in (Path(place, name) for name in folders)}
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and real[Path(place, name)] not in around
        )
        yield Path(place), files


def _raise(error: OSError) -> None:
    raise error


def one_each(found: Mapping[str, Sequence[Path]], findings: Findings) -> dict[str, Path]:
    """The file of each name; a problem where there are several."""
    for name, paths in found.items():
        if len(paths) > 1:
            both = f"{paths[0].name} and {paths[1].name}"
            findings.problem(paths[0].parent, f"{both} would both be image {name!r}", "rename or remove one of them")
    return {name: paths[0] for name, paths in found.items()}


def known_splits(images: Sequence[Listed], splits: Collection[str] | None, root: Path) -> list[Listed]:
    """The images of the splits asked for; IrnError for a split that none has."""
    known = sorted({image.split for image in images})
    unknown = [split for split in splits or () if split not in known]
    if unknown:
        raise IrnError(f"{root}: no image has split {unknown[0]!r}; the splits of this data set: {', '.join(known)}")
    return [image for image in images if not splits or image.split in splits]


def all_taken(path: Path, split: str) -> IrnError:
    """The mistake of a split, listed in a file, that is left without images, since each belongs to the first split that has it."""
    return IrnError(
        f"{path}: every image of split {split!r} is also in a split named before it; name it first, or leave it out"
    )
