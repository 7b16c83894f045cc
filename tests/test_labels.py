"""Labels from walks against a twin that brings every map to full size, stacks them and searches each piece."""

from fractions import Fraction

import numpy as np
import pytest
from twins import slow_pieces

from irn.errors import IrnError
from irn.grid import cells
from irn.inference.labels import labels_of
from irn.ops.labels import synthesise_labels
from irn.settings.settings import Settings


def slow_upsample(small: np.ndarray) -> np.ndarray:
    """(h, w) to (4 h, 4 w) bilinearly: pixel i is at (i + 0.5) / 4 - 0.5 between the centres of cells; edges extend."""
    for axis in (0, 1):
        size = small.shape[axis]
        place = np.clip((np.arange(4 * size) + 0.5) / 4 - 0.5, 0, size - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, size - 1)
        share = np.expand_dims(place - low, 1 - axis)
        small = small.take(low, axis) * (1 - share) + small.take(high, axis) * share
    return small


def slow_argmax(maps: list[np.ndarray], height: int, width: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """0 for background or 1 + index of the map that wins at each pixel, and all maps as shares of their maximum."""
    full = (
        np.stack([slow_upsample(small.astype(np.float64))[:height, :width] for small in maps])
        if maps
        else np.zeros((0, height, width))
    )
    maximum = full.max(initial=0)
    if maximum == 0:
        return np.zeros((height, width), int), full
    shares = (full.astype(np.float32) / np.float32(maximum)).astype(np.float32)
    return np.concatenate([np.full((1, height, width), threshold, np.float32), shares]).argmax(0), shares


def slow_labels(
    walk: np.ndarray,
    walk_class: np.ndarray,
    height: int,
    width: int,
    semantic_threshold: float,
    instance_threshold: float,
    smallest_piece: Fraction = Fraction(1, 100),
    own_maximum: bool = False,
) -> tuple[np.ndarray, list[tuple[np.ndarray, int, float]]]:
    """The semantic map, and (mask, class, score) of each piece."""
    classes = sorted(set(walk_class.tolist()))
    sums = [
        sum(small for small, index in zip(walk, walk_class, strict=True) if index == present) for present in classes
    ]
    best, _ = slow_argmax(sums, height, width, semantic_threshold)
    semantic = np.array([0, *(index + 1 for index in classes)])[best]
    best, shares = slow_argmax(list(walk), height, width, instance_threshold)
    if own_maximum:
        leading, _ = slow_argmax(list(walk), height, width, 0.0)
        for y, x in np.argwhere(leading > 0):
            share = shares[leading[y, x] - 1]
            best[y, x] = leading[y, x] if share[y, x] > np.float32(instance_threshold) * share.max() else 0
    pieces = []
    for number in range(len(walk)):
        numbers = slow_pieces(best == number + 1)
        for piece in range(1, numbers.max() + 1):
            mask = numbers == piece
            # Fractions tell a share of exactly 1 % from one just below.
            is_small = int(mask.sum()) < smallest_piece * height * width
            score = 0.0 if is_small else float(shares[number][mask].max())
            pieces.append((mask, int(walk_class[number]), score))
    return semantic, pieces


def agree(
    walk: np.ndarray,
    walk_class: list[int],
    height: int,
    width: int,
    semantic: float = 0.25,
    instance: float = 0.25,
    smallest: Fraction = Fraction(1, 100),
    own_maximum: bool = False,
) -> dict[str, np.ndarray]:
    given = walk.astype(np.float32), np.array(walk_class, np.uint16), height, width, semantic, instance
    found = synthesise_labels(*given, float(smallest), own_maximum)
    expected, pieces = slow_labels(*given, smallest, own_maximum)
    assert {name: array.dtype.name for name, array in found.items()} == {
        "semantic": "uint8",
        "instance_map": "uint16",
        "instance_class": "uint16",
        "instance_score": "float32",
    }
    np.testing.assert_array_equal(found["semantic"], expected)
    assert len(found["instance_class"]) == len(found["instance_score"]) == len(pieces)
    assert found["instance_map"].max(initial=0) == len(pieces)
    rows = {found["instance_map"][mask][0]: (mask, index, score) for mask, index, score in pieces}
    assert set(rows) == set(range(1, len(pieces) + 1))
    for row, (mask, index, score) in rows.items():
        np.testing.assert_array_equal(found["instance_map"] == row, mask)
        assert found["instance_class"][row - 1] == index
        assert found["instance_score"][row - 1] == pytest.approx(score, abs=1e-6)
    return found


def random_walks(rng: np.random.Generator, maps: int, height: int, width: int) -> np.ndarray:
    """Multiples of 1/64: they stay exact in float32 when interpolated, and tie often."""
    patches = rng.integers(0, 33, (maps, -(-cells(height) // 3), -(-cells(width) // 3)))
    return np.kron(patches, np.ones((1, 3, 3), int))[:, : cells(height), : cells(width)] / 64


@pytest.mark.parametrize("seed", range(12))
def test_random_walks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2).tolist()
    maps = int(rng.integers(1, 7))
    walk_class = rng.integers(0, 3, maps).tolist()
    agree(
        random_walks(rng, maps, height, width),
        walk_class,
        height,
        width,
        *rng.choice([0, 0.25, 0.5, 0.9, 1], 2).tolist(),
    )


@pytest.mark.parametrize("share", [0, 1 / 64, 1 / 8, 1])
def test_the_smallest_piece_is_a_setting(share: float) -> None:
    found = agree(
        random_walks(np.random.default_rng(5), 5, 64, 48), [0, 1, 0, 2, 1], 64, 48, 0.25, 0.5, Fraction(share)
    )
    areas = np.bincount(found["instance_map"].ravel(), minlength=len(found["instance_score"]) + 1)[1:]
    np.testing.assert_array_equal(found["instance_score"] > 0, areas >= share * 64 * 48)
    settings = Settings.model_validate({"labels": {"smallest_piece": share, "instance_threshold": 0.5}})
    walks = {"walk": random_walks(np.random.default_rng(5), 5, 64, 48), "walk_class": np.array([0, 1, 0, 2, 1])}
    np.testing.assert_array_equal(labels_of(walks, 64, 48, settings)["instance_score"], found["instance_score"])


@pytest.mark.parametrize("seed", range(6))
def test_each_instance_can_have_its_own_maximum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    walk = random_walks(rng, 5, 60, 40)
    threshold = float(rng.choice([0, 0.25, 0.5, 0.75]))
    own = agree(walk, [0, 1, 0, 2, 1], 60, 40, 0.25, threshold, Fraction(0), True)
    of_image = agree(walk, [0, 1, 0, 2, 1], 60, 40, 0.25, threshold, Fraction(0))
    assert ((own["instance_map"] > 0) >= (of_image["instance_map"] > 0)).all()


def test_a_weak_instance_beside_a_strong_one_is_kept_by_its_own_maximum() -> None:
    walk = np.zeros((2, 10, 10))
    walk[0, :, :5], walk[1, :, 6:] = 1, 0.125
    settings = Settings.model_validate({"labels": {"maximum": "instance"}})
    found = labels_of({"walk": walk, "walk_class": np.array([0, 0])}, 40, 40, settings)
    assert found["instance_score"].tolist() == [1, 0.125]
    assert agree(walk, [0, 0], 40, 40)["instance_score"].tolist() == [1]


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (4, 4), (5, 3)])
def test_small_images(size: tuple[int, int]) -> None:
    agree(random_walks(np.random.default_rng(1), 3, *size), [2, 2, 0], *size)


def test_one_class_in_the_whole_image() -> None:
    found = agree(np.ones((1, 6, 7)), [253], 22, 25)
    assert (found["semantic"] == 254).all()
    assert (found["instance_map"] == 1).all()
    assert found["instance_class"].tolist() == [253]
    assert found["instance_score"].tolist() == [1]


def test_no_map_is_all_background() -> None:
    found = agree(np.zeros((0, 6, 7)), [], 22, 25)
    assert not found["semantic"].any()
    assert not found["instance_map"].any()
    assert found["instance_class"].shape == found["instance_score"].shape == (0,)


def test_maps_of_zeros_are_all_background() -> None:
    found = agree(np.zeros((2, 6, 7)), [0, 1], 22, 25, 0.0, 0.0)
    assert not found["semantic"].any()
    assert len(found["instance_class"]) == 0


def test_a_map_that_is_zero_only_where_the_image_is_cut() -> None:
    walk = np.zeros((1, 2, 2))
    walk[0, 1] = 1
    # Of the second row of cells only one row of pixels is left.
    agree(walk, [0], 5, 8)


def test_the_maximum_is_that_of_all_maps_and_a_class_has_its_own() -> None:
    walk = np.zeros((3, 4, 12))
    walk[0, :, :4], walk[1, :, 4:8], walk[2, :, 8:] = 0.25, 0.25, 1
    found = agree(walk, [0, 0, 1], 16, 48, 0.24, 0.24)
    assert (np.unique(found["instance_map"]) == [0, 1, 2, 3]).all() or found["instance_map"].min() == 1
    assert found["instance_score"].tolist() == [0.25, 0.25, 1]
    # Two maps over each other make one class that reaches the other's maximum.
    walk[1] = walk[0]
    found = agree(walk, [0, 0, 1], 16, 48, 0.4, 0.4)
    assert (found["semantic"][:, :14] == 1).all()
    assert found["instance_class"].tolist() == [1]


def test_a_score_of_exactly_the_threshold_is_background() -> None:
    walk = np.ones((1, 4, 8))
    walk[0, :, :4] = 0.25
    found = agree(walk, [0], 16, 32)
    assert not found["semantic"][:, :14].any()
    assert not found["instance_map"][:, :14].any()
    assert (found["semantic"][:, 18:] == 1).all()


def test_the_first_of_equal_maps_wins() -> None:
    found = agree(np.ones((2, 3, 3)), [4, 2], 12, 12)
    assert found["instance_class"].tolist() == [4]
    assert (found["semantic"] == 3).all()


@pytest.mark.parametrize(("width", "score"), [(39, 1.0), (40, 1.0), (44, 0.0)])
def test_a_piece_of_exactly_1_percent_keeps_its_score(width: int, score: float) -> None:
    # A single cell above half of the maximum is 4 x 4 pixels: over, exactly and under 1 % of 40 x 39, 40 and 44.
    walk = np.zeros((1, 10, cells(width)))
    walk[0, 5, 4] = 1
    found = agree(walk, [3], 40, width, 0.5, 0.5)
    assert (found["instance_map"] == 1).sum() == 16
    assert found["instance_score"].tolist() == [score]
    assert (found["semantic"] == 4).sum() == 16


def test_pieces_touch_through_sides_and_not_through_corners() -> None:
    walk = np.kron(np.eye(2), np.ones((5, 5)))[None]
    found = agree(walk, [0], 40, 40, 0.6, 0.6)
    assert found["instance_class"].tolist() == [0, 0]
    assert found["instance_map"][0, 0] != found["instance_map"][39, 39]


def test_more_pieces_than_the_cache_can_number() -> None:
    walk = np.zeros((1, 520, 520), np.float32)
    walk[0, ::2, ::2] = 1
    with pytest.raises(IrnError, match="67600 pieces"):
        synthesise_labels(walk, np.array([0]), 2080, 2080, 0.7, 0.7)
