"""How DeepLab learns: what it sees of an image and its semantic label, and what it minimises."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.data.tables import ImageRecord
from irn.grid import UNSURE
from irn.networks.deeplab import DeepLab
from irn.training.views import Batch, Place, Sample, normalised, sized_view


def semantic_view(
    place: Place,
    records: Sequence[ImageRecord],
    semantic_of: Callable[[ImageRecord], np.ndarray],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """What DeepLab sees: a crop (S, S, 3) uint8, the box that the image fills in it, and its label (S, S) uint8.

    `semantic_of` gives of an image (H, W) uint8, 0 background, 1 + class index, 255 what does not count.
    """
    record = records[place.image]
    crop, box, label = sized_view(place, record, semantic_of(record), long_side, crop_size, seed)
    assert label is not None
    return {"pixels": crop, "box": box, "label": label}


def deeplab_losses(batch: Batch, model: DeepLab) -> dict[str, torch.Tensor]:
    """The mean cross-entropy of all pixels that count; 0 where none does."""
    logits = model(normalised(batch, model.backbone)).float()
    label = batch["label"].long()
    counted = (label != UNSURE).sum().clamp(min=1)
    return {"loss": functional.cross_entropy(logits, label, ignore_index=UNSURE, reduction="sum") / counted}
