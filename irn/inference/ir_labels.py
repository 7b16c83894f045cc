"""Inter-pixel relation labels of one image from its class attention maps."""

from collections.abc import Mapping

import numpy as np

from irn.ops.crf import ir_label
from irn.ops.resize import bounded, rescale, resized
from irn.settings.settings import Settings


def ir_label_of(pixels: np.ndarray, maps: Mapping[str, np.ndarray], settings: Settings) -> dict[str, np.ndarray]:
    """Find what is surely one of the classes or surely background, by a dense CRF in the working size.

    pixels: (H, W, 3) uint8. maps: `classes` (K,) and `high_res` (K, H, W) float32 in [0, 1]. Returns the array of an IR
    label cache: `label` (H, W) uint8, 0 background, 1 + class index, 255 unsure.
    """
    height, width = pixels.shape[:2]
    small = bounded(pixels, settings.dataset.max_side)
    high_res = resized(maps["high_res"], *small.shape[:2])
    thresholds = settings.ir_labels.foreground_threshold, settings.ir_labels.background_threshold
    label = ir_label(small, high_res, maps["classes"], *thresholds, settings.ir_labels.crf)
    return {"label": rescale(label, height, width, nearest=True)}
