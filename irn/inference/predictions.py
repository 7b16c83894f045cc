"""What a trained network finds in a new image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from irn.inference.cams import at_scale, class_attention_maps, scaled_images
from irn.inference.image import Networks, label_pixels
from irn.networks.classifier import Classifier
from irn.networks.deeplab import DeepLab
from irn.networks.mask_rcnn import MaskRcnn
from irn.ops.stacking import first_on_top
from irn.settings.values import Settings


class Prediction(NamedTuple):
    """What a network finds in an image.

    Instances, best first: `masks` (N, H, W) bool, which may overlap, `classes` (N,) indices, `scores` (N,) in [0, 1].
    And `semantic` (H, W) uint8, 0 background, 1 + class index.

    Where the classes of the image were guessed by a classifier, `guessed` (classes,) bool says which, and `probability`
    (classes,) in [0, 1] is the classifier's.
    """

    masks: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    semantic: np.ndarray
    guessed: np.ndarray | None = None
    probability: np.ndarray | None = None


def instances(model: MaskRcnn, pixels: torch.Tensor, shown: float) -> Prediction:
    """Run Mask R-CNN on (H, W, 3) uint8; its semantic map is that of the instances of at least the score `shown`."""
    found = model(model.backbone.normalise(pixels)[None])[0]
    masks = (found["masks"][:, 0] > 0.5).cpu().numpy()
    filled = masks.any((1, 2))
    classes, scores = found["labels"].cpu().numpy()[filled] - 1, found["scores"].float().cpu().numpy()[filled]
    numbers = first_on_top(masks[filled], scores >= shown)
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
        total = total + functional.interpolate(merged[None], (height, width), mode="bilinear", align_corners=False)[
            0
        ] / len(scales)
    probability, semantic = (array.cpu().numpy() for array in total.max(0))
    return _pieces(semantic.astype(np.uint8), probability)


def attended(model: Classifier, pixels: np.ndarray, settings: Settings) -> Prediction:
    """Segment (H, W, 3) uint8 by a classifier alone, which guesses the classes.

    A pixel has the class whose map is highest there, if that is above `evaluate.cam_threshold`. Instances are the
    4-connected pieces of each class, with the mean of the class map as score.
    """
    probability, guessed = _guess(model, pixels, settings)
    classes = np.flatnonzero(guessed)
    maps = class_attention_maps(model, scaled_images(pixels, settings), classes.tolist(), *pixels.shape[:2])
    background = np.full((1, *pixels.shape[:2]), settings.evaluate.cam_threshold, np.float32)
    scores = np.concatenate([background, maps["high_res"]])
    semantic = np.concatenate([[0], classes + 1]).astype(np.uint8)[scores.argmax(0)]
    return _pieces(semantic, scores.max(0))._replace(guessed=guessed, probability=probability)


def walked(networks: Networks, pixels: np.ndarray, settings: Settings) -> Prediction:
    """Segment (H, W, 3) uint8 by the method itself, of classes guessed; instances of score 0 are left out."""
    probability, guessed = _guess(networks.classifier, pixels, settings)
    labels = label_pixels(networks, pixels, np.flatnonzero(guessed).tolist(), settings)
    order = np.argsort(-labels["instance_score"], kind="stable")
    order = order[labels["instance_score"][order] > 0]
    masks = labels["instance_map"] == (order + 1)[:, None, None]
    classes, scores = labels["instance_class"][order].astype(int), labels["instance_score"][order]
    return Prediction(masks, classes, scores, labels["semantic"], guessed, probability)


def _guess(model: Classifier, pixels: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each class, and which have at least `predict.class_score`."""
    image = model.backbone.normalise(torch.from_numpy(pixels).to(model.classifier.weight.device))
    probability = model(image[None])[0].float().sigmoid().cpu().numpy()
    return probability, probability >= settings.predict.class_score


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
