"""Class-agnostic instances from a displacement field."""

import math

import numpy as np
from scipy import ndimage

from irn.ops.compiled import compiled

REFINEMENT_STEPS = 300


def instance_groups(displacement: np.ndarray, centroid_length: float) -> np.ndarray:
    """Group the cells of a map by the centroid that their displacement leads to.

    Regions where the displacement is shorter than `centroid_length` cells are the centroids, each a 4-connected
    component. A cell belongs to the region that it ends in; cells that end in no region form one more group.

    displacement: (2, h, w) float32, (dy, dx) in cells. Returns (h, w) int32 group numbers from 0 without gaps.
    """
    centroid = np.hypot(displacement[0], displacement[1]) < centroid_length
    regions, _ = ndimage.label(centroid)
    ends = follow_displacement(displacement)
    return np.unique(regions[ends[0], ends[1]], return_inverse=True)[1].reshape(centroid.shape).astype(np.int32)


def follow_displacement(displacement: np.ndarray, steps: int = REFINEMENT_STEPS) -> np.ndarray:
    """Move each cell by the displacement at its position, `steps` times.

    displacement: (2, h, w) float32, (dy, dx) in cells. Returns (2, h, w) int64, the cells where they end.

    Notes
    -----
    Positions are kept in float32, weights and sums in float64, and both coordinates are read at the old position: in
    noisy fields another arithmetic sends one cell in six elsewhere.
    """
    ends = np.empty(displacement.shape, np.int64)
    _follow(np.ascontiguousarray(displacement, np.float32), steps, ends)
    return ends


@compiled(fast=False)
def _follow(displacement: np.ndarray, steps: int, ends: np.ndarray) -> None:
    _, h, w = displacement.shape
    for start_y in range(h):
        for start_x in range(w):
            y, x = np.float32(start_y), np.float32(start_x)
            for _ in range(steps):
                top, left = math.floor(y), math.floor(x)
                bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
                down, across = np.float64(y) - top, np.float64(x) - left
                dy = _bilinear(displacement[0], top, bottom, left, right, down, across)
                dx = _bilinear(displacement[1], top, bottom, left, right, down, across)
                new_y = np.float32(min(max(y + dy, 0.0), h - 1.0))
                new_x = np.float32(min(max(x + dx, 0.0), w - 1.0))
                # A position that stays will stay for all steps left.
                if new_y == y and new_x == x:
                    break
                y, x = new_y, new_x
            ends[0, start_y, start_x] = np.int64(np.rint(y))
            ends[1, start_y, start_x] = np.int64(np.rint(x))


@compiled(fast=False)
def _bilinear(field: np.ndarray, top: int, bottom: int, left: int, right: int, down: float, across: float) -> float:
    above = (1 - across) * np.float64(field[top, left]) + across * np.float64(field[top, right])
    below = (1 - across) * np.float64(field[bottom, left]) + across * np.float64(field[bottom, right])
    return (1 - down) * above + down * below


def instance_scores(
    cam: np.ndarray, classes: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut each class map to each group of cells: where the walks start.

    cam: (K, h, w) float32. classes: (K,). groups: (h, w) int from 0. Returns scores (M, h, w) float32, and (M,) uint16
    class index and (M,) uint32 group of each, without maps that are zero everywhere.
    """
    names = np.arange(groups.max() + 1)
    scores = cam[:, None] * (groups == names[:, None, None])
    index, group = np.nonzero(scores.any((2, 3)))
    return scores[index, group], np.asarray(classes)[index].astype(np.uint16), names[group].astype(np.uint32)
