"""Boundary maps and displacement fields from IRNet."""

from pathlib import Path

import numpy as np
import torch

from irn.cache import CacheWriter
from irn.devices import autocast, choose_device, loading_workers
from irn.images import read_image
from irn.networks import for_inference
from irn.ops.fields import fields
from irn.parallel import map_in_order
from irn.progress import progress
from irn.provenance import provenance
from irn.shards import WHOLE, Shard, rows_of
from irn.tables import ImageRecord, read_manifest
from irn.weights import load_irnet


def infer_fields(
    manifest: Path,
    weights: Path,
    out: Path,
    split: str | None = None,
    shard: Shard = WHOLE,
    device: str = "auto",
    precision: str = "float32",
    workers: int | None = None,
) -> None:
    """Write a field cache of the images of a split."""
    made_by = provenance("infer_fields", locals())
    records = rows_of(shard, read_manifest(manifest, split))
    model, contents = load_irnet(weights)
    chosen = choose_device(device)
    for_inference(model, chosen)
    workers = loading_workers(workers, chosen)
    loaded = map_in_order(_pixels, records, workers, lambda record: record.image_id)
    with CacheWriter(out, "field", made_by) as cache, torch.inference_mode(), autocast(chosen, precision):
        for record, array in zip(records, progress(loaded, len(records), "fields"), strict=True):
            pixels = torch.from_numpy(array).to(chosen)
            boundary, displacement = fields(model, pixels, contents["crop_size"], contents["mean_displacement"])
            arrays = {"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()}
            cache.write(record.image_id, record.height, record.width, arrays)


def _pixels(record: ImageRecord) -> np.ndarray:
    return read_image(record.path, record.height, record.width)
