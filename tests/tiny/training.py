"""How the tiny network learns."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional

from irn.grid import UNSURE
from irn.networks.tiny import Tiny
from irn.records import ImageRecord
from irn.settings.final_networks import TinySettings
from irn.training.targets import Targets
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch, Sample, SampleId, sized_view


def make_network(section: TinySettings, backbone: str, classes: int, from_scratch: bool) -> Tiny:
    """The network with random values."""
    return Tiny(backbone, classes, section.width, from_scratch)


def make_view(
    section: TinySettings, records: Sequence[ImageRecord], targets: Targets, seed: int
) -> Callable[[SampleId], Sample]:
    """A crop of an image at its size, and its semantic label."""
    return partial(_view, records=records, targets=targets, crop_size=section.crop_size, seed=seed)


def _view(sample_id: SampleId, records: Sequence[ImageRecord], targets: Targets, crop_size: int, seed: int) -> Sample:
    record = records[sample_id.image]
    sizes = (crop_size, crop_size)
    crop, box, label = sized_view(sample_id, record, targets.semantic(record), sizes, crop_size, seed)
    assert label is not None
    return {"pixels": crop, "box": box, "label": label}


def _losses(batch: Batch, forward: Forward, batch_counts: BatchCounts) -> Losses:
    logits = forward(batch["images"]).float()
    summed = functional.cross_entropy(logits, batch["label"].long(), ignore_index=UNSURE, reduction="sum")
    return {"loss": summed / batch_counts(_pixels(batch)).clamp(min=1)}


def _pixels(batch: Batch, *_: object) -> torch.Tensor:
    return (batch["label"] != UNSURE).sum()


OBJECTIVE = Objective(_losses, _pixels)
