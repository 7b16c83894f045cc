"""How objectness learns from views of images and their masks (`labelled_view`): what it minimises."""

import torch
from torch.nn import functional

from irn.grid import UNSURE
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch


def objectness_losses(batch: Batch, forward: Forward, batch_counts: BatchCounts) -> Losses:
    """Binary cross-entropy of the share of each cell that objects cover, the mean over all pixels that count."""
    logits = forward(batch["images"]).float()
    counted = (batch["label"] != UNSURE).float()
    covered = counted * (batch["label"] > 0)
    size = logits.shape[-2:]
    weight = functional.adaptive_avg_pool2d(counted, size)
    share = functional.adaptive_avg_pool2d(covered, size) / weight.clamp(min=1e-6)
    losses = functional.binary_cross_entropy_with_logits(logits, share, reduction="none")
    pixels = counted[0].numel() / losses[0].numel()
    return {"loss": (losses * weight).sum() * pixels / batch_counts(_pixels(batch)).clamp(min=1)}


def _pixels(batch: Batch, *_: object) -> torch.Tensor:
    """() int64: how many pixels count."""
    return (batch["label"] != UNSURE).sum()


OBJECTNESS = Objective(objectness_losses, _pixels)
