"""Scanning an instances file of COCO: all but its annotations, and where in the file each of these is."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from irn.data.coco_files import mapped
from irn.errors import IrnError

PARTS = ("images", "annotations", "categories")
_SPACE = re.compile(r"[ \t\r\n]*")
_MARK = "\xef\xbb\xbf"  # of UTF-8, which some editors put first


class Annotation(NamedTuple):
    """What stays of an annotation: ids, whether it is a crowd (as it is written) and has an outline, and its bytes.

    has_attributes: whether it has the attributes that CVAT adds.
    thin: how many of its polygons have fewer than three points.
    """

    image: Any
    category: Any
    crowd: Any
    is_outlined: bool
    has_attributes: bool
    thin: int
    start: int
    end: int


def scan(path: Path, is_labelled: bool = True) -> tuple[dict[str, Any], list[Annotation]]:
    """The parts of the file, and its annotations.

    is_labelled: whether it has to have annotations.

    Raises IrnError for a file that is missing, not JSON or lacks a part, and for annotations without an id.
    """
    text, annotations, parts = _text(path), [], {}
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
                    annotations.append(_annotation(path, item, at, end))
                    at = _after(text, end, ",", "]")
                at += 1
                parts[key] = annotations
            else:
                _, at = decoder.raw_decode(text, at)
                parts[key] = json.loads(text[start:at].encode("latin-1"))
            at = _after(text, at, ",", "}")
    except IrnError:
        raise
    # Python reads neither numbers of thousands of digits nor lists within thousands of lists.
    except (ValueError, RecursionError) as error:
        raise IrnError(
            f"{path}: not a readable JSON file ({error}); expected an instances file of COCO, whole"
        ) from None
    missing = [part for part in PARTS if part not in parts and (part != "annotations" or is_labelled)]
    if missing == ["annotations"]:
        raise IrnError(
            f"{path}: no 'annotations' in it, as in COCO's image_info files, so nothing says what its images hold; give"
            " their classes as a table (dataset.labels_csv, --labels-csv), or name a split that is annotated"
        )
    if missing:
        raise IrnError(f"{path}: no {missing[0]!r} in it; expected an instances file of COCO, with {', '.join(PARTS)}")
    return parts, annotations


def _text(path: Path) -> str:
    """The file with a character for each byte, so that positions are those in the file; names are decoded later."""
    try:
        with mapped(path) as content:
            return str(content, "latin-1")
    except FileNotFoundError:
        raise IrnError(f"{path}: no such file; expected an instances file of COCO") from None
    except ValueError:  # an empty file
        return ""


def _after(text: str, at: int, sign: str, last: str = "") -> int:
    """The position behind a sign and the spaces around it, or before the sign that ends the list."""
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    if last and text[at : at + 1] == last:
        return at
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {sign!r}", text, at)
    return _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]


def _annotation(path: Path, item: Any, start: int, end: int) -> Annotation:
    image, category = (item.get("image_id"), item.get("category_id")) if isinstance(item, dict) else (None, None)
    if not isinstance(image, int | str) or not isinstance(category, int | str):
        is_caption = isinstance(item, dict) and "caption" in item
        content = "captions" if is_caption else "annotations without image_id or category_id"
        raise IrnError(f"{path}: holds {content}; expected an instances file of COCO, such as instances_train2014.json")
    outlines = item.get("segmentation")
    thin = sum(isinstance(part, list) and len(part) < 6 for part in outlines) if isinstance(outlines, list) else 0
    return Annotation(image, category, item.get("iscrowd", 0), bool(outlines), "attributes" in item, thin, start, end)
