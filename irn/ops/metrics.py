"""How good labels are: intersection over union of classes, the same for every CAM threshold at once, and average precision of instances.

Everything is added up image by image; no mask is kept. Label maps hold 0 for background and 1 + class index; 255 is void.

References
----------
Ahn, Cho, Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations", CVPR 2019, section 5.
Hariharan, Arbelaez, Girshick, Malik, "Simultaneous Detection and Segmentation", ECCV 2014: AP by mask overlap.
"""

import math
from collections.abc import Sequence

import numpy as np

from irn.grid import UNSURE

# Whole hundredths divided once are the floats nearest to the decimals, so an overlap of exactly 7/10 reaches 0.70.
AP_THRESHOLDS = tuple(hundredths / 100 for hundredths in range(50, 100, 5))
SWEEP_THRESHOLDS = tuple(hundredths / 100 for hundredths in range(1, 61))


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, class_count: int) -> np.ndarray:
    """Count pixels by true and predicted label; the matrices of several images add up.

    Parameters
    ----------
    truth: (H, W) integers, 0 to class_count, or 255 for pixels that do not count.
    predicted: (H, W) integers, 0 to class_count.

    Returns
    -------
    (class_count + 1, class_count + 1) int64, rows truth, columns prediction, background first.
    """
    labels = class_count + 1
    # Void pixels are counted in a row of their own, which is left out: that takes less time than to leave them out first.
    pairs = np.minimum(truth, labels).astype(np.int32) * labels + predicted
    return np.bincount(pairs.ravel(), minlength=(labels + 1) * labels).reshape(-1, labels)[:labels]


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of each label, from (..., L, L) counts to (..., L) float64 in [0, 1].

    A label that neither truth nor prediction holds has no union: NaN, undefined.
    """
    both = np.diagonal(confusion, axis1=-2, axis2=-1)
    union = confusion.sum(-1) + confusion.sum(-2) - both
    return np.divide(both, union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_of_defined(values: np.ndarray) -> float:
    """The mean of (L,) values without the undefined ones (NaN); NaN when none is defined."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


class CamSweep:
    """Confusion matrices of CAM predictions for many background thresholds in one pass.

    At threshold t a pixel's prediction is the argmax over (t, classes present), background first, so that it wins ties.
    Which class leads does not depend on t; only whether it exceeds t does. So each pixel counts once, by true label, leading
    class and how many thresholds its score exceeds, and sums along the latter give every threshold's matrix.
    """

    def __init__(self, class_count: int, thresholds: Sequence[float] = SWEEP_THRESHOLDS) -> None:
        self.labels = class_count + 1
        self.thresholds = sorted(set(thresholds))
        # A row more than there are labels, for void.
        self._counts = np.zeros((self.labels + 1, self.labels, len(self.thresholds) + 1), np.int64)

    def add(self, truth: np.ndarray, classes: np.ndarray, cam: np.ndarray) -> None:
        """Add an image.

        Parameters
        ----------
        truth: (H, W) integers, 0 to class count, or 255 for pixels that do not count.
        classes: (K,) zero-based indices of the classes present; none is allowed.
        cam: (K, H, W) floats in [0, 1]; thresholds are compared in its number type.
        """
        shape = self._counts.shape
        index = np.minimum(truth, self.labels).astype(np.int32) * (shape[1] * shape[2])
        if len(classes):
            # Map by map: along the first axis NumPy's argmax is several times slower.
            leading, highest = np.full(truth.shape, classes[0] + 1, np.int32), cam[0]
            for number, values in zip(classes[1:], cam[1:], strict=True):
                better = values > highest
                leading[better] = number + 1
                highest = np.maximum(highest, values)
            index += leading * shape[2]
            index += np.searchsorted(np.asarray(self.thresholds, cam.dtype), highest.ravel(), side="left").reshape(
                truth.shape
            )
        self._counts += np.bincount(index.ravel(), minlength=self._counts.size).reshape(shape)

    def merge(self, other: "CamSweep") -> None:
        """Add what another has counted with the same thresholds."""
        self._counts += other._counts

    def confusions(self) -> np.ndarray:
        """(T, L, L) int64, a matrix like `confusion_matrix` for each of `thresholds`, which ascend."""
        at_most = self._counts[: self.labels].cumsum(-1)
        foreground = at_most[..., -1:] - at_most[..., :-1]
        matrices = np.moveaxis(foreground, -1, 0).copy()
        matrices[:, :, 0] += at_most[..., :-1].sum(1).T
        return matrices


