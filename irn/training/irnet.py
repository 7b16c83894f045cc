"""How IRNet learns: what it sees of an image and its IR label, and what it minimises."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from irn.data.images import read_record
from irn.grid import STRIDE
from irn.io.cache import CacheReader
from irn.ops.losses import pair_counts, pair_losses, total_loss
from irn.ops.object_masks import told_apart
from irn.ops.resize import bounded, rescale
from irn.records import ImageRecord
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch, Sample, SampleId, random_view


def pair_view(
    sample_id: SampleId,
    records: Sequence[ImageRecord],
    label_of: Callable[[ImageRecord], np.ndarray],
    scale: tuple[float, float],
    crop_size: int,
    seed: int,
    max_side: int | None = None,
) -> Sample:
    """A crop (S, S, 3) uint8 of an image in its working size, the box that the image fills in it, and the label of each
    cell (S / 4, S / 4) uint8.

    label_of: of an image (H, W) uint8, as `told_apart` gives it.
    """
    record = records[sample_id.image]
    rng = np.random.default_rng([seed, *sample_id])
    pixels = bounded(read_record(record), max_side)
    label = rescale(label_of(record), pixels.shape[0], pixels.shape[1], nearest=True)
    crop, box, label_crop = random_view(rng, pixels, label, rng.uniform(*scale), crop_size)
    assert label_crop is not None
    # The nearest pixel when the label map is rescaled by a quarter.
    cell_labels = np.ascontiguousarray(label_crop[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE])
    return {"pixels": crop, "box": box, "label": cell_labels}


def cached_label(record: ImageRecord, ir_labels: CacheReader) -> np.ndarray:
    """(H, W) uint8, of an IR label cache, with objects told apart where it knows them."""
    return told_apart(ir_labels.image(record))


def irnet_losses(batch: Batch, forward: Forward, batch_counts: BatchCounts, radius: int) -> Losses:
    """The joint loss on pairs of cells nearer than `radius`, and its four parts."""
    boundary_logits, displacement = forward(batch["images"])
    losses = pair_losses(boundary_logits.float(), displacement.float(), batch["label"], radius, batch_counts)
    return {"loss": total_loss(losses), **losses}


def irnet_objective(radius: int) -> Objective:
    """What IRNet minimises on pairs of cells nearer than `radius`."""
    return Objective(partial(irnet_losses, radius=radius), lambda batch, _: pair_counts(batch["label"], radius))
