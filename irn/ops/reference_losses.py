"""Losses to compare a training with: those of the published log, and that of a field of zeros."""

import numpy as np

from irn.ops.paths import pair_offsets

# The author's public log: VOC 2012, train_aug, ResNet-50, 3,305 steps of 16 images. Step and mean loss.
PUBLISHED_BATCH = 16
PUBLISHED: dict[str, dict[str, tuple[tuple[int, float], ...]]] = {
    "train_cam": {"loss": ((100, 0.19), (500, 0.083), (1200, 0.065), (1500, 0.057))},
    "train_irn": {
        "positive_affinity": ((2300, 0.365), (3305, 0.356)),
        "negative_affinity": ((2300, 0.322), (3305, 0.304)),
        "foreground_displacement": ((2300, 2.84), (3305, 2.73)),
        "background_displacement": ((2300, 0.205), (3305, 0.194)),
    },
}


def published_losses(stage: str, loss: str, images: int) -> list[tuple[int, float]]:
    """Steps and losses of the published log up to the step at which it had seen `images` images."""
    steps = PUBLISHED.get(stage, {}).get(loss, ())
    return [(step, value) for step, value in steps if step * PUBLISHED_BATCH <= images]


def zero_field_loss(radius: int) -> float:
    """The foreground displacement loss of a field of zeros, in cells: the mean over pairs of (|dy| + |dx|) / 2."""
    return float(np.abs(pair_offsets(radius)).mean())
