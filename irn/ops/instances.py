"""Class-agnostic instances from a displacement field."""

from typing import Any

import numpy as np
from scipy import ndimage

from irn.errors import IrnError
from irn.ops.compiled import compiled

REFINEMENT_STEPS = 300
TOGETHER = 16  # cells that move at once: each step of one waits for the step before


def instance_groups(displacement: np.ndarray, centroid_length: float) -> np.ndarray:
    """Group the cells of a map by the centroid that their displacement leads to.

    Regions where the displacement is shorter than `centroid_length` cells are the centroids, each a 4-connected
    component. A cell belongs to the region that it ends in; cells that end in no region form one more group.

    displacement: (2, h, w) float32, (dy, dx) in cells. Returns (h, w) int32 group numbers from 0 without gaps. Raises
    IrnError for values that are not finite.
    """
    if not np.isfinite(displacement).all():
        raise IrnError("displacement holds values that are not finite; train IRNet again with a lower learning rate")
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
    field = displacement.reshape(2, h * w)
    y, x, new_y, new_x = np.empty((4, TOGETHER), np.float32)
    for start in range(0, h * w, TOGETHER):
        for i in range(TOGETHER):
            cell = min(start + i, h * w - 1)
            y[i], x[i] = cell // w, cell % w
        for _ in range(steps):
            for i in range(TOGETHER):
                top, left = np.int32(y[i]), np.int32(x[i])
                above, below = top * w, min(top + 1, h - 1) * w
                right = min(left + 1, w - 1)
                down, across = np.float64(y[i]) - top, np.float64(x[i]) - left
                dy = _bilinear(field[0], above, below, left, right, down, across)
                dx = _bilinear(field[1], above, below, left, right, down, across)
                new_y[i] = np.float32(min(max(y[i] + dy, 0.0), h - 1.0))
                new_x[i] = np.float32(min(max(x[i] + dx, 0.0), w - 1.0))
            moved = False
            for i in range(TOGETHER):
                moved |= (new_y[i] != y[i]) | (new_x[i] != x[i])
            # Positions that stay will stay for all steps left.
            if not moved:
                break
            y, new_y = new_y, y
            x, new_x = new_x, x
        for i in range(min(TOGETHER, h * w - start)):
            cell = start + i
            ends[0, cell // w, cell % w] = np.int64(np.rint(y[i]))
            ends[1, cell // w, cell % w] = np.int64(np.rint(x[i]))


@compiled(fast=False)
def _bilinear(field: np.ndarray, above: Any, below: Any, left: Any, right: Any, down: Any, across: Any) -> Any:
    """Value of a flat field between rows that begin at `above` and `below`."""
    # Unsigned: Numba would look for negative indices.
    upper = (1 - across) * np.float64(field[np.uint32(above + left)])
    upper += across * np.float64(field[np.uint32(above + right)])
    lower = (1 - across) * np.float64(field[np.uint32(below + left)])
    lower += across * np.float64(field[np.uint32(below + right)])
    return (1 - down) * upper + down * lower


def instance_scores(
    cam: np.ndarray, classes: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut each class map to each group of cells: where the walks start.

    cam: (K, h, w) float32. classes: (K,). groups: (h, w) int from 0. Returns scores (M, h, w) float32, and (M,) uint16
    class index and (M,) uint32 group of each, without maps that are zero everywhere.
    """
    in_groups = [np.unique(groups[each != 0]) for each in cam]
    index = np.repeat(np.arange(len(cam)), list(map(len, in_groups)))
    group = np.concatenate([np.zeros(0, groups.dtype), *in_groups])
    scores = np.zeros((len(group), *groups.shape), cam.dtype)
    for score, of_class, number in zip(scores, index, group, strict=True):
        np.copyto(score, cam[of_class], where=groups == number)
    return scores, np.asarray(classes)[index].astype(np.uint16), group.astype(np.uint32)
