"""What else a table or an annotation tool may call a file, and the files that such a name can mean."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from irn.data.listing import IMAGE_SUFFIXES, folders_within, without_suffix

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio puts this before the names of files that it was given
_SERVED = re.compile(r"^(?:[a-z0-9+.-]+://|/).*[?&]d=", re.I)  # and this before those that it serves from a folder
_QUERY = re.compile(r"[?#].*$")
_ROBOFLOW = re.compile(r"^(.+)_(jpe?g|png|bmp|tiff?|webp)\.rf\.[0-9A-Za-z]+(\.\w+)?$", re.I)


def plain(name: str) -> str:
    """A name with `/` between folders, in the form of Unicode that names are compared in."""
    return unicodedata.normalize("NFC", name.strip()).replace("\\", "/").removeprefix("./")


def forms(name: str) -> Iterator[str]:
    """A name and what it may mean, the surest first: without escapes, server, folders, or what a tool adds."""
    name = plain(name)
    yield name
    is_address = "://" in name
    name = _SERVED.sub("", name)
    if "%" in name:
        name = unquote(name)
    if is_address:
        name = _QUERY.sub("", name)
    yield name
    base = name.rpartition("/")[2]
    yield base
    if _UPLOADED.match(base):
        yield (base := _UPLOADED.sub("", base, count=1))
    if match := _ROBOFLOW.match(base):
        yield f"{match[1]}.{match[2]}"


class FileFinder:
    """The image files in a folder and those within, to be found by names that are not quite theirs."""

    def __init__(self, folder: Path) -> None:
        self._by_name: dict[str, list[Path]] = {}
        for place, files in folders_within(folder):
            for file in sorted(name for name in files if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."):
                name = plain(file)
                for key in dict.fromkeys((name, name.casefold(), without_suffix(name).casefold())):
                    self._by_name.setdefault(key, []).append(place / file)

    def find(self, name: str) -> Path | None:
        """The only file that a name can mean, by the surest of its forms that fits any; None if there are several."""
        for form in forms(name):
            base = form.rpartition("/")[2]
            for key in (base, base.casefold(), without_suffix(base).casefold()):
                if key in self._by_name:
                    return _only(form, self._by_name[key])
        return None


def _only(name: str, paths: Iterable[Path]) -> Path | None:
    """The file whose folders fit a name best, if one alone does."""
    parts = PurePosixPath(name).parts[:-1][::-1]
    fits = {path: _shared(parts, path.parts[:-1][::-1]) for path in dict.fromkeys(paths)}
    most = max(fits.values())
    best = [path for path, count in fits.items() if count == most]
    return best[0] if len(best) == 1 else None


def _shared(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """How many parts two paths have in common from the first on."""
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
