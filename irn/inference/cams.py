"""Class attention maps of one image from several scales and its mirror."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from irn.grid import cells, padded
from irn.networks.classifier import Classifier
from irn.ops.maps import divided_by_maximum
from irn.ops.resize import at_scale, bounded
from irn.settings.settings import Settings


def scaled_images(pixels: np.ndarray, settings: Settings) -> list[np.ndarray]:
    """(H, W, 3) uint8 in its working size at each of `cam.scales`."""
    small = bounded(pixels, settings.dataset.max_side)
    return [at_scale(small, scale) for scale in settings.cam.scales]


def class_attention_maps(
    model: Classifier, scaled: Sequence[np.ndarray], classes: Sequence[int], height: int, width: int
) -> dict[str, np.ndarray]:
    """Sum the rectified class maps over scales and mirrors, and divide each by its maximum + 1e-5.

    Parameters
    ----------
    model: the classifier, in evaluation mode.
    scaled: the image at each scale, (H', W', 3) uint8, from `scaled_images`.
    classes: indices of the K classes present.
    height, width: of the image in pixels.

    Returns
    -------
    The arrays of a CAM cache: `classes` (K,) uint16, `cam` (K, h, w) at stride 4 and `high_res` (K, height, width),
    both float32 in [0, 1).
    """
    device = model.classifier.weight.device
    indices = torch.as_tensor(classes, dtype=torch.int64, device=device)
    small = (cells(height), cells(width))
    # The published maps were made at sizes that are multiples of the stride.
    large = (padded(height), padded(width))
    cam, high_res = (torch.zeros(len(classes), *size, device=device) for size in (small, large))
    for pixels in scaled if len(classes) else ():
        image = model.backbone.normalise(torch.from_numpy(pixels).to(device))
        maps = model.class_maps(torch.stack([image, image.flip(-1)]), indices).float()
        merged = (maps[0] + maps[1].flip(-1))[None]
        cam += functional.interpolate(merged, small, mode="bilinear", align_corners=False)[0]
        high_res += functional.interpolate(merged, large, mode="bilinear", align_corners=False)[0]
    return {
        "classes": np.array(classes, np.uint16),
        "cam": divided_by_maximum(cam.cpu().numpy()),
        "high_res": divided_by_maximum(high_res[:, :height, :width].cpu().numpy()),
    }
