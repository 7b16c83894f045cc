"""Permutohedral lattices: pixels by the vertices of simplices in a space of positions and colours.

A Gaussian kernel exp(-|f_i - f_j|^2 / 2) over d features f of the pixels becomes three sparse products: each pixel
gives its values to the d + 1 vertices of the simplex that it lies in (splat), the vertices are blurred along the d + 1
axes of the lattice by [1/2, 1, 1/2], and each pixel takes values back from its vertices (slice). This module finds
vertices and axes; irn/ops/mean_field.py filters.

References
----------
Adams, Baek, Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from irn.ops.compiled import compiled

EMPTY = -1  # in tables of keys and of numbers
FIRST_SLOTS = 2**14


class Kernel(NamedTuple):
    """`weight` times a Gaussian of x and y, and of the channels unless `colour` is 0.

    `position` is the deviation of x and y in pixels, `colour` that of the channels.
    """

    weight: float
    position: float
    colour: float = 0


class Lattice(NamedTuple):
    """The lattices of some kernels over the N pixels of an image, side by side.

    A row of `vertices` and `weights` has the corners of a simplex of each kernel, which has the columns `parts`; no
    vertex belongs to two kernels. `chains` has for each axis of each kernel all rows of two or more neighbours along
    it, as numbers of vertices, ~number for the first of a row.
    """

    vertices: np.ndarray  # (N, corners) uint32
    weights: np.ndarray  # (N, corners) float32, barycentric
    parts: list[slice]
    chains: list[np.ndarray]  # int32
    size: int  # number of vertices


def make_lattice(pixels: np.ndarray, kernels: Sequence[Kernel]) -> Lattice:
    """Build the lattices of some kernels on an image (H, W, channels) uint8."""
    height, width, channels = pixels.shape
    corners = [3 + (channels if kernel.colour else 0) for kernel in kernels]
    vertices, weights = (np.empty((height * width, sum(corners)), number) for number in (np.uint32, np.float32))
    parts = [slice(end - number, end) for number, end in zip(corners, np.cumsum(corners), strict=True)]
    chains: list[np.ndarray] = []
    total = 0
    for kernel, part in zip(kernels, parts, strict=True):
        seen = pixels if kernel.colour else pixels[..., :0]
        axes = _axes(seen.shape, kernel)
        keys, numbers, count = _find_vertices(seen, *axes, total, vertices[:, part], weights[:, part])
        members, lengths = _find_chains(keys, numbers, count, axes.steps, total)
        chains += np.split(members, np.cumsum(lengths)[:-1])
        total += count
    return Lattice(vertices, weights, parts, chains, total)


class _Axes(NamedTuple):
    """How a kernel's vertices become whole numbers, their keys: origin + sum of coordinate times stride.

    The last coordinate follows from the others.
    """

    scales: tuple[float, ...]  # from a feature (x, y, channels) to the lattice
    strides: tuple[int, ...]
    steps: tuple[int, ...]  # what the step to the next vertex along each axis adds to the key
    origin: int


def _axes(shape: tuple[int, ...], kernel: Kernel) -> _Axes:
    height, width, channels = shape
    deviations = [kernel.position] * 2 + [kernel.colour] * channels
    d = len(deviations)
    # At this size the blur has deviation 1 in the features.
    size = math.sqrt(2 / 3) * (d + 1)
    scales = [size / math.sqrt((i + 1) * (i + 2)) / deviation for i, deviation in enumerate(deviations)]
    largest = [most * scale for most, scale in zip([width - 1, height - 1] + [255] * channels, scales, strict=True)]
    strides, origin, stride = [], 0, 1
    for i in range(d):
        # Vertices lie within d + 1 of a point, and neighbours of vertices within d of those.
        low = math.floor(-i * largest[i - 1] if i else 0) - 2 * (d + 1)
        high = math.ceil(sum(largest[i:])) + 2 * (d + 1)
        strides.append(stride)
        origin -= low * stride
        # With sides of 65,535 pixels keys still have less than 63 bits.
        stride *= high - low + 1
    # A step adds 1 to every coordinate but its own, from which it takes d.
    steps = [sum(strides) - (d + 1) * stride for stride in [*strides, 0]]
    return _Axes(tuple(scales), tuple(strides), tuple(steps), origin)


@compiled(fast=True)
def _find_vertices(
    pixels: np.ndarray,
    scales: tuple[float, ...],
    strides: tuple[int, ...],
    steps: tuple[int, ...],
    origin: int,
    first: int,
    vertices: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Fill in the vertices of all pixels, numbered from `first`, and their weights.

    Returns the table of keys and numbers, and how many vertices there are.
    """
    height, width, _ = pixels.shape
    keys, numbers = np.full(FIRST_SLOTS, EMPTY, np.int64), np.full(FIRST_SLOTS, EMPTY, np.int32)
    row = np.empty((width, len(steps)), np.int64)
    count = 0
    for y in range(height):
        # First the arithmetic of a row, then its lookups: in turns they would wait for each other.
        _find_simplices(pixels[y], y, scales, strides, steps, origin, row, weights[y * width : (y + 1) * width])
        while 2 * (count + row.size) > len(keys):
            keys, numbers = _doubled(keys, numbers)
        for x in range(width):
            for k in range(len(steps)):
                slot = _slot(keys, row[x, k])
                if keys[slot] == EMPTY:
                    keys[slot], numbers[slot] = row[x, k], first + count
                    count += 1
                vertices[y * width + x, k] = numbers[slot]
    return keys, numbers, count


