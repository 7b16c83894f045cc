"""The cell classifier: the arithmetic, against a twin that goes cell by cell, and what a user of the commands sees."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import SMALL, Sample, SmallData, missing, read_all, refused, run, smooth_image, write_data

from irn import open_labeller, open_network
from irn.errors import IrnError
from irn.grid import cells
from irn.inference.cams import class_attention_maps, scaled_images
from irn.inference.image import Networks, label_pixels
from irn.inference.refine import looked_at, open_refiner, refined
from irn.io.cache import write_cache
from irn.io.tensors import load_file, save_file
from irn.networks.backbones import make_backbone
from irn.networks.cell_classifier import CellClassifier
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.networks.objectness import Objectness
from irn.ops.refinement import FLOOR, class_shares
from irn.records import ImageRecord
from irn.settings.checking import settings_of_options
from irn.settings.settings import CellClassifierTraining
from irn.training.cell_classifier import Cells, drawn, teach
from irn.weights.files import load_cell_classifier, save_weights

BACKBONE = "tf_efficientnet_lite0"


# ---- arithmetic


def slow_shares(maps: np.ndarray, logits: np.ndarray) -> np.ndarray:
    shares = np.zeros(maps.shape)
    for y, x in np.ndindex(maps.shape[1:]):
        prior = [m[y, x] / (m.max() + 1e-5) + FLOOR for m in maps]
        answers = [p * np.exp(float(z)) for p, z in zip(prior, logits[:, y, x], strict=True)]
        shares[:, y, x] = np.array(answers) / sum(answers)
    return shares


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 4), (3, 1, 5)])
def test_shares_are_those_of_each_cell(size: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    maps, logits = rng.random(size).astype(np.float32), rng.normal(0, 3, size).astype(np.float32)
    np.testing.assert_allclose(class_shares(maps, logits), slow_shares(maps, logits), rtol=1e-4)


def test_where_no_map_says_anything_the_classifier_decides() -> None:
    shares = class_shares(np.zeros((2, 1, 1), np.float32), np.array([[[800.0]], [[-800.0]]], np.float32))
    np.testing.assert_allclose(shares[:, 0, 0], [1, 0])
    assert class_shares(np.zeros((0, 2, 3), np.float32), np.zeros((0, 2, 3), np.float32)).shape == (0, 2, 3)


def test_cells_are_drawn_where_objects_are() -> None:
    objectness = np.zeros((4, 5), np.float32)
    objectness[1, 2], objectness[3, 4] = 0.4, 0.8
    places = drawn(objectness, 1000, np.random.default_rng(0))
    assert set(places.tolist()) == {7, 19}
    assert 0.75 < (places == 19).mean() < 0.85  # 0.8^2 / (0.8^2 + 0.4^2)
    assert len(drawn(np.zeros((2, 2), np.float32), 8, np.random.default_rng(0))) == 8


def images_of_two_kinds() -> tuple[Cells, torch.Tensor]:
    """Cells of images with one class each and of images with both, whose maps say nothing; and the true classes."""
    torch.manual_seed(0)
    truth = torch.randint(0, 2, (24, 16))
    truth[:8], truth[8:16] = 0, 1
    features = torch.randn(24, 16, 152) + 0.3 * torch.randn(2, 152)[truth]
    scores = torch.full((24, 16, 3), 0.5)
    scores[:8, :, 1], scores[8:16, :, 0], scores[:, :, 2] = 0, 0, 0
    return Cells(features.half(), scores), truth


def taught(seed: int, **more: int) -> CellClassifier:
    backbone = make_backbone("resnet18")
    backbone.channels = (1, 1, 1, 100, 52)
    network = CellClassifier(backbone, 3)
    section = CellClassifierTraining(learning_rate=0.003, **more)
    teach(network, images_of_two_kinds()[0], section, seed)
    return network


def test_images_of_one_class_teach_which_class_a_cell_has_where_two_come_together() -> None:
    data, truth = images_of_two_kinds()
    answers = taught(0)(data.features).detach()[16:, :, :2].argmax(-1)
    assert (answers == truth[16:]).float().mean() > 0.85


def test_a_seed_gives_one_classifier() -> None:
    first, again, other = (taught(seed, rounds=1, steps=9).layer.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# ---- commands

RED, BLUE = (250, 40, 40), (40, 40, 250)
CLASSES = [[0]] * 6 + [[1]] * 6 + [[0, 1]] * 2 + [[]]
BOTH, NONE = (12, 13), 14
LEFT, RIGHT = np.s_[16:48, 8:40], np.s_[16:48, 56:88]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    """Red and blue squares, alone and together; the last image has no class."""
    rng, samples = np.random.default_rng(0), {}
    for number, classes in enumerate(CLASSES):
        pixels = smooth_image(rng, 64, 96) // 4 + 96
        for index, colour in enumerate((RED, BLUE)):
            if index in classes:
                pixels[(LEFT, RIGHT)[(index + number) % 2]] = colour
        samples[f"i{number}"] = Sample(pixels, classes)
    return write_data(tmp_path_factory.mktemp("data"), ["red", "blue"], samples)


@pytest.fixture(scope="module")
def objectness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that finds objects everywhere alike."""
    network, out = Objectness(BACKBONE), tmp_path_factory.mktemp("weights") / "objectness.pt"
    for parameter in network.head.output.parameters():
        torch.nn.init.zeros_(parameter)
    save_weights(out, "objectness", network, {})
    return out


