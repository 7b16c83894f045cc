"""Images and label maps in other sizes."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from irn.grid import STRIDE, working_size


def rescale(pixels: np.ndarray, height: int, width: int, nearest: bool = False) -> np.ndarray:
    """(H, W, 3) or (H, W) uint8 to the given size, by Pillow's bicubic filter or by the nearest pixel."""
    if pixels.shape[:2] == (height, width):
        return pixels
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(pixels).resize((width, height), method))


def bounded(pixels: np.ndarray, max_side: int | None) -> np.ndarray:
    """(H, W, 3) uint8 in its working size."""
    return rescale(pixels, *working_size(pixels.shape[0], pixels.shape[1], max_side))


def resized(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """(..., H, W) float32 maps to (..., height, width) float32.

    A smaller map has the mean of what each value covers, a larger one is bilinear.
    """
    if maps.shape[-2:] == (height, width):
        return maps
    result = np.empty((*maps.shape[:-2], height, width), np.float32)
    for place in np.ndindex(maps.shape[:-2]):
        picture = Image.fromarray(np.ascontiguousarray(maps[place], np.float32))
        result[place] = picture.resize((width, height), Image.Resampling.BILINEAR)
    return result


def nearest(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """(..., H, W) to (..., height, width), each value the one at its centre.

    Maps that were made larger by this become the same again when they are made smaller by it.
    """
    sizes = zip(maps.shape[-2:], (height, width), strict=True)
    rows, columns = ((2 * np.arange(to) + 1) * size // (2 * to) for size, to in sizes)
    return maps[..., rows[:, None], columns]


def field_of_size(field: Mapping[str, np.ndarray], h: int, w: int) -> dict[str, np.ndarray]:
    """A field in another grid (h, w) of the same image.

    field: `boundary` (H, W) and `displacement` (2, H, W), (dy, dx) in cells of its grid. Returns the same two.
    """
    if field["boundary"].shape == (h, w):
        return dict(field)
    boundary, displacement = nearest(field["boundary"], h, w), nearest(field["displacement"], h, w)
    scale = np.array([h, w], np.float32) / np.array(field["boundary"].shape, np.float32)
    return {"boundary": boundary, "displacement": displacement * scale[:, None, None]}


def walk_of_size(walks: Mapping[str, np.ndarray], h: int, w: int) -> dict[str, np.ndarray]:
    """The arrays of `walk_instances` in another grid (h, w) of the same image: `walk` (M, H, W) and `groups` (H, W)."""
    if walks["groups"].shape == (h, w):
        return dict(walks)
    return {**walks, "walk": resized(walks["walk"], h, w), "groups": nearest(walks["groups"], h, w)}


def upsampled(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map in cells (h, w) float32 at every pixel, (height, width) float32.

    Bilinear, corners not aligned, cut to the image.
    """
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


def at_scale(pixels: np.ndarray, scale: float) -> np.ndarray:
    """(H, W, 3) uint8 to (round(H scale), round(W scale), 3) uint8, halves to even."""
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return rescale(pixels, height, width)
