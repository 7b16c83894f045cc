"""Masks that may overlap, painted over each other."""

from collections.abc import Iterable

import numpy as np


def stacked(masks: np.ndarray, rows: Iterable[int]) -> np.ndarray:
    """Paint masks over each other, from the lowest to the topmost.

    masks: (N, H, W) bool. rows: which of them, the lowest first. Returns (H, W) integers, 0 none, i = mask i - 1.
    """
    numbers = np.zeros(masks.shape[1:], np.int64)
    for row in rows:
        numbers[masks[row]] = row + 1
    return numbers


def smaller_on_top(masks: np.ndarray) -> np.ndarray:
    """All of (N, H, W) bool masks, stacked by area; of equal ones the later lies on top."""
    return stacked(masks, np.argsort(-masks.sum((1, 2)), kind="stable"))