@compiled(fast=True)
def _find_simplices(
    colours: np.ndarray,
    y: int,
    scales: tuple[float, ...],
    strides: tuple[int, ...],
    steps: tuple[int, ...],
    origin: Any,
    keys: np.ndarray,
    weights: np.ndarray,
) -> None:
    """The keys and barycentric weights (W, d + 1) of the vertices around each pixel of a row."""
    d = len(scales)
    # The lattice lies in the hyperplane of d + 1 dimensions whose coordinates sum to zero.
    point, rank = np.empty(d + 1), np.empty(d + 1, np.int64)
    rest, step = np.empty(d + 1), np.empty(d + 1, np.int64)
    for x in range(len(keys)):
        total = 0.0
        for j in range(d, 0, -1):
            feature = scales[j - 1] * (x if j == 1 else y if j == 2 else colours[x, j - 3])
            point[j] = total - j * feature
            total += feature
        point[0] = total
        # Round to multiples of d + 1. They sum to `excess` times that, so some ranks by the rest lie outside.
        key, excess = origin, np.int64(0)
        for j in range(d + 1):
            share = point[j] * (1 / (d + 1))
            nearest = np.int64(np.floor(share + 0.5))
            point[j] = share - nearest
            excess += nearest
            rank[j] = 0
            if j < d:
                key += nearest * (d + 1) * strides[j]
        for j in range(d):
            for k in range(j + 1, d + 1):
                smaller = np.int64(point[j] < point[k])
                rank[j] += smaller
                rank[k] += 1 - smaller
        for j in range(d + 1):
            place = rank[j] + excess
            moved = np.int64(place < 0) - np.int64(place > d)
            place += moved * (d + 1)
            rest[place], step[place] = point[j] - moved, steps[j]
            if j < d:
                key += moved * (d + 1) * strides[j]
        for k in range(d + 1):
            keys[x, k] = key
            weights[x, k] = rest[d - k] - rest[d - k + 1] if k else 1 + rest[d] - rest[0]
            # The next corner lies a step along the axis of this rank.
            key += step[d - k]


@compiled(fast=True)
def _slot(keys: np.ndarray, key: int) -> int:
    """Where a key is in the table, whose length is a power of two, or else the empty slot for it."""
    mixed = key * -7046029254386353131
    slot = (mixed ^ (mixed >> 32)) & (len(keys) - 1)
    while (keys[slot] != key) & (keys[slot] != EMPTY):
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@compiled(fast=True)
def _doubled(keys: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same table with twice the slots."""
    more_keys, more_numbers = np.full(2 * len(keys), EMPTY, np.int64), np.full(2 * len(keys), EMPTY, np.int32)
    for old in range(len(keys)):
        if keys[old] != EMPTY:
            slot = _slot(more_keys, keys[old])
            more_keys[slot], more_numbers[slot] = keys[old], numbers[old]
    return more_keys, more_numbers


@compiled(fast=True)
def _find_chains(
    keys: np.ndarray, numbers: np.ndarray, count: int, steps: tuple[int, ...], first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Follow neighbours along each axis: the members of all chains, axis after axis, and how many each axis has."""
    key_of = np.empty(count, np.int64)
    for slot in range(len(keys)):
        if keys[slot] != EMPTY:
            key_of[numbers[slot] - first] = keys[slot]
    members, lengths = np.empty(len(steps) * count, np.int32), np.empty(len(steps), np.int64)
    after, starts = np.empty(count, np.int32), np.empty(count, np.int32)
    total = 0
    for axis in range(len(steps)):
        # As few branches as possible: which vertices are there cannot be predicted. `count` stands for none.
        follows = np.zeros(count + 1, np.bool_)
        for v in range(count):
            number = numbers[_slot(keys, key_of[v] + steps[axis])]
            after[v] = count if number == EMPTY else number - first
            follows[after[v]] = True
        chains = 0
        for v in range(count):
            starts[chains] = v
            chains += (after[v] < count) & (not follows[v])
        before = total
        for start in starts[:chains]:
            members[total] = ~(first + start)
            total += 1
            v = after[start]
            while v < count:
                members[total] = first + v
                total += 1
                v = after[v]
        lengths[axis] = total - before
    return members[:total].copy(), lengths
