"""Objects of an image, and how much predicted masks overlap them."""

import math

import numpy as np

from irn.grid import UNSURE


def object_classes(object_mask: np.ndarray, class_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the objects of an image and the class of each.

    Parameters
    ----------
    object_mask: (H, W) integers; every value other than 0 and 255 is one object.
    class_mask: (H, W) integers, 0 background, 1 + class index, 255 void.

    Returns
    -------
    ids: (T,) the values in `object_mask`, ascending.
    labels: (T,) int64, 1 + class index of most of the object's pixels, background and void left aside, the lowest on
        a tie. An object without such pixels gets 255 when all of it is void, else 0.
    """
    ids = np.flatnonzero(np.bincount(object_mask.ravel()))
    ids = ids[(ids != 0) & (ids != UNSURE)]
    pairs = _numbered(object_mask, ids) * (UNSURE + 1) + class_mask
    counts = np.bincount(pairs.ravel(), minlength=(len(ids) + 1) * (UNSURE + 1)).reshape(-1, UNSURE + 1)[1:]
    named = counts[:, 1:UNSURE]
    unnamed = np.where(counts[:, 0] > 0, 0, UNSURE)
    return ids, np.where(named.any(1), named.argmax(1) + 1, unnamed)


def _numbered(object_mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(H, W) int32: 1 + row in `ids` of each value, 0 for values that are not in it."""
    table = np.zeros(int(object_mask.max(initial=0)) + 1, np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    return table[object_mask]


def pairwise_iou(instance_map: np.ndarray, instance_count: int, objects: np.ndarray) -> np.ndarray:
    """Mask IoU of every prediction with every object.

    Parameters
    ----------
    instance_map: (H, W) integers, 0 none, i = prediction i - 1, at most `instance_count`.
    objects: (T, H, W) bool, none empty; they may overlap.

    Returns
    -------
    (instance_count, T) float64 in [0, 1]. All pixels of a prediction count in its area, those on void too.
    """
    areas = np.bincount(instance_map.ravel(), minlength=instance_count + 1)
    counts = [np.bincount(instance_map[mask], minlength=instance_count + 1) for mask in objects]
    both = np.array(counts, np.int64).reshape(len(objects), instance_count + 1).T
    return (both / (areas[:, None] + both.sum(0) - both))[1:]


def mask_iou(masks: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Mask IoU of (N, H, W) with (T, H, W) bool masks: (N, T) float64 in [0, 1], 0 where both are empty."""
    flat, other = (each.reshape(len(each), math.prod(each.shape[1:])) for each in (masks, objects))
    both = np.zeros((len(flat), len(other)))
    for row, mask in zip(both, flat, strict=True):
        row[:] = other[:, np.flatnonzero(mask)].sum(1)
    union = flat.sum(1)[:, None] + other.sum(1) - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)
