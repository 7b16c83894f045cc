"""Mean field in a fully connected conditional random field, with Gaussian kernels on permutohedral lattices.

References
----------
Kraehenbuehl, Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from irn.ops.compiled import compiled
from irn.ops.lattice import Kernel, Lattice, make_lattice
from irn.ops.vectors import numbers_of, plus_scaled, put_row, row_at, zero_row, zero_rows

BLOCK = 512  # pixels: few enough that their vertices, weights and scores stay in a core's own cache
WIDTHS = (2, 4, 8)  # of rows of values
# CRC-32 of vectors.py: Numba keeps compiled code until this file changes, so an edit of the other has to change it.
VECTORS = 2538454986


def mean_field(
    pixels: np.ndarray,
    guesses: Sequence[np.ndarray],
    labels: int,
    certainty: float,
    kernels: Sequence[Kernel],
    steps: int,
) -> list[np.ndarray]:
    """The likeliest label of each pixel after some steps of mean field, for several guesses on the same image.

    Parameters
    ----------
    pixels: (H, W, channels) uint8.
    guesses: (H, W) integers from 0 to `labels` - 1 each.
    labels: their number, 2 to 255.
    certainty: the probability, between 0 and 1, of a guess; the rest is shared by the other labels.
    kernels: their weighted sum is how much two pixels of different labels cost.
    steps: 1 or more.

    Returns
    -------
    (H, W) uint8 arrays, one for each guess.

    Notes
    -----
    The probabilities of a pixel's labels sum to one. So what the kernels make of label 0 follows from the other labels
    and from the kernels' row sums, and only `labels` - 1 columns are filtered for each guess, all guesses together.
    """
    height, width = pixels.shape[:2]
    lattice = make_lattice(pixels, kernels)
    row_sums = _normalise(lattice, kernels)
    guessed = np.stack([np.asarray(guess).astype(np.uint8).ravel() for guess in guesses])
    columns = len(guesses) * (labels - 1)
    lanes = next((lanes for lanes in WIDTHS if lanes >= columns), WIDTHS[-1])
    values, filtered = (zero_rows((-(-columns // lanes), lattice.size), lanes) for _ in range(2))
    gathered = zero_rows((len(values), BLOCK), lanes)
    scores = np.empty((labels, BLOCK), np.float32)
    bonus = np.float32(math.log(certainty) - math.log((1 - certainty) / (labels - 1)))
    result = np.empty_like(guessed)
    for step in range(steps + 1):
        sources = (lattice.vertices, lattice.weights, row_sums, guessed, bonus, filtered)
        buffers = (gathered, numbers_of(gathered), scores)
        _update(*sources, *buffers, values, result, step == 0, step == steps)
        if step < steps:
            for rows in values:
                _blur(rows, lattice.chains)
            values, filtered = filtered, values
            numbers_of(values)[:] = 0
    return [label.reshape(height, width) for label in result]


@compiled(fast=True)
def _update(
    vertices: np.ndarray,
    weights: np.ndarray,
    row_sums: np.ndarray,
    guessed: np.ndarray,
    bonus: Any,
    filtered: np.ndarray,
    gathered: np.ndarray,
    numbers: np.ndarray,
    scores: np.ndarray,
    values: np.ndarray,
    result: np.ndarray,
    first: bool,
    last: bool,
) -> None:
    """Make probabilities of what was filtered, and splat them.

    The first time they are those of the guesses alone, the last time they are labels instead. All of it goes block by
    block of pixels: `gathered` has a block's rows, `numbers` is the same memory, `scores` a block's scores.
    """
    for start in range(0, len(vertices), BLOCK):
        end = min(start + BLOCK, len(vertices))
        if not first:
            for j in range(len(filtered)):
                _slice(vertices[start:end], weights[start:end], filtered[j], gathered[j])
        for guess in range(len(guessed)):
            if first:
                scores[:] = 0
            else:
                _take_scores(numbers, guess, row_sums[start:end], scores)
            for i in range(end - start):
                scores[guessed[guess, start + i], i] += bonus
            if last:
                _take_best(scores, result[guess, start:end])
            else:
                _softmax(scores)
                _give_probabilities(scores, guess, numbers)
        if not last:
            for j in range(len(values)):
                _splat(vertices[start:end], weights[start:end], gathered[j], values[j])


@compiled(fast=True)
def _take_scores(numbers: np.ndarray, guess: int, row_sums: np.ndarray, scores: np.ndarray) -> None:
    """The scores of one guess, label 0 by what is left of the row sums."""
    others = len(scores) - 1
    rest = scores[0]
    rest[: len(row_sums)] = row_sums
    for label in range(others):
        block, lane = divmod(guess * others + label, numbers.shape[2])
        row = scores[1 + label]
        for i in range(len(row)):
            row[i] = numbers[block, i, lane]
        # A loop of its own, since this one can be vectorised.
        for i in range(len(row)):
            rest[i] -= row[i]


@compiled(fast=True)
def _give_probabilities(probabilities: np.ndarray, guess: int, numbers: np.ndarray) -> None:
    """Put those of all labels but 0 into the columns of a guess."""
    others = len(probabilities) - 1
    for label in range(others):
        block, lane = divmod(guess * others + label, numbers.shape[2])
        row = probabilities[1 + label]
        for i in range(len(row)):
            numbers[block, i, lane] = row[i]


@compiled(fast=True)
def _take_best(scores: np.ndarray, result: np.ndarray) -> None:
    for i in range(len(result)):
        result[i] = 0
        for label in range(1, len(scores)):
            if scores[label, i] > scores[result[i], i]:
                result[i] = label


@compiled(fast=True)
def _softmax(scores: np.ndarray) -> None:
    """exp(score) over its sum along the first axis, in place. Inner loops, which are vectorised, go over pixels."""
    top, total = scores[0].copy(), np.zeros(scores.shape[1], np.float32)
    for label in range(1, len(scores)):
        row = scores[label]
        for i in range(len(row)):
            top[i] = max(top[i], row[i])
    for label in range(len(scores)):
        row = scores[label]
        for i in range(len(row)):
            row[i] = _exp(row[i] - top[i])
            total[i] += row[i]
    for label in range(len(scores)):
        row = scores[label]
        for i in range(len(row)):
            row[i] /= total[i]


@compiled(fast=True)
def _exp(x: Any) -> Any:
    """e^x of a float32 of at most 0, within 1e-7 of itself; the library's function is not vectorised."""
    f = np.float32
    x = max(x, f(-87))
    # e^x = 2^n e^r with |r| <= log(2) / 2. log(2) is taken off in two parts, of which the first times n is exact.
    n = np.floor(x * f(1 / math.log(2)) + f(0.5))
    r = (x - n * f(0.693359375)) - n * f(math.log(2) - 0.693359375)
    series = ((f(1 / 5040) * r + f(1 / 720)) * r + f(1 / 120)) * r + f(1 / 24)
    series = (((series * r + f(1 / 6)) * r + f(1 / 2)) * r + f(1)) * r + f(1)
    # 2^n by the bits of a float32.
    return series * np.int32((np.int32(n) + 127) << 23).view(np.float32)


