"""How DeepLab learns: what it sees of an image and its semantic label, and what it minimises."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from irn.grid import UNSURE
from irn.networks.deeplab import DeepLab
from irn.records import ImageRecord
from irn.settings.final_networks import DeepLabSettings
from irn.training.targets import Targets
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch, Sample, SampleId, draw_seed, labelled_view


def make_network(section: DeepLabSettings, backbone: str, classes: int, from_scratch: bool) -> DeepLab:
    """DeepLab with random values."""
    return DeepLab(backbone, classes, from_scratch)


def make_view(
    section: DeepLabSettings, records: Sequence[ImageRecord], targets: Targets, seed: int
) -> Callable[[SampleId], Sample]:
    """What DeepLab sees: `semantic_view` of images and their targets."""
    return partial(
        semantic_view,
        records=records,
        semantic_of=targets.semantic,
        long_side=section.long_side,
        crop_size=section.crop_size,
        seed=seed,
    )


def semantic_view(
    sample_id: SampleId,
    records: Sequence[ImageRecord],
    semantic_of: Callable[[ImageRecord], np.ndarray],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """A crop (S, S, 3) uint8 of an image, the box that the image fills in it, its label (S, S) uint8, and a seed.

    semantic_of: of an image (H, W) uint8, 0 background, 1 + class index, 255 not counted.
    """
    view = labelled_view(sample_id, records, semantic_of, long_side, crop_size, seed)
    return {**view, "seed": draw_seed(sample_id, seed)}


def deeplab_losses(batch: Batch, forward: Forward, batch_counts: BatchCounts) -> Losses:
    """The mean cross-entropy of all pixels that count; 0 where none does."""
    logits = forward(batch["images"], batch["seed"].tolist()).float()
    summed = functional.cross_entropy(logits, batch["label"].long(), ignore_index=UNSURE, reduction="sum")
    return {"loss": summed / batch_counts(_pixels(batch)).clamp(min=1)}


def _pixels(batch: Batch, *_: object) -> torch.Tensor:
    """() int64: how many pixels count."""
    return (batch["label"] != UNSURE).sum()


OBJECTIVE = Objective(deeplab_losses, _pixels)
