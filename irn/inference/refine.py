"""Refinement of one image's class maps, by its features in a frozen backbone and by objectness."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from irn.grid import cells
from irn.networks.backbones import make_backbone
from irn.networks.base import Backbone
from irn.networks.folding import for_inference
from irn.networks.imagenet import start_backbone
from irn.networks.objectness import LEVELS, Objectness
from irn.ops.maps import divided_by_maximum
from irn.ops.refinement import likeness, shared, without_background
from irn.ops.resize import rescale, resized
from irn.settings.settings import Settings
from irn.weights.files import load_objectness


class Refiner(NamedTuple):
    """What refines class maps: a frozen backbone, and objectness on it if there is any."""

    backbone: Backbone
    objectness: Objectness | None


def open_refiner(settings: Settings, device: torch.device, backbone_weights: Path | None = None) -> Refiner | None:
    """The networks that refine by these settings, on a device; None where nothing is refined.

    backbone_weights: of the backbone `backbone` whose features are compared where there is no objectness, by default
        ImageNet's; objectness has a backbone of its own.
    """
    if not settings.refine.is_on:
        return None
    path = settings.refine.objectness_file
    if path is not None:
        objectness = load_objectness(path)
        for_inference(objectness, device)
        return Refiner(objectness.backbone, objectness)
    backbone = make_backbone(settings.backbone)
    start_backbone(backbone, backbone_weights)
    for_inference(backbone.eval(), device)
    return Refiner(backbone, None)


def looked_at(pixels: np.ndarray, settings: Settings) -> list[np.ndarray]:
    """(H, W, 3) uint8 at the sizes at which the refiner looks at it: those of `refine.long_sides`.

    Without objectness that is the first alone, at which features are compared.
    """
    section, sizes = settings.refine, []
    for long_side in section.long_sides if section.objectness_file else section.long_sides[:1]:
        factor = long_side / max(pixels.shape[:2])
        sizes.append(rescale(pixels, *(max(1, round(side * factor)) for side in pixels.shape[:2])))
    return sizes


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
    probabilities = []
    for place, pixels in enumerate(seen):
        image = refiner.backbone.normalise(torch.from_numpy(pixels).to(refiner.backbone.mean.device))
        levels = refiner.backbone(image[None])
        if place == 0 and section.sharing_steps and len(maps["classes"]):
            scores = _shared(levels, maps["cam"], section.sharing_power, section.sharing_steps)
            result |= {name: divided_by_maximum(resized(scores, *size)) for name, size in sizes.items()}
        if refiner.objectness is not None:
            probabilities.append(refiner.objectness.head(levels)[0].float().sigmoid().cpu().numpy())
    if probabilities:
        for name, size in sizes.items():
            objectness = np.mean([resized(probability, *size) for probability in probabilities], axis=0)
            result[name] = without_background(result[name], objectness, section.cam_exponent)
            if name == "cam":
                result["objectness"] = objectness
    return result


def _shared(levels: Sequence[torch.Tensor], maps: np.ndarray, power: float, steps: int) -> np.ndarray:
    """(K, h, w) float32 maps after cells that look alike shared their scores, in the grid of the last level."""
    grid = (int(levels[-1].shape[-2]), int(levels[-1].shape[-1]))
    features = [resized(levels[level][0].float().cpu().numpy(), *grid) for level in LEVELS]
    return shared(maps, likeness(features, power), grid, steps)
