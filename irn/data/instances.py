"""Instances files of COCO: images, categories and annotations in one JSON file.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. Such a file of all of COCO has half a gigabyte, so it is
scanned once; what stays in memory is where each annotation stands in it, and masks are read from there when they are wanted.
"""

import json
import mmap
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.listing import IMAGE_SUFFIXES, is_text, safe_id
from irn.data.segmentations import decoded
from irn.data.tables import check_class_names
from irn.errors import IrnError

PARTS = ("images", "annotations", "categories")
PLURALS = {"image": "images", "category": "categories"}
_SPACE = re.compile(r"[ \t\r\n]*")
_OUTLINE = re.compile(rb'"segmentation"\s*:\s*(?:\[\s*\[|\{)')
_CATEGORY = re.compile(rb'"category_id"\s*:')
_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_MARK = "\xef\xbb\xbf"  # of UTF-8, which some editors put first


class Picture(NamedTuple):
    """An image of an instances file: where its annotations begin and end in the arrays of `InstancesFile`, its name, its size if given."""

    file_name: str
    size: tuple[int, int] | None
    first: int
    end: int


class InstancesFile:
    """The images of an instances file by their ids, made of their names without folder and extension, in the file's order.

    `names` holds the categories by ascending category id, those without an annotation too; a class index is a position in it.
    `outlined` says of each annotation whether it has a segmentation.

    Raises IrnError on opening for a file that is missing, not JSON or not an instances file, ids and names that repeat, and
    annotations of images or categories that there are not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found, annotations = _scan(path)
        index_of = self._read_categories(found["categories"])
        numbers = _numbers(path, "image", found["images"])
        columns = list(zip(*annotations, strict=True)) or [()] * 6
        rows = self._looked_up("image", numbers, columns[0])
        order = np.argsort(rows, kind="stable")
        self.crowd = np.fromiter(map(bool, columns[2]), bool)[order]
        self.index = self._looked_up("category", index_of, columns[1])[order]
        self.outlined = np.fromiter(columns[3], bool)[order]
        self._spans = np.array(columns[4:], np.int64).T[order]
        self.images = self._read_images(found["images"], np.searchsorted(rows[order], np.arange(len(numbers) + 1)))

    def _read_categories(self, found: Any) -> dict[Any, int]:
        """The class index of each category id."""
        numbers = _numbers(self.path, "category", found)
        for category in found:
            if (
                not isinstance(category["id"], int)
                or not isinstance(category.get("name"), str)
                or not is_text(category["name"])
            ):
                raise IrnError(f"{self.path}: category {category} lacks a whole number as id or a name; expected both")
        ordered = sorted(numbers)
        self.names = [found[numbers[number]]["name"] for number in ordered]
        if not ordered:
            raise IrnError(f"{self.path}: no category in it; expected one for each class")
        check_class_names(self.path, self.names)
        return {number: index for index, number in enumerate(ordered)}

    def _read_images(self, found: Sequence[dict[str, Any]], bounds: np.ndarray) -> dict[str, Picture]:
        images: dict[str, Picture] = {}
        for row, image in enumerate(found):
            name, size = image.get("file_name"), (image.get("height"), image.get("width"))
            if not isinstance(name, str) or not name or not is_text(name):
                raise IrnError(
                    f"{self.path}: image {image['id']!r} has no file_name, or one that is no text; expected the path of its file"
                )
            name = name.replace("\\", "/")  # as Windows writes paths
            image_id = safe_id(Path(name).stem)
            if image_id in images:
                raise one_id(self.path, images[image_id].file_name, name)
            known = all(isinstance(side, int) for side in size)
            images[image_id] = Picture(name, size if known else None, int(bounds[row]), int(bounds[row + 1]))  # type: ignore[arg-type]
        return images

    def _looked_up(self, kind: str, positions: dict[Any, int], numbers: Sequence[Any]) -> np.ndarray:
        try:
            return np.fromiter((positions[number] for number in numbers), np.int64, len(numbers))
        except KeyError as error:
            unknown = error.args[0]
        alike = any(str(number) == str(unknown).removesuffix(".0") for number in positions)
        raise IrnError(
            f"{self.path}: an annotation is of {kind} {unknown!r}, which is not among the {len(positions)} {PLURALS[kind]}; "
            + (
                f"write the {kind} ids in the same way there, as whole numbers"
                if alike
                else f"add the {kind} or take its annotations out"
            )
        )

    def classes(self, image_id: str) -> list[int]:
        """The class indices of all annotations of an image, crowds included, ascending."""
        picture = self.images[image_id]
        return np.unique(self.index[picture.first : picture.end]).tolist()

    def outlines(self, image_id: str) -> np.ndarray:
        """Of each annotation of an image, whether it has a segmentation."""
        picture = self.images[image_id]
        return self.outlined[picture.first : picture.end]

    def masks(self, image_id: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read the annotations of an image, in the file's order.

        Returns
        -------
        masks: (N, height, width) bool.
        index: (N,) class indices.
        crowd: (N,) bool, whether the annotation is a crowd: several objects that were not told apart.

        Raises
        ------
        IrnError for an annotation without a segmentation, or with one that is none or of another size.
        """
        picture = self.images[image_id]
        chosen = slice(picture.first, picture.end)
        masks = np.zeros((picture.end - picture.first, height, width), bool)
        with open(self.path, "rb") as file:
            for mask, (start, end) in zip(masks, self._spans[chosen], strict=True):
                file.seek(start)
                text = file.read(end - start)
                try:
                    annotation = json.loads(text)
                except ValueError as error:
                    raise IrnError(
                        f"{self.path}: an annotation of image {image_id!r} cannot be read ({error}); fix it"
                    ) from None
                try:
                    mask[:] = decoded(annotation.get("segmentation"), height, width)
                except ValueError as error:
                    where = f"{self.path}: annotation {annotation.get('id')!r} of image {image_id!r}"
                    raise IrnError(f"{where} {error}") from None
        return masks, self.index[chosen], self.crowd[chosen]


