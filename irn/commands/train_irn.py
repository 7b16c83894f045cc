"""Train IRNet's two heads on pairs of pixels of IR labels or of object masks."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irn.data.images import read_record
from irn.data.tables import images_of, read_classes
from irn.errors import IrnError
from irn.inference.fields import mean_displacement
from irn.io.cache import CacheReader
from irn.io.processes import rank
from irn.io.progress import progress
from irn.networks.irnet import IRNet
from irn.networks.precision import autocast
from irn.ops.resize import bounded
from irn.records import ImageRecord
from irn.settings.settings import Settings
from irn.training.irnet import cached_label, irnet_objective, pair_view
from irn.training.loss_log import LossLog
from irn.training.schedule import Schedule
from irn.training.task import Task
from irn.training.train_and_save import TrainingOptions, train_and_save
from irn.weights.files import load_irnet, save_weights
from irn.workflow.provenance import provenance


def train_irn(
    manifest: Path,
    out: Path,
    settings: Settings,
    ir_labels: Sequence[Path] = (),
    labels: Path | None = None,
    class_masks: Path | None = None,
    object_masks: Path | None = None,
    split: str | None = None,
    backbone_weights: Path | None = None,
    metrics: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train IRNet on the images of a split and write its weights.

    They hold the mean displacement too, over the images of `irn.mean_split`, by default those of the split. IRNet
    starts from `irn.start`, whose backbone it keeps, and otherwise on `backbone_weights`, by default ImageNet's. With
    `irn.epochs` of 0 the weights, their mean displacement and their crop size are those of `irn.start`.

    It learns from `ir_labels`, or from ground truth in `class_masks` and `object_masks`, as `evaluate` takes them, by
    the names of classes in the table `labels`.

    Raises IrnError unless one of the two is given and has all images, and for a start with another backbone.
    """
    section, max_side = settings.irn, settings.dataset.max_side
    inputs = [manifest, labels, *ir_labels, class_masks, object_masks, section.start_file]
    taught_by = {"taught_by": "ground truth"} if class_masks else {}
    made_by = provenance("train_irn", settings, split=split, **taught_by)
    schedule = Schedule.of(section, settings)
    if section.epochs == 0:
        _take_start(settings, schedule, out, made_by, metrics)
        return
    records, mean_records = images_of(manifest, split), images_of(manifest, section.mean_split or split)
    task = Task(
        kind="irn",
        make_network=partial(_first_network, settings),
        is_started=section.start_file is not None,
        image_ids=[record.image_id for record in records],
        view=partial(
            pair_view,
            records=records,
            label_of=_teacher(records, ir_labels, labels, class_masks, object_masks, settings.dataset.leave_out or ()),
            scale=section.scale,
            crop_size=section.crop_size,
            seed=settings.seed,
            max_side=max_side,
        ),
        objective=irnet_objective(section.radius),
        measure=partial(_mean_displacement, records=mean_records, settings=settings),
    )
    train_and_save(task, schedule, TrainingOptions(out, made_by, inputs, backbone_weights, metrics, device, workers))


def _first_network(settings: Settings) -> IRNet:
    start = settings.irn.start_file
    return load_irnet(start, backbone=settings.backbone)[0] if start else IRNet(settings.backbone)


def _take_start(
    settings: Settings, schedule: Schedule, out: Path, made_by: dict[str, Any], metrics: Path | None
) -> None:
    """Write the weights that IRNet starts from, and a log without losses."""
    network, contents = load_irnet(Path(settings.irn.start), backbone=settings.backbone)
    if rank() > 0:
        return
    if metrics is not None:
        LossLog(0, schedule, torch.device("cpu"), lambda step: []).write(metrics)
    kept = {name: contents[name] for name in ("crop_size", "mean_displacement")}
    save_weights(out, "irn", network, made_by, **kept)


def _teacher(
    records: Sequence[ImageRecord],
    ir_labels: Sequence[Path],
    labels: Path | None,
    class_masks: Path | None,
    object_masks: Path | None,
    left_out: Sequence[str],
) -> Callable[[ImageRecord], np.ndarray]:
    """What says of an image (H, W) uint8 which pixels are alike."""
    if bool(ir_labels) == (class_masks is not None):
        raise IrnError(
            "labels to learn from: expected IR labels (--ir-labels) or ground truth (--class-masks), one of the two"
        )
    if class_masks is None:
        cache = CacheReader(ir_labels, "ir_label")
        cache.require(record.image_id for record in records)
        return partial(cached_label, ir_labels=cache)
    if labels is None:
        raise IrnError("--class-masks: its classes need names; give the table of the classes in each image (--labels)")
    # By name: what reads ground truth is part of the key only where it is read.
    targets = import_module("irn.training.targets")
    truth = targets.TrueLabels(class_masks, object_masks, records, read_classes(labels).names, left_out)
    told_apart: Callable[[ImageRecord], np.ndarray] = truth.told_apart
    return told_apart


def _mean_displacement(
    network: IRNet, device: torch.device, records: Sequence[ImageRecord], settings: Settings
) -> dict[str, Any]:
    images = (bounded(read_record(record), settings.dataset.max_side) for record in records)
    watched = progress(images, len(records), "mean displacement")
    with torch.inference_mode(), autocast(device, settings.precision):
        return {"mean_displacement": mean_displacement(network, watched, settings.irn.crop_size, device)}
