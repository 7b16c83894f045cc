"""Train the classifier whose class attention maps seed everything else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from irn.devices import choose_device, loading_workers
from irn.errors import IrnError
from irn.images import read_image
from irn.networks import Classifier
from irn.provenance import provenance
from irn.tables import ImageRecord, read_labels, read_manifest
from irn.training import Checkpoint, Place, Sample, Schedule, normalised, random_view, train
from irn.weights import save_weights, start_backbone


@dataclass(frozen=True)
class ClassifierSample:
    """What the classifier sees of an image: a random scale, mirror and crop, and which classes the image holds."""

    records: list[ImageRecord]
    targets: np.ndarray
    long_side: tuple[int, int]
    crop_size: int
    seed: int

    def __call__(self, place: Place) -> Sample:
        record = self.records[place.index]
        rng = np.random.default_rng([self.seed, place.epoch, place.index])
        scale = rng.integers(self.long_side[0], self.long_side[1] + 1) / max(record.height, record.width)
        pixels = read_image(record.path, record.height, record.width)
        crop, box, _ = random_view(rng, pixels, None, scale, self.crop_size)
        return {"pixels": crop, "box": box, "target": self.targets[place.index]}


def train_cam(
    manifest: Path,
    labels: Path,
    out: Path,
    split: str | None = None,
    backbone: str = "resnet50",
    backbone_weights: Path | None = None,
    from_scratch: bool = False,
    epochs: int = 5,
    batch_size: int = 16,
    crop_size: int = 512,
    long_side: tuple[int, int] = (320, 640),
    learning_rate: float = 0.1,
    head_factor: float = 10.0,
    momentum: float = 1e-4,
    weight_decay: float = 1e-4,
    seed: int = 0,
    metrics: Path | None = None,
    device: str = "auto",
    precision: str = "float32",
    workers: int | None = None,
) -> None:
    """Train a multilabel classifier by its soft margin loss and write its weights; `long_side` is a range in pixels."""
    record = provenance("train_cam", locals())
    if long_side[0] > long_side[1]:
        raise IrnError(f"--long-side {long_side[0]} {long_side[1]}: expected the smaller number first")
    if from_scratch and backbone_weights is not None:
        raise IrnError(f"--from-scratch: random weights are no start from --backbone-weights {backbone_weights}; leave one of the two out")
    records = read_manifest(manifest, split)
    table = read_labels(labels)
    targets = np.zeros((len(records), len(table.names)), np.float32)
    for row, image in zip(targets, records, strict=True):
        row[table.of(image.image_id, labels)] = 1
    chosen = choose_device(device)
    # Sets the first values of the classifier, and of the backbone where it learns from scratch.
    torch.manual_seed(seed)
    model = Classifier(backbone, len(table.names), from_scratch)
    if not from_scratch:
        start_backbone(model.backbone, backbone_weights)
    model.to(chosen)

    def losses_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        logits = model(normalised(batch)).float()
        return {"loss": functional.multilabel_soft_margin_loss(logits, batch["target"])}

    sample = ClassifierSample(records, targets, long_side, crop_size, seed)
    schedule = Schedule(epochs, batch_size, learning_rate, head_factor, momentum, weight_decay, seed)
    workers = loading_workers(workers, chosen)
    checkpoint = Checkpoint(out, record, [manifest, labels, backbone_weights])
    train(model, sample, [r.image_id for r in records], losses_of, schedule, chosen, precision, workers, metrics, checkpoint)
    save_weights(out, "cam", model, record, table.names, crop_size)
    checkpoint.remove()
