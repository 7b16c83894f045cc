"""`dataset.max_side`: large images are worked on smaller, and what is written has their own size."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import Sample, SmallData, read_all, run, save_png, smooth_image, write_data
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import irn
from irn.data.tables import images_of
from irn.grid import cells, working_size
from irn.io.cache import CacheReader, CacheWriter
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.ops.resize import bounded, field_of_size, rescale, resized
from irn.training.irnet import cached_label, pair_view
from irn.training.views import SampleId
from irn.weights.files import save_weights

SMALL, LARGE = (64, 48), (256, 192)
STAGES = ("cam", "ir_label", "field", "walk", "label")


class Data(NamedTuple):
    """A small image, the same one four times as large in each direction, and untrained networks."""

    small: SmallData
    weights: tuple[Path, Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder, names = tmp_path_factory.mktemp("sizes"), ["dog", "cat"]
    large = smooth_image(np.random.default_rng(0), *LARGE)
    samples = {"small": Sample(rescale(large, *SMALL), [0, 1]), "large": Sample(large, [0, 1])}
    small = write_data(folder, names, samples)
    torch.manual_seed(0)
    cam, irnet = folder / "cam.pt", folder / "irn.pt"
    save_weights(cam, "cam", Classifier("test_resnet", 2), {"stage": "test"}, names, 64)
    save_weights(irnet, "irn", IRNet("test_resnet"), {"stage": "test"}, crop_size=64, mean_displacement=(0.0, 0.0))
    return Data(small, (cam, irnet))


def made(data: Data, out: Path, *more: object) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """The caches of all stages, by kind."""
    file = {kind: out / f"{kind}.h5" for kind in STAGES}
    images, net = ["--manifest", data.small.manifest], ["--device", "cpu", "--workers", 0]
    cams = ["--cams", file["cam"]]
    run(
        "make-cams",
        *images,
        "--labels",
        data.small.labels,
        "--weights",
        data.weights[0],
        "--out",
        file["cam"],
        *net,
        *more,
    )
    run("make-ir-labels", *images, *cams, "--out", file["ir_label"], "--workers", 0, *more)
    run("infer-fields", *images, "--weights", data.weights[1], "--out", file["field"], *net, *more)
    run("random-walk", *images, *cams, "--fields", file["field"], "--out", file["walk"], "--workers", 0, *more)
    run("make-labels", *images, "--walks", file["walk"], "--out", file["label"], "--workers", 0)
    return {kind: read_all(path, kind) for kind, path in file.items()}


@pytest.fixture(scope="module")
def limited(data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    return made(data, tmp_path_factory.mktemp("limited"), "--max-side", 64)


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((480, 640), None, (480, 640)), ((480, 640), 640, (480, 640)),
        ((3024, 4032), 1024, (768, 1024)), ((4032, 3024), 512, (512, 384)),
        ((1, 5000), 1024, (4, 1024)), ((1000, 1025), 1024, (1000, 1024)),
    ],
)  # fmt: skip
def test_sizes(size: tuple[int, int], max_side: int | None, expected: tuple[int, int]) -> None:
    assert working_size(*size, max_side) == expected


def test_an_image_within_the_limit_stays_as_it_is(
    data: Data, limited: dict[str, dict[str, dict[str, np.ndarray]]], tmp_path: Path
) -> None:
    whole = made(data, tmp_path)
    for kind in STAGES:
        for name, array in whole[kind]["small"].items():
            np.testing.assert_array_equal(limited[kind]["small"][name], array)
    assert any((whole["cam"]["large"]["cam"] != limited["cam"]["large"]["cam"]).ravel())


def test_caches_have_the_size_of_the_image(limited: dict[str, dict[str, dict[str, np.ndarray]]]) -> None:
    """The reader checks all shapes; here are those of what it takes."""
    assert limited["cam"]["large"]["high_res"].shape == (2, *LARGE)
    assert limited["ir_label"]["large"]["label"].shape == LARGE
    assert limited["label"]["large"]["semantic"].shape == LARGE
    assert limited["field"]["large"]["displacement"].shape == (2, cells(LARGE[0]), cells(LARGE[1]))


def test_a_large_image_gets_what_the_small_one_gets(limited: dict[str, dict[str, dict[str, np.ndarray]]]) -> None:
    large, small = ({kind: limited[kind][name] for kind in STAGES} for name in ("large", "small"))
    # Maps in pixels four times as large say the same at the centre of each.
    np.testing.assert_allclose(resized(large["cam"]["cam"], 16, 12), small["cam"]["cam"], rtol=0, atol=0.1)
    # Displacements lead to the same places, four times as many cells away; walks are of the same cells.
    again = field_of_size(large["field"], 16, 12)
    for name, array in again.items():
        np.testing.assert_array_equal(array, small["field"][name])
    for kind, name in (("ir_label", "label"), ("label", "semantic")):
        back = rescale(large[kind][name].astype(np.uint8), *SMALL, nearest=True)
        assert (back == small[kind][name]).mean() > 0.9, kind


@given(st.integers(1, 20), st.integers(1, 20), st.floats(1, 5), st.integers(0, 99))
def test_a_field_there_and_back(h: int, w: int, factor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = {
        "boundary": rng.random((h, w), np.float32),
        "displacement": rng.standard_normal((2, h, w)).astype(np.float32),
    }
    there = field_of_size(field, int(h * factor), int(w * factor))
    back = field_of_size(there, h, w)
    np.testing.assert_array_equal(back["boundary"], field["boundary"])
    np.testing.assert_allclose(back["displacement"], field["displacement"], rtol=1e-6)
    far, near = (np.abs(one["displacement"][0]).max() for one in (there, field))
    np.testing.assert_allclose(far / near, int(h * factor) / h, rtol=1e-5)


def test_irnet_learns_from_the_working_size(data: Data, tmp_path: Path) -> None:
    records = images_of(data.small.manifest)
    label = np.zeros(LARGE, np.uint8)
    label[64:192, 48:144] = 1
    with CacheWriter(tmp_path / "ir.h5", "ir_label", {"stage": "test"}) as cache:
        cache.write("large", *LARGE, {"label": label})
    reader = CacheReader([tmp_path / "ir.h5"], "ir_label")
    seen = pair_view(SampleId(0, 1), records, partial(cached_label, ir_labels=reader), (1.0, 1.0), 128, 0, max_side=64)
    top, left, bottom, right = seen["box"]
    assert (bottom - top, right - left) == SMALL
    assert (seen["label"] == 1).sum() == pytest.approx(SMALL[0] * SMALL[1] / 16 / 4, rel=0.2)


def test_predictions_have_the_size_of_the_image(data: Data, tmp_path: Path) -> None:
    common = [
        "--weights",
        *data.weights,
        "--images",
        data.small.images / "large.png",
        "--class-score",
        0,
        "--device",
        "cpu",
        "--workers",
        0,
    ]
    run("predict", *common, "--out", tmp_path / "out", "--max-side", 64)
    with Image.open(tmp_path / "out/SegmentationClass/large.png") as mask:
        assert mask.size == LARGE[::-1]


def test_a_bounded_image_is_the_image_made_smaller() -> None:
    pixels = smooth_image(np.random.default_rng(1), 60, 90)
    np.testing.assert_array_equal(bounded(pixels, 48), rescale(pixels, 32, 48))
    assert bounded(pixels, 96) is pixels


def test_a_notebook_gets_what_the_commands_get(
    data: Data, limited: dict[str, dict[str, dict[str, np.ndarray]]], tmp_path: Path
) -> None:
    """Segmentation of a new image to the pixel; labels but for the rounding of caches."""
    changes = {"dataset.max_side": 64, "predict.class_score": 0}
    image = data.small.images / "large.png"
    network = irn.open_network(*data.weights, device="cpu", changes=changes)
    common = ["--weights", *data.weights, "--images", image, "--class-score", 0, "--device", "cpu", "--workers", 0]
    run("predict", *common, "--out", tmp_path / "out", "--max-side", 64)
    with Image.open(tmp_path / "out/SegmentationClass/large.png") as mask:
        expected = np.array(mask)
    for one in (image, str(image), np.array(Image.open(image))):
        found = network(one)
        assert found.masks.shape[1:] == found.semantic.shape == LARGE
        np.testing.assert_array_equal(found.semantic, expected)
    assert (
        irn.open_network(*data.weights, device="cpu", changes={"predict.class_score": 0})(image).semantic != expected
    ).any()
    labels = irn.open_labeller(*data.weights, device="cpu", changes=changes)(image, [0, 1])
    cached = {kind: limited[kind]["large"] for kind in STAGES}
    np.testing.assert_allclose(labels["cam"], cached["cam"]["cam"], rtol=0, atol=0.01)
    np.testing.assert_array_equal(labels["groups"], cached["walk"]["groups"])
    assert (labels["semantic"] == cached["label"]["semantic"]).mean() > 0.99


def test_files_of_another_range_of_values_are_read_by_it(data: Data, tmp_path: Path) -> None:
    grey = np.array(Image.open(data.small.images / "small.png"))[..., 0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    changes = {"dataset.value_range": [0, 65535], "predict.class_score": 0}
    network = irn.open_network(*data.weights, device="cpu", changes=changes)
    np.testing.assert_array_equal(network(tmp_path / "deep.png").semantic, network(np.stack([grey] * 3, -1)).semantic)


def test_the_crf_of_an_ablation_is_that_of_ir_labels(data: Data, tmp_path: Path) -> None:
    """Ground truth that is what a CRF in the working size makes: no other finds all of it."""
    made(data, tmp_path, "--max-side", 64)
    images = ["--manifest", data.small.manifest, "--cams", tmp_path / "cam.h5"]
    both = ["--foreground-threshold", 0.4, "--background-threshold", 0.4, "--workers", 0]
    run("make-ir-labels", *images, "--out", tmp_path / "truth.h5", *both, "--max-side", 64)
    for name, arrays in read_all(tmp_path / "truth.h5", "ir_label").items():
        save_png(tmp_path / f"masks/{name}.png", arrays["label"])
    inputs = [
        *images,
        "--labels",
        data.small.labels,
        "--walks",
        tmp_path / "walk.h5",
        "--class-masks",
        tmp_path / "masks",
    ]
    scores = {}
    for size in (64, 256):
        run("ablation", *inputs, "--out", tmp_path / "ablation.csv", "--workers", 0, "--max-side", size)
        table = pd.read_csv(tmp_path / "ablation.csv").set_index("variant")
        scores[size] = table.loc["CAM + CRF", ["threshold", "mIoU"]].tolist()
    assert scores[64] == [0.4, 1.0]
    assert scores[256][1] < 1
