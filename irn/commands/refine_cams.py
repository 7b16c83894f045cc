"""Class maps refined by features of a frozen backbone and by objectness: from a CAM cache to a CAM cache."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.images import read_record
from irn.data.tables import images_of
from irn.errors import IrnError
from irn.grid import MAX_CLASSES
from irn.inference.refine import looked_at, open_refiner, refined
from irn.io.cache import CacheReader, write_cache
from irn.io.devices import choose_device, loading_workers
from irn.io.parallel import map_images
from irn.io.progress import notice
from irn.networks.precision import autocast
from irn.ops.resize import bounded
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.settings import Settings
from irn.workflow.provenance import provenance

# Means of objectness over an image below and above which it says nothing of where objects are.
NOTHING, EVERYTHING = 0.02, 0.9


def refine_cams(
    manifest: Path,
    cams: Sequence[Path],
    out: Path,
    settings: Settings,
    backbone_weights: Path | None = None,
    cell_classifier: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Write a CAM cache of the refined maps of the images of a split.

    backbone_weights: of the backbone whose features are compared, where there is no objectness; by default ImageNet's.
    cell_classifier: weights of the cell classifier, if it is to be used.

    Raises IrnError where the settings ask for no refinement, and for an image that the caches lack.
    """
    made_by = provenance("refine_cams", settings, split=split)
    torch_device = choose_device(device)
    refiner = open_refiner(settings, torch_device, backbone_weights, cell_classifier)
    if refiner is None:
        raise IrnError(
            "refine-cams: nothing to refine by; give --objectness (packaged, or a weights file) or --sharing-steps"
        )
    records = images_of(manifest, split, shard)
    cell_classes = refiner.cell_classifier.layer.out_features if refiner.cell_classifier else MAX_CLASSES
    reader = CacheReader(cams, "cam", cell_classes)
    reader.require(record.image_id for record in records)
    load = partial(_load, cams=reader, settings=settings)
    loaded = map_images(load, records, loading_workers(workers, torch_device))
    means: list[float] = []

    def images() -> Iterator[dict[str, np.ndarray]]:
        for record, (seen, maps) in zip(records, loaded, strict=True):
            result = refined(refiner, seen, maps, record.height, record.width, settings)
            if "objectness" in result:
                means.append(float(result["objectness"].mean()))
            yield result

    with torch.inference_mode(), autocast(torch_device, settings.precision):
        write_cache(out, "refined", made_by, records, images())
    _say(means)


def _load(record: ImageRecord, cams: CacheReader, settings: Settings) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    pixels = bounded(read_record(record), settings.dataset.max_side)
    return looked_at(pixels, settings), cams.image(record)


def _say(means: list[float]) -> None:
    """Say where objectness knows nothing of most images."""
    for words, blind in (("nothing", [m < NOTHING for m in means]), ("everything", [m > EVERYTHING for m in means])):
        if sum(blind) > len(means) / 2:
            notice(
                f"objectness calls {words} an object in {sum(blind)} of {len(means)} images: it does not know pictures "
                "of this kind; set refine.objectness to none, or train it on masks of such pictures"
                " (irn train-objectness)"
            )