def one_id(path: Path, one: str | Path, other: str | Path) -> IrnError:
    """The mistake of two images whose names differ by folder or extension alone."""
    return IrnError(
        f"{path}: {one} and {other} would both be image {Path(other).stem!r}, since an id is a file's name without folder and extension;"
        " rename one of the files"
    )


def instances_file(folder: Path, split: str) -> Path:
    """The file of a split in a folder of annotations: `instances_<split>.json`, or the only one with a year after the split's name.

    So `train` is that of `train2014` where there is no other year. Raises IrnError where there is none, or more than one.
    """
    found = with_year(folder, split)
    if len(found) == 1:
        return found[0]
    if found:
        raise IrnError(
            f"{folder}: {found[0].name} and {found[1].name} could both be split {split!r}; name one, such as {name_of(found[0])}"
        )
    known = ", ".join(sorted(path.name for path in folder.glob("*.json"))) or "no JSON file"
    raise IrnError(f"{folder}: no instances_<split>.json for split {split!r} (has {known}); name a split that has one")


def with_year(folder: Path, split: str) -> list[Path]:
    """The files that a split's name can mean."""
    exact = folder / f"instances_{split}.json"
    if exact.is_file():
        return [exact]
    return sorted(
        path for path in folder.glob("instances_*.json") if re.fullmatch(rf"{re.escape(split)}\d+", name_of(path))
    )


def name_of(path: Path) -> str:
    """What COCO calls the split of an instances file, such as `train2014`."""
    return path.stem.removeprefix("instances_")


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, to search without reading it whole; OSError or ValueError where it is missing or empty."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def names_at_a_glance(path: Path) -> list[str]:
    """The names of the images of an instances file, in its order: found by a search, in a twentieth of the time, and nothing is checked.

    Raises IrnError for a file that is missing or has nothing in it.
    """
    try:
        with _mapped(path) as content:
            names = [json.loads(name) for name in _NAME.findall(content)]
    except (OSError, ValueError) as error:
        raise IrnError(
            f"{path}: not a readable JSON file ({error}); expected an instances file of COCO, whole"
        ) from None
    return [name.replace("\\", "/") for name in names if name.lower().endswith(IMAGE_SUFFIXES) and is_text(name)]


