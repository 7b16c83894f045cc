"""Class maps refined by features: cells that look alike share their scores, objectness takes background out, and the
cell classifier says which class an object has.

Reference of the first: Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly Supervised Semantic
Segmentation", CVPR 2020 (pixel correlation module), here with features that are not trained for it.
"""

from collections.abc import Sequence

import numpy as np

from irn.ops.maps import divided_by_maximum
from irn.ops.resize import resized

TINY = np.float32(1e-12)  # cells without any feature keep their score
FLOOR = np.float32(1e-3)  # no class of an image is impossible in a cell


def likeness(levels: Sequence[np.ndarray], power: float) -> np.ndarray:
    """How alike two cells look, as weights of a mean: (h w, h w) float32, rows that sum to 1.

    levels: feature maps (C, h, w) float32 of one grid. In each cell every level gets length 1, and then all together.
    The weight of a pair of cells is max(0, cosine) to the power `power`, divided by the sum of its row.
    """
    vectors = np.concatenate([_unit(level.reshape(len(level), -1)) for level in levels])
    vectors /= np.float32(np.sqrt(len(levels)))
    weights = np.maximum(vectors.T @ vectors, 0) ** np.float32(power)
    # Of a cell without any feature.
    weights[np.diag_indices_from(weights)] = 1
    return weights / weights.sum(1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(C, N) float32 to the same with columns of length 1, or 0 where they are 0."""
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(0)), TINY)


def shared(maps: np.ndarray, weights: np.ndarray, grid: tuple[int, int], steps: int) -> np.ndarray:
    """(K, H, W) float32 maps after cells shared their scores, in the grid: (K, h, w) float32.

    weights: from `likeness` for the grid (h, w). steps: how often each cell gets the mean of all, by their weights.
    """
    scores = resized(maps, *grid).reshape(len(maps), -1)
    for _ in range(steps):
        scores = scores @ weights.T
    return scores.reshape(len(maps), *grid)


def without_background(
    maps: np.ndarray, objectness: np.ndarray, exponent: float, shares: np.ndarray | None = None
) -> np.ndarray:
    """maps^exponent * objectness * shares, each divided by its maximum + 1e-5: (K, H, W) float32 in [0, 1).

    maps: (K, H, W) float32, 0 or more. objectness: (H, W) float32 probabilities of an object, of whatever class.
    shares: from `class_shares`, if any, in the same grid.
    """
    weighted = maps ** np.float32(exponent) * objectness
    return divided_by_maximum(weighted if shares is None else weighted * shares)


def class_scores(maps: np.ndarray) -> np.ndarray:
    """(K, h, w) float32 maps, 0 or more, to scores above 0: each divided by its maximum, and a little everywhere."""
    return divided_by_maximum(maps) + FLOOR


def class_shares(maps: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """How likely each of an image's classes is in a cell that shows an object: (K, h, w) float32, of sum 1 over K.

    maps: (K, h, w) float32, 0 or more. logits: (K, h, w) float32 of the cell classifier. The posterior of classes whose
    prior is given by their scores.
    """
    posterior = class_scores(maps) * np.exp(logits - logits.max(0, initial=-np.inf, keepdims=True))
    return posterior / posterior.sum(0, keepdims=True)
