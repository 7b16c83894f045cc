"""Refinement of class maps, against a twin that goes cell by cell, and what a user of the two commands sees."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from golden_cases import NetworkCase
from helpers import SMALL, Sample, SmallData, missing, read_all, refused, run, smooth_image, write_data

from irn import open_labeller
from irn.data.index_png import read_index_png
from irn.grid import cells
from irn.inference.cams import class_attention_maps, scaled_images
from irn.inference.image import Networks, label_pixels
from irn.inference.refine import looked_at, open_refiner, refined
from irn.io.cache import write_cache
from irn.io.tensors import load_file, save_file
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.networks.objectness import Objectness
from irn.ops.refinement import likeness, shared, without_background
from irn.ops.resize import resized
from irn.records import ImageRecord
from irn.settings.checking import settings_of_options
from irn.training.objectness import objectness_losses
from irn.weights.files import load_objectness

BACKBONE = "tf_efficientnet_lite0"


# ---- arithmetic


def slow_likeness(levels: list[np.ndarray], power: float) -> np.ndarray:
    _, height, width = levels[0].shape
    places = [(y, x) for y in range(height) for x in range(width)]
    weights = np.zeros((len(places), len(places)))
    for i, (y, x) in enumerate(places):
        for j, (v, u) in enumerate(places):
            cosines = []
            for level in levels:
                lengths = np.linalg.norm(level[:, y, x]) * np.linalg.norm(level[:, v, u])
                cosines.append(level[:, y, x] @ level[:, v, u] / lengths if lengths else 0.0)
            weights[i, j] = 1.0 if i == j else max(0.0, float(np.mean(cosines))) ** power
        weights[i] /= weights[i].sum()
    return weights


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (1, 5)])
@pytest.mark.parametrize("power", [1.0, 6.0])
def test_likeness_is_that_of_each_pair_of_cells(size: tuple[int, int], power: float) -> None:
    rng = np.random.default_rng(0)
    levels = [rng.normal(size=(count, *size)).astype(np.float32) for count in (5, 9)]
    np.testing.assert_allclose(likeness(levels, power), slow_likeness(levels, power), atol=1e-5)


def test_a_cell_without_features_keeps_its_score() -> None:
    level = np.random.default_rng(0).random((4, 2, 3)).astype(np.float32)
    level[:, 1, 2] = 0
    maps = np.random.default_rng(1).random((2, 2, 3)).astype(np.float32)
    result = shared(maps, likeness([level], 2.0), (2, 3), 3)
    np.testing.assert_allclose(result[:, 1, 2], maps[:, 1, 2], rtol=1e-6)


def test_cells_that_look_alike_end_with_one_score_and_others_keep_theirs() -> None:
    level = np.zeros((2, 2, 4), np.float32)
    level[0, :, :2], level[1, :, 2:] = 1, 1  # the left half looks otherwise than the right
    maps = np.zeros((1, 2, 4), np.float32)
    maps[0, 0, 0] = 1
    result = shared(maps, likeness([level], 6.0), (2, 4), 2)
    np.testing.assert_allclose(result[0], [[0.25, 0.25, 0, 0]] * 2, atol=1e-6)


def test_objectness_takes_background_out_and_leaves_the_order_of_classes() -> None:
    rng = np.random.default_rng(0)
    maps, objectness = rng.random((3, 6, 7)).astype(np.float32), rng.random((6, 7)).astype(np.float32)
    objectness[0] = 0
    result = without_background(maps, objectness, 0.25)
    expected = maps**0.25 * objectness
    np.testing.assert_allclose(result, expected / (expected.max((1, 2), keepdims=True) + 1e-5), rtol=1e-5)
    assert (result[:, 0] == 0).all()
    assert without_background(maps[:0], objectness, 0.25).shape == (0, 6, 7)


# ---- objectness


def test_loss_is_that_of_the_share_that_objects_cover() -> None:
    logits = torch.tensor([[[0.3, -1.0]]])
    mask = torch.zeros(1, 2, 4, dtype=torch.uint8)
    mask[0, 0, :2], mask[0, :, 3] = 7, 255  # half an object; half of the second cell is not counted
    batch = {"images": torch.zeros(1), "label": mask}
    loss = objectness_losses(batch, lambda _: logits, lambda count: count)["loss"]
    share = torch.sigmoid(logits[0, 0])
    first = -(0.5 * share[0].log() + 0.5 * (1 - share[0]).log())
    expected = (4 * first - 2 * (1 - share[1]).log()) / 6
    torch.testing.assert_close(loss, expected)


def test_a_batch_without_a_counted_pixel_has_no_loss() -> None:
    batch = {"images": torch.zeros(1), "label": torch.full((1, 8, 8), 255, dtype=torch.uint8)}
    assert objectness_losses(batch, lambda _: torch.zeros(1, 1, 1), lambda count: count)["loss"] == 0


# ---- commands


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    rng, samples = np.random.default_rng(0), {}
    for number in range(4):
        pixels, mask = smooth_image(rng, 64, 80) // 4 + 96, np.zeros((64, 80), np.uint8)
        square = np.s_[8:40, 8 + 8 * number : 40 + 8 * number]
        pixels[square], mask[square] = (250, 40, 40), 1
        samples[f"i{number}"] = Sample(pixels, [0], class_mask=mask)
    return write_data(tmp_path_factory.mktemp("data"), ["red"], samples)


@pytest.fixture(scope="module")
def objectness(data: SmallData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("weights") / "objectness.pt"
    run("train-objectness", "--manifest", data.manifest, "--class-masks", data.class_masks, "--out", out,
        "--backbone", BACKBONE, "--epochs", 12, "--batch-size", 2, "--crop-size", 128, "--long-side", 112, 144,
        "--learning-rate", 0.01, "--device", "cpu", "--workers", 0)  # fmt: skip
    return out


@pytest.fixture(scope="module")
def cams(data: SmallData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps that are the same everywhere: what is known of places comes from refinement."""

    def arrays() -> Iterator[dict[str, np.ndarray]]:
        for _ in records:
            cam = np.full((1, cells(64), cells(80)), 0.5, np.float32)
            yield {"classes": np.array([0], np.uint16), "cam": cam, "high_res": np.full((1, 64, 80), 0.5, np.float32)}

    out = tmp_path_factory.mktemp("cams") / "cams.h5"
    records = [ImageRecord(f"i{n}", Path("x"), 64, 80, "train") for n in range(4)]
    write_cache(out, "cam", {"stage": "make_cams"}, records, arrays())
    return out


