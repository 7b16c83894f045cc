"""What a trained network finds in a new image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from irn.networks.deeplab import DeepLab
from irn.networks.mask_rcnn import MaskRcnn
from irn.ops.cams import at_scale


class Prediction(NamedTuple):
    """Instances of an image, best first: `masks` (N, H, W) bool, which may overlap, `classes` (N,) indices, `scores` (N,) in [0, 1];
    and `semantic` (H, W) uint8, 0 background, 1 + class index."""

    masks: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    semantic: np.ndarray


def instances(model: MaskRcnn, pixels: torch.Tensor, shown: float) -> Prediction:
    """Run Mask R-CNN on (H, W, 3) uint8; its semantic map is that of the instances of at least the score `shown`."""
    found = model(model.backbone.normalise(pixels)[None])[0]
    masks = (found["masks"][:, 0] > 0.5).cpu().numpy()
    filled = masks.any((1, 2))
    classes, scores = found["labels"].cpu().numpy()[filled] - 1, found["scores"].float().cpu().numpy()[filled]
    numbers = painted(masks[filled], scores >= shown)
    return Prediction(masks[filled], classes, scores, np.concatenate([[0], classes + 1]).astype(np.uint8)[numbers])


def segments(model: DeepLab, pixels: np.ndarray, scales: Sequence[float], device: torch.device) -> Prediction:
    """Run DeepLab on (H, W, 3) uint8 at these scales, each with its mirror image where there are several.

    Its instances are the 4-connected pieces of each class, with the mean probability of the class as score.
    """
    height, width = pixels.shape[:2]
    total = torch.zeros(1, device=device)
    for scale in scales:
        image = model.backbone.normalise(torch.from_numpy(at_scale(pixels, scale)).to(device))
        views = torch.stack([image, image.flip(-1)] if len(scales) > 1 else [image])
        probability = model(views).float().softmax(1)
        merged = probability[0] if len(scales) == 1 else (probability[0] + probability[1].flip(-1)) / 2
        total = total + functional.interpolate(merged[None], (height, width), mode="bilinear", align_corners=False)[0] / len(scales)
    probability, semantic = (array.cpu().numpy() for array in total.max(0))
    return _pieces(semantic.astype(np.uint8), probability)


def _pieces(semantic: np.ndarray, probability: np.ndarray) -> Prediction:
    masks, classes, scores = [], [], []
    for label in np.unique(semantic[semantic > 0]):
        numbers, count = ndimage.label(semantic == label)
        masks += [numbers == number for number in range(1, count + 1)]
        scores += [float(probability[mask].mean()) for mask in masks[-count:]]
        classes += [int(label) - 1] * count
    order = np.argsort(-np.array(scores), kind="stable")
    stacked = np.array(masks, bool).reshape(-1, *semantic.shape)
    return Prediction(stacked[order], np.array(classes, np.int64)[order], np.array(scores, np.float32)[order], semantic)


def painted(masks: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(H, W) integers, 0 none, i = mask i - 1: those that are `shown` (N,) one over the other, the first of (N, H, W) on top."""
    numbers = np.zeros(masks.shape[1:], np.int64)
    for row in np.flatnonzero(shown)[::-1]:
        numbers[masks[row]] = row + 1
    return numbers
