"""What a trained network finds in a new image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from irn.grid import cells
from irn.inference.cams import at_scale, class_attention_maps
from irn.inference.fields import fields
from irn.networks.classifier import Classifier
from irn.networks.deeplab import DeepLab
from irn.networks.irnet import IRNet
from irn.networks.mask_rcnn import MaskRcnn
from irn.ops.labels import synthesise_labels
from irn.ops.resize import field_of_size, resized, walk_of_size, working_size
from irn.ops.walk import walk_instances
from irn.settings.values import Settings


class Prediction(NamedTuple):
    """Instances of an image, best first: `masks` (N, H, W) bool, which may overlap, `classes` (N,) indices, `scores` (N,) in [0, 1];
    and `semantic` (H, W) uint8, 0 background, 1 + class index.

    Where the classes of the image were guessed by a classifier, `guessed` (classes,) bool says which, and `probability` (classes,) in
    [0, 1] is the classifier's.
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
        total = total + functional.interpolate(merged[None], (height, width), mode="bilinear", align_corners=False)[
            0
        ] / len(scales)
    probability, semantic = (array.cpu().numpy() for array in total.max(0))
    return _pieces(semantic.astype(np.uint8), probability)


def attended(model: Classifier, pixels: np.ndarray, settings: Settings, device: torch.device) -> Prediction:
    """Segment (H, W, 3) uint8 by a classifier alone: the class map above `evaluate.cam_threshold` that is highest, of classes guessed.

    Its instances are the 4-connected pieces of each class, with the mean of the class map as score.
    """
    probability, guessed = _guess(model, pixels, settings.predict.class_score, device)
    _, maps = _class_maps(model, pixels, guessed, settings, device)
    background = torch.full_like(
        maps[:1] if len(maps) else maps.new_zeros(1, *pixels.shape[:2]), settings.evaluate.cam_threshold
    )
    value, place = (array.cpu().numpy() for array in torch.cat([background, maps]).max(0))
    found = _pieces(np.concatenate([[0], np.flatnonzero(guessed) + 1]).astype(np.uint8)[place], value)
    return found._replace(guessed=guessed, probability=probability)


def walked(
    model: Classifier, irnet: IRNet, about: dict[str, Any], pixels: np.ndarray, settings: Settings, device: torch.device
) -> Prediction:
    """Segment (H, W, 3) uint8 by the method itself, of classes guessed; `about` is what IRNet's file says of it."""
    height, width = pixels.shape[:2]
    probability, guessed = _guess(model, pixels, settings.predict.class_score, device)
    cams, _ = _class_maps(model, pixels, guessed, settings, device)
    boundary, displacement = fields(
        irnet, torch.from_numpy(pixels).to(device), about["crop_size"], about["mean_displacement"]
    )
    maps = {"classes": np.flatnonzero(guessed), "cam": cams.cpu().numpy()}
    field = {"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()}
    labels = labels_of(maps, field, height, width, settings)
    order = np.argsort(-labels["instance_score"], kind="stable")
    order = order[labels["instance_score"][order] > 0]
    masks = labels["instance_map"] == (order + 1)[:, None, None]
    classes, scores = labels["instance_class"][order].astype(int), labels["instance_score"][order]
    return Prediction(masks, classes, scores, labels["semantic"], guessed, probability)


def labels_of(
    maps: dict[str, np.ndarray], field: dict[str, np.ndarray], height: int, width: int, settings: Settings
) -> dict[str, np.ndarray]:
    """Walk and label synthesis of an image: `maps` and `field` as in `walk_instances`. Returns a label cache's arrays, and `groups`.

    The walk is in the image's working size, as `irn random-walk` has it, and what is returned in its own.
    """
    size = working_size(height, width, settings.dataset.max_side)
    if size != (height, width):
        h, w = map(cells, size)
        maps, field = maps | {"cam": resized(maps["cam"], h, w)}, field_of_size(field, h, w)
    walk = settings.walk
    walks = walk_instances(maps, field, walk.beta, walk.steps, walk.radius, walk.centroid_length)
    if size != (height, width):
        walks = walk_of_size(walks, cells(height), cells(width))
    thresholds = settings.labels.semantic_threshold, settings.labels.instance_threshold
    return {
        **synthesise_labels(walks["walk"], walks["walk_class"], height, width, *thresholds),
        "groups": walks["groups"],
    }


def _guess(model: Classifier, pixels: np.ndarray, least: float, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each class, and which have at least `least`."""
    image = model.backbone.normalise(torch.from_numpy(pixels).to(device))
    probability = model(image[None])[0].float().sigmoid().cpu().numpy()
    return probability, probability >= least


def _class_maps(
    model: Classifier, pixels: np.ndarray, guessed: np.ndarray, settings: Settings, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    scaled = [torch.from_numpy(at_scale(pixels, scale)).to(device) for scale in settings.cam.scales]
    return class_attention_maps(model, scaled, np.flatnonzero(guessed).tolist(), *pixels.shape[:2])


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
