"""Class attention maps of the classes that each image is known to hold, computed or taken over."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.images import read_record
from irn.data.tables import ImageClasses, images_of, read_classes
from irn.errors import IrnError
from irn.inference.cams import at_scale, class_attention_maps
from irn.io.cache import CacheReader, write_cache
from irn.io.cache_format import check_maps
from irn.io.devices import autocast, choose_device, loading_workers
from irn.io.parallel import map_images
from irn.networks.inference import for_inference
from irn.ops.resize import bounded
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.values import Settings
from irn.weights.files import load_classifier
from irn.workflow.provenance import provenance

Maps = dict[str, np.ndarray]


def make_cams(
    manifest: Path,
    labels: Path,
    out: Path,
    settings: Settings,
    weights: Path | None = None,
    external: Sequence[Path] = (),
    split: str | None = None,
    shard: Shard = WHOLE,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Write a CAM cache of the images of a split, from a classifier's weights or from `external` CAM caches, which are checked.

    Raises IrnError for neither or both of the two, and for external CAMs that no later stage could use.
    """
    made_by = provenance("make_cams", None if external else settings, split=split)
    if (weights is None) == (not external):
        raise IrnError(
            "give either --weights of a classifier, whose maps are computed, or --external CAM caches, which are taken over"
        )
    table = read_classes(labels)
    records = images_of(manifest, split, shard)
    present = [table.of(record.image_id, labels) for record in records]
    made = (
        _computed(records, present, table, labels, weights, settings, device, workers)
        if weights
        else _taken_over(records, table, labels, external, workers)
    )
    write_cache(out, "cam", made_by, records, made)


# ---- computed


def _computed(
    records: list[ImageRecord],
    present: list[list[int]],
    table: ImageClasses,
    labels: Path,
    weights: Path,
    settings: Settings,
    device: str,
    workers: int | None,
) -> Iterator[Maps]:
    model, contents = load_classifier(weights)
    _check_classes(weights, contents["class_names"], model.classifier.out_channels, labels, table.names)
    chosen = choose_device(device)
    for_inference(model, chosen)
    scaled = partial(_scaled_images, scales=settings.cam.scales, max_side=settings.dataset.max_side)
    loaded = map_images(scaled, records, loading_workers(workers, chosen))
    with torch.inference_mode(), autocast(chosen, settings.precision):
        for record, classes, arrays in zip(records, present, loaded, strict=True):
            images = [torch.from_numpy(array).to(chosen) for array in arrays]
            cam, high_res = class_attention_maps(model, images, classes, record.height, record.width)
            yield {
                "classes": np.array(classes, np.uint16),
                "cam": cam.cpu().numpy(),
                "high_res": high_res.cpu().numpy(),
            }


def _scaled_images(record: ImageRecord, scales: Sequence[float], max_side: int | None) -> list[np.ndarray]:
    pixels = bounded(read_record(record), max_side)
    return [at_scale(pixels, scale) for scale in scales]


def _check_classes(weights: Path, trained: list[str] | None, outputs: int, labels: Path, wanted: list[str]) -> None:
    """Raise IrnError unless the classifier's classes are those of the labels; imported weights know only how many."""
    if trained is not None and trained != wanted:
        raise IrnError(
            f"{weights}: trained on the classes {','.join(trained)}, but {labels} has {','.join(wanted)}; train on these labels"
        )
    if outputs != len(wanted):
        raise IrnError(
            f"{weights}: a classifier of {outputs} classes, but {labels} has {len(wanted)}; give the labels it was trained on"
        )


# ---- taken over


def _taken_over(
    records: list[ImageRecord], table: ImageClasses, labels: Path, external: Sequence[Path], workers: int | None
) -> Iterator[Maps]:
    reader = CacheReader(external, "cam")
    remedy = "write it there too, or leave its split out of those that are used"
    reader.require((record.image_id for record in records), remedy)
    take = partial(_checked_maps, reader=reader, table=table, labels=labels)
    return map_images(take, records, workers)


def _checked_maps(record: ImageRecord, reader: CacheReader, table: ImageClasses, labels: Path) -> Maps:
    """The maps of one image; IrnError unless its classes are among those of its row in `labels`, once each, and values in [0, 1]."""
    maps = reader.image(record)
    check_maps(f"CAMs of image {record.image_id!r}", maps, table.of(record.image_id, labels), table.names, labels)
    return maps
