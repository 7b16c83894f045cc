"""How the pixels of a label map divide."""

from typing import NamedTuple

import numpy as np

from irn.grid import UNSURE


class Shares(NamedTuple):
    """Shares of an image's pixels, in [0, 1]; together 1."""

    foreground: float
    background: float
    unsure: float


def label_shares(label: np.ndarray) -> Shares:
    """How the pixels of a label map divide: (H, W) integers, 0 background, 255 unsure, anything else foreground."""
    background, unsure = float(np.mean(label == 0)), float(np.mean(label == UNSURE))
    return Shares(1 - background - unsure, background, unsure)
