"""Train IRNet's two heads on pairs of pixels of the IR labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from irn.cache import CacheReader
from irn.devices import autocast, choose_device, loading_workers
from irn.errors import IrnError
from irn.images import read_image
from irn.networks import IRNet, normalise
from irn.ops.losses import pair_losses, total_loss
from irn.progress import progress
from irn.provenance import provenance
from irn.tables import ImageRecord, read_manifest
from irn.training import Checkpoint, Place, Sample, Schedule, normalised, random_view, train
from irn.weights import save_weights, start_backbone


@dataclass(frozen=True)
class PairSample:
    """What IRNet sees of an image: a random scale, mirror and crop of it and of its IR label."""

    records: list[ImageRecord]
    cache: CacheReader
    scale: tuple[float, float]
    crop_size: int
    seed: int

    def __call__(self, place: Place) -> Sample:
        record = self.records[place.index]
        rng = np.random.default_rng([self.seed, place.epoch, place.index])
        pixels = read_image(record.path, record.height, record.width)
        self.cache.require_size(record.image_id, record.height, record.width, "the manifest")
        label = self.cache.read(record.image_id)["label"]
        crop, box, label_crop = random_view(rng, pixels, label, rng.uniform(*self.scale), self.crop_size)
        assert label_crop is not None
        # One label a cell: the nearest pixel when the label map is rescaled by a quarter.
        return {"pixels": crop, "box": box, "label": np.ascontiguousarray(label_crop[2::4, 2::4])}


def train_irn(
    manifest: Path,
    ir_labels: Sequence[Path],
    out: Path,
    split: str | None = None,
    mean_split: str | None = None,
    backbone: str = "resnet50",
    backbone_weights: Path | None = None,
    epochs: int = 5,
    batch_size: int = 16,
    crop_size: int = 512,
    scale: tuple[float, float] = (0.5, 1.5),
    radius: int = 10,
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
    """Train IRNet on the images of `split`, take the mean displacement over those of `mean_split` (the same by default), write both."""
    record = provenance("train_irn", locals())
    if crop_size // 4 < 2 * radius - 1:
        least = -(-4 * (2 * radius - 1) // 16) * 16
        raise IrnError(f"--crop-size {crop_size}: no pair of radius {radius} fits; use at least {least} pixels or a smaller --radius")
    if scale[0] > scale[1]:
        raise IrnError(f"--scale {scale[0]:g} {scale[1]:g}: expected the smaller number first")
    records = read_manifest(manifest, split)
    mean_records = read_manifest(manifest, mean_split or split)
    cache = CacheReader(ir_labels, "ir_label")
    cache.require(image.image_id for image in records)
    chosen = choose_device(device)
    torch.manual_seed(seed)
    model = IRNet(backbone)
    start_backbone(model.backbone, backbone_weights)
    model.to(chosen)

    def losses_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        boundary_logits, displacement = model(normalised(batch))
        losses = pair_losses(boundary_logits.float(), displacement.float(), batch["label"], radius)
        return {"loss": total_loss(losses), **losses}

    sample = PairSample(records, cache, scale, crop_size, seed)
    schedule = Schedule(epochs, batch_size, learning_rate, head_factor, momentum, weight_decay, seed)
    workers = loading_workers(workers, chosen)
    checkpoint = Checkpoint(out, record, [manifest, *ir_labels, backbone_weights])
    train(model, sample, [r.image_id for r in records], losses_of, schedule, chosen, precision, workers, metrics, checkpoint)
    mean = mean_displacement(model, mean_records, crop_size, chosen, precision)
    save_weights(out, "irn", model, record, crop_size=crop_size, mean_displacement=mean)
    checkpoint.remove()


def mean_displacement(
    model: IRNet, records: Sequence[ImageRecord], crop_size: int, device: torch.device, precision: str
) -> tuple[float, float]:
    """Mean (dy, dx) in cells over the images, each unscaled and cut or padded at its top left to the crop, over the whole padded map."""
    total = torch.zeros(2, dtype=torch.float64, device=device)
    with torch.inference_mode(), autocast(device, precision):
        for record in progress(records, len(records), "mean displacement"):
            pixels = read_image(record.path, record.height, record.width)[:crop_size, :crop_size]
            image = torch.zeros(1, 3, crop_size, crop_size, device=device)
            image[0, :, : pixels.shape[0], : pixels.shape[1]] = normalise(torch.from_numpy(pixels).to(device))
            total += model.displacement(model.backbone(image))[0].double().mean((1, 2))
    dy, dx = (total / len(records)).tolist()
    return dy, dx
