"""Inter-pixel relation labels from class attention maps, by dense CRF."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irn.cache import CacheReader, CacheWriter
from irn.errors import IrnError
from irn.images import read_image
from irn.ops.crf import ir_label
from irn.parallel import default_workers, map_in_order
from irn.progress import progress
from irn.provenance import provenance
from irn.shards import WHOLE, Shard, rows_of
from irn.tables import ImageRecord, read_manifest


@dataclass(frozen=True)
class IrLabel:
    """Label one image."""

    cams: CacheReader
    foreground_threshold: float
    background_threshold: float

    def __call__(self, record: ImageRecord) -> np.ndarray:
        pixels = read_image(record.path, record.height, record.width)
        self.cams.require_size(record.image_id, record.height, record.width, "the manifest")
        maps = self.cams.read(record.image_id, ["classes", "high_res"])
        return ir_label(pixels, maps["high_res"], maps["classes"], self.foreground_threshold, self.background_threshold)


def make_ir_labels(
    manifest: Path,
    cams: Sequence[Path],
    out: Path,
    foreground_threshold: float = 0.30,
    background_threshold: float = 0.05,
    split: str | None = None,
    shard: Shard = WHOLE,
    workers: int | None = None,
) -> None:
    """Write an IR label cache of the images of a split."""
    made_by = provenance("make_ir_labels", locals())
    if background_threshold > foreground_threshold:
        raise IrnError(
            f"--background-threshold {background_threshold}: above --foreground-threshold {foreground_threshold};"
            " sure background needs the lower score"
        )
    records = rows_of(shard, read_manifest(manifest, split))
    reader = CacheReader(cams, "cam")
    reader.require(record.image_id for record in records)
    label = IrLabel(reader, foreground_threshold, background_threshold)
    labelled = map_in_order(label, records, default_workers(len(records)) if workers is None else workers, lambda record: record.image_id)
    with CacheWriter(out, "ir_label", made_by) as cache:
        for record, array in zip(records, progress(labelled, len(records), "IR labels"), strict=True):
            cache.write(record.image_id, record.height, record.width, {"label": array})
