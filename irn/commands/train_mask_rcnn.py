"""Train Mask R-CNN on the labels that were made, or on ground truth."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from irn.data.tables import images_of, read_classes
from irn.networks.mask_rcnn import MaskRcnn
from irn.settings.final_networks import MaskRcnn as MaskRcnnSettings
from irn.settings.values import Settings, value
from irn.training.finetune import Start, train_and_save
from irn.training.mask_rcnn import MASK_RCNN, instance_view
from irn.training.targets import LargeInstances, open_targets, repeated
from irn.workflow.provenance import provenance


def train_mask_rcnn(
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
    """Train Mask R-CNN on the images of a split and write its weights.

    It learns from `label_caches`, or from ground truth in `class_masks` and `object_masks`, which are as `evaluate` takes them.
    Without `from_scratch` the backbone starts from `backbone_weights`, ImageNet's by default, and is frozen up to stride 8;
    with it every layer learns.
    """
    taught_by = "labels" if label_caches else "ground truth"
    made_by = provenance("train_mask_rcnn", settings, split=split, from_scratch=from_scratch, taught_by=taught_by)
    own: MaskRcnnSettings = value(settings, "mask_rcnn")
    table = read_classes(labels)
    records = images_of(manifest, split)
    targets = open_targets(label_caches, class_masks, object_masks, records, table.names, own.min_score)
    records = repeated(records, table, own.repeat_threshold)
    view = partial(
        instance_view, records=records, instances_of=LargeInstances(targets, own.min_area),
        long_side=own.long_side, crop_size=own.crop_size, seed=settings.seed,
    )  # fmt: skip
    train_and_save(
        "mask_rcnn", lambda: MaskRcnn(settings.backbone, len(table.names), own.crop_size, own.channels, own.regions, from_scratch),
        view, MASK_RCNN,
        [record.image_id for record in records], own, settings, Start(backbone_weights, from_scratch, metrics, device, workers),
        out, made_by, [manifest, labels, *label_caches, class_masks, object_masks], table.names,
    )  # fmt: skip
