"""Boundary map and displacement field of one image from IRNet."""

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional

from irn.grid import cells, padded
from irn.networks.base import Backbone
from irn.networks.irnet import IRNet
from irn.ops.resize import field_of_size


def padded_pair(backbone: Backbone, pixels: torch.Tensor, crop_size: int) -> torch.Tensor:
    """An image and its mirror, normalised, each padded at right and bottom with zeros: (2, 3, H', W') float32.

    pixels: (H, W, 3) uint8. A side is padded to the training crop, since group norm averages over the padding too, or,
    where it is longer, to the next multiple of 16.
    """
    image = backbone.normalise(pixels)
    height, width = image.shape[1:]
    down, right = (max(crop_size, padded(side)) - side for side in (height, width))
    return functional.pad(torch.stack([image, image.flip(-1)]), (0, right, 0, down))


def fields(
    model: IRNet, pixels: np.ndarray, height: int, width: int, crop_size: int, mean_displacement: tuple[float, float]
) -> dict[str, np.ndarray]:
    """Run IRNet on an image and its mirror.

    Parameters
    ----------
    model: IRNet, in evaluation mode.
    pixels: (H, W, 3) uint8, the image in its working size.
    height, width: of the image in pixels.
    crop_size: that the model was trained with, in pixels.
    mean_displacement: (dy, dx) of the training images, in cells.

    Returns
    -------
    The arrays of a field cache, in the cells of the image: `boundary` (h, w) float32 probabilities, from the mean logit
    of image and mirror, and `displacement` (2, h, w) float32 in cells, of the image alone, less the mean displacement.
    """
    device = model.boundary.output.weight.device
    pair = padded_pair(model.backbone, torch.from_numpy(pixels).to(device), crop_size)
    levels = model.backbone(pair)
    logits, displacement = model.boundary(levels), model.displacement([level[:1] for level in levels])
    h, w = cells(pixels.shape[0]), cells(pixels.shape[1])
    logits = logits[:, 0, :h, :w].float()
    boundary = torch.sigmoid((logits[0] + logits[1].flip(-1)) / 2)
    mean = torch.tensor(mean_displacement, device=device)[:, None, None]
    displacement = displacement[0, :, :h, :w].float() - mean
    field = {"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()}
    return field_of_size(field, cells(height), cells(width))


def mean_displacement(
    model: IRNet, images: Iterable[np.ndarray], crop_size: int, device: torch.device
) -> tuple[float, float]:
    """Mean (dy, dx) in cells over images (H, W, 3) uint8.

    Each is cut or padded at its top left to the crop, and counts with the whole padded map.
    """
    means = []
    for pixels in images:
        pixels = pixels[:crop_size, :crop_size]
        image = torch.zeros(1, 3, crop_size, crop_size, device=device)
        normalised = model.backbone.normalise(torch.from_numpy(pixels).to(device))
        image[0, :, : pixels.shape[0], : pixels.shape[1]] = normalised
        means.append(model.displacement(model.backbone(image))[0].double().mean((1, 2)))
    dy, dx = (torch.stack(means).sum(0) / len(means)).tolist()
    return dy, dx
