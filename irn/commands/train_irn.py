"""Train IRNet's two heads on pairs of pixels of the IR labels."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from irn.data.images import read_record
from irn.data.tables import images_of
from irn.inference.fields import mean_displacement
from irn.io.cache import CacheReader
from irn.io.checkpoint import Checkpoint
from irn.io.devices import autocast, choose_device, loading_workers
from irn.io.processes import join, rank
from irn.io.progress import progress
from irn.networks.imagenet import start_backbone
from irn.networks.irnet import IRNet
from irn.ops.resize import bounded
from irn.settings.values import Settings
from irn.training.irnet import irnet_objective, pair_view
from irn.training.loop import Means, train
from irn.weights.files import save_weights
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
    """Train IRNet on the images of a split, take the mean displacement over those of `irn.mean_split` (the same by default), write both."""
    made_by = provenance("train_irn", settings, split=split)
    own = settings.irn
    records, mean_records = images_of(manifest, split), images_of(manifest, own.mean_split or split)
    cache = CacheReader(ir_labels, "ir_label")
    names = [record.image_id for record in records]
    cache.require(names)
    chosen = join(choose_device(device))
    torch.manual_seed(settings.seed)
    model = IRNet(settings.backbone)
    start_backbone(model.backbone, backbone_weights)
    model.to(chosen)
    max_side = settings.dataset.max_side
    view = partial(
        pair_view,
        records=records,
        ir_labels=cache,
        scale=own.scale,
        crop_size=own.crop_size,
        seed=settings.seed,
        max_side=max_side,
    )
    means = Means(chosen, settings.precision, loading_workers(workers, chosen), metrics)
    checkpoint = Checkpoint(out, made_by, [manifest, *ir_labels, backbone_weights])
    train(model, view, names, irnet_objective(own.radius), own, settings, means, checkpoint)
    if rank() > 0:
        return
    images = (bounded(read_record(record), max_side) for record in mean_records)
    with torch.inference_mode(), autocast(chosen, settings.precision):
        mean = mean_displacement(model, progress(images, len(mean_records), "mean displacement"), own.crop_size, chosen)
    save_weights(out, "irn", model, made_by, crop_size=own.crop_size, mean_displacement=mean)
    checkpoint.remove()
