"""How the classifier learns: what it sees of an image, and what it minimises."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.data.tables import ImageRecord
from irn.networks.classifier import Classifier
from irn.training.views import Batch, Place, Sample, normalised, sized_view


def classifier_view(
    place: Place, records: Sequence[ImageRecord], targets: np.ndarray, long_side: tuple[int, int], crop_size: int, seed: int
) -> Sample:
    """What the classifier sees: a crop (S, S, 3) uint8, the box that the image fills in it, and its row of `targets`."""
    crop, box, _ = sized_view(place, records[place.image], None, long_side, crop_size, seed)
    return {"pixels": crop, "box": box, "target": targets[place.image]}


def classifier_losses(batch: Batch, model: Classifier) -> dict[str, torch.Tensor]:
    """Multilabel soft margin loss of the classes present."""
    return {"loss": functional.multilabel_soft_margin_loss(model(normalised(batch, model.backbone)).float(), batch["target"])}
