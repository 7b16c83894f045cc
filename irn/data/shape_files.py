"""Files of shapes beside images: of labelme, Label Studio and YOLO, found by what lies in a folder."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from irn.data.findings import some
from irn.data.label_studio import REGIONS, begins_with_task, read_label_studio
from irn.data.labelme import is_labelme, labelme_size, read_labelme
from irn.data.listing import IMAGE_SUFFIXES, folders_within, matching, named
from irn.data.shapes import Shape
from irn.data.task_names import TaskNames
from irn.data.yolo import box_lengths, names_file, read_yolo, read_yolo_names
from irn.errors import IrnError

# Whether files of a data set have outlines is seen in this number of them.
_GLANCED_AT = 100
_LARGEST = 2**26  # bytes of a JSON for one image, with the image in it
FOLDERS = ("annotations", "labels", "json", "jsons", "labelme")  # where labelme's files lie, if not beside images


class Doubt(NamedTuple):
    """What images have for which their shapes cannot be relied on, and the remedy."""

    what: str
    remedy: str


class ShapeFiles(ABC):
    """The shapes of the images of a data set.

    tool: whose files they are.
    place: the file or folder that tells so.
    names: the classes in their order, where the files tell it, or else None.
    remark: how shapes were understood, in words, if not as usual.
    without_file: whether an image without a file is one without any class, and not one that nobody has looked at.
    """

    tool: str
    place: Path
    names: list[str] | None = None
    remark = ""
    without_file = False

    @abstractmethod
    def file(self, image: Path) -> Path | None:
        """The file with an image's shapes; None where there is none."""

    @abstractmethod
    def read(self, image: Path) -> list[Shape] | None:
        """The shapes of an image, None without a file; IrnError for a file that cannot be read."""

    def source(self, image: Path) -> object:
        """What holds an image's shapes and should hold no other's; None where there is nothing."""
        return self.file(image)

    def doubt(self, image: Path) -> Doubt | None:
        """What an image has beside shapes that can be read; None if there is no more."""
        return None

    def size(self, image: Path) -> tuple[int, int] | None:
        """The height and width of the image that the shapes of a file are in pixels of, where the file tells them."""
        return None

    @abstractmethod
    def some(self) -> Iterator[list[Shape]]:
        """The shapes of each image that has a file."""

    def has_outlines(self) -> bool:
        """Whether any shape is more than a box, as far as a glance shows."""
        try:
            return any(shape.has_outline for shapes in islice(self.some(), _GLANCED_AT) for shape in shapes)
        except IrnError:
            return True  # said when all are read


class LabelmeFiles(ShapeFiles):
    """labelme's: a JSON beside each image, or of its name in a folder of their own."""

    tool = "labelme"

    def __init__(self, folder: Path) -> None:
        self.place = folder

    def file(self, image: Path) -> Path | None:
        """The JSON of the image's name."""
        path = image.with_suffix(".json")
        paths = [self.place.joinpath(*path.parts[-count:]) for count in (3, 2, 1)]
        paths.insert(0 if _lies_in(image.parent, self.place) else len(paths), path)
        return next((path for path in paths if path.is_file()), None)

    def read(self, image: Path) -> list[Shape] | None:
        """As `ShapeFiles.read`."""
        path = self.file(image)
        return None if path is None else read_labelme(path)

    def size(self, image: Path) -> tuple[int, int] | None:
        """As `ShapeFiles.size`."""
        path = self.file(image)
        return None if path is None else labelme_size(path)

    def some(self) -> Iterator[list[Shape]]:
        """As `ShapeFiles.some`."""
        return (read_labelme(path) for path in _files(self.place, ".json"))


class YoloFiles(ShapeFiles):
    """YOLO's: a text in `labels/` for each image in `images/`, or beside it; images without objects have none."""

    tool = "YOLO"
    without_file = True

    def __init__(self, root: Path, names: Path) -> None:
        self.place = root
        self._names = self.names = read_yolo_names(names)
        self._labels: dict[Path, Path] = {}
        self._boxes, self.remark = box_lengths(names, islice(yolo_texts(root), _GLANCED_AT))

    def file(self, image: Path) -> Path | None:
        """The text of the image's name."""
        parts = image.with_suffix(".txt").parts
        places = [number for number, part in enumerate(parts[:-1]) if part.lower() == "images"]
        mirrored = [self._labels_in(Path(*parts[:place])).joinpath(*parts[place + 1 :]) for place in reversed(places)]
        paths = [*mirrored, Path(*parts)]
        if not _lies_in(image.parent, self.place):
            # The images lie elsewhere, and their texts here under the same names.
            ends = [path.parts[-count:] for path in paths for count in (4, 3, 2, 1)]
            paths = [folder.joinpath(*end) for folder in (self.place, self._labels_in(self.place)) for end in ends]
        return next((path for path in paths if path.is_file()), None)

    def read(self, image: Path) -> list[Shape] | None:
        """As `ShapeFiles.read`."""
        path = self.file(image)
        return None if path is None else read_yolo(path, self._names, self._boxes)

    def some(self) -> Iterator[list[Shape]]:
        """As `ShapeFiles.some`."""
        return (read_yolo(path, self._names, self._boxes) for path in yolo_texts(self.place))

    def _labels_in(self, folder: Path) -> Path:
        """The folder of texts beside one of images."""
        if folder not in self._labels:
            self._labels[folder] = named(folder, "labels")
        return self._labels[folder]


