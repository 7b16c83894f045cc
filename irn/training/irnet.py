"""How IRNet learns: what it sees of an image and its IR label, and what it minimises."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from irn.data.images import read_record
from irn.grid import STRIDE
from irn.io.cache import CacheReader
from irn.ops.losses import pair_counts, pair_losses, total_loss
from irn.ops.resize import bounded, rescale
from irn.records import ImageRecord
from irn.training.parts import Forward, Losses, Objective, Whole
from irn.training.views import Batch, Place, Sample, random_view


def pair_view(
    place: Place,
    records: Sequence[ImageRecord],
    ir_labels: CacheReader,
    scale: tuple[float, float],
    crop_size: int,
    seed: int,
    max_side: int | None = None,
) -> Sample:
    """What IRNet sees of an image in its working size: a crop (S, S, 3) uint8, the box that the image fills in it, and the label
    (S / 4, S / 4) uint8 of each cell."""
    record = records[place.image]
    rng = np.random.default_rng([seed, *place])
    pixels = bounded(read_record(record), max_side)
    label = rescale(ir_labels.image(record)["label"], pixels.shape[0], pixels.shape[1], nearest=True)
    crop, box, label_crop = random_view(rng, pixels, label, rng.uniform(*scale), crop_size)
    assert label_crop is not None
    # The nearest pixel when the label map is rescaled by a quarter.
    return {
        "pixels": crop,
        "box": box,
        "label": np.ascontiguousarray(label_crop[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]),
    }


def irnet_losses(batch: Batch, forward: Forward, whole: Whole, radius: int) -> Losses:
    """The joint loss on pairs of cells nearer than `radius`, and its four parts."""
    boundary_logits, displacement = forward(batch["images"])
    losses = pair_losses(boundary_logits.float(), displacement.float(), batch["label"], radius, whole)
    return {"loss": total_loss(losses), **losses}


def irnet_objective(radius: int) -> Objective:
    """What IRNet minimises on pairs of cells nearer than `radius`."""
    return Objective(partial(irnet_losses, radius=radius), lambda batch, _: pair_counts(batch["label"], radius))
