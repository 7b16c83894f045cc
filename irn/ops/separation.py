"""How well a threshold parts the scores of maps into high and low ones, which needs no ground truth.

Reference: Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on Systems, Man, and
Cybernetics 9(1), 1979.
"""

import numpy as np

BINS = 100
# Between the bins.
THRESHOLDS = tuple(number / BINS for number in range(1, BINS))


def score_histogram(maps: np.ndarray) -> np.ndarray:
    """Count the cells of an image by their highest score over (K, h, w) float maps, as a share of the maximum of all.

    Returns (BINS,) int64, equal bins of [0, 1]; all 0 without a map, or without a value above 0.
    """
    maximum = maps.max(initial=0)
    if maximum <= 0:
        return np.zeros(BINS, np.int64)
    return np.histogram(np.clip(maps.max(0) / maximum, 0, 1), BINS, (0, 1))[0]


def separation(histograms: np.ndarray) -> np.ndarray:
    """The share of the variance of scores that lies between those above and those below each of `THRESHOLDS`.

    histograms: (..., BINS) counts. Returns (..., BINS - 1) float64 in [0, 1]; 0 where all scores are on one side.

    Notes
    -----
    Otsu's measure: p (1 - p) (mean above - mean below)^2 / variance, p being the share of scores above.
    """
    weight = histograms / np.maximum(histograms.sum(-1, keepdims=True), 1)
    value = (np.arange(BINS) + 0.5) / BINS
    below, first = weight.cumsum(-1)[..., :-1], (weight * value).cumsum(-1)
    mean, variance = first[..., -1:], (weight * value**2).sum(-1, keepdims=True) - first[..., -1:] ** 2
    both = below * (1 - below) * variance
    between = (mean * below - first[..., :-1]) ** 2
    return np.divide(between, both, out=np.zeros_like(both), where=both > 1e-12)
