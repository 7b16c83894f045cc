"""Train objectness, which knows no classes, on masks of any classes."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from irn.data.masks import open_truths
from irn.data.tables import images_by_split, read_classes
from irn.data.truth import SplitTruth
from irn.grid import MAX_CLASSES
from irn.networks.objectness import Objectness
from irn.records import ImageRecord
from irn.settings.settings import Settings
from irn.training.objectness import OBJECTNESS
from irn.training.schedule import Schedule
from irn.training.task import Task
from irn.training.train_and_save import TrainingOptions, train_and_save
from irn.training.views import labelled_view
from irn.workflow.provenance import provenance

ANY_CLASS = [f"class {index}" for index in range(MAX_CLASSES)]  # of index PNGs


def train_objectness(
    manifest: Path,
    class_masks: Path,
    out: Path,
    settings: Settings,
    labels: Path | None = None,
    split: str | None = None,
    backbone_weights: Path | None = None,
    metrics: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train objectness on the images of a split and write its weights.

    It learns from `class_masks`, as `evaluate` takes them; which class a pixel has does not count. The table `labels`
    names the classes where masks do so too, as those of COCO. The backbone is frozen, with `backbone_weights`, by
    default ImageNet's, which the weights file does not repeat.
    """
    made_by = provenance("train_objectness", settings, split=split)
    splits = images_by_split(manifest, split)
    names = read_classes(labels).names if labels else ANY_CLASS
    records = [record for of_split in splits.values() for record in of_split]
    left_out = settings.dataset.leave_out or ()
    masks = {name: open_truths(class_masks, None, of_split, names, left_out) for name, of_split in splits.items()}
    section = settings.objectness
    task = Task(
        kind="objectness",
        make_network=partial(Objectness, settings.backbone, is_published=backbone_weights is None),
        image_ids=[record.image_id for record in records],
        view=partial(
            labelled_view,
            records=records,
            semantic_of=partial(_mask, masks),
            long_side=section.long_side,
            crop_size=section.crop_size,
            seed=settings.seed,
        ),
        objective=OBJECTNESS,
    )
    options = TrainingOptions(out, made_by, [manifest, class_masks], backbone_weights, metrics, device, workers)
    # SGD of the paper's learning rates does not suit a new head on features of another scale.
    train_and_save(task, replace(Schedule.of(section, settings), optimiser="adamw"), options)


def _mask(masks: dict[str, SplitTruth], record: ImageRecord) -> np.ndarray:
    """(H, W) uint8, 0 background, 255 void, all else an object."""
    return masks[record.split].of(record).class_mask.astype(np.uint8)
