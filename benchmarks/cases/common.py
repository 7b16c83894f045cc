"""What a case is made of: sides that give one result in several ways, and what is found when they are compared."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

MB = 1e6

Sides = dict[str, Callable[[], Any]]


class Measure(NamedTuple):
    """One side: its name, seconds of each repeat and of the first call, bytes added to its process, and its result."""

    side: str
    seconds: list[float]
    first: float
    memory: int
    result: Any

    @property
    def median(self) -> float:
        """The median of its repeats, in seconds."""
        return median(self.seconds)


Measures = dict[str, Measure]


class Finding(NamedTuple):
    """One line of the table: of what, how much, and the side that it was compared with, if with any."""

    what: str
    measured: str
    compared_with: str = ""


class Case(NamedTuple):
    """A case: `sides` makes the inputs and returns what is measured, by name.

    `judge` raises Disagreement unless the results are equal. `names` lists the sides in the order in which they take
    turns. Those in `once` are too slow to repeat.
    """

    title: str
    sides: Callable[[bool, Path], Sides]
    names: tuple[str, ...]
    judge: Callable[[Measures], tuple[str, list[Finding]]]
    repeats: int = 5
    once: tuple[str, ...] = ()


class Disagreement(Exception):
    """Two sides gave different results."""


def must(agree: bool, what: str) -> None:
    """Raise Disagreement unless the sides agree."""
    if not agree:
        raise Disagreement(what)


def time(what: str, measure: Measure) -> Finding:
    """How long a side takes."""
    return Finding(what, f"{measure.median:.3g} s")


def speed(what: str, measure: Measure, than: Measure) -> Finding:
    """How many times as fast a side is as another."""
    ratio = than.median / measure.median
    return Finding(what, f"{ratio:,.0f} times as fast" if ratio >= 100 else f"{ratio:.3g} times as fast", than.side)


def memory(what: str, measure: Measure, than: Measure | None = None) -> Finding:
    """How much memory a side adds, and how many times as much as another."""
    found = f"{measure.memory / MB:.0f} MB"
    if than is None:
        return Finding(f"{what}, memory", found)
    return Finding(f"{what}, memory", f"{found}, {measure.memory / max(than.memory, 1):.2g} times as much", than.side)


def largest_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error, as a share of the value."""
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1e-9)).max())


def largest_error_of_maximum(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error, as a share of the largest value."""
    return float(np.abs(found - expected).max() / expected.max())
