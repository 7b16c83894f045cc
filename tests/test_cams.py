"""Class attention maps against a twin that runs one scale and one mirror at a time."""

import numpy as np
import pytest
import torch
from helpers import smooth_image
from torch.nn import functional

from irn.grid import cells
from irn.inference.cams import class_attention_maps
from irn.networks.classifier import Classifier
from irn.ops.resize import at_scale

SCALES = (1.0, 0.5, 1.5, 2.0)


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier("resnet18", 5).eval()


def computed(
    model: Classifier, pixels: np.ndarray, classes: list[int], scales: tuple[float, ...] = SCALES
) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        maps = class_attention_maps(model, [at_scale(pixels, scale) for scale in scales], classes, *pixels.shape[:2])
    assert maps["classes"].tolist() == classes
    return maps["cam"], maps["high_res"]


def slow_maps(
    model: Classifier, pixels: np.ndarray, classes: list[int], scales: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    height, width = pixels.shape[:2]
    small, large = (cells(height), cells(width)), (-(-height // 16) * 16, -(-width // 16) * 16)
    cam, high_res = np.zeros((len(classes), *small)), np.zeros((len(classes), *large))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for scale in scales:
        image = ((at_scale(pixels, scale) / 255 - mean) / std).transpose(2, 0, 1).astype(np.float32)
        both = []
        for turned in (image, image[..., ::-1].copy()):
            with torch.inference_mode():
                maps = model.classifier(model.backbone(torch.from_numpy(turned)[None])[-1]).clamp(min=0)[0].numpy()
            both.append(maps if turned is image else maps[..., ::-1])
        for index, present in enumerate(classes):
            merged = torch.from_numpy(np.ascontiguousarray(both[0][present] + both[1][present]))[None, None]
            cam[index] += functional.interpolate(merged, small, mode="bilinear")[0, 0].numpy()
            high_res[index] += functional.interpolate(merged, large, mode="bilinear")[0, 0].numpy()
    high_res = high_res[:, :height, :width]
    return tuple(np.stack([m / (m.max() + 1e-5) for m in maps]) for maps in (cam, high_res))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("size", "scales"),
    [((64, 80), SCALES), ((37, 50), SCALES), ((16, 17), (1.0,)), ((33, 3), (2.0, 1.0)), ((1, 1), SCALES)],
)
def test_twin(model: Classifier, size: tuple[int, int], scales: tuple[float, ...]) -> None:
    pixels = smooth_image(np.random.default_rng(0), *size)
    for found, expected in zip(
        computed(model, pixels, [3, 0], scales), slow_maps(model, pixels, [3, 0], scales), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 48), (35, 49), (1, 7)])
@pytest.mark.parametrize("classes", [[], [2], [4, 0, 1]], ids=str)
def test_shapes_and_ranges(model: Classifier, size: tuple[int, int], classes: list[int]) -> None:
    height, width = size
    cam, high_res = computed(model, smooth_image(np.random.default_rng(1), height, width), classes, (1.0, 0.5))
    assert cam.shape == (len(classes), cells(height), cells(width))
    assert high_res.shape == (len(classes), height, width)
    for maps in (cam, high_res):
        assert maps.dtype == np.float32
        assert (maps >= 0).all()
        assert (maps < 1).all()
        for present in maps:
            # 1, less what the 1e-5 takes off, unless the class is seen nowhere.
            assert present.max() > 0.9 or present.max() == 0


def test_a_class_map_does_not_depend_on_the_other_classes(model: Classifier) -> None:
    pixels = smooth_image(np.random.default_rng(2), 40, 56)
    together, alone = computed(model, pixels, [1, 4]), computed(model, pixels, [4])
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one[1:], other, rtol=0, atol=1e-5)


def test_the_mirrored_image_has_mirrored_maps(model: Classifier) -> None:
    pixels = smooth_image(np.random.default_rng(3), 37, 48)
    straight, mirrored = (
        computed(model, pixels, [0, 3], (1.0,)),
        computed(model, np.ascontiguousarray(pixels[:, ::-1]), [0, 3], (1.0,)),
    )
    for one, other in zip(straight, mirrored, strict=True):
        np.testing.assert_allclose(one, other[..., ::-1], rtol=0, atol=1e-4)


def test_a_class_that_is_seen_nowhere_has_a_map_of_zeros(model: Classifier) -> None:
    blind = Classifier("resnet18", 5).eval()
    blind.load_state_dict(model.state_dict())
    with torch.no_grad():
        blind.classifier.weight[2] = -1
    for maps in computed(blind, smooth_image(np.random.default_rng(4), 32, 32), [2, 3], (1.0,)):
        assert not maps[0].any()
        assert maps[1].any()


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((97, 130), 0.5, (48, 65)),
        ((99, 131), 0.5, (50, 66)),
        ((97, 130), 1.5, (146, 195)),
        ((3, 1), 0.25, (1, 1)),
        ((6, 7), 1.0, (6, 7)),
    ],
)
def test_sides_are_rounded_half_to_even_and_never_to_nothing(
    size: tuple[int, int], scale: float, expected: tuple[int, int]
) -> None:
    pixels = smooth_image(np.random.default_rng(5), *size)
    scaled = at_scale(pixels, scale)
    assert scaled.shape == (*expected, 3)
    assert scaled.dtype == np.uint8
    if scale == 1:
        np.testing.assert_array_equal(scaled, pixels)