def _normalise(lattice: Lattice, kernels: Sequence[Kernel]) -> np.ndarray:
    """Make each kernel K in the lattice weight D^-1/2 K D^-1/2, D being its row sums.

    Splat and slice have the same weights, so both take the root. Returns the row sums (N,) of all kernels together.
    """
    filtered = _filtered_ones(lattice)
    for kernel, part in zip(kernels, lattice.parts, strict=True):
        _divide_by_row_sums(lattice.vertices[:, part], lattice.weights[:, part], filtered, kernel.weight)
    return _row_sums(lattice.vertices, lattice.weights, _filtered_ones(lattice))


def _filtered_ones(lattice: Lattice) -> np.ndarray:
    """What the vertices (count,) have of an image of ones after splat and blur, float32."""
    rows = zero_rows((lattice.size,), WIDTHS[0])
    _splat_ones(lattice.vertices, lattice.weights, numbers_of(rows))
    _blur(rows, lattice.chains)
    return np.ascontiguousarray(numbers_of(rows)[:, 0])


@compiled(fast=True)
def _splat_ones(vertices: np.ndarray, weights: np.ndarray, numbers: np.ndarray) -> None:
    for i in range(len(vertices)):
        for k in range(vertices.shape[1]):
            numbers[vertices[i, k], 0] += weights[i, k]


@compiled(fast=True)
def _divide_by_row_sums(vertices: np.ndarray, weights: np.ndarray, filtered: np.ndarray, weight: float) -> None:
    """Multiply the weights of each pixel by the root of `weight` over its row sum."""
    for i in range(len(vertices)):
        row_sum = 0.0
        for k in range(vertices.shape[1]):
            row_sum += weights[i, k] * filtered[vertices[i, k]]
        factor = math.sqrt(weight / row_sum)
        for k in range(vertices.shape[1]):
            weights[i, k] *= factor


@compiled(fast=True)
def _row_sums(vertices: np.ndarray, weights: np.ndarray, filtered: np.ndarray) -> np.ndarray:
    """Slice what was filtered of ones: (N,) float32."""
    sums = np.zeros(len(vertices), np.float32)
    for i in range(len(vertices)):
        for k in range(vertices.shape[1]):
            sums[i] += weights[i, k] * filtered[vertices[i, k]]
    return sums


@compiled(fast=True)
def _splat(vertices: np.ndarray, weights: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Add the rows of n pixels to those of their vertices."""
    for i in range(len(vertices)):
        row = row_at(rows, i)
        for k in range(vertices.shape[1]):
            put_row(values, vertices[i, k], plus_scaled(row_at(values, vertices[i, k]), weights[i, k], row))


@compiled(fast=True)
def _slice(vertices: np.ndarray, weights: np.ndarray, values: np.ndarray, rows: np.ndarray) -> None:
    """Set the rows of n pixels to what they get of their vertices."""
    for i in range(len(vertices)):
        row = zero_row(values)
        for k in range(vertices.shape[1]):
            row = plus_scaled(row, weights[i, k], row_at(values, vertices[i, k]))
        put_row(rows, i, row)


def _blur(values: np.ndarray, chains: Sequence[np.ndarray]) -> None:
    """Blur the rows of all vertices along each axis in turn, in place."""
    for chain in chains:
        _blur_along(values, chain)


@compiled(fast=True)
def _blur_along(values: np.ndarray, chain: np.ndarray) -> None:
    half, nothing = np.float32(0.5), zero_row(values)
    i = 0
    while i < len(chain):
        place = np.uint32(~chain[i])
        before, here = nothing, row_at(values, place)
        i += 1
        while i < len(chain) and chain[i] >= 0:
            after = row_at(values, np.uint32(chain[i]))
            put_row(values, place, plus_scaled(plus_scaled(here, half, before), half, after))
            place, before, here = np.uint32(chain[i]), here, after
            i += 1
        put_row(values, place, plus_scaled(here, half, before))
