"""How good labels are: intersection over union of classes, the same for every CAM threshold at once, and average precision of instances.

Everything is added up image by image; no mask is kept. Label maps hold 0 for background and 1 + class index; 255 is void.

References
----------
Ahn, Cho, Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations", CVPR 2019, section 5.
Hariharan, Arbelaez, Girshick, Malik, "Simultaneous Detection and Segmentation", ECCV 2014: AP by mask overlap.
"""

from collections.abc import Sequence

import numpy as np

VOID = 255
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
    counted = truth != VOID
    pairs = truth[counted].astype(np.int64) * labels + predicted[counted]
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


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
        self._counts = np.zeros((self.labels, self.labels, len(self.thresholds) + 1), np.int64)

    def add(self, truth: np.ndarray, classes: np.ndarray, cam: np.ndarray) -> None:
        """Add an image.

        Parameters
        ----------
        truth: (H, W) integers, 0 to class count, or 255 for pixels that do not count.
        classes: (K,) zero-based indices of the classes present; none is allowed.
        cam: (K, H, W) floats in [0, 1]; thresholds are compared in its number type.
        """
        counted = truth != VOID
        if len(classes):
            leading = np.asarray(classes, np.int64)[cam.argmax(0)[counted]] + 1
            exceeded = np.searchsorted(np.asarray(self.thresholds, cam.dtype), cam.max(0)[counted], side="left")
        else:
            leading = exceeded = np.zeros(np.count_nonzero(counted), np.int64)
        shape = self._counts.shape
        index = (truth[counted].astype(np.int64) * shape[1] + leading) * shape[2] + exceeded
        self._counts += np.bincount(index, minlength=self._counts.size).reshape(shape)

    def confusions(self) -> np.ndarray:
        """(T, L, L) int64, a matrix like `confusion_matrix` for each of `thresholds`, which ascend."""
        at_most = self._counts.cumsum(-1)
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
    ids = np.unique(object_mask)
    ids = ids[(ids != 0) & (ids != VOID)]
    inside = np.isin(object_mask, ids)
    rows = np.searchsorted(ids, object_mask[inside])
    counts = np.bincount(rows * (VOID + 1) + class_mask[inside], minlength=len(ids) * (VOID + 1)).reshape(-1, VOID + 1)
    named = counts[:, 1:VOID]
    unnamed = np.where(counts[:, 0] > 0, 0, VOID)
    return ids, np.where(named.any(1), named.argmax(1) + 1, unnamed)


def pairwise_iou(instance_map: np.ndarray, instance_count: int, object_mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Mask IoU of every prediction with every object, from one count over pairs of values.

    Parameters
    ----------
    instance_map: (H, W) integers, 0 none, i = prediction i - 1, at most `instance_count`.
    object_mask: (H, W) integers; `ids` (T,), ascending, are the values that are objects.

    Returns
    -------
    (instance_count, T) float64 in [0, 1]. All pixels of a prediction count in its area, those on void too.
    """
    columns = len(ids) + 1
    # Column 0 takes the pixels outside all objects.
    column = np.zeros(object_mask.shape, np.int64)
    inside = np.isin(object_mask, ids)
    column[inside] = np.searchsorted(ids, object_mask[inside]) + 1
    pairs = instance_map.astype(np.int64) * columns + column
    counts = np.bincount(pairs.ravel(), minlength=(instance_count + 1) * columns).reshape(-1, columns)
    both = counts[1:, 1:]
    union = counts[1:].sum(1)[:, None] + counts[:, 1:].sum(0) - both
    return both / union


class InstanceScores:
    """Average precision of instance masks by the VOC protocol.

    A prediction is compared with the object of its class and image that it overlaps most (the lowest id on a tie). What is
    kept of it is its score, that overlap and that object; these are enough for every overlap threshold.
    """

    def __init__(self, class_count: int) -> None:
        self._objects = np.zeros(class_count, np.int64)
        self._objects_before = 0
        self._predictions: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(
        self,
        classes: np.ndarray,
        scores: np.ndarray,
        instance_map: np.ndarray,
        object_mask: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        """Add an image; the order of images and rows decides between equal scores.

        Parameters
        ----------
        classes, scores: (N,) zero-based class index and score of each prediction.
        instance_map: (H, W) integers, 0 none, i = prediction i - 1.
        object_mask: (H, W) integers.
        ids, labels: (T,) values in it that are objects, ascending, and 1 + class index of each (`object_classes`).
        """
        iou = pairwise_iou(instance_map, len(classes), object_mask, ids)
        iou[np.asarray(classes)[:, None] + 1 != labels] = 0
        best = iou.argmax(1) if len(ids) else np.zeros(len(classes), np.int64)
        overlap = iou.max(1, initial=0)
        self._predictions.append((np.asarray(classes, np.int64), np.asarray(scores, np.float64), overlap, self._objects_before + best))
        self._objects += np.bincount(labels - 1, minlength=len(self._objects))
        self._objects_before += len(ids)

    def average_precision(self, thresholds: Sequence[float]) -> np.ndarray:
        """(C, len(thresholds)) float64 in [0, 1]; `thresholds` are overlaps above 0. NaN for classes without any object."""
        nothing = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
        classes, scores, overlaps, objects = (np.concatenate(parts) for parts in zip(nothing, *self._predictions, strict=True))
        result = np.full((len(self._objects), len(thresholds)), np.nan)
        # Stable, so that equal scores keep the order in which they were added.
        order = np.argsort(-scores, kind="stable")
        for index in np.flatnonzero(self._objects):
            rows = order[classes[order] == index]
            result[index] = [_area(_matches(overlaps[rows], objects[rows], threshold), self._objects[index]) for threshold in thresholds]
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
