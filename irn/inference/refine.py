"""Refinement of one image's class maps: by its features in a frozen backbone, objectness and the cell classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from irn.errors import IrnError
from irn.grid import STEP, cells
from irn.io.tensors import Contents
from irn.networks.backbones import make_backbone
from irn.networks.base import Backbone
from irn.networks.cell_classifier import CellClassifier, cell_features
from irn.networks.folding import for_inference
from irn.networks.imagenet import start_backbone
from irn.networks.objectness import LEVELS, Objectness
from irn.ops.maps import divided_by_maximum
from irn.ops.refinement import class_shares, likeness, shared, without_background
from irn.ops.resize import rescale, resized
from irn.settings.settings import Settings
from irn.weights.files import load_cell_classifier, load_objectness


class Refiner(NamedTuple):
    """What refines class maps: a frozen backbone, and objectness and a cell classifier on it if there are any."""

    backbone: Backbone
    objectness: Objectness | None
    cell_classifier: CellClassifier | None = None


def open_refiner(
    settings: Settings,
    device: torch.device,
    backbone_weights: Path | None = None,
    cell_classifier: Path | None = None,
    classifier: Contents | None = None,
    started: Backbone | None = None,
) -> Refiner | None:
    """The networks that refine by these settings, on a device; None where nothing is refined.

    backbone_weights: of the backbone whose features are compared where there is no objectness, by default ImageNet's;
        objectness has a backbone of its own.
    cell_classifier: its weights file, if it is to be used.
    classifier: what the weights file of the classifier holds that makes the maps, where it is at hand.
    started: the backbone whose features are compared instead, ready for inference: that of IRNet, which is frozen.

    Raises IrnError for a cell classifier without objectness, for one that another backbone was used for or that knows
    other classes than the classifier, and for one that the settings ask for beside a classifier and that is missing.
    """
    path = settings.refine.objectness_file
    if cell_classifier is not None and path is None:
        raise IrnError(f"{cell_classifier}: a cell classifier needs objectness; give --objectness, as in its training")
    if classifier is not None and cell_classifier is None and settings.refine.classifies_cells:
        raise IrnError("refine.cell_classifier: true, but no file of one is given; add cell_classifier")
    if not settings.refine.is_on:
        return None
    if path is not None:
        objectness = load_objectness(path)
        cells = None
        if cell_classifier is not None:
            names = classifier["class_names"] if classifier is not None else None
            cells = load_cell_classifier(cell_classifier, objectness.backbone, names).to(device)
        for_inference(objectness, device)
        return Refiner(objectness.backbone, objectness, cells)
    if started is not None:
        return Refiner(started, None)
    backbone = make_backbone(settings.backbone)
    start_backbone(backbone, backbone_weights)
    for_inference(backbone.eval(), device)
    return Refiner(backbone, None)


def looked_at(pixels: np.ndarray, settings: Settings) -> list[np.ndarray]:
    """(H, W, 3) uint8 at the sizes at which the refiner looks at it: those of `refine.long_sides`.

    Without objectness that is the first alone, at which features are compared.
    """
    section = settings.refine
    sizes = section.long_sides if section.objectness_file else section.long_sides[:1]
    return [at_long_side(pixels, long_side) for long_side in sizes]


def at_long_side(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """(H, W, 3) uint8 made larger or smaller, so that its longer side has about so many pixels.

    Both sides are multiples of 16, as in training: cells of all levels then end with the image.
    """
    factor = long_side / max(pixels.shape[:2]) / STEP
    return rescale(pixels, *(STEP * max(1, round(side * factor)) for side in pixels.shape[:2]))


def refined(
    refiner: Refiner,
    seen: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    height: int,
    width: int,
    settings: Settings,
) -> dict[str, np.ndarray]:
    """Refine the class maps of an image of `height` x `width` pixels.

    seen: the image as `looked_at` gives it. maps: the arrays of its CAM cache.

    Returns them refined, and `objectness` (h, w) float32 in [0, 1] if there is any.
    """
    section = settings.refine
    result = {name: maps[name] for name in ("classes", "cam", "high_res")}
    sizes = {"cam": (cells(height), cells(width)), "high_res": (height, width)}
    # One size after another, so that the levels of one alone are in memory.
    probabilities, shares = [], None
    for place, pixels in enumerate(seen):
        image = refiner.backbone.normalise(torch.from_numpy(pixels).to(refiner.backbone.mean.device))
        levels = refiner.backbone(image[None])
        if place == 0 and section.sharing_steps and len(maps["classes"]):
            scores = _shared(levels, maps["cam"], section.sharing_power, section.sharing_steps)
            result |= {name: divided_by_maximum(resized(scores, *size)) for name, size in sizes.items()}
        if place == 0 and refiner.cell_classifier is not None:
            logits = refiner.cell_classifier(cell_features(levels))[..., maps["classes"].astype(int)]
            logits = logits.movedim(-1, 0).float().cpu().numpy()
            shares = class_shares(resized(result["cam"], *logits.shape[1:]), logits)
        if refiner.objectness is not None:
            probabilities.append(refiner.objectness.head(levels)[0].float().sigmoid().cpu().numpy())
    if probabilities:
        for name, size in sizes.items():
            objectness = np.mean([resized(probability, *size) for probability in probabilities], axis=0)
            of_size = None if shares is None else resized(shares, *size)
            result[name] = without_background(result[name], objectness, section.cam_exponent, of_size)
            if name == "cam":
                result["objectness"] = objectness
    return result


def _shared(levels: Sequence[torch.Tensor], maps: np.ndarray, power: float, steps: int) -> np.ndarray:
    """(K, h, w) float32 maps after cells that look alike shared their scores, in the grid of the last level."""
    grid = (int(levels[-1].shape[-2]), int(levels[-1].shape[-1]))
    features = [resized(levels[level][0].float().cpu().numpy(), *grid) for level in LEVELS]
    return shared(maps, likeness(features, power), grid, steps)
