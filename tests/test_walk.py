"""The random walk against its dense matrix, built pair by pair."""

import numpy as np
import pytest
from twins import slow_affinities, slow_half_disc, slow_walk

from irn.ops.walk import affinities, chebyshev_coefficients, random_walk, walk_instances
from irn.settings.settings import Walk

# Of the maximum: what golden/README.md asks of a whole walk.
TOLERANCE = 5e-4


def walked(scores: np.ndarray, boundary: np.ndarray, beta: float, steps: int, radius: int) -> np.ndarray:
    # Without the checks of a setting: a radius of 1, which has no neighbour, walks too.
    found = random_walk(scores, boundary, Walk.model_construct(beta=beta, steps=steps, radius=radius))
    assert found.dtype == np.float32
    assert found.shape == scores.shape
    return found


def agree(scores: np.ndarray, boundary: np.ndarray, beta: float, steps: int, radius: int) -> np.ndarray:
    found, expected = walked(scores, boundary, beta, steps, radius), slow_walk(scores, boundary, beta, steps, radius)
    np.testing.assert_allclose(found, expected, rtol=0, atol=(TOLERANCE if steps > 2 else 1e-5) * expected.max())
    return found


def random_case(seed: int, maps: int, h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((maps, h, w), np.float32), rng.random((h, w), np.float32) ** 3


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7, 16, 33, 100, 255, 256])
def test_numbers_of_steps(steps: int) -> None:
    agree(*random_case(steps, 2, 9, 11), 10, steps, 5)


@pytest.mark.parametrize("steps", [513, 4096])
def test_rounding_does_not_grow_with_the_steps(steps: int) -> None:
    scores, boundary = random_case(steps, 2, 24, 20)
    found, expected = walked(scores, boundary, 10, steps, 5), slow_walk(scores, boundary, 10, steps, 5)
    assert np.abs(found - expected).max() < 1e-5 * expected.max()


@pytest.mark.parametrize("beta", [0, 0.5, 1, 4, 10, 40])
def test_exponents(beta: float) -> None:
    agree(*random_case(1, 2, 8, 10), beta, 64, 4)


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 7, 12])
def test_radii_below_and_above_the_size_of_the_map(radius: int) -> None:
    agree(*random_case(radius, 1, 6, 9), 3, 50, radius)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 13), (13, 1), (2, 2), (3, 17), (4, 4)])
def test_small_maps(shape: tuple[int, int]) -> None:
    agree(*random_case(2, 2, *shape), 10, 256, 5)


@pytest.mark.parametrize("maps", [1, 2, 9])
def test_numbers_of_maps(maps: int) -> None:
    scores, boundary = random_case(3, maps, 7, 8)
    found = agree(scores, boundary, 10, 40, 5)
    for index in range(maps):
        np.testing.assert_allclose(
            found[index], walked(scores[index : index + 1], boundary, 10, 40, 5)[0], rtol=0, atol=1e-6
        )


def test_no_map() -> None:
    assert walked(np.zeros((0, 4, 5), np.float32), np.zeros((4, 5), np.float32), 10, 256, 5).shape == (0, 4, 5)


@pytest.mark.parametrize("beta", [0, 10])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_boundary(value: float, beta: float) -> None:
    scores, _ = random_case(4, 2, 6, 7)
    found = agree(scores, np.full((6, 7), value, np.float32), beta, 30, 5)
    if value == 1:
        assert not found.any()


def test_a_boundary_of_0_and_1_is_never_crossed() -> None:
    boundary = np.zeros((7, 9), np.float32)
    boundary[:, 4] = 1
    scores = np.zeros((1, 7, 9), np.float32)
    scores[0, 3, 1] = 1
    found = agree(scores, boundary, 10, 256, 5)
    assert not found[:, :, 4:].any()
    assert (found[:, :, :4] > 0).all()


