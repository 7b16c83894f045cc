"""Masks in COCO's annotations: polygons, or run lengths, as numbers or compressed to text."""

from typing import Any

import numpy as np

from irn.ops.run_lengths import run_lengths

# A coordinate beyond, or one that is not a number, would have pycocotools ask for all memory.
_FARTHEST = 1e6  # pixels
_NOTHING = (
    "has no segmentation, and a box cannot be scored; add it, or make labels without scores (--until make_labels)"
)


def decoded(segmentation: Any, height: int, width: int) -> np.ndarray:
    """(height, width) bool of a segmentation: polygons, or run lengths, compressed or not; as pycocotools draws them.

    Polygons may also be one flat list. One of fewer than three points has no area and adds nothing.

    Raises ValueError, with words to put after the annotation's name, for anything else.
    """
    if isinstance(segmentation, dict):
        return _filled(_checked_lengths(segmentation, height, width), height, width)
    from pycocotools import mask as drawing

    drawn = [polygon.tolist() for polygon in _checked_polygons(segmentation) if polygon.size >= 6]
    if not drawn:
        return np.zeros((height, width), bool)
    runs = drawing.merge(drawing.frPyObjects(drawn, height, width))["counts"]
    return _filled(_lengths(runs.decode()), height, width)


def check_decodes(segmentation: Any, height: int, width: int) -> None:
    """Raise what `decoded` raises, without drawing anything."""
    if isinstance(segmentation, dict):
        _checked_lengths(segmentation, height, width)
    else:
        _checked_polygons(segmentation)


def _checked_lengths(segmentation: dict[str, Any], height: int, width: int) -> np.ndarray:
    if not {"counts", "size"} <= segmentation.keys():
        raise ValueError(_NOTHING)
    if segmentation["size"] != [height, width]:
        raise ValueError(
            f"has a mask of {segmentation['size']!r} pixels, its image has {[height, width]}; give its own mask"
        )
    runs = segmentation["counts"]
    try:
        lengths = _lengths(runs) if isinstance(runs, str) else np.array(runs, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("has run lengths that cannot be read; give it again") from None
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"has run lengths that do not sum to its {height * width} pixels; give it again")
    return lengths


def _checked_polygons(segmentation: Any) -> list[np.ndarray]:
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(_NOTHING)
    return _polygons(segmentation)


def without_area(segmentation: Any) -> int:
    """How many of a segmentation's polygons have fewer than three points; ValueError as by `decoded`."""
    if not isinstance(segmentation, list) or not segmentation:
        return 0
    return sum(polygon.size < 6 for polygon in _polygons(segmentation))


def _polygons(segmentation: list[Any]) -> list[np.ndarray]:
    parts = segmentation if any(isinstance(part, list) for part in segmentation) else [segmentation]
    try:
        polygons = [np.array(part, np.float64) for part in parts]
    except (TypeError, ValueError):
        polygons = [np.zeros((1, 1))]
    if not all(p.ndim == 1 and p.size % 2 == 0 and (np.abs(p) < _FARTHEST).all() for p in polygons):
        raise ValueError("has a polygon that is not a list of numbers x, y, x, y, ...; fix it")
    return polygons


def encoded(mask: np.ndarray, top: int = 0, left: int = 0, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """The parts of an annotation for a mask, (H, W) bool and not empty.

    top, left, size: where the mask lies in an image of that size (height, width), if it is only a part of it.

    They are `segmentation` (compressed run lengths), `area` and `bbox`. The area is in pixels; the box is [x, y,
    width, height] of the pixels, so a mask of one pixel has a box of 1 x 1.
    """
    from pycocotools import mask as drawing

    runs = run_lengths(mask, top, left, size)
    segmentation = {"size": list(size or mask.shape), "counts": runs["counts"].decode("ascii")}
    return {"segmentation": segmentation, "area": int(drawing.area(runs)), "bbox": drawing.toBbox(runs).tolist()}


def _filled(lengths: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask of runs that go down the columns, outside and inside in turn."""
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T


def _lengths(runs: str) -> np.ndarray:
    """Run lengths from COCO's text, which has five bits a character, low ones first.

    From the fourth run on it holds differences to the run before the last. Raises ValueError for any other text.
    """
    codes = np.frombuffer(runs.encode("ascii"), np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 6:
        raise ValueError
    values = np.add.reduceat((codes & 31) << (5 * place), starts)
    # The highest bit of a number's last character is its sign.
    values -= np.where(codes[ends] & 16, 1 << (5 * (place[ends] + 1)), 0)
    values[1::2], values[2::2] = values[1::2].cumsum(), values[2::2].cumsum()
    return values
