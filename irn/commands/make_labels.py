"""Semantic and instance labels from the random walk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from irn.data.corrected.cache import open_corrected
from irn.data.tables import images_of_caches
from irn.errors import IrnError
from irn.inference.labels import labels_of
from irn.io.cache import CacheReader, write_cache
from irn.io.parallel import map_images
from irn.io.progress import notice
from irn.ops.object_masks import label_of_mask
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.settings import Settings
from irn.workflow.provenance import provenance
from irn.workflow.stages import MAKE_LABELS

MANY_EMPTY = 0.2  # share of the images, above which the command says so


def make_labels(
    walks: Sequence[Path],
    out: Path,
    settings: Settings,
    manifest: Path | None = None,
    corrected: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    workers: int | None = None,
) -> None:
    """Write a label cache of the images of a split of the manifest, or, without one, of the first walk cache.

    corrected: a cache of corrected masks; those of its images are taken over, with score 1.

    Raises IrnError for an image that the caches lack, and for a split without a manifest.
    """
    made_by = provenance("make_labels", settings, split=split)
    reader = CacheReader(walks, "walk")
    records = images_of_caches(reader, manifest, split, shard)
    reader.require(record.image_id for record in records)
    masks = open_corrected(corrected)
    label = partial(_label, walks=reader, masks=masks, settings=settings)
    labels = map_images(label, records, workers, MAKE_LABELS.resources.process.of)
    shares = write_cache(out, "label", made_by, records, labels, _foreground)
    # An image without a class is background alone by right, and a corrected one by its mask.
    _say(
        [
            share
            for record, share in zip(records, shares, strict=True)
            if share or (record.image_id not in masks and len(reader.image(record, ["walk_class"])["walk_class"]))
        ],
        settings.labels.semantic_threshold,
    )


def _label(record: ImageRecord, walks: CacheReader, masks: CacheReader, settings: Settings) -> dict[str, np.ndarray]:
    if record.image_id in masks:
        return label_of_mask(masks.image(record))
    maps = walks.image(record, ["walk", "walk_class"])
    try:
        return labels_of(maps, record.height, record.width, settings)
    except IrnError as error:
        raise IrnError(f"image {record.image_id!r}: {error}") from None


def _foreground(arrays: dict[str, np.ndarray]) -> float:
    """The share of foreground in a semantic label."""
    return float(np.mean(arrays["semantic"] > 0))


def _say(shares: Sequence[float], threshold: float) -> None:
    if not shares:
        return
    empty = sum(share == 0 for share in shares)
    print(f"foreground: {np.mean(shares):.2f} of the pixels; {empty} of {len(shares)} images with a class have none")
    if empty > MANY_EMPTY * len(shares):
        # Scores are shares of the image's highest, which is above any other threshold.
        why = (
            "no score is above 1; lower labels.semantic_threshold"
            if threshold >= 1
            else "the random walk left no score; look whether their CAMs are 0, or their boundary maps 1, all over"
        )
        notice(f"{empty} of {len(shares)} images with a class are all background: {why}")
