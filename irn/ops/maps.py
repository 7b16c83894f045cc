"""Class maps: their scale, and from pixels to cells and back for methods that keep one of the two."""

import numpy as np

from irn.grid import STRIDE, cells
from irn.ops.resize import upsampled

EPSILON = 1e-5


def divided_by_maximum(maps: np.ndarray) -> np.ndarray:
    """(K, H, W) float32, 0 or more, to the same in [0, 1): each map divided by its maximum + 1e-5."""
    return maps / (maps.max((1, 2), keepdims=True, initial=0) + np.float32(EPSILON))


def in_cells(high_res: np.ndarray) -> np.ndarray:
    """(K, height, width) floats, 0 or more, to (K, h, w) float32: the mean of each cell, divided by each map's maximum.

    The pixels of a cell beyond the image repeat the image's edge.
    """
    count, height, width = high_res.shape
    h, w = cells(height), cells(width)
    filled = np.pad(high_res.astype(np.float32), ((0, 0), (0, STRIDE * h - height), (0, STRIDE * w - width)), "edge")
    return divided_by_maximum(filled.reshape(count, h, STRIDE, w, STRIDE).mean((2, 4)))


def at_pixels(cam: np.ndarray, height: int, width: int) -> np.ndarray:
    """(K, h, w) floats, 0 or more, to (K, height, width) float32: bilinear, corners not aligned, divided likewise."""
    maps = np.zeros((len(cam), height, width), np.float32)
    for target, class_map in zip(maps, cam, strict=True):
        target[:] = upsampled(class_map.astype(np.float32), height, width)
    return divided_by_maximum(maps)
