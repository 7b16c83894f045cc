"""Random walk with the affinities of a boundary map, without ever building its matrix."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from irn.ops.compiled import compiled
from irn.ops.instances import instance_groups, instance_scores
from irn.ops.paths import fill_path_maxima, pair_offsets

# Sum of the Chebyshev coefficients that may be left out; scores are float32, whose own error is about as large.
SERIES_TOLERANCE = 1e-6
# float32 loses about 5e-7 of the maximum per step; longer walks use float64.
FLOAT32_STEPS = 512
# Maps that walk together, and cells at a time: few enough that a core's own caches hold what is needed again.
TOGETHER, BLOCK = 4, 512
OUTSIDE = 2  # above every boundary
# Smaller affinities and scores are dropped: they lead to subnormal numbers, which cost some processors a hundred
# cycles each.
NOTHING = np.float32(1e-20)


class WalkSettings(Protocol):
    """What a walk depends on beside its maps: the section `walk` of the settings (irn/settings/settings.py)."""

    beta: float  # exponent of the affinities, 0 or more
    steps: int  # 0 or more
    radius: int  # in cells
    centroid_length: float  # in cells, above 0


def walk_instances(
    maps: Mapping[str, np.ndarray], field: Mapping[str, np.ndarray], settings: WalkSettings
) -> dict[str, np.ndarray]:
    """Cut each class map of an image to each of its instances, and walk them all.

    maps: `cam` (K, h, w) float32 in [0, 1] and `classes` (K,). field: `boundary` (h, w) float32 in [0, 1] and
    `displacement` (2, h, w) float32 in cells. Returns the arrays of a walk cache: `walk` (M, h, w) float32,
    `walk_class` (M,) uint16, `walk_instance` (M,) uint32 and `groups` (h, w) int32.
    """
    groups = instance_groups(field["displacement"], settings.centroid_length)
    scores, walk_class, walk_instance = instance_scores(maps["cam"], maps["classes"], groups)
    walked = random_walk(scores, field["boundary"], settings)
    return {"walk": walked, "walk_class": walk_class, "walk_instance": walk_instance, "groups": groups}


def random_walk(scores: np.ndarray, boundary: np.ndarray, settings: WalkSettings) -> np.ndarray:
    """Spread scores over each image region: vec(scores * (1 - boundary)) times T to the power `steps`.

    T is A with each column divided by its sum. A has 1 on the diagonal and, for pixels nearer than `radius`,
    (1 - the maximum boundary on the path between them) to the power `beta`, both ways.

    Parameters
    ----------
    scores: (M, h, w) float32 in [0, 1]; what is spread so thin that less than 1e-20 is left is dropped.
    boundary: (h, w) float32 probabilities in [0, 1].
    settings: `beta`, `steps` and `radius`.

    Returns
    -------
    (M, h, w) float32.

    Notes
    -----
    D^-1/2 A D^-1/2 is symmetric with eigenvalues in [-1, 1], D being the column sums, and its power is a Chebyshev
    series that ends after about 5 sqrt(steps) terms: 78 products do the work of 256. The matrix is a stencil, an image
    of affinities for each of half the neighbours. All images have a margin of zeros as wide as the radius reaches, so
    that a neighbour is a shift of the whole image.
    """
    if len(scores) == 0:
        return scores.copy()
    radius, steps = settings.radius, settings.steps
    number = np.float32 if steps <= FLOAT32_STEPS else np.float64
    affinity = affinities(np.asarray(boundary, number), settings.beta, radius)
    height, width = affinity.shape[1:]
    shifts = np.array([dy * width + dx for dy, dx in pair_offsets(radius)], np.int64)
    lines = affinity.reshape(-1, height * width)
    root = np.sqrt(_column_sums(lines, shifts)).reshape(height, width)
    scale = (1 / root).astype(number).ravel()
    for line, shift in zip(lines, shifts, strict=True):
        line[: len(line) - shift] *= scale[: len(line) - shift] * scale[shift:]
    walked = np.zeros((len(scores), height, width), number)
    inner, sums = _inner(walked, radius), _inner(root, radius).astype(number)
    np.multiply(scores, (1 - boundary) * sums, out=inner, casting="same_kind")
    rows, diagonal = walked.reshape(len(scores), -1), scale**2
    coefficients = chebyshev_coefficients(steps).astype(number)
    for first in range(0, len(rows), TOGETHER):
        some = rows[first : first + TOGETHER]
        some[:] = _chebyshev_series(lines, shifts, diagonal, some, coefficients)
    np.divide(inner, sums, out=inner)
    return np.ascontiguousarray(inner, np.float32)


def affinities(boundary: np.ndarray, beta: float, radius: int) -> np.ndarray:
    """Affinity of each pixel with each of its partners (`pair_offsets`): (1 - largest boundary on the path)^beta.

    boundary: (h, w) floats in [0, 1]. Returns (P, h + 2 edge, w + 2 edge) of the same type with edge = radius - 1, the
    map in the middle; 0 where one of both lies outside the map, and for less than 1e-20.
    """
    edge = radius - 1
    padded = np.pad(boundary, edge, constant_values=OUTSIDE)
    height, width = padded.shape
    maxima = np.full((len(pair_offsets(radius)) + 1, padded.size), OUTSIDE, boundary.dtype)
    maxima[-1] = padded.ravel()
    fill_path_maxima(maxima, edge * width, (height - 2 * edge) * width, width, radius, np.maximum)
    affinity = (1 - np.minimum(maxima[:-1], 1)) ** boundary.dtype.type(beta)
    affinity[(maxima[:-1] == OUTSIDE) | (affinity < NOTHING)] = 0
    return affinity.reshape(-1, height, width)


def chebyshev_coefficients(power: int) -> np.ndarray:
    """Coefficients c_k of x^power = sum over k of c_k T_k(x), cut where the rest sums to less than SERIES_TOLERANCE.

    c_k = 2^(1 - power) binomial(power, (power - k) / 2) for k of the parity of `power`, half of that for k = 0.
    """
    k = np.arange(power % 2, power + 1, 2)
    j = (power - k) // 2
    # Of whole numbers, by a sum: SciPy's function takes longer to import than the walk of an image.
    factorial = np.concatenate([[0], np.cumsum(np.log(np.arange(1, power + 1)))])
    logarithm = factorial[power] - factorial[j] - factorial[power - j] + (1 - power) * np.log(2)
    coefficients = np.zeros(power + 1)
    coefficients[k] = np.exp(logarithm)
    if power % 2 == 0:
        coefficients[0] /= 2
    rest = np.cumsum(coefficients[::-1])[::-1]
    return coefficients[: max(1, int(np.count_nonzero(rest >= SERIES_TOLERANCE)))]


def _inner(images: np.ndarray, radius: int) -> np.ndarray:
    """View of images (..., H, W) without their margins."""
    edge = radius - 1
    return images[..., edge : images.shape[-2] - edge, edge : images.shape[-1] - edge]


def _column_sums(affinity: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Of A, whose diagonal is 1, in float64: an error of all sums would grow with each step."""
    sums = np.ones(affinity.shape[1])
    for line, shift in zip(affinity, shifts, strict=True):
        sums[: len(sums) - shift] += line[: len(sums) - shift]
        sums[shift:] += line[: len(sums) - shift]
    return sums


