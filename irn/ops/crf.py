"""Inter-pixel relation labels: confident areas of class maps, refined by a dense CRF."""

import numpy as np

from irn.grid import UNSURE
from irn.ops.lattice import Kernel
from irn.ops.mean_field import mean_field

# Pixels that are near each other, and pixels of like colours within 50 pixels or so, tend to have one label.
KERNELS = (Kernel(weight=3, position=3), Kernel(weight=10, position=50, colour=5))
CERTAINTY = 0.7
STEPS = 10


def ir_label(
    pixels: np.ndarray,
    high_res: np.ndarray,
    classes: np.ndarray,
    foreground_threshold: float,
    background_threshold: float,
    crf: str = "numba",
) -> np.ndarray:
    """Label the pixels that are surely one of the classes present or surely background.

    Parameters
    ----------
    pixels: (H, W, 3) uint8, RGB.
    high_res: (K, H, W) float32 in [0, 1], class maps at the size of the image.
    classes: (K,) class indices.
    foreground_threshold, background_threshold: score of background, in the run that finds sure foreground and in the
    one
        that finds sure background.
    crf: what computes it, `numba` (irn/ops/mean_field.py) or `pydensecrf`.

    Returns
    -------
    (H, W) uint8: 0 background, 1 + class index, 255 unsure.
    """
    if len(classes) == 0:
        return np.zeros(pixels.shape[:2], np.uint8)
    guesses = [
        argmax_with_background(high_res, threshold) for threshold in (foreground_threshold, background_threshold)
    ]
    foreground, background = refine(pixels, guesses, 1 + len(classes), crf)
    label = np.concatenate([[0], np.asarray(classes, np.int64) + 1]).astype(np.uint8)[foreground]
    label[(foreground == 0) & (background != 0)] = UNSURE
    return label


def argmax_with_background(maps: np.ndarray, threshold: float) -> np.ndarray:
    """(K, H, W) float maps to (H, W) int32: 0 where none is above `threshold`, else 1 + index of the highest."""
    best = maps.argmax(0).astype(np.int32)
    highest = np.take_along_axis(maps, best[None], 0)[0]
    return np.where(highest > threshold, best + 1, 0).astype(np.int32)


def refine(pixels: np.ndarray, guesses: list[np.ndarray], labels: int, crf: str = "numba") -> list[np.ndarray]:
    """Refine each (H, W) int32 guess of values 0 to `labels` - 1 by a dense CRF on the same image.

    The lattice depends on the image alone, so it is built once for all guesses. Returns (H, W) integer arrays.
    """
    # Neither takes an image that is read-only or not contiguous as it is.
    pixels = np.array(pixels, np.uint8, order="C")
    if crf == "numba":
        return mean_field(pixels, guesses, labels, CERTAINTY, KERNELS, STEPS)
    return _refine_by_pydensecrf(pixels, guesses, labels)


def _refine_by_pydensecrf(pixels: np.ndarray, guesses: list[np.ndarray], labels: int) -> list[np.ndarray]:
    # Late, since only the extra `crf` brings it, which needs a compiler.
    from pydensecrf import densecrf
    from pydensecrf.utils import unary_from_labels

    height, width = pixels.shape[:2]
    field = densecrf.DenseCRF2D(width, height, labels)
    for kernel in KERNELS:
        if kernel.colour == 0:
            field.addPairwiseGaussian(sxy=kernel.position, compat=kernel.weight)
        else:
            field.addPairwiseBilateral(sxy=kernel.position, srgb=kernel.colour, rgbim=pixels, compat=kernel.weight)
    refined = []
    for guess in guesses:
        field.setUnaryEnergy(
            np.ascontiguousarray(unary_from_labels(guess, labels, gt_prob=CERTAINTY, zero_unsure=False))
        )
        refined.append(np.array(field.inference(STEPS)).argmax(0).reshape(height, width))
    return refined
