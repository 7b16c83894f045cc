"""Which pixels form pairs and what lies between them, against the definitions and against cases drawn by hand."""

import numpy as np
import pytest
import torch
from twins import slow_half_disc, slow_path

from irn.ops.losses import path_maxima
from irn.ops.paths import pair_offsets, path_offsets


@pytest.mark.parametrize("radius", range(1, 14))
def test_offsets_are_half_of_the_open_disc(radius: int) -> None:
    offsets = pair_offsets(radius)
    assert sorted(offsets) == sorted(slow_half_disc(radius))
    whole = {*offsets, *((-dy, -dx) for dy, dx in offsets)}
    assert len(whole) == 2 * len(offsets)
    assert whole == {
        (dy, dx)
        for dy in range(-radius, radius + 1)
        for dx in range(-radius, radius + 1)
        if 0 < dy * dy + dx * dx < radius * radius
    }


def test_offsets_of_the_two_published_radii() -> None:
    assert len(pair_offsets(5)) == 34
    assert len(pair_offsets(10)) == 152
    assert (3, 4) not in pair_offsets(5)
    assert (0, 4) in pair_offsets(5)
    assert (0, -4) not in pair_offsets(5)


@pytest.mark.parametrize("offset", slow_half_disc(13) + [(-dy, -dx) for dy, dx in slow_half_disc(5)])
def test_path_is_what_lies_nearer_than_1_to_the_line(offset: tuple[int, int]) -> None:
    path = path_offsets(*offset)
    assert sorted(path) == sorted(slow_path(*offset))
    assert len(set(path)) == len(path)
    assert (0, 0) in path
    assert offset in path


def test_paths_drawn_by_hand() -> None:
    assert set(path_offsets(0, 3)) == {(0, 0), (0, 1), (0, 2), (0, 3)}
    assert set(path_offsets(2, 0)) == {(0, 0), (1, 0), (2, 0)}
    # Next to the diagonal the distance is sqrt(1/2); two beside it, sqrt(2).
    assert set(path_offsets(2, 2)) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)}
    assert set(path_offsets(2, -3)) == {(0, 0), (0, -1), (1, 0), (1, -1), (1, -2), (1, -3), (2, -2), (2, -3)}


def test_a_distance_of_exactly_1_is_not_nearer_than_1() -> None:
    assert set(path_offsets(3, 4)) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (3, 3), (3, 4)}
    for y, x in ((1, 3), (2, 1)):
        assert abs(3 * x - 4 * y) / 5 == 1
        assert (y, x) not in path_offsets(3, 4)


def test_a_mirrored_pair_has_the_mirrored_path() -> None:
    for dy, dx in slow_half_disc(7):
        assert set(path_offsets(dy, -dx)) == {(y, -x) for y, x in path_offsets(dy, dx)}
        assert set(path_offsets(-dy, -dx)) == {(-y, -x) for y, x in path_offsets(dy, dx)}


@pytest.mark.parametrize(
    ("shape", "radius"),
    [((1, 12, 17), 4), ((2, 10, 19), 10), ((3, 9, 8), 3), ((1, 5, 9), 5), ((1, 4, 3), 2), ((2, 3, 9), 4)],
)
def test_path_maxima(shape: tuple[int, int, int], radius: int) -> None:
    maps = np.random.default_rng(radius).integers(-50, 50, shape)
    batch, height, width = shape
    rows, columns = max(0, height - radius + 1), max(0, width - 2 * radius + 2)
    expected = np.zeros((len(pair_offsets(radius)), batch, rows, columns), maps.dtype)
    for k, offset in enumerate(pair_offsets(radius)):
        for b, y, x in np.ndindex(batch, rows, columns):
            expected[k, b, y, x] = max(maps[b, y + dy, x + radius - 1 + dx] for dy, dx in slow_path(*offset))
    for dtype in (torch.int32, torch.float32, torch.float64):
        found = path_maxima(torch.from_numpy(maps).to(dtype), radius)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), expected)
