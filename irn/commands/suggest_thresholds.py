"""Which thresholds separate foreground from background best, without ground truth."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from irn.data.corrected.cache import open_corrected
from irn.data.tables import images_of_caches
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.labels import class_walks
from irn.ops.separation import THRESHOLDS, score_histogram, separation
from irn.records import ImageRecord


def suggest_thresholds(
    cams: Sequence[Path],
    walks: Sequence[Path],
    out: Path,
    manifest: Path | None = None,
    corrected: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write how well each threshold separates the scores of CAMs and of the walk, and say which does best.

    Parameters
    ----------
    cams, walks: caches; either may be left out.
    corrected: a cache of corrected masks, whose images have labels that no threshold makes; they are left out.
    manifest, split: the images; by default those that are in the caches of every kind.

    Raises
    ------
    IrnError for an image that a cache lacks, for a split without a manifest, for caches without a common image, and
    where no map has a score.
    """
    if not cams and not walks:
        raise IrnError("suggest-thresholds: nothing to look at; give CAM caches (--cams) or walk caches (--walks)")
    readers = {}
    if cams:
        maps = CacheReader(cams, "cam")
        readers[f"evaluate.{'refined' if maps.stage == 'refine_cams' else 'cam'}_threshold"] = maps
    if walks:
        readers["labels.semantic_threshold"] = CacheReader(walks, "walk")
    masks = open_corrected(corrected)
    records = [record for record in _images(list(readers.values()), manifest, split) if record.image_id not in masks]
    if not records:
        raise IrnError(f"{corrected}: all images were corrected by hand; no threshold makes their labels")
    for reader in readers.values():
        reader.require(record.image_id for record in records)
    tables, lines = [], []
    for key, reader in readers.items():
        counted = map_images(partial(_count_image, reader), records, workers)
        histograms = np.array(list(progress(counted, len(records), key)))
        histograms = histograms[histograms.any(1)]
        if not len(histograms):
            raise IrnError(f"{reader.paths[0]}: no image has a score above 0; give caches of images that have a class")
        pooled, of_images = separation(histograms.sum(0)), separation(histograms).mean(0)
        best = int(pooled.argmax())
        columns = {"key": key, "threshold": THRESHOLDS, "separation": pooled, "separation_of_images": of_images}
        suggested = (np.arange(len(THRESHOLDS)) == best).astype(int)
        tables.append(pd.DataFrame(columns | {"suggested": suggested}))
        lines.append(
            f"{key}: {THRESHOLDS[best]:.2f} separates best, {pooled[best]:.3f} of the variance in"
            f" {len(records)} images (of single images {of_images[best]:.3f})"
        )
    with whole_file(out) as partial_file:
        pd.concat(tables).to_csv(partial_file, index=False, lineterminator="\n", float_format="%.6f")
    print("\n".join(lines))


def _images(readers: Sequence[CacheReader], manifest: Path | None, split: str | None) -> list[ImageRecord]:
    first, *others = readers
    if manifest is not None or split is not None:
        return images_of_caches(first, manifest, split)
    shared = [image_id for image_id in first.ids if all(image_id in other for other in others)]
    if not shared:
        files = ", ".join(str(path) for reader in readers for path in reader.paths)
        raise IrnError(f"{files}: no image is in the caches of every kind; give those of the same images")
    return [ImageRecord(image_id, Path(), *first.size(image_id), "") for image_id in shared]


def _count_image(reader: CacheReader, record: ImageRecord) -> np.ndarray:
    if reader.kind == "cam":
        return score_histogram(reader.image(record, ["cam"])["cam"])
    maps = reader.image(record, ["walk", "walk_class"])
    return score_histogram(class_walks(maps["walk"], maps["walk_class"])[0])
