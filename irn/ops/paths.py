"""Which pixels form a pair, and which pixels lie between them."""

from functools import cache

import numpy as np


@cache
def pair_offsets(radius: int) -> tuple[tuple[int, int], ...]:
    """Offsets (dy, dx) from one pixel to its partners: half of the open disc, so that every pair is met once.

    dy^2 + dx^2 < radius^2 with dy >= 0, and dx > 0 in the row itself; ordered by dy, then dx.
    """
    return tuple(
        (dy, dx) for dy in range(radius) for dx in range(-radius + 1, radius) if dy * dy + dx * dx < radius * radius and (dy > 0 or dx > 0)
    )


@cache
def path_offsets(dy: int, dx: int) -> tuple[tuple[int, int], ...]:
    """Pixels between a pixel and its partner at (dy, dx), both included, as offsets from the former.

    They are the pixels of the pair's bounding box that lie nearer than 1 to the straight line through both.
    """
    ys, xs = np.meshgrid(np.arange(min(dy, 0), max(dy, 0) + 1), np.arange(min(dx, 0), max(dx, 0) + 1), indexing="ij")
    near = np.abs(dy * xs - dx * ys) < np.hypot(dy, dx)
    return tuple((int(y), int(x)) for y, x in zip(ys[near], xs[near], strict=True))
