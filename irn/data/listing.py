"""Listing the images of a data set by their names, as all kinds of data sets need it."""

import fnmatch
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from irn.data.findings import Findings, some
from irn.data.names import is_text, safe_id
from irn.errors import IrnError

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".heic", ".heif", ".hif", ".avif"),
)

# Folders that storage systems make: small pictures of all others, and what was deleted.
_OF_SYSTEMS = ("@eaDir", "#recycle")

# Files that belong beside images.
LABEL_SUFFIXES = (".json", ".txt", ".csv", ".xml", ".yaml", ".yml")


@dataclass(frozen=True)
class Listed:
    """An image for the manifest, before its file was opened.

    name: what the data set calls it: its file's name without extension, with the folders that are part of it.
    size: what its annotations say, (height, width) in pixels.
    number: its id in a file of COCO.
    """

    name: str
    path: Path
    split: str
    size: tuple[int, int] | None = None
    number: int | str | None = None

    @cached_property
    def image_id(self) -> str:
        """Its id in all tables, caches and results."""
        return safe_id(self.name)


def without_suffix(name: str) -> str:
    """A name without an image's extension. Other endings stay: a name may contain dots."""
    return os.path.splitext(name)[0] if name.lower().endswith(IMAGE_SUFFIXES) else name


def find_images(
    folder: Path, findings: Findings, below: bool = False, skipped: Collection[str] = ()
) -> dict[str, list[Path]]:
    """Image files by their names without extension, sorted by name.

    below: look into the folders within too, except those called as in `skipped`, in any case; their images are named
        `folder/name`.

    Files without an image's extension, other than labels, and links that lead nowhere are counted in a notice.
    """
    paths: dict[str, list[Path]] = {}
    ignored: Counter[str] = Counter()
    astray: list[str] = []
    # A dry run waits for this. Paths that a folder gives cost least, and a look at each file would cost most.
    for place, files in islice(folders_within(folder, _raise), None if below else 1):
        if not set(skipped).isdisjoint(place.relative_to(folder).as_posix().lower().split("/")):
            continue
        regular, path_of = regular_files(place), {path.name: path for path in place.iterdir()}
        within = "" if place == folder else f"{place.relative_to(folder).as_posix()}/"
        for name in sorted(name for name in files if not name.startswith(".")):
            stem, suffix = os.path.splitext(name)
            if not is_text(name):
                shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                findings.problem(folder, f"the file name {shown} is not text in UTF-8", "rename the file")
            elif suffix.lower() in IMAGE_SUFFIXES and not (name in regular or os.path.isfile(f"{place}/{name}")):
                astray.append(within + name)
            elif suffix.lower() in IMAGE_SUFFIXES:
                paths.setdefault(within + stem, []).append(path_of[name])
            elif suffix.lower() not in LABEL_SUFFIXES:
                ignored[suffix or name] += 1
    if astray:
        findings.notice(f"{folder}: {len(astray)} links that lead to no file, or pipes, not read ({some(astray)})")
    if ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(ignored.items()))
        findings.notice(f"{folder}: {kinds}: not read, since images end in {', '.join(IMAGE_SUFFIXES)}")
    return {name: paths[name] for name in sorted(paths)}


def regular_files(folder: Path) -> set[str]:
    """The names of the files in a folder, without links, at a fraction of the time that a look at each takes."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}


def matching(folder: Path, pattern: str) -> list[Path]:
    """What matches a pattern in a folder, sorted, if that can be read; faster than `Path.glob` among many files."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]


def named(folder: Path, name: str) -> Path:
    """The file or folder of a name, also where the case of its letters is another, as some systems allow."""
    path = folder / name
    if path.exists():
        return path
    return next((other for other in matching(folder, "*") if other.name.lower() == name.lower()), path)


def folders_within(folder: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all within it except hidden ones and systems', through links too, each with the names of its files.

    A link to a folder that contains it is not followed: it leads to nothing new, and two of them to endless paths.
    `onerror` is that of `os.walk`.
    """
    real = {folder: folder.resolve()}
    for place, folders, files in os.walk(folder, onerror=onerror, followlinks=True):
        around = {real[path] for path in (Path(place), *Path(place).parents) if path in real}
        real |= {path: path.resolve() for path in (Path(place, name) for name in folders)}
        folders[:] = sorted(name for name in folders if not is_hidden(name) and real[Path(place, name)] not in around)
        yield Path(place), files


def is_hidden(folder: str) -> bool:
    """Whether a folder of this name is not to be seen, or a system's."""
    return folder.startswith(".") or folder in _OF_SYSTEMS


def _raise(error: OSError) -> None:
    raise error


def one_each(paths_of: Mapping[str, Sequence[Path]], findings: Findings) -> dict[str, Path]:
    """The file of each name; a problem where there are several."""
    for name, paths in paths_of.items():
        if len(paths) > 1:
            both = f"{paths[0].name} and {paths[1].name}"
            findings.problem(paths[0].parent, f"{both} would both be image {name!r}", "rename or remove one of them")
    return {name: paths[0] for name, paths in paths_of.items()}


def known_splits(images: Sequence[Listed], splits: Collection[str] | None, root: Path) -> list[Listed]:
    """The images of the splits asked for; IrnError for a split that none has."""
    known = sorted({image.split for image in images})
    unknown = [split for split in splits or () if split not in known]
    if unknown:
        raise IrnError(f"{root}: no image has split {unknown[0]!r}; the splits of this data set: {', '.join(known)}")
    return [image for image in images if not splits or image.split in splits]


def all_taken(path: Path, split: str) -> IrnError:
    """The mistake of a listed split without images of its own: each belongs to the first split that has it."""
    return IrnError(
        f"{path}: every image of split {split!r} is also in a split named before it; name it first, or leave it out"
    )