class StudioFile(ShapeFiles):
    """Label Studio's: one file with a task for each image."""

    tool = "Label Studio"

    def __init__(self, path: Path) -> None:
        self.place = path
        self._tasks = [task for task in read_label_studio(path) if task.shapes is not None]
        self._names = TaskNames([task.image for task in self._tasks])
        left_out = sorted({key for task in self._tasks for key in task.left_out})
        if left_out:
            keys = some(list(map(repr, left_out)))
            self.remark = f"the texts under {keys} are not read; export as JSON, not JSON-MIN, if they are classes"

    def file(self, image: Path) -> Path | None:
        """The one file, if an annotated task is of this image."""
        return self.place if self._names.of(image) else None

    def source(self, image: Path) -> object:
        """As `ShapeFiles.source`: the tasks."""
        return tuple(self._names.of(image)) or None

    def doubt(self, image: Path) -> Doubt | None:
        """As `ShapeFiles.doubt`: tasks that may be of other images, and regions that give no shape."""
        numbers = self._names.of(image)
        if self._names.are_apart(numbers):
            return Doubt("several tasks, which name different folders", "put the images into such folders too")
        unread = [kind for number in numbers for kind in self._tasks[number].unread]
        other = next((kind for kind in unread if kind.endswith("labels") and kind not in REGIONS), None)
        if other:
            remedy = "draw them as polygons, brushes, rectangles or ellipses"
            return Doubt(f"regions of the kind {other!r}, which is not read", remedy)
        if unread and not any(self._tasks[number].shapes for number in numbers):
            return Doubt("regions without a label alone", "label them, or take them out")
        return None

    def read(self, image: Path) -> list[Shape] | None:
        """As `ShapeFiles.read`."""
        numbers = self._names.of(image)
        return [shape for number in numbers for shape in self._tasks[number].shapes or []] if numbers else None

    def some(self) -> Iterator[list[Shape]]:
        """As `ShapeFiles.some`."""
        return (task.shapes or [] for task in self._tasks)


def shape_files(root: Path, images: Path) -> ShapeFiles | None:
    """The files of shapes of a data set, if it has any.

    root: its folder. images: the folder of its images, which may be the same. Raises IrnError for two exports of Label
    Studio.
    """
    for folder in (*(named(root, name) for name in FOLDERS), images):
        if any(map(_is_labelme, islice(_files(folder, ".json"), _GLANCED_AT))):
            return LabelmeFiles(folder)
    exports = studio_exports(root)
    if len(exports) > 1:
        shown = some([path.name for path in exports])
        raise IrnError(f"{root}: {len(exports)} exports of Label Studio ({shown}); leave only one in the folder")
    if exports:
        return StudioFile(exports[0])
    names = names_file(root)
    return YoloFiles(root, names) if names and any(True for _ in yolo_texts(root)) else None


def studio_exports(root: Path) -> list[Path]:
    """The exports of Label Studio in a folder, by name."""
    return [path for path in matching(root, "*.json") if is_list(path) and begins_with_task(path)]


def at(place: Path) -> ShapeFiles | None:
    """The files of shapes in a folder of images or a file that is named as ground truth."""
    if place.is_file():
        return StudioFile(place) if is_list(place) else None
    return shape_files(place, place)


def watched(root: Path) -> list[Path]:
    """The files and folders that shapes may lie in, other than the folders of images."""
    names = names_file(root)
    folders = [folder for name in FOLDERS for folder, _ in folders_within(named(root, name))]
    return [*matching(root, "*.json"), *([names] if names else []), *folders]


def is_list(path: Path) -> bool:
    """Whether a file begins like a list in JSON, as exports of Label Studio do."""
    with open(path, "rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def yolo_texts(root: Path) -> Iterator[Path]:
    """The label files of YOLO in a folder and those within: in a folder `labels`, or beside an image."""
    for path in _files(root, ".txt"):
        beside = (path.with_suffix(suffix).is_file() for suffix in IMAGE_SUFFIXES)
        folders = [part.lower() for part in path.relative_to(root).parts[:-1]]
        if path.name != "classes.txt" and ("labels" in folders or any(beside)):
            yield path


@cache
def _lies_in(folder: Path, place: Path) -> bool:
    """Whether a folder is a place, or lies within it, also by a link."""
    return folder.is_relative_to(place) or folder.resolve().is_relative_to(place.resolve())


def _is_labelme(path: Path) -> bool:
    try:
        if path.stat().st_size > _LARGEST:
            return False
        return is_labelme(json.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError):
        return False


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    """All files in a folder and those within with an ending, by name."""
    for place, names in folders_within(folder):
        yield from (place / name for name in sorted(names) if name.endswith(suffix) and not name.startswith("."))
