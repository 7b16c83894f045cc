"""Random walk with the affinities of a boundary map, without ever building its dense matrix."""

import warnings
from functools import lru_cache

import numpy as np
import torch
from scipy.special import gammaln
from torch.nn import functional

from irn.ops.instances import instance_groups, instance_scores
from irn.ops.paths import pair_offsets, path_maxima

# Sum of the Chebyshev coefficients that may be left out; scores stand in float32, whose own error is about as large.
SERIES_TOLERANCE = 1e-6
# float32 loses about 5e-7 of the maximum per step; longer walks use float64.
FLOAT32_STEPS = 512
# From this many cells on, only the last map size's structure is cached (12 bytes x 69 entries per cell).
LARGE = 40_000


def walk_instances(
    maps: dict[str, np.ndarray], field: dict[str, np.ndarray], beta: float, steps: int, radius: int, device: str | torch.device = "cpu"
) -> dict[str, np.ndarray]:
    """Walk the class maps of an image, each cut to each instance, over their instances.

    maps: `cam` (K, h, w) float32 in [0, 1] and `classes` (K,). field: `boundary` (h, w) float32 in [0, 1] and `displacement`
    (2, h, w) float32 in cells. Others as in `random_walk`. Returns the arrays of a walk cache: `walk` (M, h, w) float32,
    `walk_class` (M,), `walk_instance` (M,) and `groups` (h, w).
    """
    groups = instance_groups(field["displacement"])
    scores, walk_class, walk_instance = instance_scores(maps["cam"], maps["classes"], groups)
    start, boundary = (torch.from_numpy(array).to(device) for array in (scores, field["boundary"]))
    walked = random_walk(start, boundary, beta, steps, radius).cpu().numpy()
    return {"walk": walked, "walk_class": walk_class, "walk_instance": walk_instance, "groups": groups}


def random_walk(scores: torch.Tensor, boundary: torch.Tensor, beta: float, steps: int, radius: int) -> torch.Tensor:
    """Spread scores over each image region: vec(scores * (1 - boundary)) times T to the power `steps`.

    T is A with each column divided by its sum. A has 1 on the diagonal and, for pixels nearer than `radius`,
    (1 - the maximum boundary on the path between them) to the power `beta`, both ways.

    Parameters
    ----------
    scores: (M, h, w) float32, any device.
    boundary: (h, w) float32 probabilities in [0, 1], same device.
    beta: exponent of the affinities.
    steps: number of steps, 0 or more.
    radius: in cells.

    Returns
    -------
    (M, h, w) float32.

    Notes
    -----
    D^-1/2 A D^-1/2 is symmetric with eigenvalues in [-1, 1], D being the column sums, and its power is a Chebyshev
    series that ends after about 5 sqrt(steps) terms: 76 sparse products do the work of 256.
    """
    if len(scores) == 0:
        return scores.clone()
    maps, h, w = scores.shape
    if steps > FLOAT32_STEPS:
        scores, boundary = scores.double(), boundary.double()
    matrix, column_sums = _transition_parts(boundary, beta, radius)
    root = column_sums.sqrt()[:, None]
    start = (scores * (1 - boundary)).reshape(maps, h * w).T * root
    return (_symmetric_power(matrix, start, steps) / root).T.reshape(maps, h, w).float().contiguous()


def affinities(boundary: torch.Tensor, radius: int) -> torch.Tensor:
    """Affinity of each pixel with each partner of `pair_offsets`: 1 - the maximum boundary on the path.

    boundary: (h, w) float32 in [0, 1]. Returns (P, h, w) float32, 0 where the partner lies outside the map.
    """
    edge = radius - 1
    # Beyond the map all is boundary.
    return 1 - path_maxima(functional.pad(boundary, (edge, edge, 0, edge), value=1)[None], radius)[:, 0]


