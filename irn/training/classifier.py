"""How the classifier learns: what it sees of an image, and what it minimises."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.records import ImageRecord
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch, Sample, SampleId, sized_view


def classifier_view(
    sample_id: SampleId,
    records: Sequence[ImageRecord],
    targets: np.ndarray,
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """A crop (S, S, 3) uint8 of an image, the box that the image fills in it, and its row of `targets` (N, classes)."""
    crop, box, _ = sized_view(sample_id, records[sample_id.image], None, long_side, crop_size, seed)
    return {"pixels": crop, "box": box, "target": targets[sample_id.image]}


def classifier_losses(batch: Batch, forward: Forward, batch_counts: BatchCounts) -> Losses:
    """Multilabel soft margin loss of the classes present, the mean over images."""
    logits = forward(batch["features" if "features" in batch else "images"]).float()
    losses = functional.multilabel_soft_margin_loss(logits, batch["target"], reduction="none")
    return {"loss": losses.sum() / batch_counts(_images(batch))}


def _images(batch: Batch, *_: object) -> torch.Tensor:
    return torch.tensor(len(batch["target"]), device=batch["target"].device)


CLASSIFIER = Objective(classifier_losses, _images)
