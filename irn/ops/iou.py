"""Intersection over union of classes, also of CAMs at every threshold at once. Pixels that are void do not count."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from irn.ops.metric import Column, Metric, Terms, TrueImage, mean_of_defined

# Whole hundredths divided once are the floats nearest to the decimals.
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
    # Void pixels are counted in a row of their own, which is left out: that is faster than to leave them out first.
    pairs = np.minimum(truth, labels).astype(np.int32) * labels + predicted
    return np.bincount(pairs.ravel(), minlength=(labels + 1) * labels).reshape(-1, labels)[:labels]


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of each label, from (..., L, L) counts to (..., L) float64 in [0, 1].

    A label that neither truth nor prediction holds has no union: NaN, undefined.
    """
    both = np.diagonal(confusion, axis1=-2, axis2=-1)
    union = confusion.sum(-1) + confusion.sum(-2) - both
    return np.divide(both, union, out=np.full(union.shape, np.nan), where=union > 0)


class PairCounts(Metric):
    """Counts by true and predicted label, of pairs that occur: an image has few of what may be hundreds of classes."""

    columns = (Column("IoU", "mIoU", has_background=True, leads=True),)

    def __init__(self, terms: Terms) -> None:
        self.labels = terms.class_count + 1
        self.counts: dict[tuple[int, int], Any] = {}  # numbers, or arrays of them

    def count(self, true: int, predicted: int, number: Any) -> None:
        """Add to the count of a pair."""
        self.counts[true, predicted] = self.counts.get((true, predicted), 0) + number

    def merge(self, other: Self) -> None:
        """Add the counts of another."""
        for pair, number in other.counts.items():
            self.count(*pair, number)


class IoU(PairCounts):
    """Intersection over union of label maps: (H, W) integers, 0 background, 1 + class index."""

    def add(self, truth: TrueImage, predicted: np.ndarray) -> None:
        """Count the pixels of an image."""
        matrix = confusion_matrix(truth.class_mask, predicted, self.labels - 1)
        rows, columns = np.nonzero(matrix)
        for pair in zip(rows.tolist(), columns.tolist(), matrix[rows, columns].tolist(), strict=True):
            self.count(*pair)

    @property
    def confusion(self) -> np.ndarray:
        """(L, L) int64, as of `confusion_matrix`."""
        matrix = np.zeros((self.labels, self.labels), np.int64)
        for pair, number in self.counts.items():
            matrix[pair] = number
        return matrix

    def scores(self, column: Column) -> np.ndarray:
        """(L,) float64 in [0, 1], NaN for labels that neither truth nor prediction holds."""
        return class_iou(self.confusion)


class ClassMaps(NamedTuple):
    """CAMs of an image: (K,) zero-based indices of the classes present, if any, and (K, H, W) floats in [0, 1]."""

    classes: np.ndarray
    maps: np.ndarray


class CamIoU(PairCounts):
    """Intersection over union of CAMs for many background thresholds in one pass; its scores are those at one of them.

    At threshold t a pixel's prediction is the argmax over (t, classes present), background first, so that it wins ties.
    Which class leads does not depend on t; only whether it exceeds t does. So each pixel counts once, by true label,
    leading class and how many thresholds its score exceeds, and sums along the latter give every threshold's matrix.
    """

    def __init__(self, terms: Terms, thresholds: Sequence[float] = SWEEP_THRESHOLDS) -> None:
        super().__init__(terms)
        self.threshold = self.threshold_of(terms)
        self.thresholds = sorted({*thresholds, self.threshold})

    @staticmethod
    def threshold_of(terms: Terms) -> float:
        """The threshold at which they are scored."""
        return terms.cam_threshold

    def add(self, truth: TrueImage, predicted: ClassMaps) -> None:
        """Count the pixels of an image; thresholds are compared in the number type of the maps."""
        classes, maps = predicted
        present = np.flatnonzero(np.bincount(truth.class_mask.ravel()))
        shape = len(present), max(len(classes), 1), len(self.thresholds) + 1
        rows = np.zeros(present[-1] + 1, np.int64)
        rows[present] = np.arange(len(present)) * (shape[1] * shape[2])
        index = rows.take(truth.class_mask)
        if len(classes):
            # Map by map: along the first axis NumPy's argmax is several times slower.
            leading, highest = np.zeros(index.shape, np.uint8), maps[0]
            for place, values in enumerate(maps[1:], 1):
                np.copyto(leading, place, where=values > highest)
                highest = np.maximum(highest, values)
            exceeded = np.searchsorted(np.asarray(self.thresholds, maps.dtype), highest.ravel(), side="left")
            index += exceeded.reshape(index.shape)
            index += np.multiply(leading, shape[2], dtype=np.int64)
        counts = np.bincount(index.ravel(), minlength=np.prod(shape)).reshape(shape)[present < self.labels]
        predicted_labels = [1 + int(number) for number in classes] or [0]
        for row, place in np.argwhere(counts.any(-1)):
            self.count(int(present[row]), predicted_labels[place], counts[row, place])

    def confusions(self) -> np.ndarray:
        """(T, L, L) int64, a matrix like `confusion_matrix` for each of `thresholds`, which ascend."""
        matrices = np.zeros((len(self.thresholds), self.labels, self.labels), np.int64)
        for (true, leading), counts in self.counts.items():
            at_most = counts.cumsum()
            matrices[:, true, leading] += at_most[-1] - at_most[:-1]
            matrices[:, true, 0] += at_most[:-1]
        return matrices

    def scores(self, column: Column) -> np.ndarray:
        """(L,) float64 in [0, 1] at the threshold that CAMs are scored at; NaN for labels that nothing holds."""
        return class_iou(self.confusions()[self.thresholds.index(self.threshold)])

    def means(self) -> dict[float, float]:
        """The mean over labels at each threshold."""
        iou = class_iou(self.confusions())
        return {threshold: mean_of_defined(row) for threshold, row in zip(self.thresholds, iou, strict=True)}


class RefinedIoU(CamIoU):
    """The same for refined CAMs, which are scored at a threshold of their own."""

    @staticmethod
    def threshold_of(terms: Terms) -> float:
        """The threshold at which they are scored."""
        return terms.refined_threshold
