"""How good the labels of one image are, and signs that a map or a label of it says nothing."""

import numpy as np

from irn.ops.iou import class_iou, confusion_matrix
from irn.ops.metric import mean_of_defined
from irn.ops.overlaps import pairwise_iou

FLAT = 0.1  # standard deviation of a class map in [0, 1] under which it may point nowhere
PEAK = 0.3  # how far its maximum is above its median where it points somewhere all the same, if to little of the image


def image_iou(truth: np.ndarray, predicted: np.ndarray, class_count: int) -> float:
    """The mean intersection over union of all labels, background too, that truth or prediction of one image hold.

    truth: (H, W) integers, 0 to class_count, or 255 for pixels that do not count. predicted: (H, W), 0 to class_count.
    Returns a value in [0, 1]; NaN where no pixel counts.
    """
    return mean_of_defined(class_iou(confusion_matrix(truth, predicted, class_count)))


def best_overlaps(
    classes: np.ndarray, scores: np.ndarray, instance_map: np.ndarray, objects: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """How well each object of an image was found: its largest mask IoU with a piece of its class and a score above 0.

    Parameters
    ----------
    classes, scores: (N,) zero-based class index and score of each piece.
    instance_map: (H, W) integers, 0 none, i = piece i - 1.
    objects, labels: (T, H, W) bool masks of the objects, none empty, and (T,) 1 + class index of each.

    Returns
    -------
    (T,) float64 in [0, 1], 0 without such a piece.
    """
    iou = pairwise_iou(instance_map, len(classes), objects)
    iou[(np.asarray(classes)[:, None] + 1 != labels) | (np.asarray(scores)[:, None] <= 0)] = 0
    return iou.max(0, initial=0)


def flat_maps(cam: np.ndarray) -> np.ndarray:
    """Which class maps point nowhere, being nearly the same everywhere: (K, h, w) in [0, 1] to (K,) bool.

    A small object moves the standard deviation little, so a map with a peak above its median is not flat.
    """
    values = cam.reshape(len(cam), cam.shape[1] * cam.shape[2])
    above = values.max(1) - np.median(values, 1)
    return (values.std(1) < FLAT) & (above < PEAK)
