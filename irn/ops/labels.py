"""Semantic and instance labels from the maps of the random walk."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from irn.errors import IrnError
from irn.ops.resize import upsampled


def synthesise_labels(
    walk: np.ndarray,
    walk_class: np.ndarray,
    height: int,
    width: int,
    semantic_threshold: float,
    instance_threshold: float,
    smallest_piece: float = 0.01,
    own_maximum: bool = False,
) -> dict[str, np.ndarray]:
    """Turn the instance-wise walk of one image into its label maps.

    Parameters
    ----------
    walk: (M, h, w) float32, at stride 4, before scaling.
    walk_class: (M,) class index of each map.
    height, width: pixels of the image.
    semantic_threshold, instance_threshold: shares of the maximum over all maps; background wins where no map is above.
    smallest_piece: share of the image, 0 to 1; instances that are smaller get score 0.
    own_maximum: whether the instance threshold is a share of each instance's own maximum instead.

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
    semantic = semantic_label(leading_maps(by_class, height, width), classes, semantic_threshold)
    leading = leading_maps(walk, height, width)
    instances = instance_label(leading, walk_class, instance_threshold, smallest_piece, own_maximum)
    return {"semantic": semantic, **instances}


def class_walks(walk: np.ndarray, walk_class: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The walk of each class, as the sum of its instances' walks.

    walk: (M, h, w) float32. walk_class: (M,) class index of each. Returns (K, h, w) float32, and the (K,) class
    indices, ascending.
    """
    classes = np.unique(walk_class)
    sums = [walk[walk_class == index].sum(0) for index in classes]
    return np.stack(sums) if sums else np.zeros((0, *walk.shape[1:]), np.float32), classes


class Leading(NamedTuple):
    """The highest of M maps at each pixel, with values as shares of the maximum of all.

    number: (height, width) int32, 1 + index of the map. score: (height, width) float32, its value. Both are 0 where
    there is no map, or none above 0. highest: (M,) float32, the maximum of each map.
    """

    number: np.ndarray
    score: np.ndarray
    highest: np.ndarray


def leading_maps(maps: np.ndarray, height: int, width: int) -> Leading:
    """Which of (M, h, w) maps is highest at each pixel.

    Maps are brought to the size of the image one by one, so memory does not grow with their number.
    """
    highest = np.zeros(len(maps), np.float32)
    largest = np.full((height, width), -np.inf, np.float32)
    leading = np.zeros((height, width), np.int32)
    for index, small in enumerate(maps):
        full = upsampled(np.asarray(small, np.float32), height, width)
        highest[index] = full.max(initial=0)
        better = full > largest
        largest[better] = full[better]
        leading[better] = index + 1
    maximum = float(largest.max()) if len(maps) else 0.0
    if maximum <= 0:
        return Leading(np.zeros((height, width), np.int32), np.zeros((height, width), np.float32), highest)
    return Leading(leading, largest / np.float32(maximum), highest / np.float32(maximum))


def semantic_label(leading: Leading, classes: np.ndarray, threshold: float) -> np.ndarray:
    """Leading maps of (K,) classes to (H, W) uint8: 1 + class index, 0 where no score is above the threshold."""
    values = np.concatenate([[0], classes + 1]).astype(np.uint8)
    return values[np.where(leading.score > threshold, leading.number, 0)]


def instance_label(
    leading: Leading,
    map_class: np.ndarray,
    threshold: float,
    smallest_piece: float = 0.01,
    own_maximum: bool = False,
) -> dict[str, np.ndarray]:
    """Leading maps of (M,) classes to the instances of a label cache.

    They are 4-connected pieces of the pixels above the threshold; those smaller than a share of the image get score 0.
    Which map leads does not depend on `own_maximum`, nor do scores, which stay comparable.
    """
    score = leading.score
    background = np.float32(threshold) * np.insert(leading.highest, 0, 1)[leading.number] if own_maximum else threshold
    winner = np.where(score > background, leading.number, 0)
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
        rows_score += np.where(area < smallest_piece * winner.size, 0.0, highest)[1:].tolist()
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
