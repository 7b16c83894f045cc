"""What a trained network finds in a new image, whichever network it is."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Prediction(NamedTuple):
    """The instances of an image, best first, and a class for each pixel.

    masks: (N, H, W) bool, which may overlap. classes: (N,) indices. scores: (N,) in [0, 1].
    semantic: (H, W) uint8, 0 background, 1 + class index.
    guessed, probability: (classes,) bool and (classes,) in [0, 1], where a classifier guessed the classes of the image.
    """

    masks: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    semantic: np.ndarray
    guessed: np.ndarray | None = None
    probability: np.ndarray | None = None


def pieces(semantic: np.ndarray, probability: np.ndarray) -> Prediction:
    """A semantic map with the 4-connected pieces of each class as instances.

    semantic: (H, W) uint8, 0 background, 1 + class index. probability: (H, W), of the class of each pixel; the score of
    a piece is its mean.
    """
    masks, classes, scores = [], [], []
    for label in np.unique(semantic[semantic > 0]):
        numbers, count = ndimage.label(semantic == label)
        masks += [numbers == number for number in range(1, count + 1)]
        scores += [float(probability[mask].mean()) for mask in masks[-count:]]
        classes += [int(label) - 1] * count
    order = np.argsort(-np.array(scores), kind="stable")
    stacked = np.array(masks, bool).reshape(-1, *semantic.shape)
    return Prediction(stacked[order], np.array(classes, np.int64)[order], np.array(scores, np.float32)[order], semantic)
