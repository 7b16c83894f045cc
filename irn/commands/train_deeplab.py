"""Train DeepLab on the labels that were made, or on ground truth."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from irn.data.tables import images_of, read_classes
from irn.networks.deeplab import DeepLab
from irn.settings.final_networks import DeepLab as DeepLabSettings
from irn.settings.values import Settings, value
from irn.training.deeplab import DEEPLAB, semantic_view
from irn.training.finetune import Start, train_and_save
from irn.training.targets import open_targets, repeated
from irn.workflow.provenance import provenance


def train_deeplab(
    manifest: Path,
    labels: Path,
    out: Path,
    settings: Settings,
    label_caches: Sequence[Path] = (),
    class_masks: Path | None = None,
    split: str | None = None,
    backbone_weights: Path | None = None,
    from_scratch: bool = False,
    metrics: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train DeepLab on the images of a split and write its weights.

    It learns from `label_caches`, or from ground truth in `class_masks`, which are as `evaluate` takes them.
    Without `from_scratch` the backbone starts from `backbone_weights`, ImageNet's by default, and is frozen up to stride 8;
    with it every layer learns.
    """
    taught_by = "labels" if label_caches else "ground truth"
    made_by = provenance("train_deeplab", settings, split=split, from_scratch=from_scratch, taught_by=taught_by)
    own: DeepLabSettings = value(settings, "deeplab")
    table = read_classes(labels)
    records = images_of(manifest, split)
    targets = open_targets(label_caches, class_masks, None, records, table.names)
    records = repeated(records, table, own.repeat_threshold)
    view = partial(
        semantic_view, records=records, semantic_of=targets.semantic,
        long_side=own.long_side, crop_size=own.crop_size, seed=settings.seed,
    )  # fmt: skip
    train_and_save(
        "deeplab", lambda: DeepLab(settings.backbone, len(table.names), from_scratch), view, DEEPLAB,
        [record.image_id for record in records], own, settings, Start(backbone_weights, from_scratch, metrics, device, workers),
        out, made_by, [manifest, labels, *label_caches, class_masks], table.names,
    )  # fmt: skip