def _chebyshev_series(
    affinity: np.ndarray, shifts: np.ndarray, diagonal: np.ndarray, start: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Sum over k of c_k T_k(matrix) times each line of `start` (M, n), for a symmetric matrix, eigenvalues in [-1, 1].

    The matrix has `diagonal` (n,), and `affinity` (P, n) of each pixel with the one that is a shift (P,) further on.
    """
    total = coefficients[0] * start
    current, previous = start, np.zeros_like(start)
    for k in range(1, len(coefficients)):
        # T_1(x) = x, and from then on T_k(x) = 2 x T_(k - 1)(x) - T_(k - 2)(x).
        factor = start.dtype.type(1 if k == 1 else 2)
        _multiply(affinity, shifts, diagonal, current, previous, total, factor, coefficients[k])
        current, previous = previous, current
    return total


@compiled(fast=True)
def _multiply(
    affinity: np.ndarray,
    shifts: np.ndarray,
    diagonal: np.ndarray,
    current: np.ndarray,
    previous: np.ndarray,
    total: np.ndarray,
    factor: Any,
    coefficient: Any,
) -> None:
    """Take one term of the series: `previous` becomes `factor` times the matrix times `current`, less what it was.

    `coefficient` times that is added to `total`.
    """
    margin = shifts.max() if len(shifts) else 0
    sums = np.empty((len(current), BLOCK), current.dtype)
    for start in range(margin, len(diagonal) - margin, BLOCK):
        end = min(start + BLOCK, len(diagonal) - margin)
        on_diagonal = diagonal[start:end]
        for m in range(len(current)):
            row, here = sums[m], current[m, start:end]
            for i in range(len(on_diagonal)):
                row[i] = on_diagonal[i] * here[i]
        for k in range(len(shifts)):
            shift = shifts[k]
            to, fro = affinity[k, start:end], affinity[k, start - shift : end - shift]
            for m in range(len(current)):
                row = sums[m]
                after = current[m, start + shift : end + shift]
                before = current[m, start - shift : end - shift]
                for i in range(len(on_diagonal)):
                    row[i] += to[i] * after[i] + fro[i] * before[i]
        for m in range(len(current)):
            row, new, added = sums[m], previous[m, start:end], total[m, start:end]
            for i in range(len(on_diagonal)):
                value = factor * row[i] - new[i]
                new[i] = value if abs(value) > NOTHING else 0
            # Every other coefficient is 0.
            if coefficient != 0:
                for i in range(len(on_diagonal)):
                    added[i] += coefficient * new[i]
