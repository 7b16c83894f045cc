"""Intersection over union of classes, also of CAMs at every threshold at once. Pixels that are void do not count."""

from collections.abc import Sequence
from typing import NamedTuple

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


class IoU(Metric):
    """Intersection over union of label maps: (H, W) integers, 0 background, 1 + class index."""

    columns = (Column("IoU", "mIoU", has_background=True, leads=True),)

    def __init__(self, terms: Terms) -> None:
        self.class_count = terms.class_count
        self.confusion = np.zeros((terms.class_count + 1, terms.class_count + 1), np.int64)

    def add(self, truth: TrueImage, predicted: np.ndarray) -> None:
        """Count the pixels of an image."""
        self.confusion += confusion_matrix(truth.class_mask, predicted, self.class_count)

    def merge(self, other: "IoU") -> None:
        """Add the counts of another."""
        self.confusion += other.confusion

    def scores(self, column: Column) -> np.ndarray:
        """(L,) float64 in [0, 1], NaN for labels that neither truth nor prediction holds."""
        return class_iou(self.confusion)


class ClassMaps(NamedTuple):
    """CAMs of an image: (K,) zero-based indices of the classes present, if any, and (K, H, W) floats in [0, 1]."""

    classes: np.ndarray
    maps: np.ndarray


class CamIoU(Metric):
    """Intersection over union of CAMs for many background thresholds in one pass; its scores are those at one of them.

    At threshold t a pixel's prediction is the argmax over (t, classes present), background first, so that it wins ties.
    Which class leads does not depend on t; only whether it exceeds t does. So each pixel counts once, by true label,
    leading class and how many thresholds its score exceeds, and sums along the latter give every threshold's matrix.
    """

    columns = IoU.columns

    def __init__(self, terms: Terms, thresholds: Sequence[float] = SWEEP_THRESHOLDS) -> None:
        self.labels, self.threshold = terms.class_count + 1, self.threshold_of(terms)
        self.thresholds = sorted({*thresholds, self.threshold})
        # A row more than there are labels, for void.
        self._counts = np.zeros((self.labels + 1, self.labels, len(self.thresholds) + 1), np.int64)

    @staticmethod
    def threshold_of(terms: Terms) -> float:
        """The threshold at which they are scored."""
        return terms.cam_threshold

    def add(self, truth: TrueImage, predicted: ClassMaps) -> None:
        """Count the pixels of an image; thresholds are compared in the number type of the maps."""
        shape, (classes, maps) = self._counts.shape, predicted
        index = np.minimum(truth.class_mask, self.labels).astype(np.int32) * (shape[1] * shape[2])
        if len(classes):
            # Map by map: along the first axis NumPy's argmax is several times slower.
            leading, highest = np.full(index.shape, classes[0] + 1, np.int32), maps[0]
            for number, values in zip(classes[1:], maps[1:], strict=True):
                better = values > highest
                leading[better] = number + 1
                highest = np.maximum(highest, values)
            exceeded = np.searchsorted(np.asarray(self.thresholds, maps.dtype), highest.ravel(), side="left")
            index += leading * shape[2] + exceeded.reshape(index.shape)
        self._counts += np.bincount(index.ravel(), minlength=self._counts.size).reshape(shape)

    def merge(self, other: "CamIoU") -> None:
        """Add the counts of another."""
        self._counts += other._counts

    def confusions(self) -> np.ndarray:
        """(T, L, L) int64, a matrix like `confusion_matrix` for each of `thresholds`, which ascend."""
        at_most = self._counts[: self.labels].cumsum(-1)
        foreground = at_most[..., -1:] - at_most[..., :-1]
        matrices = np.moveaxis(foreground, -1, 0).copy()
        matrices[:, :, 0] += at_most[..., :-1].sum(1).T
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
