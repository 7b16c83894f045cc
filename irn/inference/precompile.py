"""Compile all that Numba compiles, for the types that stages use: `make env` runs this, so that no job compiles."""

import numpy as np

from irn.ops.lattice import Kernel
from irn.ops.mean_field import mean_field
from irn.ops.walk import FLOAT32_STEPS, walk_instances
from irn.settings.settings import Walk


def precompile() -> None:
    """Call every compiled function once."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    # Two guesses of two, three and more labels have values of different widths.
    for labels in (2, 3, 4):
        mean_field(pixels, [np.zeros((4, 4), np.int32)] * 2, labels, 0.7, [Kernel(1, 2), Kernel(1, 2, 2)], 1)
    maps = {"cam": np.ones((1, 4, 4), np.float32), "classes": np.array([0])}
    field = {"boundary": np.zeros((4, 4), np.float32), "displacement": np.zeros((2, 4, 4), np.float32)}
    for steps in (2, FLOAT32_STEPS + 1):
        walk_instances(maps, field, Walk(steps=steps))


if __name__ == "__main__":
    precompile()
