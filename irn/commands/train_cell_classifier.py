"""Train the cell classifier, which tells the classes of an image apart, on the class maps of the training images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.data.images import read_record
from irn.data.tables import images_of, read_classes
from irn.errors import IrnError
from irn.inference.refine import at_long_side, open_refiner
from irn.io.cache import CacheReader
from irn.io.devices import choose_device, loading_workers
from irn.io.parallel import map_images
from irn.io.progress import notice, progress
from irn.networks.base import Backbone, seeded
from irn.networks.cell_classifier import CellClassifier, cell_features
from irn.networks.objectness import Objectness
from irn.networks.precision import autocast
from irn.ops.refinement import class_scores
from irn.ops.resize import bounded, resized
from irn.records import ImageRecord
from irn.settings.settings import Settings
from irn.training.cell_classifier import Cells, drawn, teach
from irn.training.memory import FEATURES
from irn.weights.files import save_weights
from irn.workflow.provenance import provenance


def train_cell_classifier(
    manifest: Path,
    labels: Path,
    cams: Sequence[Path],
    out: Path,
    settings: Settings,
    split: str | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Train the cell classifier on the images of a split and their class maps, and write its weights.

    Raises IrnError without objectness, which says where objects are, and where no image has a class.
    """
    made_by = provenance("train_cell_classifier", settings, split=split)
    torch_device = choose_device(device)
    refiner = open_refiner(settings, torch_device)
    if refiner is None or refiner.objectness is None:
        raise IrnError("train-cell-classifier: no objectness, which says where objects are; give --objectness")
    names = read_classes(labels).names
    reader = CacheReader(cams, "cam", classes=len(names))
    records = images_of(manifest, split)
    reader.require(record.image_id for record in records)
    with seeded(settings.seed, torch_device):
        network = CellClassifier(refiner.backbone, len(names)).to(torch_device)
    channels = len(network.mean)
    count = _cells_of_image(len(records), channels, len(names), settings.cell_classifier.cells)
    load = partial(_load, cams=reader, settings=settings)
    loaded = progress(
        map_images(load, records, loading_workers(workers, torch_device)), len(records), "features of cells"
    )
    # Filled in place, since a list of parts would be in memory beside what is made of it.
    features = torch.empty(len(records), count, channels, dtype=torch.float16)
    scores, filled = torch.zeros(len(records), count, len(names)), 0
    with torch.inference_mode(), autocast(torch_device, settings.precision):
        for number, (pixels, maps) in enumerate(loaded):
            if len(maps["classes"]):
                rng = np.random.default_rng((settings.seed, number))
                of_image = _cells(refiner.backbone, refiner.objectness, pixels, maps, len(names), count, rng)
                features[filled], scores[filled] = of_image
                filled += 1
    if not filled:
        raise IrnError(f"{labels}: no image has a class; expected some that have")
    cells = Cells(features[:filled].to(torch_device), scores[:filled].to(torch_device))
    teach(network, cells, settings.cell_classifier, settings.seed)
    save_weights(out, "cell_classifier", network, made_by, names)


def _load(record: ImageRecord, cams: CacheReader, settings: Settings) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    pixels = bounded(read_record(record), settings.dataset.max_side)
    return at_long_side(pixels, settings.refine.long_sides[0]), cams.image(record, ["classes", "cam"])


def _cells(
    backbone: Backbone,
    objectness: Objectness,
    pixels: np.ndarray,
    maps: dict[str, np.ndarray],
    classes: int,
    count: int,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Some cells of an image that show objects, drawn: their features (n, C) float16, and scores (n, classes)."""
    levels = backbone(backbone.normalise(torch.from_numpy(pixels).to(backbone.mean.device))[None])
    features = cell_features(levels)
    grid = features.shape[:2]
    places = drawn(resized(objectness.head(levels)[0].float().sigmoid().cpu().numpy(), *grid), count, rng)
    scores = torch.zeros(count, classes)
    of_image = class_scores(resized(maps["cam"], *grid)).reshape(len(maps["cam"]), -1)[:, places]
    scores[:, maps["classes"].astype(int)] = torch.from_numpy(of_image.T)
    return features.flatten(0, 1)[torch.from_numpy(places).to(features.device)].half().cpu(), scores


def _cells_of_image(images: int, channels: int, classes: int, wanted: int) -> int:
    """How many cells of each image are kept: as many as wanted, or as fit into memory with their scores."""
    count = int(min(wanted, max(1, FEATURES // ((2 * channels + 4 * classes) * images))))
    if count < wanted:
        limit = f"{FEATURES / 2**30:g} GiB"
        notice(f"{count} cells of each image are learned from, since {wanted} would take more than {limit}")
    return count
