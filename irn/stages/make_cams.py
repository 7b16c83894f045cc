"""Class attention maps of the classes that each image is known to hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from irn.cache import CacheWriter
from irn.devices import autocast, choose_device, loading_workers
from irn.errors import IrnError
from irn.images import read_image
from irn.networks import for_inference
from irn.ops.cams import at_scale, class_attention_maps
from irn.parallel import map_in_order
from irn.progress import progress
from irn.provenance import provenance
from irn.shards import WHOLE, Shard, rows_of
from irn.tables import ImageRecord, read_labels, read_manifest
from irn.weights import load_classifier


@dataclass(frozen=True)
class ScaledImage:
    """Read an image at several scales."""

    scales: Sequence[float]

    def __call__(self, record: ImageRecord) -> list[np.ndarray]:
        pixels = read_image(record.path, record.height, record.width)
        return [at_scale(pixels, scale) for scale in self.scales]


def make_cams(
    manifest: Path,
    labels: Path,
    weights: Path,
    out: Path,
    scales: Sequence[float] = (1.0, 0.5, 1.5, 2.0),
    split: str | None = None,
    shard: Shard = WHOLE,
    device: str = "auto",
    precision: str = "float32",
    workers: int | None = None,
) -> None:
    """Write a CAM cache of the images of a split."""
    made_by = provenance("make_cams", locals())
    table = read_labels(labels)
    records = rows_of(shard, read_manifest(manifest, split))
    present = {record.image_id: table.of(record.image_id, labels) for record in records}
    model, contents = load_classifier(weights)
    _check_classes(weights, contents["class_names"], model.classifier.out_channels, labels, table.names)
    chosen = choose_device(device)
    for_inference(model, chosen)
    workers = loading_workers(workers, chosen)
    loaded = map_in_order(ScaledImage(scales), records, workers, lambda record: record.image_id)
    with CacheWriter(out, "cam", made_by) as cache, torch.inference_mode(), autocast(chosen, precision):
        for record, arrays in zip(records, progress(loaded, len(records), "class attention maps"), strict=True):
            scaled = [torch.from_numpy(array).to(chosen) for array in arrays]
            classes = present[record.image_id]
            cam, high_res = class_attention_maps(model, scaled, classes, record.height, record.width)
            maps = {"classes": np.array(classes, np.uint16), "cam": cam.cpu().numpy(), "high_res": high_res.cpu().numpy()}
            cache.write(record.image_id, record.height, record.width, maps)


def _check_classes(weights: Path, trained: list[str] | None, outputs: int, labels: Path, wanted: list[str]) -> None:
    """Raise IrnError unless the classifier's classes are those of the labels; imported weights know only how many."""
    if trained is not None and trained != wanted:
        raise IrnError(f"{weights}: trained on the classes {','.join(trained)}, but {labels} has {','.join(wanted)}; train on these labels")
    if outputs != len(wanted):
        raise IrnError(f"{weights}: a classifier of {outputs} classes, but {labels} has {len(wanted)}; give the labels it was trained on")
