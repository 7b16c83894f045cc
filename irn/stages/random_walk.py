"""Spread instance-wise class attention maps over their instances by random walk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from irn.cache import CacheReader, CacheWriter
from irn.devices import choose_device
from irn.ops.instances import instance_groups
from irn.ops.walk import random_walk as walk_scores
from irn.parallel import default_workers, map_in_order
from irn.progress import progress
from irn.provenance import provenance
from irn.shards import WHOLE, Shard, rows_of


@dataclass(frozen=True)
class Walk:
    """Walk the scores of one image."""

    cams: CacheReader
    fields: CacheReader
    beta: float
    steps: int
    radius: int
    device: torch.device

    def __call__(self, image_id: str) -> dict[str, np.ndarray]:
        self.fields.require_size(image_id, *self.cams.size(image_id), "the CAM cache")
        maps, field = self.cams.read(image_id, ["classes", "cam"]), self.fields.read(image_id)
        groups = instance_groups(field["displacement"])
        scores, walk_class, walk_instance = instance_scores(maps["cam"], maps["classes"], groups)
        boundary = torch.from_numpy(field["boundary"]).to(self.device)
        walked = walk_scores(torch.from_numpy(scores).to(self.device), boundary, self.beta, self.steps, self.radius)
        return {"walk": walked.cpu().numpy(), "walk_class": walk_class, "walk_instance": walk_instance}


def random_walk(
    cams: Sequence[Path],
    fields: Sequence[Path],
    out: Path,
    beta: float = 10.0,
    steps: int = 256,
    radius: int = 5,
    manifest: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    device: str = "auto",
    precision: str = "float32",
    workers: int | None = None,
) -> None:
    """Write a walk cache of the images of a split of the manifest, or, without one, of the first CAM cache.

    `precision` changes nothing: every stage that computes with torch has it, and here no network does.
    Raises IrnError for an image that a cache lacks, and for a split without a manifest.
    """
    made_by = provenance("random_walk", locals())
    cam_reader, field_reader = CacheReader(cams, "cam"), CacheReader(fields, "field")
    image_ids = rows_of(shard, cam_reader.listed(manifest, split))
    cam_reader.require(image_ids)
    field_reader.require(image_ids)
    chosen = choose_device(device)
    walk = Walk(cam_reader, field_reader, beta, steps, radius, chosen)
    workers = (0 if chosen.type == "cuda" else default_workers(len(image_ids))) if workers is None else workers
    walked = map_in_order(walk, image_ids, workers, str)
    with CacheWriter(out, "walk", made_by) as cache:
        for image_id, arrays in zip(image_ids, progress(walked, len(image_ids), "random walk"), strict=True):
            cache.write(image_id, *cam_reader.size(image_id), arrays)


def instance_scores(cam: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut each class map to each group of cells: where the walks start.

    cam: (K, h, w) float32. classes: (K,). groups: (h, w) int from 0. Returns scores (M, h, w) float32, and (M,) uint16
    class index and group of each, without maps that are zero everywhere.
    """
    names = np.arange(groups.max() + 1)
    scores = cam[:, None] * (groups == names[:, None, None])
    index, group = np.nonzero(scores.any((2, 3)))
    return scores[index, group], np.asarray(classes)[index].astype(np.uint16), names[group].astype(np.uint16)
