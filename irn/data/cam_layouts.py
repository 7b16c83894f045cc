"""How IRNet's relatives lay out the maps of an image in a dictionary.

IRNet's has `keys`, class indices from 0, and maps in two sizes; so do those of AdvCAM, ReCAM, CLIMS and others.
PuzzleCAM's `keys` have the background first and count classes from 1, as IRNet's own programs do after reading. Those
of PSA, SEAM, EPS and MCTformer have a map for each class index instead, and no `keys`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.cam_dictionaries import is_index
from irn.errors import IrnError
from irn.grid import cells

# The first that a dictionary has is read.
LARGE = ("high_res", "hr_cam", "attn_highres")
NAMES = ("keys", "cam", *LARGE)
MOST_BELOW = 0.01  # of the pixels of maps


class Laid(NamedTuple):
    """The maps of an image as its dictionary has them.

    classes: (K,) int64. small, large: maps in cells and in pixels, whose shapes are still to be checked, if there are
    any; `names` are what the dictionary calls them. notes: on what was read in another way than IRNet's.
    """

    classes: np.ndarray
    small: Any
    large: Any
    names: tuple[str, str]
    notes: list[str]


def laid_out(path: Path, dictionary: dict[Any, Any], present: list[int], size: tuple[int, int]) -> Laid:
    """The classes and maps of a dictionary in any of the layouts.

    present: the class indices of the image by its labels. size: height and width of the image.

    Raises IrnError for a dictionary without classes.
    """
    if "keys" in dictionary:
        return _by_keys(dictionary, _keys(path, dictionary["keys"]), present)
    indices = [name for name in dictionary if is_index(name)]
    if not indices and present:
        raise IrnError(
            f"{path}: no 'keys' in it; expected the class index of each map, counted from 0, or the maps themselves by"
            " class index"
        )
    return _by_index(path, dictionary, indices, present, size)


def _keys(path: Path, entry: Any) -> np.ndarray:
    """(K,) int64 of `keys`."""
    keys = np.asarray(entry)
    if keys.ndim != 1 or (keys.size and keys.dtype.kind not in "ui"):
        raise IrnError(
            f"{path}: 'keys' is {keys.dtype} of shape {keys.shape}; expected the class index of each map, a list of"
            " integers"
        )
    return keys.astype(np.int64)


def _by_keys(dictionary: dict[Any, Any], keys: np.ndarray, present: list[int]) -> Laid:
    names = [name for name in LARGE if name in dictionary]
    small, large = dictionary.get("cam"), dictionary[names[0]] if names else None
    notes = [f"high_res taken from {name}" for name in names[:1] if name != LARGE[0]]
    notes += [f"{name} left out, since there is {names[0]}" for name in names[1:]]
    counts = {len(maps) for maps in (small, large) if isinstance(maps, np.ndarray) and maps.ndim}
    if _has_background(keys.tolist(), present):
        if counts == {len(keys)}:
            small, large = (None if maps is None else maps[1:] for maps in (small, large))
        keys = keys[1:] - 1
        notes.append("keys have the background first and count classes from 1")
    return Laid(keys, small, large, ("cam", names[0] if names else LARGE[0]), notes)


def _by_index(
    path: Path, dictionary: dict[Any, Any], indices: list[Any], present: list[int], size: tuple[int, int]
) -> Laid:
    notes = ["maps by class index, without keys"] if indices else []
    classes = [int(index) for index in indices]
    maps = [dictionary[index] for index in indices]
    if _has_background(sorted(classes), present):
        kept = [number for number, index in enumerate(classes) if index]
        classes, maps = [classes[number] - 1 for number in kept], [maps[number] for number in kept]
        notes.append("maps by class index have the background first and count classes from 1")
    if len({np.shape(each) for each in maps}) > 1:
        raise IrnError(f"{path}: maps of several sizes; expected one size for all classes")
    stacked = np.stack(maps) if maps else None
    named = f"{indices[0]}" if indices else LARGE[0]
    is_small = stacked is not None and stacked.shape[1:] == tuple(map(cells, size)) != size
    return Laid(
        np.array(classes, np.int64),
        stacked if is_small else None,
        None if is_small else stacked,
        (named, named),
        notes,
    )


def _has_background(keys: list[int], present: list[int]) -> bool:
    """Whether keys only fit the labels with the background as 0 and classes from 1."""
    shifted = [key - 1 for key in keys[1:]]
    fits = set(shifted) <= set(present) and (bool(shifted) or not present)
    return keys[:1] == [0] and not set(keys) <= set(present) and fits


def without_negatives(maps: np.ndarray) -> tuple[np.ndarray, bool]:
    """Maps (K, H, W) of floats without the few pixels below 0 that SEAM has, which become 0; and whether it had any.

    SEAM subtracts each map's minimum, after it has set the lowest pixels to 0. Maps in which more than a hundredth of
    the pixels is far below 0 have another range, and stay as they are.
    """
    if maps.dtype.kind != "f" or not maps.size or not maps.min() < 0 or (maps < -1e-3).mean() > MOST_BELOW:
        return maps, False
    return np.maximum(maps, 0), True
