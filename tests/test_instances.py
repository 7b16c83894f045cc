"""Instances from displacement fields: twins by plain arithmetic and search, and fields whose instances are known."""

import numpy as np
import pytest
from twins import same_partition, slow_follow, slow_groups

from irn.ops.instances import follow_displacement, instance_groups, instance_scores
from irn.settings.settings import Walk


def towards(centroids: list[tuple[float, float]], h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """A field that leads each cell straight to the nearest of some points, and which point that is."""
    y, x = np.indices((h, w))
    distances = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centroids])
    nearest = distances.argmin(0)
    goal = np.array(centroids)[nearest]
    return np.stack([goal[..., 0] - y, goal[..., 1] - x]).astype(np.float32), nearest


def noise(seed: int, h: int, w: int, size: float) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, h, w)) * size).astype(np.float32)


def groups_of(displacement: np.ndarray) -> np.ndarray:
    """Its groups by the paper's length of a centroid, 2.5 cells."""
    return instance_groups(displacement, Walk().centroid_length)


FIELDS = {
    "zero": np.zeros((2, 7, 9), np.float32),
    "short and constant": np.full((2, 7, 9), 1.5, np.float32),
    "long and constant": np.full((2, 7, 9), -3, np.float32),
    "far out of the map": np.full((2, 5, 6), 1e6, np.float32),
    "exactly 2.5 long": np.stack([np.full((6, 7), 1.5, np.float32), np.full((6, 7), 2, np.float32)]),
    "one cell at rest": np.zeros((2, 1, 1), np.float32),
    "one cell that cannot move": np.full((2, 1, 1), 5, np.float32),
    "one row": noise(1, 1, 12, 3),
    "one column": noise(2, 12, 1, 3),
    "two centroids": towards([(5.0, 4.0), (6.0, 17.0)], 12, 22)[0],
    "centroids between cells": towards([(2.4, 3.5), (8.7, 3.2), (5.5, 14.6)], 11, 18)[0],
    **{f"noise of {size} cells, {seed}": noise(seed, 14, 17, size) for size in (0.3, 1.5, 3, 8) for seed in range(3)},
    **{
        f"two noisy centroids, {seed}": towards([(5.0, 4.0), (6.0, 17.0)], 12, 22)[0] + noise(seed, 12, 22, 0.8)
        for seed in range(3)
    },
}


@pytest.mark.parametrize("name", FIELDS)
def test_cells_end_where_the_twin_says(name: str) -> None:
    ends = follow_displacement(FIELDS[name])
    assert ends.dtype == np.int64
    np.testing.assert_array_equal(ends, slow_follow(FIELDS[name]))


@pytest.mark.parametrize("name", FIELDS)
def test_groups_are_those_of_the_twin(name: str) -> None:
    groups = groups_of(FIELDS[name])
    assert groups.dtype == np.int32
    assert groups.shape == FIELDS[name].shape[1:]
    assert same_partition(groups, slow_groups(FIELDS[name]))
    assert set(groups.ravel().tolist()) == set(range(groups.max() + 1))


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_single_steps(steps: int) -> None:
    np.testing.assert_array_equal(follow_displacement(noise(4, 9, 8, 2), steps), slow_follow(noise(4, 9, 8, 2), steps))


def test_two_centroids_are_two_instances() -> None:
    field, nearest = towards([(5.0, 4.0), (6.0, 17.0)], 12, 22)
    groups = groups_of(field)
    assert groups.max() == 1
    assert same_partition(groups, nearest)


def test_no_displacement_is_one_instance() -> None:
    assert not groups_of(FIELDS["zero"]).any()


def test_cells_that_end_in_no_region_are_one_group() -> None:
    # A region at the left; at the right, cells are driven off to the corners and find no place to rest.
    field = np.zeros((2, 9, 20), np.float32)
    field[1, :, 8:] = 4
    field[0, :4, 8:], field[0, 4:, 8:] = -4, 4
    groups = groups_of(field)
    assert same_partition(groups, (np.arange(20) >= 8) & np.ones((9, 1), bool))


def test_a_displacement_of_exactly_2_and_a_half_cells_is_none_of_a_region() -> None:
    field = np.zeros((2, 1, 12), np.float32)
    field[1, 0, :4], field[1, 0, 8:] = -2.5, 2.5
    # The two ends would be regions of their own; so they are one group, that of the cells which end in no region.
    assert same_partition(groups_of(field), np.array([[1] * 4 + [0] * 4 + [1] * 4]))


def test_a_cycle_without_rest() -> None:
    field = np.zeros((2, 1, 6), np.float32)
    field[1, 0] = [3, 3, 3, -3, -3, -3]
    ends = follow_displacement(field)
    # After an even number of steps each cell is back where it began.
    np.testing.assert_array_equal(ends, np.indices((1, 6)))
    np.testing.assert_array_equal(follow_displacement(field, 299)[1], [[3, 4, 5, 0, 1, 2]])
    assert not groups_of(field).any()


def test_regions_are_connected_through_sides_and_not_through_corners() -> None:
    field = np.full((2, 4, 4), 3, np.float32)
    field[:, 0, 0] = field[:, 1, 1] = 0
    field[:, 2:, 2:] = 0
    field[:, 1, 0] = field[:, 0, 1] = (-3, 0)
    groups = groups_of(field)
    assert len({groups[0, 0], groups[1, 1], groups[2, 2]}) == 3
    assert groups[2, 2] == groups[3, 3]


def test_the_argument_may_be_of_any_layout_and_stays_as_it_is() -> None:
    field = noise(5, 9, 8, 3)
    kept = field.copy()
    turned = np.asfortranarray(field)
    np.testing.assert_array_equal(groups_of(turned), groups_of(field))
    np.testing.assert_array_equal(field, kept)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_walks_start_from_each_map_cut_to_each_group_that_it_reaches(count: int) -> None:
    rng = np.random.default_rng(6)
    cam, classes, groups = rng.random((count, 6, 7), np.float32), [5, 253, 2][:count], rng.integers(0, 4, (6, 7))
    cam[:1, groups == 2] = 0
    cam[1:2] = 0
    expected = []
    for index, one in zip(classes, cam, strict=True):
        for group in range(4):
            cut = np.array(
                [
                    [value if place == group else 0 for value, place in zip(*row, strict=True)]
                    for row in zip(one, groups, strict=True)
                ]
            )
            if cut.any():
                expected.append((index, group, cut))
    scores, walk_class, walk_instance = instance_scores(cam, np.array(classes), groups)
    assert len(scores) == len(expected) == {0: 0, 1: 3, 3: 7}[count]
    assert scores.dtype == np.float32
    assert scores.shape[1:] == (6, 7)
    for found, (index, group, cut) in zip(zip(walk_class, walk_instance, scores, strict=True), expected, strict=True):
        assert found[:2] == (index, group)
        np.testing.assert_array_equal(found[2], cut)
