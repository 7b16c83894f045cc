"""Train the classifier whose class attention maps seed everything else."""

from functools import partial
from pathlib import Path

import numpy as np

from irn.data.tables import images_of, read_classes
from irn.io.progress import notice
from irn.networks.classifier import Classifier
from irn.settings.settings import Settings
from irn.training.classifier import CLASSIFIER, classifier_view
from irn.training.features import view_of_features
from irn.training.schedule import Schedule
from irn.training.task import Task
from irn.training.train_and_save import TrainingOptions, train_and_save
from irn.workflow.provenance import provenance


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
    options = TrainingOptions(
        out, made_by, [manifest, labels], backbone_weights, metrics, device, workers, from_scratch
    )
    section = settings.cam
    records = images_of(manifest, split)
    table = read_classes(labels)
    targets = np.zeros((len(records), len(table.names)), np.float32)
    for row, record in zip(targets, records, strict=True):
        row[table.of(record.image_id)] = 1
    unseen = [name for index, name in enumerate(table.names) if not targets[:, index].any()]
    if unseen:
        notice(
            f"no image to learn from has {', '.join(unseen)}; maps of such classes mean nothing: add images, or take"
            " them out"
        )
    # From scratch batch norm learns from the first epoch on, and features change with it.
    views = 0 if from_scratch else section.head_views
    task = Task(
        kind="cam",
        make_network=partial(Classifier, settings.backbone, len(table.names), from_scratch),
        image_ids=[record.image_id for record in records],
        view=partial(
            classifier_view,
            records=records,
            targets=targets,
            long_side=section.long_side,
            crop_size=section.crop_size,
            seed=settings.seed,
        ),
        objective=CLASSIFIER,
        class_names=table.names,
        head_view=partial(view_of_features, views=views) if views else None,
    )
    train_and_save(task, Schedule.of(section, settings), options)
