"""How DeepLab learns: what it sees of an image and its semantic label, and what it minimises."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.grid import UNSURE
from irn.records import ImageRecord
from irn.training.parts import Forward, Losses, Objective, Whole
from irn.training.views import Batch, Place, Sample, draw_seed, sized_view


def semantic_view(
    place: Place,
    records: Sequence[ImageRecord],
    semantic_of: Callable[[ImageRecord], np.ndarray],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """What DeepLab sees: a crop (S, S, 3) uint8, the box that the image fills in it, its label (S, S) uint8, and the seed of its draws.

    `semantic_of` gives of an image (H, W) uint8, 0 background, 1 + class index, 255 what does not count.
    """
    record = records[place.image]
    crop, box, label = sized_view(place, record, semantic_of(record), long_side, crop_size, seed)
    assert label is not None
    return {"pixels": crop, "box": box, "label": label, "seed": draw_seed(place, seed)}


def deeplab_losses(batch: Batch, forward: Forward, whole: Whole) -> Losses:
    """The mean cross-entropy of all pixels that count; 0 where none does."""
    logits = forward(batch["images"], batch["seed"].tolist()).float()
    summed = functional.cross_entropy(logits, batch["label"].long(), ignore_index=UNSURE, reduction="sum")
    return {"loss": summed / whole(_counted(batch)).clamp(min=1)}


def _counted(batch: Batch, *_: object) -> torch.Tensor:
    return (batch["label"] != UNSURE).sum()


DEEPLAB = Objective(deeplab_losses, _counted)
