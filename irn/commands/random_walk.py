"""Spread instance-wise class attention maps over their instances by random walk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from irn.data.tables import images_of_caches
from irn.grid import cells
from irn.inference.walk import walk_of
from irn.io.cache import CacheReader, write_cache
from irn.io.parallel import map_images
from irn.io.progress import notice
from irn.ops.resize import walk_of_size
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.settings import Settings
from irn.workflow.provenance import provenance
from irn.workflow.stages import RANDOM_WALK

MANY_GROUPS = 12  # on average in an image, above which the command says so


def random_walk(
    cams: Sequence[Path],
    fields: Sequence[Path],
    out: Path,
    settings: Settings,
    manifest: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    workers: int | None = None,
) -> None:
    """Write a walk cache of the images of a split of the manifest, or, without one, of the first CAM cache.

    Raises IrnError for an image that a cache lacks, and for a split without a manifest.
    """
    made_by = provenance("random_walk", settings, split=split)
    cam_reader, field_reader = CacheReader(cams, "cam"), CacheReader(fields, "field")
    records = images_of_caches(cam_reader, manifest, split, shard)
    for reader in (cam_reader, field_reader):
        reader.require(record.image_id for record in records)
    walk = partial(_walk, cams=cam_reader, fields=field_reader, settings=settings)
    need = partial(RANDOM_WALK.resources.process.of, max_side=settings.dataset.max_side)
    walked = map_images(walk, records, workers, need)
    # Brought to the size of the image here, so that no large map waits to be written or travels between processes.
    walks = (
        walk_of_size(arrays, cells(record.height), cells(record.width))
        for arrays, record in zip(walked, records, strict=True)
    )
    _say(write_cache(out, "walk", made_by, records, walks, _groups))


def _walk(record: ImageRecord, cams: CacheReader, fields: CacheReader, settings: Settings) -> dict[str, np.ndarray]:
    maps = cams.image(record, ["classes", "cam"])
    return walk_of(maps, fields.image(record), record.height, record.width, settings)


def _groups(arrays: dict[str, np.ndarray]) -> int:
    """The number of groups of an image."""
    return int(arrays["groups"].max()) + 1


def _say(groups: Sequence[int]) -> None:
    if not groups:
        return
    print(f"groups: {np.mean(groups):.1f} an image")
    if np.mean(groups) > MANY_GROUPS:
        notice(
            "displacement falls into many small groups; train IRNet longer (irn.epochs) or with smaller batches"
            " (irn.batch_size)"
        )
    if len(groups) > 1 and max(groups) == 1:
        notice(
            "no image has more than one group, so boundaries alone tell instances apart; look at the displacement:"
            " lower walk.centroid_length where it is short, or raise irn.epochs"
        )