def test_a_boundary_of_nearly_1() -> None:
    # Affinities there are below the normal numbers of float32, and are dropped.
    scores, boundary = random_case(8, 3, 9, 10)
    nearly = np.where(boundary > 0.5, 1 - np.float32(1e-4), boundary)
    agree(scores, nearly, 10, 256, 5)


def test_without_a_boundary_the_scores_of_a_region_even_out() -> None:
    scores = np.zeros((1, 6, 6), np.float32)
    scores[0, 0, 0] = 1
    found = agree(scores, np.zeros((6, 6), np.float32), 10, 256, 5)
    # In the end every cell has the mean of the scores, weighted by how many cells each is linked to.
    links = slow_affinities(np.zeros((6, 6)), 10, 5).sum(0)
    np.testing.assert_allclose(found[0], np.full((6, 6), links[0] / links.sum()), rtol=1e-3)


def test_no_step_only_takes_the_boundary_off() -> None:
    scores, boundary = random_case(5, 3, 5, 6)
    np.testing.assert_allclose(walked(scores, boundary, 10, 0, 5), scores * (1 - boundary), rtol=0, atol=1e-6)


def test_the_walks_of_parts_add_up_to_the_walk_of_the_whole() -> None:
    scores, boundary = random_case(6, 4, 8, 9)
    parts, whole = walked(scores, boundary, 10, 256, 5), walked(scores.sum(0, keepdims=True), boundary, 10, 256, 5)
    np.testing.assert_allclose(parts.sum(0), whole[0], rtol=0, atol=TOLERANCE * whole.max())


def test_arguments_stay_as_they_are() -> None:
    scores, boundary = random_case(7, 2, 5, 6)
    kept = scores.copy(), boundary.copy()
    walked(scores, boundary, 10, 9, 5)
    np.testing.assert_array_equal(scores, kept[0])
    np.testing.assert_array_equal(boundary, kept[1])


@pytest.mark.parametrize("beta", [0, 1, 2.5])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (7, 9)])
def test_affinities_pair_by_pair(shape: tuple[int, int], beta: float) -> None:
    h, w = shape
    _, boundary = random_case(8, 1, h, w)
    planes = affinities(boundary, beta, 4)
    assert planes.sum() == pytest.approx(planes[:, 3:-3, 3:-3].sum())
    matrix = slow_affinities(boundary, beta, 4)
    for plane, (dy, dx) in zip(planes[:, 3:-3, 3:-3], sorted(slow_half_disc(4)), strict=True):
        for y in range(h):
            for x in range(w):
                inside = y + dy < h and 0 <= x + dx < w
                expected = matrix[y * w + x, (y + dy) * w + x + dx] if inside else 0
                assert plane[y, x] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("changed", [{"beta": 2}, {"steps": 9}, {"radius": 3}, {"centroid_length": 0.5}], ids=str)
def test_every_setting_of_the_walk_decides_something(changed: dict[str, float]) -> None:
    maps, boundary = random_case(9, 2, 12, 14)
    displacement = np.random.default_rng(9).standard_normal((2, 12, 14)).astype(np.float32)
    inputs = {"cam": maps, "classes": np.array([3, 0])}, {"boundary": boundary, "displacement": displacement}
    plain, other = walk_instances(*inputs, Walk()), walk_instances(*inputs, Walk(**changed))
    assert plain["walk"].shape != other["walk"].shape or not np.allclose(plain["walk"], other["walk"])
    assert np.array_equal(plain["groups"], other["groups"]) == ("centroid_length" not in changed)


@pytest.mark.parametrize("power", [0, 1, 2, 3, 10, 77, 256, 1000])
def test_series_is_the_power(power: int) -> None:
    x = np.linspace(-1, 1, 41)
    coefficients = chebyshev_coefficients(power)
    assert len(coefficients) <= power + 1
    np.testing.assert_allclose(np.polynomial.chebyshev.chebval(x, coefficients), x**power, rtol=0, atol=2e-6)