def boxes_alone(path: Path) -> bool:
    """Whether an instances file has annotations, but no segmentation, by a search as in `names_at_a_glance`."""
    try:
        with _mapped(path) as content:
            return _OUTLINE.search(content) is None and content.find(b'"image_id"') >= 0
    except (OSError, ValueError):
        return False  # which build_manifest will refuse


def boxes_at_a_glance(path: Path) -> tuple[int, int]:
    """How many annotations have no segmentation, and how many there are, by such a search too."""
    try:
        with _mapped(path) as content:
            count, outlines = (sum(1 for _ in words.finditer(content)) for words in (_CATEGORY, _OUTLINE))
    except (OSError, ValueError):
        return 0, 0  # which build_manifest will refuse
    return max(count - outlines, 0), count


# ---- reading JSON


def _scan(path: Path) -> tuple[dict[str, Any], list[tuple[Any, Any, Any, bool, int, int]]]:
    """The file without its annotations; and of each annotation image id, category id, crowd, whether it has an outline, and the
    bytes where it begins and ends."""
    text, annotations, found = _text(path), [], {}
    # Numbers of the outlines are not needed yet; to make none takes half the time.
    decoder = json.JSONDecoder(parse_float=str)
    try:
        at = _after(text, len(_MARK) if text.startswith(_MARK) else 0, "{")
        while text[at : at + 1] != "}":
            key, end = decoder.raw_decode(text, at)
            if not isinstance(key, str):
                raise json.JSONDecodeError("Expecting a key", text, at)
            start = at = _after(text, end, ":")
            if key == "annotations":
                at = _after(text, at, "[")
                while text[at : at + 1] != "]":
                    item, end = decoder.raw_decode(text, at)
                    annotations.append((*_annotated(path, item), at, end))
                    at = _after(text, end, ",", "]")
                at += 1
                found[key] = annotations
            else:
                _, at = decoder.raw_decode(text, at)
                found[key] = json.loads(text[start:at].encode("latin-1"))
            at = _after(text, at, ",", "}")
    except IrnError:
        raise
    # Python reads neither numbers of thousands of digits nor lists within thousands of lists.
    except (ValueError, RecursionError) as error:
        raise IrnError(
            f"{path}: not a readable JSON file ({error}); expected an instances file of COCO, whole"
        ) from None
    missing = [part for part in PARTS if part not in found]
    if missing:
        raise IrnError(f"{path}: no {missing[0]!r} in it; expected an instances file of COCO, with {', '.join(PARTS)}")
    return found, annotations


def _text(path: Path) -> str:
    """The file with a character for each byte, so that positions are those in the file; names are decoded later."""
    try:
        with _mapped(path) as content:
            return str(content, "latin-1")
    except FileNotFoundError:
        raise IrnError(f"{path}: no such file; expected an instances file of COCO") from None
    except ValueError:  # nothing in it
        return ""


def _after(text: str, at: int, sign: str, last: str = "") -> int:
    """The position behind a sign and the spaces around it, or before the sign that ends the list."""
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    if last and text[at : at + 1] == last:
        return at
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {sign!r}", text, at)
    return _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]


def _annotated(path: Path, item: Any) -> tuple[Any, Any, Any, bool]:
    """Image id, category id and crowd of an annotation, and whether it has an outline."""
    if not isinstance(item, dict) or not all(
        isinstance(item.get(key), int | str) for key in ("image_id", "category_id")
    ):
        held = (
            "captions"
            if isinstance(item, dict) and "caption" in item
            else "annotations without image_id or category_id"
        )
        raise IrnError(f"{path}: holds {held}; expected an instances file of COCO, such as instances_train2014.json")
    return item["image_id"], item["category_id"], item.get("iscrowd", 0), bool(item.get("segmentation"))


def _numbers(path: Path, kind: str, found: Any) -> dict[Any, int]:
    """The row of each id in a list of images or categories."""
    if not isinstance(found, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), int | str) for item in found
    ):
        raise IrnError(
            f"{path}: its {PLURALS[kind]} are not a list of objects with an id; expected an instances file of COCO"
        )
    counts = Counter(item["id"] for item in found)
    number, count = counts.most_common(1)[0] if counts else (None, 1)
    if count > 1:
        raise IrnError(f"{path}: {kind} id {number!r} stands there {count} times; every id must be unique")
    return {item["id"]: row for row, item in enumerate(found)}