@pytest.fixture(scope="module")
def cams(data: SmallData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps that see both squares for each class."""

    def arrays() -> Iterator[dict[str, np.ndarray]]:
        high_res = np.zeros((64, 96), np.float32)
        high_res[LEFT] = high_res[RIGHT] = 1
        for classes in CLASSES:
            maps = np.repeat(high_res[None], len(classes), 0)
            yield {"classes": np.array(classes, np.uint16), "cam": maps[:, ::4, ::4], "high_res": maps}

    out = tmp_path_factory.mktemp("cams") / "cams.h5"
    records = [ImageRecord(f"i{n}", Path("x"), 64, 96, "train") for n in range(len(CLASSES))]
    write_cache(out, "cam", {"stage": "make_cams"}, records, arrays())
    return out


def train(data: SmallData, cams: Path, objectness: Path, out: Path) -> Path:
    run("train-cell-classifier", "--manifest", data.manifest, "--labels", data.labels, "--cams", cams, "--out", out,
        "--objectness", objectness, "--long-sides", 256, "--steps", 30, "--learning-rate", 0.003, "--cells", 32,
        "--device", "cpu", "--workers", 0)  # fmt: skip
    return out


@pytest.fixture(scope="module")
def weights(data: SmallData, cams: Path, objectness: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data, cams, objectness, tmp_path_factory.mktemp("weights") / "cells.pt")


def refine_command(data: SmallData, cams: Path, objectness: Path, out: Path) -> list[object]:
    return ["refine-cams", "--manifest", data.manifest, "--cams", cams, "--out", out, "--objectness", objectness,
            "--long-sides", 256, "--device", "cpu", "--workers", 0]  # fmt: skip


def test_maps_of_classes_that_come_together_are_told_apart(
    data: SmallData, cams: Path, objectness: Path, weights: Path, tmp_path: Path
) -> None:
    run(*refine_command(data, cams, objectness, tmp_path / "refined.h5"), "--cell-classifier", weights)
    result = read_all(tmp_path / "refined.h5", "refined")
    for number in BOTH:
        red, blue = result[f"i{number}"]["high_res"]
        of_red, of_blue = (LEFT, RIGHT) if number % 2 == 0 else (RIGHT, LEFT)
        assert red[of_red].mean() > 1.5 * blue[of_red].mean()
        assert blue[of_blue].mean() > 1.5 * red[of_blue].mean()
    assert result[f"i{NONE}"]["cam"].shape == (0, 16, 24)


def test_training_again_gives_the_same_file(
    data: SmallData, cams: Path, objectness: Path, weights: Path, tmp_path: Path
) -> None:
    again = load_file(train(data, cams, objectness, tmp_path / "again.pt"))
    first = load_file(weights)
    assert first["class_names"] == ["red", "blue"]
    assert set(first["state_dict"]) == {"mean", "std", "layer.weight", "layer.bias"}
    for name, tensor in first["state_dict"].items():
        torch.testing.assert_close(again["state_dict"][name], tensor)


def test_one_image_is_refined_as_the_command_does_it(objectness: Path, weights: Path) -> None:
    settings = settings_of_options(
        {"refine.objectness": str(objectness), "refine.long_sides": [64], "cam.scales": [1.0]}, {}, "here"
    )
    refiner = open_refiner(settings, torch.device("cpu"), cell_classifier=weights)
    assert refiner is not None
    torch.manual_seed(0)
    classifier, irnet = Classifier("resnet18", 2).eval(), IRNet("resnet18").eval()
    pixels = smooth_image(np.random.default_rng(0), 48, 64)
    with torch.inference_mode():
        label = label_pixels(Networks(classifier, irnet, 64, (0, 0), refiner), pixels, [1, 0], settings)
        maps = class_attention_maps(classifier, scaled_images(pixels, settings), [1, 0], 48, 64)
        expected = refined(refiner, looked_at(pixels, settings), maps, 48, 64, settings)
        without = refined(refiner._replace(cell_classifier=None), looked_at(pixels, settings), maps, 48, 64, settings)
    np.testing.assert_array_equal(label["cam"], expected["cam"])
    assert label["cam"].shape == (2, cells(48), cells(64))
    assert not np.allclose(without["cam"], expected["cam"])


def test_a_classifier_and_irnet_predict_with_it(
    data: SmallData, objectness: Path, weights: Path, tmp_path: Path
) -> None:
    save_weights(tmp_path / "cam.pt", "cam", Classifier("resnet18", 2), {}, ["red", "blue"])
    save_weights(tmp_path / "irn.pt", "irn", IRNet("resnet18"), {}, crop_size=64, mean_displacement=(0.0, 0.0))
    run("predict", "--weights", tmp_path / "cam.pt", tmp_path / "irn.pt", weights, "--manifest", data.manifest, "--out",
        tmp_path / "p", "--objectness", objectness, "--long-sides", 64, "--device", "cpu")  # fmt: skip
    assert (tmp_path / "p" / "predictions.json").exists()


# ---- mistakes


def test_objectness_is_needed(
    data: SmallData, cams: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    said = refused(capsys, out, "train-cell-classifier", "--manifest", data.manifest, "--labels", data.labels,
                   "--cams", cams, "--out", out / "cells.pt")  # fmt: skip
    assert "give --objectness" in said
    said = refused(capsys, out, "refine-cams", "--manifest", data.manifest, "--cams", cams, "--out", out / "r.h5",
                   "--cell-classifier", weights, "--sharing-steps", 1)  # fmt: skip
    assert "a cell classifier needs objectness" in said


def test_features_of_another_backbone_are_refused(
    data: SmallData, cams: Path, objectness: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = load_file(weights)
    contents["backbone"] = "resnet18"
    save_file(tmp_path / "other.pt", contents)
    command = refine_command(data, cams, objectness, tmp_path / "out" / "refined.h5")
    said = refused(capsys, tmp_path / "out", *command, "--cell-classifier", tmp_path / "other.pt")
    assert "features of resnet18, but objectness has tf_efficientnet_lite0" in said


def test_other_classes_than_the_classifiers_are_refused(
    data: SmallData, cams: Path, objectness: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_weights(tmp_path / "cam.pt", "cam", Classifier("resnet18", 2), {}, ["blue", "red"])
    save_weights(tmp_path / "irn.pt", "irn", IRNet("resnet18"), {}, crop_size=64, mean_displacement=(0.0, 0.0))
    files = [tmp_path / "cam.pt", tmp_path / "irn.pt"]
    told = "knows the classes red, blue, but the classifier blue, red"
    said = refused(capsys, tmp_path / "out", "predict", "--weights", *files, weights, "--manifest", data.manifest,
                   "--out", tmp_path / "out", "--objectness", objectness, "--device", "cpu")  # fmt: skip
    assert told in said
    changes = {"refine.objectness": str(objectness), "refine.cell_classifier": True}
    with pytest.raises(IrnError, match=told):
        open_labeller(*files, "cpu", changes, weights)
    with pytest.raises(IrnError, match="no file of one is given"):
        open_labeller(*files, "cpu", changes)
    with pytest.raises(IrnError, match="no file of one is given"):
        open_network(*files, device="cpu", changes=changes)
    # Maps of a class that it does not know.
    contents = load_file(weights)
    contents["state_dict"] |= {name: contents["state_dict"][name][:1] for name in ("layer.weight", "layer.bias")}
    save_file(tmp_path / "one.pt", contents | {"class_names": ["red"]})
    command = refine_command(data, cams, objectness, tmp_path / "out" / "refined.h5")
    assert "class" in refused(capsys, tmp_path / "out", *command, "--cell-classifier", tmp_path / "one.pt")


def test_a_classifier_alone_has_no_refined_maps(
    data: SmallData, objectness: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_weights(tmp_path / "cam.pt", "cam", Classifier("resnet18", 2), {}, ["red", "blue"])
    said = refused(capsys, tmp_path / "out", "predict", "--weights", tmp_path / "cam.pt", "--manifest", data.manifest,
                   "--out", tmp_path / "out", "--objectness", objectness, "--device", "cpu")  # fmt: skip
    assert "give IRNet's weights too" in said


def test_weights_of_another_kind_are_refused(
    data: SmallData, cams: Path, objectness: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = refine_command(data, cams, objectness, tmp_path / "out" / "refined.h5")
    said = refused(capsys, tmp_path / "out", *command, "--cell-classifier", objectness)
    assert "kind 'objectness', expected 'cell_classifier'" in said


def test_a_damaged_file_is_refused(weights: Path, tmp_path: Path) -> None:
    contents = load_file(weights)
    del contents["state_dict"]["layer.bias"]
    save_file(tmp_path / "damaged.pt", contents)
    with pytest.raises(Exception, match=r"layer\.bias"):
        load_cell_classifier(tmp_path / "damaged.pt", make_backbone(BACKBONE))


# ---- workflow


def test_the_workflow_trains_it_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    plain = missing(tmp_path)
    assert missing(tmp_path, "refine={objectness: packaged}") - plain == {"refine_cams"}
    both = missing(tmp_path, "refine={objectness: packaged, cell_classifier: true}")
    assert both - plain == {"refine_cams", "train_cell_classifier"}
    assert missing(tmp_path, "refine={cell_classifier: true}") == plain
