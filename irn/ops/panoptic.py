"""One segmentation of an image from its two labels, in which a pixel has one class and belongs to one object."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

SMALLEST_AREA = 0.01  # share of the image


def panoptic(label: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Part the semantic label into objects: it says how far they reach, and the instance label which they are.

    Parameters
    ----------
    label: the arrays of a label cache.

    Returns
    -------
    objects: (height, width) int32, 0 background, else 1 + row of the next.
    classes: (N,) int64 class index of each object.

    Notes
    -----
    A pixel belongs to the nearest piece with a score above 0 that has its class and lies in the same 4-connected area
    of that class. An area without such a piece is an object of its own, or background if it is under 1 % of the image.
    """
    semantic = label["semantic"]
    piece_class = np.concatenate([[0], label["instance_class"].astype(np.int32) + 1])
    scored = np.concatenate([[False], label["instance_score"] > 0])
    piece = np.where(scored, np.arange(len(scored), dtype=np.int32), 0).take(label["instance_map"])
    piece *= piece_class.take(piece) == semantic
    objects, classes = np.zeros(semantic.shape, np.int32), list(piece_class)
    for value in np.flatnonzero(np.bincount(semantic.ravel())[1:]) + 1:
        areas, _ = ndimage.label(semantic == value)
        for number, box in enumerate(ndimage.find_objects(areas), 1):
            area = areas[box] == number
            own = _parted(np.where(area, piece[box], 0))
            if own is None:
                if area.sum() < SMALLEST_AREA * semantic.size:
                    continue
                own = len(classes)
                classes.append(value)
            np.copyto(objects[box], own, where=area)
    present = np.flatnonzero(np.bincount(objects.ravel(), minlength=len(classes))[1:]) + 1
    row = np.zeros(len(classes), np.int32)
    row[present] = np.arange(1, len(present) + 1)
    return row.take(objects), np.array(classes, np.int64)[present] - 1


def _parted(pieces: np.ndarray) -> np.ndarray | int | None:
    """The nearest piece of each pixel, from (h, w) numbers with 0 for none; None without a piece."""
    present = np.flatnonzero(np.bincount(pieces.ravel())[1:]) + 1
    if len(present) < 2:
        return int(present[0]) if len(present) else None
    nearest = ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    return pieces[tuple(nearest)]
