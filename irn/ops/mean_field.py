"""Inference in a fully connected conditional random field by mean field, with Gaussian kernels on permutohedral lattices.

References
----------
Kraehenbuehl, Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import models, register_model

from irn.ops.compiled import compiled
from irn.ops.lattice import Kernel, Lattice, make_lattice

# Without its type, which says that what it decorates is called with one argument more.
intrinsic: Any = extending.intrinsic

BLOCK = 512  # pixels, so many that their vertices, weights and scores stay in a core's own cache
WIDTHS = (2, 4, 8)  # of rows of values


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
    The probabilities of a pixel's labels sum to one. So what the kernels make of label 0 follows from the others and from
    the kernels' row sums, and only `labels` - 1 columns are filtered for each guess, all guesses together.
    """
    height, width = pixels.shape[:2]
    lattice = make_lattice(pixels, kernels)
    row_sums = _normalise(lattice, kernels)
    guessed = np.stack([np.asarray(guess).astype(np.uint8).ravel() for guess in guesses])
    columns = len(guesses) * (labels - 1)
    lanes = next((lanes for lanes in WIDTHS if lanes >= columns), WIDTHS[-1])
    values, filtered = (_rows((-(-columns // lanes), lattice.size), lanes) for _ in range(2))
    gathered = _rows((len(values), BLOCK), lanes)
    scores = np.empty((labels, BLOCK), np.float32)
    bonus = np.float32(math.log(certainty) - math.log((1 - certainty) / (labels - 1)))
    result = np.empty_like(guessed)
    for step in range(steps + 1):
        given = (filtered, gathered, _numbers(gathered), scores)
        _update(
            lattice.vertices,
            lattice.weights,
            row_sums,
            guessed,
            bonus,
            *given,
            values,
            result,
            step == 0,
            step == steps,
        )
        if step < steps:
            for rows in values:
                _blur(rows, lattice.chains)
            values, filtered = filtered, values
            _numbers(values)[:] = 0
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
    """Make probabilities of what was filtered, and splat them; the first time of the guesses alone, the last time labels instead.

    All of it goes block by block of pixels: `gathered` has a block's rows, `numbers` is the same memory, `scores` a block's scores.
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
    """exp(score) over its sum along the first axis, in place. The loops over pixels are the inner ones, which are vectorised."""
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
    """Make each kernel K in the lattice weight D^-1/2 K D^-1/2, D being its row sums, and give the row sums (N,) of all together.

    Splat and slice have the same weights, so both take the root.
    """
    filtered = _filtered_ones(lattice)
    for kernel, part in zip(kernels, lattice.parts, strict=True):
        _divide_by_row_sums(lattice.vertices[:, part], lattice.weights[:, part], filtered, kernel.weight)
    return _row_sums(lattice.vertices, lattice.weights, _filtered_ones(lattice))


def _filtered_ones(lattice: Lattice) -> np.ndarray:
    """What the vertices (count,) have of an image of ones after splat and blur, float32."""
    rows = _rows((lattice.size,), WIDTHS[0])
    _splat_ones(lattice.vertices, lattice.weights, _numbers(rows))
    _blur(rows, lattice.chains)
    return np.ascontiguousarray(_numbers(rows)[:, 0])


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
        row = _row(rows, i)
        for k in range(vertices.shape[1]):
            _put(values, vertices[i, k], _plus(_row(values, vertices[i, k]), weights[i, k], row))


@compiled(fast=True)
def _slice(vertices: np.ndarray, weights: np.ndarray, values: np.ndarray, rows: np.ndarray) -> None:
    """Set the rows of n pixels to what they get of their vertices."""
    for i in range(len(vertices)):
        row = _zeros(values)
        for k in range(vertices.shape[1]):
            row = _plus(row, weights[i, k], _row(values, vertices[i, k]))
        _put(rows, i, row)


def _blur(values: np.ndarray, chains: Sequence[np.ndarray]) -> None:
    """Blur the rows of all vertices along each axis in turn, in place."""
    for chain in chains:
        _blur_along(values, chain)


@compiled(fast=True)
def _blur_along(values: np.ndarray, chain: np.ndarray) -> None:
    half, nothing = np.float32(0.5), _zeros(values)
    i = 0
    while i < len(chain):
        place = np.uint32(~chain[i])
        before, here = nothing, _row(values, place)
        i += 1
        while i < len(chain) and chain[i] >= 0:
            after = _row(values, np.uint32(chain[i]))
            _put(values, place, _plus(_plus(here, half, before), half, after))
            place, before, here = np.uint32(chain[i]), here, after
            i += 1
        _put(values, place, _plus(here, half, before))


# Rows of float32 that are one value in compiled code, in a vector register. Numba does not vectorise loops as short as these.


def _rows(shape: tuple[int, ...], width: int) -> np.ndarray:
    """Zeros whose elements are rows; compiled code knows `width` by their type."""
    return np.zeros(shape, [("row", np.float32, (width,))])


def _numbers(rows: np.ndarray) -> np.ndarray:
    """The same memory as numbers, (..., width) float32."""
    return rows.view(np.float32).reshape(*rows.shape, -1)


class _Row(types.Type):
    """The type of a row."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(f"Row({width})")


@register_model(_Row)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, row: _Row) -> None:
        super().__init__(manager, row, ir.VectorType(ir.FloatType(), row.width))


def _row_type(array: Any) -> _Row:
    return _Row(array.dtype.size // 4)


def _address(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Of rows[index], these being the first two arguments."""
    array, index = signature.args[:2]
    vector = context.get_value_type(_row_type(array)).as_pointer()
    data = builder.bitcast(
        context.make_array(array)(context, builder, values[0]).data,
        ir.ArrayType(ir.FloatType(), _row_type(array).width).as_pointer(),
    )
    return builder.bitcast(builder.gep(data, [context.cast(builder, values[1], index, types.uintp)]), vector)


@intrinsic
def _row(typing: Any, rows: Any, index: Any) -> Any:
    """rows[index]"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_address(context, builder, signature, values), align=4)

    return _row_type(rows)(rows, index), generate


@intrinsic
def _put(typing: Any, rows: Any, index: Any, row: Any) -> Any:
    """rows[index] = row"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _address(context, builder, signature, values), align=4)
        return context.get_dummy_value()

    return types.void(rows, index, row), generate


@intrinsic
def _zeros(typing: Any, rows: Any) -> Any:
    """A row of zeros, as wide as those of `rows`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return _row_type(rows)(rows), generate


@intrinsic
def _plus(typing: Any, row: Any, factor: Any, other: Any) -> Any:
    """row + factor * other"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        factors = ir.Constant(context.get_value_type(row), ir.Undefined)
        for lane in range(row.width):
            factors = builder.insert_element(factors, values[1], ir.Constant(ir.IntType(32), lane))
        return builder.fadd(values[0], builder.fmul(factors, values[2], flags=["contract"]), flags=["contract"])

    return row(row, types.float32, other), generate
