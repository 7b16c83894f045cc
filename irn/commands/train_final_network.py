"""Train a final network on the labels that were made, or on ground truth."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from irn.data.tables import images_of, read_classes
from irn.io.progress import notice
from irn.settings.final_networks import FinalNetwork, FinalTraining
from irn.settings.settings import Settings, value
from irn.training.schedule import Schedule
from irn.training.targets import open_targets, repeated
from irn.training.task import Task
from irn.training.teaching import teaching_of
from irn.training.train_and_save import TrainingOptions, train_and_save
from irn.workflow.provenance import provenance

ADAMW_AT_MOST = 0.002  # learning rate of AdamW with which these networks still learn


def train_final_network(
    network: FinalNetwork,
    manifest: Path,
    labels: Path,
    out: Path,
    settings: Settings,
    label_caches: Sequence[Path] = (),
    class_masks: Path | None = None,
    object_masks: Path | None = None,
    split: str | None = None,
    backbone_weights: Path | None = None,
    from_scratch: bool = False,
    metrics: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train a final network on the images of a split and write its weights.

    It learns from `label_caches`, or from ground truth in `class_masks` and `object_masks`, as `evaluate` takes them.
    Without `from_scratch` the backbone starts from `backbone_weights`, by default ImageNet's, and its layers up to
    stride 8 are frozen; with it every layer learns.
    """
    taught_by = "labels" if label_caches else "ground truth"
    made_by = provenance(f"train_{network.name}", settings, split=split, from_scratch=from_scratch, taught_by=taught_by)
    section: FinalTraining = value(settings, network.name)
    teaching = teaching_of(network.name)
    table = read_classes(labels)
    records = images_of(manifest, split)
    left_out = settings.dataset.leave_out or ()
    targets = open_targets(
        label_caches, class_masks, object_masks, records, table.names, left_out, network.learns == "objects"
    )
    records = repeated(records, table, section.repeat_threshold)
    task = Task(
        kind=network.name,
        make_network=partial(teaching.make_network, section, settings.backbone, len(table.names), from_scratch),
        image_ids=[record.image_id for record in records],
        view=teaching.make_view(section, records, targets, settings.seed),
        objective=teaching.OBJECTIVE,
        class_names=table.names,
    )
    inputs = [manifest, labels, *label_caches, class_masks, object_masks]
    schedule = Schedule.of(section, settings)
    options = TrainingOptions(out, made_by, inputs, backbone_weights, metrics, device, workers, from_scratch)
    steps = schedule.epochs * schedule.steps_per_epoch(len(records))
    if steps < 2 * schedule.warmup:
        notice(
            f"{steps} steps, and the learning rate rises for {schedule.warmup}: the network hardly learns; raise"
            f" {network.name}.epochs"
        )
    if settings.optimiser == "adamw" and section.learning_rate > ADAMW_AT_MOST:
        notice(
            f"{network.name}.learning_rate is {section.learning_rate:g}, which is meant for SGD, and the optimiser is"
            " adamw; it learns at about 0.0005"
        )
    train_and_save(task, schedule, options)
