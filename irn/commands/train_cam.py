"""Train the classifier whose class attention maps seed everything else."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.tables import images_of, read_classes
from irn.errors import IrnError
from irn.io.checkpoint import Checkpoint
from irn.io.devices import choose_device, loading_workers
from irn.io.imagenet import start_backbone
from irn.io.provenance import provenance
from irn.io.weights import save_weights
from irn.networks.classifier import Classifier
from irn.settings import Settings
from irn.training.classifier import classifier_losses, classifier_view
from irn.training.loop import Means, train


def train_cam(
    manifest: Path,
    labels: Path,
    out: Path,
    settings: Settings,
    split: str | None = None,
    backbone_weights: Path | None = None,
    from_scratch: bool = False,
    metrics: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train a multilabel classifier on the images of a split and write its weights."""
    made_by = provenance("train_cam", settings, split=split, from_scratch=from_scratch)
    own = settings.cam
    if from_scratch and backbone_weights is not None:
        raise IrnError(f"--from-scratch: random weights are no start from --backbone-weights {backbone_weights}; leave one of the two out")
    records = images_of(manifest, split)
    table = read_classes(labels)
    targets = np.zeros((len(records), len(table.names)), np.float32)
    for row, record in zip(targets, records, strict=True):
        row[table.of(record.image_id, labels)] = 1
    chosen = choose_device(device)
    # Sets the first values of the classifier, and of the backbone where it learns from scratch.
    torch.manual_seed(settings.seed)
    model = Classifier(settings.backbone, len(table.names), from_scratch)
    if not from_scratch:
        start_backbone(model.backbone, backbone_weights)
    model.to(chosen)
    view = partial(classifier_view, records=records, targets=targets, long_side=own.long_side, crop_size=own.crop_size, seed=settings.seed)
    means = Means(chosen, settings.precision, loading_workers(workers, chosen), metrics)
    checkpoint = Checkpoint(out, made_by, [manifest, labels, backbone_weights])
    names = [record.image_id for record in records]
    train(model, view, names, partial(classifier_losses, model=model), own, settings, means, checkpoint)
    save_weights(out, "cam", model, made_by, table.names, own.crop_size)
    checkpoint.remove()
