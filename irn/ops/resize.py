"""Images and label maps in other sizes."""

import numpy as np
from PIL import Image

from irn.grid import STRIDE


def rescale(pixels: np.ndarray, height: int, width: int, nearest: bool = False) -> np.ndarray:
    """(H, W, 3) or (H, W) uint8 to the given size, by Pillow's bicubic filter or by the nearest pixel."""
    if pixels.shape[:2] == (height, width):
        return pixels
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(pixels).resize((width, height), method))


def upsampled(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map in cells (h, w) float32 at every pixel, (height, width) float32: bilinear, corners not aligned, cut to the image."""
    (top, bottom, down), (left, right, across) = (
        _neighbours(size, count) for size, count in zip(cells.shape, (height, width), strict=True)
    )
    rows = (1 - across) * cells[:, left] + across * cells[:, right]
    return (1 - down)[:, None] * rows[top] + down[:, None] * rows[bottom]


def _neighbours(size: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells on both sides of each of `count` pixels, and the weight of the second, float32."""
    place = np.maximum((np.arange(count, dtype=np.float32) + 0.5) / STRIDE - 0.5, 0)
    first = np.minimum(place.astype(np.int64), size - 1)
    return first, np.minimum(first + 1, size - 1), place - first.astype(np.float32)
