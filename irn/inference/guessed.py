"""Segmentation by the networks of the method, of classes that the classifier guesses."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from irn.errors import IrnError
from irn.inference.cams import class_attention_maps, scaled_images
from irn.inference.image import Networks, label_pixels
from irn.inference.predictions import Prediction, pieces
from irn.inference.refine import open_refiner
from irn.io.tensors import Contents
from irn.networks.classifier import Classifier
from irn.networks.folding import for_inference
from irn.ops.crops import crops_of_numbers
from irn.settings.settings import Settings
from irn.weights.files import load_classifier, load_irnet

File = tuple[Path, Contents]


def open_method(
    cam: File, irn: File | None, settings: Settings, device: torch.device, cell_classifier: Path | None = None
) -> tuple[list[str], Callable[[np.ndarray], Prediction]]:
    """The names of the classes, and what the classifier, alone or with IRNet, finds in pixels (H, W, 3) uint8.

    cam, irn: weights files and what they hold. cell_classifier: a weights file, if class maps are refined by one.
    """
    classifier, contents = load_classifier(*cam)
    for_inference(classifier, device)
    names = contents["class_names"] or [f"class {index}" for index in range(len(classifier.classifier.weight))]
    if irn is None:
        if settings.refine.is_on:
            raise IrnError("--weights: a classifier alone, whose maps are not refined; give IRNet's weights too")
        return names, partial(attended, classifier, settings=settings)
    irnet, about = load_irnet(*irn)
    for_inference(irnet, device)
    refiner = open_refiner(
        settings, device, cell_classifier=cell_classifier, classifier=contents, started=irnet.backbone
    )
    networks = Networks(classifier, irnet, about["crop_size"], about["mean_displacement"], refiner)
    return names, partial(walked, networks, settings=settings)


def attended(model: Classifier, pixels: np.ndarray, settings: Settings) -> Prediction:
    """Segment (H, W, 3) uint8 by a classifier alone, which guesses the classes.

    A pixel has the class whose map is highest there, if that is above `evaluate.cam_threshold`. Instances are the
    4-connected pieces of each class, with the mean of the class map as score.
    """
    probability, guessed = _guess(model, pixels, settings)
    classes = np.flatnonzero(guessed)
    maps = class_attention_maps(model, scaled_images(pixels, settings), classes.tolist(), *pixels.shape[:2])
    semantic = np.zeros(pixels.shape[:2], np.uint8)
    scores = np.full(pixels.shape[:2], settings.evaluate.cam_threshold, np.float32)
    for index, scores_of_class in zip(classes, maps["high_res"], strict=True):
        semantic[scores_of_class > scores] = index + 1
        np.maximum(scores, scores_of_class, out=scores)
    return pieces(semantic, scores)._replace(guessed=guessed, probability=probability)


def walked(networks: Networks, pixels: np.ndarray, settings: Settings) -> Prediction:
    """Segment (H, W, 3) uint8 by the method itself, of classes guessed; instances of score 0 are left out."""
    probability, guessed = _guess(networks.classifier, pixels, settings)
    labels = label_pixels(networks, pixels, np.flatnonzero(guessed).tolist(), settings)
    order = np.argsort(-labels["instance_score"], kind="stable")
    order = order[labels["instance_score"][order] > 0]
    crops = crops_of_numbers(labels["instance_map"], (order + 1).tolist())
    classes, scores = labels["instance_class"][order].astype(int), labels["instance_score"][order]
    return Prediction(crops, classes, scores, labels["semantic"], guessed, probability)


def _guess(model: Classifier, pixels: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each class, and which have at least `predict.class_score`."""
    image = model.backbone.normalise(torch.from_numpy(pixels).to(model.classifier.weight.device))
    probability = model(image[None])[0].float().sigmoid().cpu().numpy()
    return probability, probability >= settings.predict.class_score
