"""What a trained network finds in a new image, whichever network it is."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from irn.ops.crops import Box, Crops


class Prediction(NamedTuple):
    """The instances of an image, best first, and a class for each pixel.

    crops: N masks, which may overlap. classes: (N,) indices. scores: (N,) in [0, 1].
    semantic: (H, W) uint8, 0 background, 1 + class index.
    guessed, probability: (classes,) bool and (classes,) in [0, 1], where a classifier guessed the classes of the image.
    """

    crops: Crops
    classes: np.ndarray
    scores: np.ndarray
    semantic: np.ndarray
    guessed: np.ndarray | None = None
    probability: np.ndarray | None = None

    @property
    def masks(self) -> np.ndarray:
        """The masks as (N, H, W) bool, which takes a byte a pixel for each."""
        return self.crops.whole()


def pieces(semantic: np.ndarray, probability: np.ndarray) -> Prediction:
    """A semantic map with the 4-connected pieces of each class as instances.

    semantic: (H, W) uint8, 0 background, 1 + class index. probability: (H, W), of the class of each pixel; the score of
    a piece is its mean.
    """
    boxes: list[Box] = []
    masks: list[np.ndarray] = []
    scores, classes = [], []
    for label in np.unique(semantic[semantic > 0]):
        numbers, _ = ndimage.label(semantic == label)
        for number, box in enumerate(ndimage.find_objects(numbers), 1):
            boxes.append(box)
            masks.append(numbers[box] == number)
            scores.append(float(probability[box][masks[-1]].mean()))
            classes.append(int(label) - 1)
    order = np.argsort(-np.array(scores), kind="stable")
    crops = Crops(semantic.shape[0], semantic.shape[1], boxes, masks).ordered(order)
    return Prediction(crops, np.array(classes, np.int64)[order], np.array(scores, np.float32)[order], semantic)
