"""Boundary maps and displacement fields from IRNet."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.images import read_record
from irn.data.tables import images_of
from irn.inference.fields import fields
from irn.io.cache import write_cache
from irn.io.devices import choose_device, loading_workers
from irn.io.parallel import map_images
from irn.networks.folding import for_inference
from irn.networks.precision import autocast
from irn.ops.resize import bounded
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.settings import Settings
from irn.weights.files import load_irnet
from irn.workflow.provenance import provenance


def infer_fields(
    manifest: Path,
    weights: Path,
    out: Path,
    settings: Settings,
    split: str | None = None,
    shard: Shard = WHOLE,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Write a field cache of the images of a split."""
    made_by = provenance("infer_fields", settings, split=split)
    records = images_of(manifest, split, shard)
    model, contents = load_irnet(weights)
    torch_device = choose_device(device)
    for_inference(model, torch_device)
    loaded = map_images(
        partial(_load, max_side=settings.dataset.max_side), records, loading_workers(workers, torch_device)
    )
    infer = partial(fields, model, crop_size=contents["crop_size"], mean_displacement=contents["mean_displacement"])
    with torch.inference_mode(), autocast(torch_device, settings.precision):
        inferred = (infer(pixels, record.height, record.width) for pixels, record in zip(loaded, records, strict=True))
        write_cache(out, "field", made_by, records, inferred)


def _load(record: ImageRecord, max_side: int | None) -> np.ndarray:
    return bounded(read_record(record), max_side)
