"""How the classifier learns: what it sees of an image, and what it minimises."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.records import ImageRecord
from irn.training.parts import Forward, Losses, Objective, Whole
from irn.training.views import Batch, Place, Sample, sized_view


def classifier_view(
    place: Place,
    records: Sequence[ImageRecord],
    targets: np.ndarray,
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """What the classifier sees: a crop (S, S, 3) uint8, the box that the image fills in it, and its row of `targets`."""
    crop, box, _ = sized_view(place, records[place.image], None, long_side, crop_size, seed)
    return {"pixels": crop, "box": box, "target": targets[place.image]}


def classifier_losses(batch: Batch, forward: Forward, whole: Whole) -> Losses:
    """Multilabel soft margin loss of the classes present, the mean over images."""
    logits = forward(batch["images"]).float()
    each = functional.multilabel_soft_margin_loss(logits, batch["target"], reduction="none")
    return {"loss": each.sum() / whole(_images(batch))}


def _images(batch: Batch, *_: object) -> torch.Tensor:
    return torch.tensor(len(batch["target"]), device=batch["target"].device)


CLASSIFIER = Objective(classifier_losses, _images)
