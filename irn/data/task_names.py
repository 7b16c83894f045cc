"""Which tasks of Label Studio are of an image, by what they call it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from irn.data.file_names import forms, plain
from irn.data.listing import without_suffix

_UPLOADS = re.compile(r"(.*/)?data/upload(/\d+)?")  # the folder of all files that Label Studio was given


class TaskNames:
    """The tasks of an export, to be found by the paths of images.

    names: what each task calls its image.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._whole: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        self._folders: list[str] = []
        for number, name in enumerate(names):
            _, path, *bases = forms(name)
            folder = path.rpartition("/")[0]
            is_uploaded = _UPLOADS.fullmatch(folder) is not None
            self._folders.append("" if is_uploaded else folder)
            for form in _with_and_without_suffix([name, path, *(bases if is_uploaded else ())]):
                self._whole.setdefault(form, []).append(number)
            for form in _with_and_without_suffix([*_ends(path), *bases]):
                self._ends.setdefault(form, []).append(number)

    def of(self, image: Path) -> list[int]:
        """The numbers of an image's tasks, from 0: those whose names and its path end alike the longest.

        Of these a task whose name ends there comes before one that has more folders.
        """
        parts = [plain(part) for part in image.parts]
        for count in range(len(parts), 0, -1):
            name = "/".join(parts[-count:])
            for form in (name, without_suffix(name)):
                for numbers in (self._whole, self._ends):
                    if form in numbers:
                        return numbers[form]
        return []

    def are_apart(self, numbers: Sequence[int]) -> bool:
        """Whether tasks name different folders, and so may be of different images."""
        return len({self._folders[number] for number in numbers}) > 1


def _ends(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _with_and_without_suffix(names: Sequence[str]) -> dict[str, None]:
    return dict.fromkeys(form for name in names for form in (name, without_suffix(name)))
