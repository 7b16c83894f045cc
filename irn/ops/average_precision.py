"""Average precision of instances by the protocol of PASCAL VOC.

References
----------
Ahn, Cho, Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations", CVPR 2019, section 5.
Hariharan, Arbelaez, Girshick, Malik, "Simultaneous Detection and Segmentation", ECCV 2014: AP by mask overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from irn.ops.metric import Column, Metric, Terms, TrueImage
from irn.ops.overlaps import mask_iou, pairwise_iou

# Whole hundredths divided once are the floats nearest to the decimals, so an overlap of exactly 7/10 reaches 0.70.
AP_THRESHOLDS = tuple(hundredths / 100 for hundredths in range(50, 100, 5))
# Overlap thresholds behind each score; their average precisions are averaged.
OVERLAPS = {"AP25": (0.25,), "AP50": (0.5,), "AP70": (0.7,), "AP75": (0.75,), "AP": AP_THRESHOLDS}
MEAN_AP = Column("AP", "AP")  # over these thresholds


class Instances(Protocol):
    """Predicted instances of an image: (N,) zero-based class index and score of each."""

    @property
    def classes(self) -> np.ndarray:
        """(N,) zero-based class indices."""

    @property
    def scores(self) -> np.ndarray:
        """(N,) floats; the order of rows decides between equal ones."""

    def overlaps(self, objects: np.ndarray) -> np.ndarray:
        """(N, T) float64 in [0, 1], the mask IoU with each of (T, H, W) bool masks."""


@dataclass(frozen=True)
class Pieces:
    """Instances that do not overlap: `instance_map` (H, W) integers, 0 none, i = instance i - 1."""

    classes: np.ndarray
    scores: np.ndarray
    instance_map: np.ndarray

    def overlaps(self, objects: np.ndarray) -> np.ndarray:
        """(N, T) float64 in [0, 1]."""
        return pairwise_iou(self.instance_map, len(self.classes), objects)


@dataclass(frozen=True)
class Masks:
    """Instances that may overlap: `masks` (N, H, W) bool."""

    classes: np.ndarray
    scores: np.ndarray
    masks: np.ndarray

    def overlaps(self, objects: np.ndarray) -> np.ndarray:
        """(N, T) float64 in [0, 1]."""
        return mask_iou(self.masks, objects)


class VocAP(Metric):
    """Average precision of instances at single overlaps.

    A prediction is compared with the object of its class and image that it overlaps most (the first on a tie). What is
    kept of it is its score, that overlap and that object; these are enough for every overlap threshold.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("AP25", "AP25"),
        Column("AP50", "AP50", leads=True),
        Column("AP70", "AP70"),
        Column("AP75", "AP75"),
    )
    needs_objects = True

    def __init__(self, terms: Terms) -> None:
        self._objects = np.zeros(terms.class_count, np.int64)
        self._objects_before = 0
        # Class, score, largest overlap, and the object that it is with. As plain numbers: small arrays that stay
        # between large ones that go keep the memory of the large ones from being used again.
        self._predictions: list[tuple[int, float, float, int]] = []

    def add(self, truth: TrueImage, predicted: Instances) -> None:
        """Count the instances of an image; the order of images and rows decides between equal scores."""
        objects, labels = truth.objects
        classes, iou = np.asarray(predicted.classes), predicted.overlaps(objects)
        iou[classes[:, None] + 1 != labels] = 0
        best = iou.argmax(1) if len(labels) else np.zeros(len(classes), np.int64)
        columns = (classes, np.asarray(predicted.scores), iou.max(1, initial=0), self._objects_before + best)
        self._predictions += zip(*(column.tolist() for column in columns), strict=True)
        self._objects += np.bincount(labels - 1, minlength=len(self._objects))
        self._objects_before += len(labels)

    def merge(self, other: "VocAP") -> None:
        """Add the images of another, as if they had been added here next."""
        self._predictions += [
            (index, score, overlap, self._objects_before + best) for index, score, overlap, best in other._predictions
        ]
        self._objects += other._objects
        self._objects_before += other._objects_before

    def scores(self, column: Column) -> np.ndarray:
        """(C,) float64 in [0, 1]; NaN for classes without any object."""
        return self.average_precision(OVERLAPS[column.name]).mean(1)

    def average_precision(self, thresholds: Sequence[float]) -> np.ndarray:
        """(C, len(thresholds)) float64 in [0, 1], for overlaps above 0; NaN for classes without any object."""
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


class PieceAP(VocAP):
    """The same of instance labels, whose mean over overlaps is of VOC's protocol too: they do not overlap."""

    columns = (*VocAP.columns, MEAN_AP)


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
