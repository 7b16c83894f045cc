"""Boundary maps and displacement fields from IRNet."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.tables import ImageRecord, images_of
from irn.io.cache import write_cache
from irn.io.devices import autocast, choose_device, loading_workers
from irn.io.images import read_record
from irn.io.parallel import map_images
from irn.io.provenance import provenance
from irn.io.shards import WHOLE, Shard
from irn.io.weights import load_irnet
from irn.networks.inference import for_inference
from irn.ops.fields import fields
from irn.settings import Settings


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
    chosen = choose_device(device)
    for_inference(model, chosen)
    loaded = map_images(_pixels, records, loading_workers(workers, chosen))
    infer = partial(fields, model, crop_size=contents["crop_size"], mean_displacement=contents["mean_displacement"])
    with torch.inference_mode(), autocast(chosen, settings.precision):
        made = (infer(torch.from_numpy(pixels).to(chosen)) for pixels in loaded)
        arrays = ({"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()} for boundary, displacement in made)
        write_cache(out, "field", made_by, records, arrays)


def _pixels(record: ImageRecord) -> np.ndarray:
    return read_record(record)
