"""The labels of one image from its random walk."""

from collections.abc import Mapping

import numpy as np

from irn.ops.labels import synthesise_labels
from irn.settings.settings import Settings


def labels_of(walks: Mapping[str, np.ndarray], height: int, width: int, settings: Settings) -> dict[str, np.ndarray]:
    """Label an image of `height` x `width` pixels from its `walk` (M, h, w) float32 and `walk_class` (M,).

    Returns the arrays of a label cache (`synthesise_labels`). Raises IrnError for more than 65,535 pieces of instances.
    """
    section = settings.labels
    return synthesise_labels(
        walks["walk"],
        walks["walk_class"],
        height,
        width,
        section.semantic_threshold,
        section.instance_threshold,
        section.smallest_piece,
        section.maximum == "instance",
    )
