"""How objectness learns: what it sees of an image and its mask, and what it minimises."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.grid import UNSURE
from irn.records import ImageRecord
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch, Sample, SampleId, sized_view


def objectness_view(
    sample_id: SampleId,
    records: Sequence[ImageRecord],
    semantic_of: Callable[[ImageRecord], np.ndarray],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """A crop (S, S, 3) uint8 of an image, the box that the image fills in it, and its mask (S, S) uint8.

    semantic_of: the mask of an image (H, W) uint8, 0 background, 255 not counted, all else an object.
    """
    record = records[sample_id.image]
    crop, box, mask = sized_view(sample_id, record, semantic_of(record), long_side, crop_size, seed)
    assert mask is not None
    return {"pixels": crop, "box": box, "mask": mask}


def objectness_losses(batch: Batch, forward: Forward, batch_counts: BatchCounts) -> Losses:
    """Binary cross-entropy of the share of each cell that objects cover, the mean over all pixels that count."""
    logits = forward(batch["images"]).float()
    counted = (batch["mask"] != UNSURE).float()
    covered = counted * (batch["mask"] > 0)
    size = logits.shape[-2:]
    weight = functional.adaptive_avg_pool2d(counted, size)
    share = functional.adaptive_avg_pool2d(covered, size) / weight.clamp(min=1e-6)
    losses = functional.binary_cross_entropy_with_logits(logits, share, reduction="none")
    pixels = counted[0].numel() / losses[0].numel()
    return {"loss": (losses * weight).sum() * pixels / batch_counts(_pixels(batch)).clamp(min=1)}


def _pixels(batch: Batch, *_: object) -> torch.Tensor:
    """() int64: how many pixels count."""
    return (batch["mask"] != UNSURE).sum()


OBJECTNESS = Objective(objectness_losses, _pixels)
