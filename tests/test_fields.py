"""Boundary and displacement of an image against running the network on each padded mirror by hand."""

import numpy as np
import pytest
import torch
from helpers import smooth_image

from irn.grid import cells
from irn.inference.fields import fields, padded_pair
from irn.networks.backbones import make_backbone
from irn.networks.irnet import IRNet

CROP = 64


@pytest.fixture(scope="module")
def model() -> IRNet:
    torch.manual_seed(0)
    return IRNet("resnet18").eval()


def computed(model: IRNet, pixels: np.ndarray, mean: tuple[float, float] = (0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        field = fields(model, pixels, *pixels.shape[:2], CROP, mean)
    return field["boundary"], field["displacement"]


def padded_side(side: int) -> int:
    """The crop, or the first multiple of 16 that holds the side."""
    size = CROP
    while size < side:
        size += 16
    return size


@pytest.mark.parametrize("size", [(64, 64), (50, 61), (1, 1), (65, 40), (80, 81), (97, 130)])
def test_twin(model: IRNet, size: tuple[int, int]) -> None:
    height, width = size
    pixels = smooth_image(np.random.default_rng(0), height, width)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = ((pixels / 255 - mean) / std).transpose(2, 0, 1)
    results = []
    for turned in (image, image[..., ::-1]):
        padded = np.zeros((1, 3, padded_side(height), padded_side(width)), np.float32)
        padded[0, :, :height, :width] = turned
        with torch.inference_mode():
            logits, displacement = model(torch.from_numpy(padded))
        results.append(
            (
                logits[0, 0, : cells(height), : cells(width)].numpy(),
                displacement[0, :, : cells(height), : cells(width)].numpy(),
            )
        )
    logit = (results[0][0] + results[1][0][:, ::-1]) / 2
    boundary, displacement = computed(model, pixels, (0.75, -2))
    np.testing.assert_allclose(boundary, 1 / (1 + np.exp(-logit)), rtol=0, atol=1e-4)
    np.testing.assert_allclose(displacement, results[0][1] - np.array([0.75, -2])[:, None, None], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (1, 5), (100, 70)])
def test_shapes_and_ranges(model: IRNet, size: tuple[int, int]) -> None:
    boundary, displacement = computed(model, smooth_image(np.random.default_rng(1), *size))
    assert boundary.shape == (cells(size[0]), cells(size[1]))
    assert displacement.shape == (2, *boundary.shape)
    assert boundary.dtype == displacement.dtype == np.float32
    assert (boundary >= 0).all()
    assert (boundary <= 1).all()
    assert np.isfinite(displacement).all()


@pytest.mark.parametrize(
    ("size", "padded"),
    [((10, 20), (64, 64)), ((64, 64), (64, 64)), ((65, 20), (80, 64)), ((20, 80), (64, 80)), ((81, 97), (96, 112))],
)
def test_each_side_is_padded_with_zeros_to_the_crop_or_the_next_multiple_of_16(
    size: tuple[int, int], padded: tuple[int, int]
) -> None:
    height, width = size
    pixels = torch.full((height, width, 3), 200, dtype=torch.uint8)
    pair = padded_pair(make_backbone("resnet18"), pixels, CROP)
    assert pair.shape == (2, 3, *padded)
    assert (pair[:, :, :height, :width] != 0).all()
    assert not pair[:, :, height:].any()
    assert not pair[:, :, :, width:].any()


def test_the_mirror_starts_at_the_left_too() -> None:
    pixels = torch.from_numpy(smooth_image(np.random.default_rng(2), 30, 41))
    pair = padded_pair(make_backbone("resnet18"), pixels, CROP)
    assert torch.equal(pair[1, :, :30, :41], pair[0, :, :30, :41].flip(-1))


@pytest.mark.parametrize("width", [48, 70])
def test_the_mirrored_image_has_the_mirrored_boundary(model: IRNet, width: int) -> None:
    pixels = smooth_image(np.random.default_rng(3), 37, width)
    straight, mirrored = computed(model, pixels)[0], computed(model, np.ascontiguousarray(pixels[:, ::-1]))[0]
    np.testing.assert_allclose(straight, mirrored[:, ::-1], rtol=0, atol=1e-4)


def test_the_mean_displacement_is_taken_off(model: IRNet) -> None:
    pixels = smooth_image(np.random.default_rng(4), 40, 40)
    without, less = computed(model, pixels)[1], computed(model, pixels, (1.5, -0.25))[1]
    np.testing.assert_allclose(without - less, np.broadcast_to([[[1.5]], [[-0.25]]], less.shape), rtol=0, atol=1e-5)
