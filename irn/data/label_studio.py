"""Label Studio's exports: one JSON file, a list of tasks, an image each (JSON), or the same flat (JSON-MIN)."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from irn.data.label_studio_regions import drawing, is_box
from irn.data.shapes import Shape, damaged
from irn.errors import IrnError

# The kinds of regions, and the keys of the class names in them.
REGIONS = ("polygonlabels", "rectanglelabels", "ellipselabels", "brushlabels", "keypointlabels", "labels")
IMAGE_KEYS = ("image", "img", "photo", "url")
# Keys of flat tasks whose texts are classes. Others may have been in the task before, or be remarks.
CHOICE_KEYS = ("choice", "choices", "class", "classes", "label", "labels", "tag", "tags", "category", "categories")
OTHER_KEYS = (*IMAGE_KEYS, "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")
_LARGEST_TASK = 2**26  # characters
# What says where a region is.
AREA = {"points", "rle", "radiusX", "width", "imageDataURL", "vertices"}


class Task(NamedTuple):
    """A task: what it calls its image, and the shapes of its annotation; None where nobody has annotated it.

    sizes: (height, width) of the image as the regions of the annotation have it.
    image_id: the image's id, if it is a task that this project has exported.
    unread: the kinds of regions with an area that are no shapes: without a label, or of a kind that is not read.
    left_out: the keys of a flat task whose texts are not read as classes.
    """

    image: str
    shapes: list[Shape] | None
    sizes: frozenset[tuple[Any, Any]] = frozenset()
    image_id: str = ""
    unread: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def is_label_studio(content: Any) -> bool:
    """Whether the content of a JSON file is an export of Label Studio."""
    return isinstance(content, list) and bool(content) and all(map(_image_of, content))


def begins_with_task(path: Path) -> bool:
    """Whether the first entry of a list in a JSON file is a task of an export."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_LARGEST_TASK).lstrip().removeprefix("[").lstrip()
    try:
        return bool(_image_of(json.JSONDecoder().raw_decode(text)[0]))
    except (ValueError, RecursionError):
        return False


def read_label_studio(path: Path) -> list[Task]:
    """The tasks of an export.

    Of several annotations of a task the one that is marked as ground truth counts, or else the last that was not
    cancelled; predictions do not. Raises IrnError for another file, and for a shape that cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "the JSON", error) from None
    if not is_label_studio(content):
        raise IrnError(f"{path}: not an export of Label Studio; expected a list of tasks with an image each")
    text_keys = _text_keys(content)
    return [_task(path, number, task, text_keys) for number, task in enumerate(content, 1)]


def _image_of(task: Any) -> str:
    """What a task calls its image; empty for what is not a task."""
    if not isinstance(task, dict):
        return ""
    data = task["data"] if isinstance(task.get("data"), dict) else task
    names = [data[key] for key in IMAGE_KEYS if isinstance(data.get(key), str)]
    is_annotated = {"annotations", "completions", "annotation_id", "annotator", "lead_time"} & task.keys()
    return names[0] if names and is_annotated else ""


def _text_keys(tasks: list[dict[str, Any]]) -> set[str]:
    """The keys of flat tasks whose texts are classes: those of usual names, or all if nothing else says a class."""
    flat = [item for task in tasks if not isinstance(task.get("data"), dict) for item in _held(task).items()]
    keys = {key for key, content in flat if _texts(content)}
    usual = {key for key in keys if key.lower() in CHOICE_KEYS}
    return usual if usual or any(_regions(content) or _choices(content) for _, content in flat) else keys


def _held(task: dict[str, Any]) -> dict[str, Any]:
    """What a flat task has besides its image and what every task has."""
    return {key: content for key, content in task.items() if key not in OTHER_KEYS}


def _texts(content: Any) -> list[str]:
    """The texts that a value is or holds."""
    parts = content if isinstance(content, list) else [content]
    return [part.strip() for part in parts if isinstance(part, str) and part.strip()]


def _regions(content: Any) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _choices(content: Any) -> Any:
    return content.get("choices") if isinstance(content, dict) else None


def _task(path: Path, number: int, task: dict[str, Any], text_keys: Collection[str]) -> Task:
    image, data = _image_of(task), task.get("data")
    try:
        if not isinstance(data, dict):
            return _flat_task(image, _held(task), text_keys)
        image_id = data["image_id"] if isinstance(data.get("image_id"), str) else ""
        results = _annotation(task.get("annotations", task.get("completions")))
        if results is None:
            return Task(image, None, image_id=image_id)
        shapes = [shape for item in results for shape in _of_result(item)]
        return Task(image, shapes, _sizes(results), image_id, _unread(results))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(path, f"task {number} ({image})", error) from None


def _unread(results: list[Any]) -> tuple[str, ...]:
    """The kinds of regions that have an area and give no shape."""
    # With labels of a control of their own, a region comes twice: without a label and with it.
    named = {item.get("id") for item in results if any(_names(item))}
    return tuple(
        str(item.get("type"))
        for item in results
        if isinstance(item.get("value"), dict)
        and AREA & item["value"].keys()
        and item.get("type") != "keypoint"
        and not any(_names(item))
        and (item.get("id") is None or item["id"] not in named)
    )


def _sizes(results: list[Any]) -> frozenset[tuple[Any, Any]]:
    """The sizes of the image that regions say."""
    regions = [item for item in results if item.get("type") in REGIONS]
    sizes = [(item.get("original_height"), item.get("original_width")) for item in regions]
    # A region without them says nothing.
    return frozenset(size for size in sizes if all(isinstance(side, int | float) for side in size))


def _annotation(annotations: Any) -> list[Any] | None:
    """The results of the annotation that counts."""
    finished = [annotation for annotation in annotations or () if not annotation.get("was_cancelled")]
    trusted = [annotation for annotation in finished if annotation.get("ground_truth")]
    results = (trusted or finished)[-1].get("result") if finished else None
    if results is not None and not isinstance(results, list):
        raise ValueError("a result that is not a list")
    return results


def _of_result(item: dict[str, Any]) -> Iterator[Shape]:
    choices, labels = _names(item)
    for choice in choices:
        yield Shape(choice, of_image=True)
    size = item.get("original_height"), item.get("original_width")
    for label in labels:
        yield Shape(label, drawing(item["value"], size), is_box=is_box(item["value"]))


def _names(item: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The choices and the labels of a result."""
    kind, content = item.get("type"), item.get("value")
    if not isinstance(content, dict):
        return [], []
    return _words(content.get("choices")), _words(content.get(kind, content.get("labels")) if kind in REGIONS else None)


def names_in(content: Any) -> list[str]:
    """The class names in a cell of Label Studio's CSV, as JSON: names, choices or regions; ValueError for others."""
    if isinstance(content, dict) and not isinstance(content.get("choices"), str | list):
        raise ValueError("neither names nor choices nor regions")
    try:
        return [shape.label for shape in _of_flat({"cell": content}, ("cell",))]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from None


def _flat_task(image: str, held: dict[str, Any], text_keys: Collection[str]) -> Task:
    regions = [region for content in held.values() for region in _regions(content)]
    unread = [_kind(region) for region in regions if AREA & region.keys() and not any(map(region.get, REGIONS))]
    left_out = [key for key, content in held.items() if key not in text_keys and _texts(content)]
    return Task(image, list(_of_flat(held, text_keys)), unread=tuple(unread), left_out=tuple(left_out))


def _kind(region: dict[str, Any]) -> str:
    """The kind of a region, by the key of its labels, if it has one."""
    return next((key for key in region if key.endswith("labels")), "region")


def _of_flat(held: dict[str, Any], text_keys: Collection[str]) -> Iterator[Shape]:
    """The shapes of a flat task, whose keys are names that its author gave, and its texts under some of them."""
    for key, content in held.items():
        for choice in [*_words(_choices(content)), *(_texts(content) if key in text_keys else ())]:
            yield Shape(choice, of_image=True)
        for region in _regions(content):
            size = region.get("original_height"), region.get("original_width")
            for label in [label for kind in REGIONS for label in _words(region.get(kind))]:
                yield Shape(label, drawing(region, size), is_box=is_box(region))


def _words(value: Any) -> list[str]:
    """One name, or a list of names."""
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("labels that are not text")
    return [name.strip() for name in names if name.strip()]
