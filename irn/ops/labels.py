"""Semantic and instance labels from the maps of the random walk."""

import numpy as np
from scipy import ndimage

from irn.errors import IrnError
from irn.ops.resize import upsampled

SMALLEST_PIECE = 0.01  # share of the image


def synthesise_labels(
    walk: np.ndarray,
    walk_class: np.ndarray,
    height: int,
    width: int,
    semantic_threshold: float,
    instance_threshold: float,
) -> dict[str, np.ndarray]:
    """Turn the instance-wise walk of one image into its label maps.

    Parameters
    ----------
    walk: (M, h, w) float32, at stride 4, before scaling.
    walk_class: (M,) class index of each map.
    height, width: pixels of the image.
    semantic_threshold, instance_threshold: shares of the maximum over all maps; background wins where no map is above.

    Returns
    -------
    The arrays of a label cache: `semantic` (height, width) uint8, 0 background, else 1 + class index; `instance_map`
    (height, width) uint16, 0 none, else 1 + row of `instance_class` (N,) uint16 and `instance_score` (N,) float32 in
    [0, 1].

    Raises
    ------
    IrnError for more than 65,535 pieces.

    Notes
    -----
    The walk is linear and the instances partition the image, so the walk of a class is the sum of its instances' walks.
    """
    by_class, classes = class_walks(walk, walk_class)
    semantic = semantic_label(*leading_maps(by_class, height, width), classes, semantic_threshold)
    return {"semantic": semantic, **instance_label(*leading_maps(walk, height, width), walk_class, instance_threshold)}


def class_walks(walk: np.ndarray, walk_class: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The walk of each class, as the sum of its instances' walks.

    walk: (M, h, w) float32. walk_class: (M,) class index of each. Returns (K, h, w) float32, and the (K,) class
    indices, ascending.
    """
    classes = np.unique(walk_class)
    sums = [walk[walk_class == index].sum(0) for index in classes]
    return np.stack(sums) if sums else np.zeros((0, *walk.shape[1:]), np.float32), classes


def leading_maps(maps: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of (M, h, w) maps is highest at each pixel, and its value as a share of the maximum of all.

    Maps are brought to the size of the image one by one, so memory does not grow with their number. Returns (height,
    width) int32, 1 + index, and float32; both are 0 where there is no map, or none above 0.
    """
    largest = np.full((height, width), -np.inf, np.float32)
    leading = np.zeros((height, width), np.int32)
    for index, small in enumerate(maps):
        full = upsampled(np.asarray(small, np.float32), height, width)
        better = full > largest
        largest[better] = full[better]
        leading[better] = index + 1
    maximum = float(largest.max()) if len(maps) else 0.0
    if maximum <= 0:
        return np.zeros((height, width), np.int32), np.zeros((height, width), np.float32)
    return leading, largest / np.float32(maximum)


def semantic_label(leading: np.ndarray, score: np.ndarray, classes: np.ndarray, threshold: float) -> np.ndarray:
    """Leading maps of (K,) classes to (H, W) uint8: 1 + class index, 0 where no score is above the threshold."""
    values = np.concatenate([[0], classes + 1]).astype(np.uint8)
    return values[np.where(score > threshold, leading, 0)]


def instance_label(
    leading: np.ndarray, score: np.ndarray, map_class: np.ndarray, threshold: float
) -> dict[str, np.ndarray]:
    """Leading maps of (M,) classes to the instances of a label cache.

    They are 4-connected pieces of the pixels above the threshold; those strictly under 1 % of the image get score 0.
    """
    winner = np.where(score > threshold, leading, 0)
    instance_map = np.zeros(winner.shape, np.int32)
    rows_class: list[int] = []
    rows_score: list[float] = []
    # Each map is looked at where it wins alone, in the box around that.
    for index, box in enumerate(ndimage.find_objects(winner)):
        if box is None:
            continue
        won = winner[box] == index + 1
        pieces, count = ndimage.label(won)
        piece = pieces[won]
        instance_map[box][won] = piece + len(rows_class)
        highest = np.zeros(count + 1, np.float32)
        np.maximum.at(highest, piece, score[box][won])
        area = np.bincount(piece, minlength=count + 1)
        rows_class += [int(map_class[index])] * count
        rows_score += np.where(area < SMALLEST_PIECE * winner.size, 0.0, highest)[1:].tolist()
    if len(rows_class) > np.iinfo(np.uint16).max:
        raise IrnError(
            f"{len(rows_class)} pieces of instances in one image, the label cache holds 65535; raise the instance"
            " threshold"
        )
    return {
        "instance_map": instance_map.astype(np.uint16),
        "instance_class": np.array(rows_class, np.uint16),
        "instance_score": np.array(rows_score, np.float32),
    }
