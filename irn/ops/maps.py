"""Class maps brought from pixels to cells and back, for methods that keep one of the two."""

import numpy as np

from irn.grid import STRIDE, cells
from irn.ops.resize import upsampled

EPSILON = 1e-5


def in_cells(high_res: np.ndarray) -> np.ndarray:
    """(K, height, width) floats, 0 or more, to (K, h, w) float32: the mean of each cell, whose pixels beyond the image repeat its edge.

    Each map is divided by its maximum + 1e-5.
    """
    count, height, width = high_res.shape
    h, w = cells(height), cells(width)
    filled = np.pad(high_res.astype(np.float32), ((0, 0), (0, STRIDE * h - height), (0, STRIDE * w - width)), "edge")
    return _divided(filled.reshape(count, h, STRIDE, w, STRIDE).mean((2, 4)))


def at_pixels(cam: np.ndarray, height: int, width: int) -> np.ndarray:
    """(K, h, w) floats, 0 or more, to (K, height, width) float32: bilinear, corners not aligned, divided as in `in_cells`."""
    maps = [upsampled(one.astype(np.float32), height, width) for one in cam]
    return _divided(np.stack(maps)) if maps else np.zeros((0, height, width), np.float32)


def _divided(maps: np.ndarray) -> np.ndarray:
    return maps / (maps.max((1, 2), keepdims=True, initial=0) + np.float32(EPSILON))
