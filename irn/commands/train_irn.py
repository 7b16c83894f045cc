"""Train IRNet's two heads on pairs of pixels of the IR labels."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from irn.data.images import read_record
from irn.data.tables import images_of
from irn.inference.fields import mean_displacement
from irn.io.cache import CacheReader
from irn.io.progress import progress
from irn.networks.irnet import IRNet
from irn.networks.precision import autocast
from irn.ops.resize import bounded
from irn.records import ImageRecord
from irn.settings.settings import Settings
from irn.training.irnet import irnet_objective, pair_view
from irn.training.schedule import Schedule
from irn.training.task import Task
from irn.training.train_and_save import TrainingOptions, train_and_save
from irn.workflow.provenance import provenance


def train_irn(
    manifest: Path,
    ir_labels: Sequence[Path],
    out: Path,
    settings: Settings,
    split: str | None = None,
    backbone_weights: Path | None = None,
    metrics: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train IRNet on the images of a split and write its weights.

    They hold the mean displacement too, over the images of `irn.mean_split`, by default those of the split.
    """
    made_by = provenance("train_irn", settings, split=split)
    section, max_side = settings.irn, settings.dataset.max_side
    records, mean_records = images_of(manifest, split), images_of(manifest, section.mean_split or split)
    cache = CacheReader(ir_labels, "ir_label")
    image_ids = [record.image_id for record in records]
    cache.require(image_ids)
    task = Task(
        kind="irn",
        make_network=partial(IRNet, settings.backbone),
        image_ids=image_ids,
        view=partial(
            pair_view,
            records=records,
            ir_labels=cache,
            scale=section.scale,
            crop_size=section.crop_size,
            seed=settings.seed,
            max_side=max_side,
        ),
        objective=irnet_objective(section.radius),
        measure=partial(_mean_displacement, records=mean_records, settings=settings),
    )
    options = TrainingOptions(out, made_by, [manifest, *ir_labels], backbone_weights, metrics, device, workers)
    train_and_save(task, Schedule.of(section, settings), options)


def _mean_displacement(
    network: IRNet, device: torch.device, records: Sequence[ImageRecord], settings: Settings
) -> dict[str, Any]:
    images = (bounded(read_record(record), settings.dataset.max_side) for record in records)
    watched = progress(images, len(records), "mean displacement")
    with torch.inference_mode(), autocast(device, settings.precision):
        return {"mean_displacement": mean_displacement(network, watched, settings.irn.crop_size, device)}
