"""Semantic and instance labels from the random walk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from irn.data.tables import ImageRecord
from irn.errors import IrnError
from irn.io.cache import CacheReader, write_cache
from irn.io.parallel import map_images
from irn.io.provenance import provenance
from irn.io.shards import WHOLE, Shard
from irn.ops.labels import synthesise_labels
from irn.settings import Labels, Settings


def make_labels(
    walks: Sequence[Path],
    out: Path,
    settings: Settings,
    manifest: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    workers: int | None = None,
) -> None:
    """Write a label cache of the images of a split of the manifest, or, without one, of the first walk cache.

    Raises IrnError for an image that the caches lack, and for a split without a manifest.
    """
    made_by = provenance("make_labels", settings, split=split)
    reader = CacheReader(walks, "walk")
    records = reader.images(manifest, split, shard)
    reader.require(record.image_id for record in records)
    label = partial(_label, walks=reader, settings=settings.labels)
    write_cache(out, "label", made_by, records, map_images(label, records, workers))


def _label(record: ImageRecord, walks: CacheReader, settings: Labels) -> dict[str, np.ndarray]:
    maps = walks.image(record, ["walk", "walk_class"])
    size, thresholds = (record.height, record.width), (settings.semantic_threshold, settings.instance_threshold)
    try:
        return synthesise_labels(maps["walk"], maps["walk_class"], *size, *thresholds)
    except IrnError as error:
        raise IrnError(f"image {record.image_id!r}: {error}") from None