def refine(data: SmallData, cams: Path, out: Path, *more: object) -> dict[str, dict[str, np.ndarray]]:
    run("refine-cams", "--manifest", data.manifest, "--cams", cams, "--out", out, "--backbone", BACKBONE,
        "--long-sides", 128, 160, "--device", "cpu", "--workers", 0, *more)  # fmt: skip
    return read_all(out, "refined")


def test_objectness_finds_the_objects_of_its_masks(
    data: SmallData, objectness: Path, cams: Path, tmp_path: Path
) -> None:
    result = refine(data, cams, tmp_path / "refined.h5", "--objectness", objectness)
    for image_id, arrays in result.items():
        mask = resized((read_index_png(data.class_masks / f"{image_id}.png", 64, 80) > 0).astype(np.float32), 16, 20)
        assert arrays["objectness"][mask > 0.9].mean() > 2 * arrays["objectness"][mask < 0.1].mean(), image_id
        assert arrays["cam"].shape == (1, 16, 20)
        assert arrays["high_res"].shape == (1, 64, 80)
        assert 0.99 < arrays["cam"].max() <= 1


def test_a_file_holds_the_head_alone_unless_the_backbone_is_not_a_published_one(
    data: SmallData, objectness: Path, tmp_path: Path
) -> None:
    contents = load_file(objectness)
    assert contents["kind"] == "objectness"
    assert all(name.startswith("head.") for name in contents["state_dict"])
    assert objectness.stat().st_size < 3e6
    network = load_objectness(objectness)
    assert {name for name, _ in network.backbone.named_parameters()}
    contents["state_dict"] = Objectness(BACKBONE, is_published=False).saved_tensors()
    save_file(tmp_path / "whole.pt", contents)
    whole = load_objectness(tmp_path / "whole.pt")
    assert not torch.equal(next(whole.backbone.parameters()), next(network.backbone.parameters()))


def test_sharing_alone_needs_no_objectness(data: SmallData, cams: Path, tmp_path: Path) -> None:
    result = refine(data, cams, tmp_path / "refined.h5", "--sharing-steps", 2)
    for arrays in result.values():
        assert "objectness" not in arrays
        np.testing.assert_allclose(arrays["cam"], 1, atol=2e-3)  # all alike before, all alike afterwards


def test_an_image_of_any_size_and_without_classes_is_refined(objectness: Path) -> None:
    settings = settings_of_options(
        {"refine.objectness": str(objectness), "refine.sharing_steps": 1, "refine.long_sides": [64, 96]}, {}, "here"
    )
    refiner = open_refiner(settings, torch.device("cpu"))
    assert refiner is not None
    for height, width, count in ((1, 1, 1), (1, 300, 2), (40, 30, 0)):
        maps = {
            "classes": np.arange(count, dtype=np.uint16),
            "cam": np.ones((count, cells(height), cells(width)), np.float32),
            "high_res": np.ones((count, height, width), np.float32),
        }
        with torch.inference_mode():
            seen = looked_at(np.zeros((height, width, 3), np.uint8), settings)
            result = refined(refiner, seen, maps, height, width, settings)
        assert result["high_res"].shape == (count, height, width)
        assert np.isfinite(result["high_res"]).all()
        assert result["objectness"].shape == (cells(height), cells(width))


