"""Compile all that Numba compiles, for the types that stages use: `make env` runs this, so that no job compiles."""

from dataclasses import dataclass

import numpy as np

from irn.ops.instances import instance_groups
from irn.ops.lattice import Kernel
from irn.ops.mean_field import mean_field
from irn.ops.walk import FLOAT32_STEPS, random_walk


@dataclass
class _Walk:
    """A short walk."""

    steps: int
    beta: float = 1
    radius: int = 2
    centroid_length: float = 1


def precompile() -> None:
    """Call every compiled function once."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    # Two guesses of two, three and more labels have values of different widths.
    for labels in (2, 3, 4):
        mean_field(pixels, [np.zeros((4, 4), np.int32)] * 2, labels, 0.7, [Kernel(1, 2), Kernel(1, 2, 2)], 1)
    instance_groups(np.zeros((2, 4, 4), np.float32), 1)
    for steps in (2, FLOAT32_STEPS + 1):
        random_walk(np.ones((1, 4, 4), np.float32), np.zeros((4, 4), np.float32), _Walk(steps))


if __name__ == "__main__":
    precompile()
