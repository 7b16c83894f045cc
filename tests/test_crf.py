"""IR labels against a twin with two dense CRFs of pydensecrf, each with a lattice of its own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import smooth_image

from irn.ops.crf import argmax_with_background, ir_label, refine


def pydensecrf(module: str) -> Any:
    """A module of the package, which make env leaves out where there is no compiler; then the test is skipped."""
    return pytest.importorskip(f"pydensecrf.{module}", reason="pydensecrf2 is not installed; it needs a C++ compiler")


def slow_crf(pixels: np.ndarray, guess: np.ndarray, labels: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    field = pydensecrf("densecrf").DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(pydensecrf("utils").unary_from_labels(guess, labels, gt_prob=0.7, zero_unsure=False))
    field.addPairwiseGaussian(sxy=3, compat=3)
    field.addPairwiseBilateral(sxy=50, srgb=5, rgbim=np.ascontiguousarray(np.copy(pixels)), compat=10)
    return np.argmax(field.inference(10), axis=0).reshape(height, width)


def slow_label(pixels: np.ndarray, high_res: np.ndarray, classes: np.ndarray, high: float, low: float) -> np.ndarray:
    label = np.zeros(pixels.shape[:2], np.uint8)
    if len(classes) == 0:
        return label
    keys = np.pad(np.asarray(classes, int) + 1, (1, 0))
    runs = []
    for threshold in (high, low):
        guess = np.pad(high_res, ((1, 0), (0, 0), (0, 0)), constant_values=threshold).argmax(0)
        runs.append(keys[slow_crf(pixels, guess, len(keys))])
    for place in np.ndindex(label.shape):
        foreground, background = runs[0][place], runs[1][place]
        label[place] = foreground if foreground else (255 if background else 0)
    return label


def case(seed: int, classes: int, height: int = 40, width: int = 51) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pixels = smooth_image(rng, height, width)
    y, x = np.indices((height, width))
    centres = rng.random((classes, 2)) * (height, width)
    maps = [np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (0.06 * height * width)) for cy, cx in centres]
    high_res = np.stack(maps).astype(np.float32) if classes else np.zeros((0, height, width), np.float32)
    return pixels, high_res, rng.permutation(20)[:classes].astype(np.uint16)


@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_labels_are_identical_to_those_of_two_lattices(seed: int, classes: int) -> None:
    pixels, high_res, indices = case(seed, classes)
    found = ir_label(pixels, high_res, indices, 0.30, 0.05)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, slow_label(pixels, high_res, indices, 0.30, 0.05))
    assert set(np.unique(found)) <= {0, 255, *(indices.astype(int) + 1)}


def test_one_lattice_serves_many_guesses() -> None:
    pixels, _, _ = case(5, 1)
    rng = np.random.default_rng(5)
    guesses = [rng.integers(0, 3, pixels.shape[:2]).astype(np.int32) for _ in range(3)]
    for refined, guess in zip(refine(pixels, guesses, 3), guesses, strict=True):
        np.testing.assert_array_equal(refined, slow_crf(pixels, guess, 3))


def noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def flat(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


@pytest.mark.parametrize("image", [smooth_image, noise, flat])
@pytest.mark.parametrize(("guesses", "labels"), [(1, 2), (2, 2), (3, 2), (2, 3), (1, 4), (2, 6), (2, 21)])
def test_numbers_of_guesses_and_labels(image: Callable[..., np.ndarray], guesses: int, labels: int) -> None:
    rng = np.random.default_rng(labels)
    pixels = image(rng, 61, 73)
    patches = rng.integers(0, labels, (guesses, 9, 11)).astype(np.int32)
    given = list(np.kron(patches, np.ones((1, 7, 7), np.int32))[:, :61, :73])
    for refined, guess in zip(refine(pixels, given, labels), given, strict=True):
        found, expected = refined, slow_crf(pixels, guess, labels)
        assert (found == expected).mean() >= 0.9999


def test_pydensecrf_can_be_chosen() -> None:
    pydensecrf("densecrf")
    pixels, high_res, indices = case(9, 3)
    expected = ir_label(pixels, high_res, indices, 0.30, 0.05)
    np.testing.assert_array_equal(ir_label(pixels, high_res, indices, 0.30, 0.05, "pydensecrf"), expected)


@pytest.mark.parametrize(("high", "low"), [(0.3, 0.3), (1.0, 0.0), (0.9, 0.5)])
def test_other_thresholds(high: float, low: float) -> None:
    pixels, high_res, indices = case(2, 2)
    np.testing.assert_array_equal(
        ir_label(pixels, high_res, indices, high, low), slow_label(pixels, high_res, indices, high, low)
    )


def test_equal_thresholds_leave_nothing_unsure() -> None:
    assert 255 not in ir_label(*case(3, 2), 0.3, 0.3)


def test_without_a_class_all_is_background() -> None:
    pixels, high_res, indices = case(4, 0)
    assert not ir_label(pixels, high_res, indices, 0.30, 0.05).any()


@pytest.mark.parametrize(("score", "expected"), [(0.9, 8), (0.2, 255), (0.01, 0)])
def test_sure_foreground_unsure_and_sure_background(score: float, expected: int) -> None:
    pixels = np.full((20, 24, 3), 90, np.uint8)
    label = ir_label(pixels, np.full((1, 20, 24), score, np.float32), np.array([7]), 0.30, 0.05)
    assert (label == expected).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_small_images(size: tuple[int, int]) -> None:
    pixels, high_res, indices = case(6, 2, *size)
    np.testing.assert_array_equal(
        ir_label(pixels, high_res, indices, 0.30, 0.05), slow_label(pixels, high_res, indices, 0.30, 0.05)
    )


def test_an_image_that_is_read_only_or_turned() -> None:
    pixels, high_res, indices = case(7, 2)
    expected = ir_label(pixels, high_res, indices, 0.30, 0.05)
    pixels.setflags(write=False)
    np.testing.assert_array_equal(ir_label(pixels, high_res, indices, 0.30, 0.05), expected)
    np.testing.assert_array_equal(ir_label(np.asfortranarray(pixels), high_res, indices, 0.30, 0.05), expected)


def test_background_wins_ties_and_the_first_class_among_classes() -> None:
    maps = np.array([[[0.3, 0.5, 0.2, 0.4]], [[0.1, 0.5, 0.3, 0.6]]], np.float32)
    assert argmax_with_background(maps, 0.3).tolist() == [[0, 1, 0, 2]]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_argmax_of_the_stack(threshold: float) -> None:
    maps = (np.random.default_rng(8).integers(0, 11, (3, 9, 8)) / 10).astype(np.float32)
    stack = np.concatenate([np.full((1, 9, 8), threshold, np.float32), maps])
    np.testing.assert_array_equal(argmax_with_background(maps, threshold), stack.argmax(0))