def chebyshev_coefficients(power: int) -> np.ndarray:
    """Coefficients c_k of x^power = sum over k of c_k T_k(x), cut where the rest sums to less than SERIES_TOLERANCE.

    c_k = 2^(1 - power) binomial(power, (power - k) / 2) for k of the parity of `power`, half of that for k = 0.
    """
    k = np.arange(power % 2, power + 1, 2)
    j = (power - k) / 2
    logarithm = gammaln(power + 1) - gammaln(j + 1) - gammaln(power - j + 1) + (1 - power) * np.log(2)
    coefficients = np.zeros(power + 1)
    coefficients[k] = np.exp(logarithm)
    if power % 2 == 0:
        coefficients[0] /= 2
    rest = np.cumsum(coefficients[::-1])[::-1]
    return coefficients[: max(1, int(np.count_nonzero(rest >= SERIES_TOLERANCE)))]


def _symmetric_power(matrix: torch.Tensor, start: torch.Tensor, power: int) -> torch.Tensor:
    """matrix^power @ start for a symmetric matrix with eigenvalues in [-1, 1], by the three-term recurrence."""
    coefficients = chebyshev_coefficients(power)
    previous, current = start, matrix @ start if len(coefficients) > 1 else start
    total = coefficients[0] * start
    for k in range(1, len(coefficients)):
        if coefficients[k]:
            total += coefficients[k] * current
        if k + 1 < len(coefficients):
            previous, current = current, 2 * (matrix @ current) - previous
    return total


def _transition_parts(boundary: torch.Tensor, beta: float, radius: int) -> tuple[torch.Tensor, torch.Tensor]:
    """D^-1/2 A D^-1/2 as a sparse (h w, h w) matrix, and the diagonal of D, the column sums of A."""
    h, w = boundary.shape
    rows, columns, planes, sources = (_structures if h * w < LARGE else _large_structure)(h, w, radius)
    forward = affinities(boundary, radius) ** beta
    weights = torch.cat([forward.reshape(-1), forward.new_ones(1)])
    values = weights[(planes * (h * w) + sources).to(boundary.device)]
    starts = rows.to(boundary.device)
    columns = columns.to(boundary.device)
    counts = starts.diff()
    column_sums = torch.segment_reduce(values, "sum", lengths=counts)
    scale = column_sums.rsqrt()
    values *= scale.repeat_interleave(counts) * scale[columns]
    with warnings.catch_warnings():
        # torch calls its compressed sparse matrices a beta feature, once a process.
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support|invariant checks)")
        matrix = torch.sparse_csr_tensor(starts, columns, values, (h * w, h * w), check_invariants=False)
    return matrix, column_sums


def _structure(h: int, w: int, radius: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where A has entries, in compressed rows, and which value of `affinities` each takes.

    Returns row starts (h w + 1,), columns (n,), planes (n,) and sources (n,) such that entry i has the value of plane
    `planes[i]` at pixel `sources[i]`; the diagonal is one plane more. Integers of 32 bits.
    """
    half = pair_offsets(radius)
    partners = sorted(
        [(dy, dx, k, 0, 0) for k, (dy, dx) in enumerate(half)]
        + [(-dy, -dx, k, -dy, -dx) for k, (dy, dx) in enumerate(half)]
        + [(0, 0, len(half), 0, 0)]
    )
    y, x = np.divmod(np.arange(h * w, dtype=np.int32), np.int32(w))
    inside = np.stack([(y + dy >= 0) & (y + dy < h) & (x + dx >= 0) & (x + dx < w) for dy, dx, *_ in partners], axis=1)
    pixel, partner = np.nonzero(inside)
    shift, plane, source = (
        np.array(column, np.int32) for column in zip(*[(dy * w + dx, k, sy * w + sx) for dy, dx, k, sy, sx in partners], strict=True)
    )
    starts = np.concatenate([[0], np.cumsum(inside.sum(1))]).astype(np.int32)
    planes = plane[partner]
    # The diagonal's plane is the single value after all others.
    sources = np.where(planes == len(half), 0, pixel + source[partner]).astype(np.int32)
    columns = (pixel + shift[partner]).astype(np.int32)
    return tuple(torch.from_numpy(a) for a in (starts, columns, planes, sources))  # type: ignore[return-value]


_structures, _large_structure = lru_cache(maxsize=8)(_structure), lru_cache(maxsize=1)(_structure)
