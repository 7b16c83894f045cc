"""What a metric is: it counts image by image, its counts add up, and in the end each class gets a score."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np


@dataclass(frozen=True)
class Column:
    """A kind of score.

    name: that of the rows of classes in `scores.csv`.
    mean: that of the row of their mean, and of the column in tables of means.
    has_background: whether background counts as a class, the first.
    leads: whether it is the score by which labels are compared: in charts, in a sweep, and at the thresholds of an
        ablation.
    by_size: whether it is of objects of one size; such scores have a table of their own.
    """

    name: str
    mean: str
    has_background: bool = False
    leads: bool = False
    by_size: bool = False


class Terms(NamedTuple):
    """What the metrics of a scoring share: the number of classes, and background scores of CAMs and refined CAMs."""

    class_count: int
    cam_threshold: float = 0.15
    refined_threshold: float = 0.25


class TrueImage(Protocol):
    """Ground truth of an image."""

    @property
    def class_mask(self) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index, 255 void."""

    @property
    def objects(self) -> tuple[np.ndarray, np.ndarray]:
        """(T, H, W) bool masks of the objects, none empty, which may overlap; and (T,) 1 + class index of each."""

    @property
    def crowds(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of regions of several objects that were not told apart."""


class Metric(ABC):
    """Counts over images, from which the scores of `columns` follow. Each metric says what it takes as predicted."""

    columns: ClassVar[tuple[Column, ...]]
    needs_objects: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, terms: Terms) -> None:
        """A metric that has counted nothing."""

    @abstractmethod
    def add(self, truth: TrueImage, predicted: Any) -> None:
        """Count an image."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Count the images of another metric of the same terms, as if they had been added here next."""

    @abstractmethod
    def scores(self, column: Column) -> np.ndarray:
        """(L,) float64 in [0, 1], the score of each class, background first where it counts; NaN where undefined."""

    def mean(self, column: Column) -> float:
        """The mean over the classes whose score is defined."""
        return mean_of_defined(self.scores(column))


def mean_of_defined(values: np.ndarray) -> float:
    """The mean of (L,) values without the undefined ones (NaN); NaN when none is defined."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
