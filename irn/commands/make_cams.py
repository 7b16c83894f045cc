"""Class attention maps of the classes that each image is known to hold, computed or from elsewhere."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.checks.maps import check_maps
from irn.data.images import read_record
from irn.data.tables import ImageClasses, images_of, read_classes
from irn.errors import IrnError
from irn.inference.cams import class_attention_maps, scaled_images
from irn.io.cache import CacheReader, write_cache
from irn.io.devices import choose_device, loading_workers
from irn.io.parallel import map_images
from irn.networks.folding import for_inference
from irn.networks.precision import autocast
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.settings import Settings
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
    """Write a CAM cache of the images of a split.

    Maps are computed by a classifier from its `weights`, or read from `external` CAM caches and checked. Raises
    IrnError for neither or both of the two, and for external CAMs that no later stage could use.
    """
    made_by = provenance("make_cams", None if external else settings, split=split)
    if (weights is None) == (not external):
        raise IrnError(
            "give either --weights of a classifier, whose maps are computed, or --external CAM caches, which are copied"
        )
    table = read_classes(labels)
    records = images_of(manifest, split, shard)
    present = [table.of(record.image_id) for record in records]
    maps = (
        _computed(records, present, table, weights, settings, device, workers)
        if weights
        else _checked(records, table, external, workers)
    )
    write_cache(out, "cam", made_by, records, maps)


# ---- computed


def _computed(
    records: list[ImageRecord],
    present: list[list[int]],
    table: ImageClasses,
    weights: Path,
    settings: Settings,
    device: str,
    workers: int | None,
) -> Iterator[Maps]:
    model, contents = load_classifier(weights)
    _check_classes(weights, contents["class_names"], model.classifier.out_channels, table)
    torch_device = choose_device(device)
    for_inference(model, torch_device)
    loaded = map_images(partial(_load, settings=settings), records, loading_workers(workers, torch_device))
    with torch.inference_mode(), autocast(torch_device, settings.precision):
        for record, classes, scaled in zip(records, present, loaded, strict=True):
            yield class_attention_maps(model, scaled, classes, record.height, record.width)


def _load(record: ImageRecord, settings: Settings) -> list[np.ndarray]:
    return scaled_images(read_record(record), settings)


def _check_classes(weights: Path, trained: list[str] | None, outputs: int, table: ImageClasses) -> None:
    """Raise IrnError unless the classifier's classes are those of the labels; imported weights know only how many."""
    if trained is not None and trained != table.names:
        raise IrnError(
            f"{weights}: trained on the classes {','.join(trained)}, but {table.path} has {','.join(table.names)};"
            " train on these labels"
        )
    if outputs != len(table.names):
        raise IrnError(
            f"{weights}: a classifier of {outputs} classes, but {table.path} has {len(table.names)};"
            " give the labels it was trained on"
        )


# ---- from elsewhere


def _checked(
    records: list[ImageRecord], table: ImageClasses, external: Sequence[Path], workers: int | None
) -> Iterator[Maps]:
    reader = CacheReader(external, "cam")
    remedy = "write it there too, or leave its split out of those that are used"
    reader.require((record.image_id for record in records), remedy)
    return map_images(partial(_checked_maps, reader=reader, table=table), records, workers)


def _checked_maps(record: ImageRecord, reader: CacheReader, table: ImageClasses) -> Maps:
    """The maps of one image, by `check_maps` fit for its row in the table."""
    maps = reader.image(record)
    check_maps(f"CAMs of image {record.image_id!r}", maps, record.image_id, table)
    return maps
