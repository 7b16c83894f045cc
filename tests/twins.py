"""Slow, obvious counterparts of what several test files compare with; written from the definitions alone."""

from collections import deque

import numpy as np


def slow_half_disc(radius: int) -> list[tuple[int, int]]:
    """Offsets (dy, dx) nearer than `radius`, one of each opposite pair: downwards, or to the right in the same row."""
    around = range(-radius, radius + 1)
    return [
        (dy, dx)
        for dy in around
        for dx in around
        if 0 < dy * dy + dx * dx < radius * radius and (dy > 0 or (dy == 0 and dx > 0))
    ]


def slow_path(dy: int, dx: int) -> list[tuple[int, int]]:
    """Pixels of the box between (0, 0) and (dy, dx) whose distance from the line through both is below 1."""
    length = dy * dy + dx * dx
    ys = range(min(0, dy), max(0, dy) + 1)
    xs = range(min(0, dx), max(0, dx) + 1)
    # Whole numbers, so that a distance of exactly 1 is told from one just below.
    return [(y, x) for y in ys for x in xs if (dy * x - dx * y) ** 2 < length]


def slow_affinities(boundary: np.ndarray, beta: float, radius: int) -> np.ndarray:
    """(h w, h w) float64: 1 on the diagonal, (1 - maximum on the path) ** beta for pairs within the radius."""
    h, w = boundary.shape
    field = boundary.astype(np.float64)
    matrix = np.eye(h * w)
    for dy, dx in slow_half_disc(radius):
        path = slow_path(dy, dx)
        for y in range(h - dy):
            for x in range(max(0, -dx), min(w, w - dx)):
                one, other = y * w + x, (y + dy) * w + x + dx
                affinity = (1 - max(field[y + py, x + px] for py, px in path)) ** beta
                matrix[one, other] = matrix[other, one] = affinity
    return matrix


def slow_walk(scores: np.ndarray, boundary: np.ndarray, beta: float, steps: int, radius: int) -> np.ndarray:
    """(M, h, w) float64: the dense matrix with columns that sum to 1, applied step by step to row vectors."""
    matrix = slow_affinities(boundary, beta, radius)
    transitions = matrix / matrix.sum(0)
    rows = (scores.astype(np.float64) * (1 - boundary.astype(np.float64))).reshape(len(scores), -1)
    for _ in range(steps):
        rows = rows @ transitions
    return rows.reshape(scores.shape)


def slow_follow(displacement: np.ndarray, steps: int = 300) -> np.ndarray:
    """(2, h, w) int64: where each cell ends; positions in float32, everything between two positions in float64."""
    _, h, w = displacement.shape
    field = displacement.astype(np.float64)
    position = np.indices((h, w)).astype(np.float32)
    for _ in range(steps):
        y, x = position.astype(np.float64)
        top, left = np.floor(y).astype(int), np.floor(x).astype(int)
        bottom, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
        down, across = y - top, x - left
        moved = (
            field[:, top, left] * (1 - down) * (1 - across)
            + field[:, top, right] * (1 - down) * across
            + field[:, bottom, left] * down * (1 - across)
            + field[:, bottom, right] * down * across
        )
        position = np.stack([np.clip(y + moved[0], 0, h - 1), np.clip(x + moved[1], 0, w - 1)]).astype(np.float32)
    return np.rint(position).astype(np.int64)


def slow_pieces(mask: np.ndarray) -> np.ndarray:
    """4-connected pieces of a mask, numbered from 1 in reading order of their first pixel, by breadth-first search."""
    numbers = np.zeros(mask.shape, int)
    count = 0
    for start in zip(*np.nonzero(mask), strict=True):
        if numbers[start]:
            continue
        count += 1
        numbers[start] = count
        queue = deque([start])
        while queue:
            y, x = queue.popleft()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1]
                if inside and mask[near] and not numbers[near]:
                    numbers[near] = count
                    queue.append(near)
    return numbers


def slow_groups(displacement: np.ndarray) -> np.ndarray:
    """(h, w) int: the region that each cell ends in, 0 for none; regions have displacements under 2.5 cells."""
    lengths = np.sqrt(displacement[0].astype(np.float64) ** 2 + displacement[1].astype(np.float64) ** 2)
    regions = slow_pieces(lengths < 2.5)
    ends = slow_follow(displacement)
    return regions[ends[0], ends[1]]


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two maps of group numbers say the same, whatever the numbers are."""
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
