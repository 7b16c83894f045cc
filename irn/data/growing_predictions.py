"""A folder of predictions while it grows, image by image: another call goes on where one ended."""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.coco_lists import Lists
from irn.data.predictions import LISTS, PICTURES, RESULTS, result, write_pictures
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.records import ImageRecord

DONE = "images.jsonl"  # what the folder was made by, and then a line for each image
GUESSES = "guessed_labels.csv"


class Found(NamedTuple):
    """What was found in an image.

    pixels: (H, W, 3) uint8. semantic: (H, W) uint8, 0 background, 1 + class index. objects: (H, W) integers, 0 none.
    instances: the class index of each, and what COCO's results say of it besides. guessed: 0 or 1 for each class, where
    they were guessed.
    """

    pixels: np.ndarray
    semantic: np.ndarray
    objects: np.ndarray
    instances: list[tuple[int, dict[str, Any]]]
    guessed: list[int] | None


class GrowingPredictions:
    """A folder of predictions that images are added to; it is made with the first.

    `made_by` is what decides the results, as JSON holds it.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any]) -> None:
        """Raises IrnError for a folder that holds something else, or predictions made by something else."""
        self.folder, self._path = folder, folder / DONE
        self._made_by = json.loads(json.dumps(made_by))
        self._files: dict[str, dict[str, Any]] = {}  # of each image: path, state and size
        self._length = 0
        if self._path.is_file():
            self._go_on()
        elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise IrnError(f"{folder}: exists already and is not an empty folder; name a new one, or remove this one")

    def _go_on(self) -> None:
        lines = self._lines()
        head = next(lines, {})
        different = sorted(key for key in {**head, **self._made_by} if head.get(key) != self._made_by.get(key))
        if different:
            raise IrnError(
                f"{self.folder}: holds predictions made with another value of {', '.join(different)}; name a new"
                " folder, or remove this one"
            )
        for line in lines:
            self._keep(line)

    def _keep(self, line: Mapping[str, Any]) -> None:
        self._files.pop(line["image_id"], None)  # in the order of their last lines
        self._files[line["image_id"]] = {key: line[key] for key in ("path", "state", "size")}

    def __len__(self) -> int:
        return len(self._files)

    def holds(self, image_id: str, path: Path) -> bool:
        """Whether the folder has an image as its file is now; IrnError where it has another file's of this id."""
        known, place = self._files.get(image_id), str(path.absolute())
        if known is None:
            return False
        if known["state"] == _state(path):
            known["path"] = place
            return True
        if known["path"] != place:
            raise IrnError(
                f"{path}: {self.folder} holds an image {image_id!r} already, of {known['path']}; name another folder"
            )
        return False

    def records(self) -> list[ImageRecord]:
        """The images in the folder."""
        return [
            ImageRecord(image_id, Path(file["path"]), file["size"][0], file["size"][1], "")
            for image_id, file in self._files.items()
        ]

    def add(self, image_id: str, path: Path, found: Found) -> None:
        """Write an image's pictures, and keep the entries of its instances for `finish`."""
        if not self._length:
            for name in PICTURES:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._append(self._made_by)
        write_pictures(self.folder, image_id, found.pixels, found.semantic, found.objects)
        line: dict[str, Any] = {"image_id": image_id, "path": str(path.absolute()), "state": _state(path)}
        line |= {"size": found.pixels.shape[:2], "instances": found.instances, "guessed": found.guessed}
        self._append(line)
        self._keep(line)

    def finish(self, lists: Lists) -> Iterator[dict[str, Any]]:
        """Write the tables of all images in the folder, and give the entries of their instances.

        lists: of the images in `records` and of the classes.
        """
        images = {image["name"]: image for image in lists.images}
        guesses: list[list[Any]] = []
        count = 0
        with whole_file(self.folder / RESULTS) as partial, open(partial, "w", encoding="utf-8") as file:
            file.write("[")
            for line in self._latest():
                if line["guessed"] is not None:
                    guesses.append([line["image_id"], *line["guessed"]])
                for index, instance in line["instances"]:
                    entry = result(images[line["image_id"]], lists.categories[index], instance)
                    file.write(", " * bool(count) + json.dumps(entry))
                    count += 1
                    yield entry
            file.write("]\n")
        with whole_file(self.folder / LISTS) as partial:
            partial.write_text(lists.as_file(annotations=[]), encoding="utf-8")
        if guesses:
            with whole_file(self.folder / GUESSES) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
                names = [category["name"] for category in lists.categories]
                csv.writer(file, lineterminator="\n").writerows([["image_id", *names], *guesses])

    def _latest(self) -> Iterator[dict[str, Any]]:
        """The line of each image; an image whose file has changed has several, the last of which counts."""
        lines = self._lines()
        next(lines)
        last = {line["image_id"]: number for number, line in enumerate(lines)}
        lines = self._lines()
        next(lines)
        yield from (line for number, line in enumerate(lines) if last[line["image_id"]] == number)

    def _lines(self) -> Iterator[dict[str, Any]]:
        """The lines of the file; a killed process may have left a part of one behind them."""
        self._length = 0
        with open(self._path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    self._length += len(line)
                    yield json.loads(line)

    def _append(self, line: Mapping[str, Any]) -> None:
        content = json.dumps(line).encode() + b"\n"
        if self._length:
            os.truncate(self._path, self._length)
        with open(self._path, "ab" if self._length else "wb") as file:
            file.write(content)
        self._length += len(content)


def _state(path: Path) -> list[int]:
    """What tells an image file from another, and from itself before an edit."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