def test_one_image_is_refined_as_the_command_does_it(objectness: Path) -> None:
    changes = {"refine.objectness": str(objectness), "refine.long_sides": [64], "cam.scales": [1.0]}
    settings = settings_of_options(changes, {}, "here")
    refiner = open_refiner(settings, torch.device("cpu"))
    assert refiner is not None
    torch.manual_seed(0)
    classifier, irnet = Classifier("resnet18", 2).eval(), IRNet("resnet18").eval()
    pixels = smooth_image(np.random.default_rng(0), 48, 64)
    with torch.inference_mode():
        label = label_pixels(Networks(classifier, irnet, 64, (0, 0), refiner), pixels, [1], settings)
        maps = class_attention_maps(classifier, scaled_images(pixels, settings), [1], 48, 64)
        expected = refined(refiner, looked_at(pixels, settings), maps, 48, 64, settings)
    for name in ("cam", "high_res", "objectness"):
        np.testing.assert_array_equal(label[name], expected[name])


def test_shared_scores_come_from_the_backbone_that_irnet_stands_on(
    network_case: NetworkCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_backbone(*_: object) -> None:
        raise AssertionError("another backbone")

    monkeypatch.setattr("irn.inference.refine.start_backbone", start_backbone)
    weights = network_case.cam_weights, network_case.irn_weights
    labeller = open_labeller(*weights, device="cpu", changes={"refine.sharing_steps": 1, "cam.scales": [1.0]})
    assert labeller(smooth_image(np.random.default_rng(0), 48, 64), [0])["semantic"].shape == (48, 64)


def test_a_refined_cache_is_a_cam_cache(data: SmallData, objectness: Path, cams: Path, tmp_path: Path) -> None:
    refine(data, cams, tmp_path / "refined.h5", "--objectness", objectness)
    with h5py.File(tmp_path / "refined.h5") as file:
        assert file.attrs["stage"] == "refine_cams"
        assert set(file["i0"]) == {"classes", "cam", "high_res", "objectness"}
    assert set(read_all(tmp_path / "refined.h5", "cam")["i0"]) == {"classes", "cam", "high_res"}
    run("make-ir-labels", "--manifest", data.manifest, "--cams", tmp_path / "refined.h5", "--out", tmp_path / "ir.h5")
    scores = tmp_path / "scores.csv"
    run("evaluate", "--manifest", data.manifest, "--labels", data.labels, "--cams", cams, "--refined-cams",
        tmp_path / "refined.h5", "--class-masks", data.class_masks, "--out", scores,
        "--thresholds-out", tmp_path / "thresholds.csv")  # fmt: skip
    assert {line.split(",")[0] for line in scores.read_text().splitlines()[1:]} == {"cam", "refined"}
    assert "refined,train,0.25," in (tmp_path / "thresholds.csv").read_text()
    run("show", "--manifest", data.manifest, "--cams", cams, "--refined-cams", tmp_path / "refined.h5",
        "--out", tmp_path / "panels")  # fmt: skip
    assert len(list((tmp_path / "panels").glob("*.png"))) == 4


def test_objectness_that_knows_nothing_of_the_pictures_says_so(
    data: SmallData, objectness: Path, cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = load_file(objectness)
    contents["state_dict"]["head.output.bias"] = torch.tensor([-50.0])
    save_file(tmp_path / "blind.pt", contents)
    refine(data, cams, tmp_path / "refined.h5", "--objectness", tmp_path / "blind.pt")
    said = capsys.readouterr().out
    assert "objectness calls nothing an object in 4 of 4 images" in said
    assert "refine.objectness to none" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "nothing to refine by"),
        (("--objectness", "missing.pt"), "missing.pt"),
        (("--objectness", "none", "--sharing-steps", 1, "--cam-exponent", 2), "--cam-exponent"),
    ],
)
def test_mistakes(
    data: SmallData,
    cams: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[object, ...],
    words: str,
) -> None:
    out = tmp_path / "out" / "refined.h5"
    said = refused(
        capsys, tmp_path / "out", "refine-cams", "--manifest", data.manifest, "--cams", cams, "--out", out, *more
    )
    assert words in said


def test_weights_of_another_kind_are_refused(
    data: SmallData, objectness: Path, cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = load_file(objectness)
    contents["kind"] = "irn"
    save_file(tmp_path / "irn.pt", contents)
    said = refused(capsys, tmp_path / "out", "refine-cams", "--manifest", data.manifest, "--cams", cams,
                   "--out", tmp_path / "out" / "r.h5", "--objectness", tmp_path / "irn.pt")  # fmt: skip
    assert "kind 'irn', expected 'objectness'" in said


# ---- workflow


def test_without_refinement_the_workflow_is_the_papers(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    plain = missing(tmp_path)
    assert "refine_cams" not in plain
    assert "make_cams" in plain
    assert missing(tmp_path, "refine={sharing_steps: 2}") - plain == {"refine_cams"}
