"""Class attention maps of one image from several scales and its mirror."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.grid import cells, padded
from irn.networks.classifier import Classifier
from irn.ops.resize import rescale

EPSILON = 1e-5


def at_scale(pixels: np.ndarray, scale: float) -> np.ndarray:
    """(H, W, 3) uint8 to (round(H scale), round(W scale), 3) uint8, halves to even."""
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return rescale(pixels, height, width)


def class_attention_maps(
    model: Classifier, scaled: Sequence[torch.Tensor], classes: Sequence[int], height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum the rectified class maps over scales and mirrors, and divide each by its maximum.

    Parameters
    ----------
    model: the classifier, in evaluation mode.
    scaled: one (H', W', 3) uint8 tensor a scale, from `at_scale`, on the device of the model.
    classes: indices of the K classes present.
    height, width: of the image in pixels.

    Returns
    -------
    `cam` (K, h, w) at stride 4 and `high_res` (K, height, width), float32 in [0, 1).
    """
    device = scaled[0].device
    chosen = torch.as_tensor(classes, dtype=torch.int64, device=device)
    small = (cells(height), cells(width))
    # The published maps were made at sizes that are multiples of the stride.
    large = (padded(height), padded(width))
    cam, high_res = torch.zeros(len(classes), *small, device=device), torch.zeros(len(classes), *large, device=device)
    if len(classes) == 0:
        return cam, high_res[:, :height, :width]
    for pixels in scaled:
        image = model.backbone.normalise(pixels)
        maps = model.class_maps(torch.stack([image, image.flip(-1)]), chosen).float()
        merged = (maps[0] + maps[1].flip(-1))[None]
        cam += functional.interpolate(merged, small, mode="bilinear", align_corners=False)[0]
        high_res += functional.interpolate(merged, large, mode="bilinear", align_corners=False)[0]
    return _divided(cam), _divided(high_res[:, :height, :width])


def _divided(maps: torch.Tensor) -> torch.Tensor:
    return maps / (maps.amax((1, 2), keepdim=True) + EPSILON)