def object_classes(object_mask: np.ndarray, class_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the objects of an image and the class of each.

    Parameters
    ----------
    object_mask: (H, W) integers; every value other than 0 and 255 is one object.
    class_mask: (H, W) integers, 0 background, 1 + class index, 255 void.

    Returns
    -------
    ids: (T,) the values in `object_mask`, ascending.
    labels: (T,) int64, 1 + class index of most of the object's pixels, background and void left aside, the lowest on a tie.
        An object without such pixels gets 255 when all of it is void, else 0.
    """
    ids = np.flatnonzero(np.bincount(object_mask.ravel()))
    ids = ids[(ids != 0) & (ids != UNSURE)]
    pairs = _numbered(object_mask, ids) * (UNSURE + 1) + class_mask
    counts = np.bincount(pairs.ravel(), minlength=(len(ids) + 1) * (UNSURE + 1)).reshape(-1, UNSURE + 1)[1:]
    named = counts[:, 1:UNSURE]
    unnamed = np.where(counts[:, 0] > 0, 0, UNSURE)
    return ids, np.where(named.any(1), named.argmax(1) + 1, unnamed)


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
    flat, other = (each.reshape(len(each), math.prod(each.shape[1:])).astype(np.float32) for each in (masks, objects))
    # Exact below 2^24 pixels.
    both = (flat @ other.T).astype(np.float64)
    union = flat.sum(1)[:, None] + other.sum(1) - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _numbered(object_mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(H, W) int32: 1 + row in `ids` of each value, 0 for values that are not in it."""
    table = np.zeros(int(object_mask.max(initial=0)) + 1, np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    return table[object_mask]


class InstanceScores:
    """Average precision of instance masks by the VOC protocol.

    A prediction is compared with the object of its class and image that it overlaps most (the first on a tie). What is
    kept of it is its score, that overlap and that object; these are enough for every overlap threshold.
    """

    def __init__(self, class_count: int) -> None:
        self._objects = np.zeros(class_count, np.int64)
        self._objects_before = 0
        # Class, score, largest overlap, and the object that it is with. As plain numbers: small arrays that stay, between
        # large ones that go, keep the memory of the large ones from being used again.
        self._predictions: list[tuple[int, float, float, int]] = []

    def add(
        self,
        classes: np.ndarray,
        scores: np.ndarray,
        instance_map: np.ndarray,
        objects: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        """Add an image; the order of images and rows decides between equal scores.

        Parameters
        ----------
        classes, scores: (N,) zero-based class index and score of each prediction.
        instance_map: (H, W) integers, 0 none, i = prediction i - 1.
        objects, labels: (T, H, W) bool masks of the objects, none empty, and (T,) 1 + class index of each.
        """
        self._add(classes, scores, pairwise_iou(instance_map, len(classes), objects), labels)

    def add_masks(
        self, classes: np.ndarray, scores: np.ndarray, masks: np.ndarray, objects: np.ndarray, labels: np.ndarray
    ) -> None:
        """The same for predictions that may overlap: `masks` (N, H, W) bool."""
        self._add(classes, scores, mask_iou(masks, objects), labels)

    def _add(self, classes: np.ndarray, scores: np.ndarray, iou: np.ndarray, labels: np.ndarray) -> None:
        iou[np.asarray(classes)[:, None] + 1 != labels] = 0
        best = iou.argmax(1) if len(labels) else np.zeros(len(classes), np.int64)
        overlap = iou.max(1, initial=0)
        columns = (np.asarray(classes), np.asarray(scores), overlap, self._objects_before + best)
        self._predictions += zip(*(column.tolist() for column in columns), strict=True)
        self._objects += np.bincount(labels - 1, minlength=len(self._objects))
        self._objects_before += len(labels)

    def merge(self, other: "InstanceScores") -> None:
        """Add the images of another, as if they had been added here next."""
        self._predictions += [
            (index, score, overlap, self._objects_before + best) for index, score, overlap, best in other._predictions
        ]
        self._objects += other._objects
        self._objects_before += other._objects_before

    def average_precision(self, thresholds: Sequence[float]) -> np.ndarray:
        """(C, len(thresholds)) float64 in [0, 1]; `thresholds` are overlaps above 0. NaN for classes without any object."""
        classes, scores, overlaps, objects = np.array(self._predictions, np.float64).reshape(-1, 4).T
        result = np.full((len(self._objects), len(thresholds)), np.nan)
        # Stable, so that equal scores keep the order in which they were added.
        order = np.argsort(-scores, kind="stable")
        for index in np.flatnonzero(self._objects):
            rows = order[classes[order] == index]
            result[index] = [
                _area(_matches(overlaps[rows], objects[rows], threshold), self._objects[index])
                for threshold in thresholds
            ]
        return result


def _matches(overlaps: np.ndarray, objects: np.ndarray, threshold: float) -> np.ndarray:
    """Which predictions, in order of score, are the first to reach the threshold on their object: (N,) bool."""
    reaching = np.flatnonzero(overlaps >= threshold)
    first = np.unique(objects[reaching], return_index=True)[1]
    matched = np.zeros(len(overlaps), bool)
    matched[reaching[first]] = True
    return matched


def _area(matched: np.ndarray, object_count: int) -> float:
    """Area under the precision envelope: recall grows by 1 / object_count at each match, and there only."""
    precision = matched.cumsum() / np.arange(1, len(matched) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[matched].sum() / object_count)
