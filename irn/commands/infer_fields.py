"""Boundary maps and displacement fields from IRNet."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.images import read_record
from irn.data.tables import images_of
from irn.grid import cells
from irn.inference.fields import fields
from irn.io.cache import write_cache
from irn.io.devices import autocast, choose_device, loading_workers
from irn.io.parallel import map_images
from irn.networks.inference import for_inference
from irn.ops.resize import bounded, field_of_size
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.values import Settings
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
    chosen = choose_device(device)
    for_inference(model, chosen)
    loaded = map_images(partial(_pixels, max_side=settings.dataset.max_side), records, loading_workers(workers, chosen))
    infer = partial(fields, model, crop_size=contents["crop_size"], mean_displacement=contents["mean_displacement"])
    with torch.inference_mode(), autocast(chosen, settings.precision):
        made = (infer(torch.from_numpy(pixels).to(chosen)) for pixels in loaded)
        write_cache(
            out, "field", made_by, records, (_arrays(*pair, record) for pair, record in zip(made, records, strict=True))
        )


def _arrays(boundary: torch.Tensor, displacement: torch.Tensor, record: ImageRecord) -> dict[str, np.ndarray]:
    """The arrays of a field cache, in the cells of the image, from those of its working size."""
    size = cells(record.height), cells(record.width)
    return field_of_size({"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()}, *size)


def _pixels(record: ImageRecord, max_side: int | None) -> np.ndarray:
    return bounded(read_record(record), max_side)
