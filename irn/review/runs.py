"""Maps of object numbers as run lengths: [value, length, value, length, ...], row by row from the top.

Pixels to keep as they are have the value 255 there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from irn.errors import IrnError
from irn.grid import UNSURE

KEPT = -1  # in maps of object numbers: void or without an object, and left as it is


def runs_of(numbers: np.ndarray) -> list[int]:
    """The runs of (H, W) integers."""
    flat = np.where(numbers == KEPT, UNSURE, numbers).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(starts, append=flat.size)
    return np.stack([flat[starts], lengths], 1).ravel().tolist()


def map_of(runs: Any, height: int, width: int, most: int) -> np.ndarray:
    """(height, width) int16 from runs of values up to `most`; IrnError for anything else, since a page sends them."""
    if not isinstance(runs, Sequence) or len(runs) % 2 or len(runs) > 2 * height * width:
        raise IrnError(f"objects: expected runs, a list of value and length in turn, of {height} x {width} pixels")
    if not all(type(number) is int and 0 <= number <= height * width for number in runs):
        raise IrnError(f"objects: expected whole numbers up to {height * width}")
    values, lengths = np.array(runs, np.int64).reshape(-1, 2).T
    values[values == UNSURE] = KEPT
    if (values > most).any() or lengths.sum() != height * width:
        raise IrnError(f"objects: expected values up to {most}, and lengths that sum to {height * width}")
    return np.repeat(values, lengths).reshape(height, width).astype(np.int16)
