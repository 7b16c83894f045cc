"""Semantic and instance labels from the random walk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irn.cache import CacheReader, CacheWriter
from irn.errors import IrnError
from irn.ops.labels import synthesise_labels
from irn.parallel import default_workers, map_in_order
from irn.progress import progress
from irn.provenance import provenance
from irn.shards import WHOLE, Shard, rows_of


@dataclass(frozen=True)
class Label:
    """Label one image."""

    walks: CacheReader
    semantic_threshold: float
    instance_threshold: float

    def __call__(self, image_id: str) -> dict[str, np.ndarray]:
        maps = self.walks.read(image_id, ["walk", "walk_class"])
        size = self.walks.size(image_id)
        try:
            return synthesise_labels(maps["walk"], maps["walk_class"], *size, self.semantic_threshold, self.instance_threshold)
        except IrnError as error:
            raise IrnError(f"image {image_id!r}: {error}") from None


def make_labels(
    walks: Sequence[Path],
    out: Path,
    semantic_threshold: float = 0.25,
    instance_threshold: float = 0.25,
    manifest: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    workers: int | None = None,
) -> None:
    """Write a label cache of the images of a split of the manifest, or, without one, of the first walk cache.

    Raises IrnError for an image that the caches lack, and for a split without a manifest.
    """
    made_by = provenance("make_labels", locals())
    reader = CacheReader(walks, "walk")
    image_ids = rows_of(shard, reader.listed(manifest, split))
    reader.require(image_ids)
    label = Label(reader, semantic_threshold, instance_threshold)
    labelled = map_in_order(label, image_ids, default_workers(len(image_ids)) if workers is None else workers, str)
    with CacheWriter(out, "label", made_by) as cache:
        for image_id, arrays in zip(image_ids, progress(labelled, len(image_ids), "labels"), strict=True):
            cache.write(image_id, *reader.size(image_id), arrays)
