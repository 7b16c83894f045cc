"""How doubtful the label of an image is, by what is known of it without ground truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from irn.ops.iou import class_iou, confusion_matrix


class Signs(NamedTuple):
    """What tells a doubtful label from a good one.

    classes: how many the image has.
    agreement: of the label with the IR label, in [0, 1]; less is more doubtful.
    steepness: of the walk at the label's outline, 0 or more; less is more doubtful.
    """

    classes: int
    agreement: float
    steepness: float


def agreement(ir_label: np.ndarray, semantic: np.ndarray, present: Sequence[int], class_count: int) -> float:
    """The mean IoU of a semantic label with the pixels that the IR label is sure of, over background and classes.

    Parameters
    ----------
    ir_label: (H, W) integers, 0 background, 1 + class index, 255 unsure.
    semantic: (H, W) integers, 0 to class_count.
    present: the indices of the image's classes. One that neither label holds counts as 0.

    Returns
    -------
    A value in [0, 1]; 0 where no pixel is sure.
    """
    background, *classes = class_iou(confusion_matrix(ir_label, semantic, class_count))
    of_classes = [0.0 if np.isnan(classes[index]) else classes[index] for index in present]
    values = of_classes if np.isnan(background) else [background, *of_classes]
    return float(np.mean(values)) if values else 0.0


def steepness(semantic: np.ndarray, score: np.ndarray) -> float:
    """How much the walk's score changes across the outline of a semantic label.

    semantic: (H, W) integers. score: (H, W) floats in [0, 1], the highest walk at each pixel as a share of the maximum.

    Returns the mean difference of the scores of two pixels side by side with different labels, times the square root of
    the number of pixels, so that an image and its enlargement are alike; 0 without an outline.
    """
    across = [
        np.abs(score[here] - score[there])[semantic[here] != semantic[there]]
        for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))
    ]
    differences = np.concatenate(across)
    return float(differences.mean() * np.sqrt(semantic.size)) if differences.size else 0.0


def ranks(signs: Sequence[Signs]) -> np.ndarray:
    """(N, 3) ranks of N images by each sign, above 0 and below 1, 1 for the most doubtful.

    That is the share of images that are less doubtful by this sign, those that are equal counting half.
    """
    more_is_doubtful = np.array(signs, np.float64).reshape(-1, len(Signs._fields)) * (1, -1, -1)
    return np.stack([_ranks(values) for values in more_is_doubtful.T], 1)


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - count / 2)[place] / max(len(values), 1)


def in_words(signs: Signs, of_image: np.ndarray, most: float = 0.8) -> str:
    """Why a label is doubtful: the signs by which few images are more doubtful, the strongest first, or else one.

    of_image: (3,), its row of `ranks`. most: the rank from which on a sign is named.
    """
    words = (
        "1 class" if signs.classes == 1 else f"{signs.classes} classes",
        f"label and IR label disagree (IoU {signs.agreement:.2f})",
        "soft outlines" if signs.steepness else "no outline",
    )
    order = np.argsort(-of_image, kind="stable")
    return "; ".join(words[sign] for place, sign in enumerate(order) if place == 0 or of_image[sign] >= most)
