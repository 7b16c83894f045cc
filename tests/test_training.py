"""Training of both networks on a handful of small images, and the crops that they see."""

import json
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers import SmallData, data_of_squares, killed_after, refused, run, same_bytes, save_png, tensors
from PIL import Image

from irn.commands import train_cam
from irn.data.images import read_image
from irn.io.cache import CacheReader, CacheWriter
from irn.io.checkpoint import Checkpoint
from irn.io.tensors import load_file
from irn.networks.backbones import make_backbone
from irn.records import ImageRecord
from irn.training import features
from irn.training.classifier import CLASSIFIER, classifier_view
from irn.training.irnet import cached_label, pair_view
from irn.training.views import SampleId, normalised, random_view
from irn.weights.files import load_classifier, load_irnet

SIZES = {"a": (60, 80), "b": (75, 50), "c": (64, 64), "d": (40, 90), "e": (20, 30), "f": (70, 100)}
VAL = ["f"]  # for the mean displacement alone


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    return data_of_squares(tmp_path_factory.mktemp("data"), SIZES, VAL)


def cam_command(data: SmallData, out: Path, *more: object) -> list[object]:
    fixed = [
        "train-cam",
        "--manifest",
        data.manifest,
        "--labels",
        data.labels,
        "--split",
        "train",
        "--out",
        out,
        "--backbone",
        "test_resnet",
    ]
    sizes = ["--crop-size", 64, "--long-side", 48, 96, "--epochs", 2, "--batch-size", 2, "--device", "cpu"]
    return [*fixed, *sizes, *more]


def irn_command(data: SmallData, backbone: Path, out: Path, *more: object) -> list[object]:
    fixed = [
        "train-irn",
        "--manifest",
        data.manifest,
        "--ir-labels",
        data.cache("ir_label"),
        "--split",
        "train",
        "--out",
        out,
    ]
    network = ["--backbone", "test_resnet", "--backbone-weights", backbone]
    sizes = ["--crop-size", 64, "--radius", 3, "--epochs", 2, "--batch-size", 2, "--device", "cpu"]
    return [*fixed, *network, *sizes, *more]


class Trained(NamedTuple):
    weights: Path
    metrics: Path


@pytest.fixture(scope="module")
def cam(data: SmallData, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("cam")
    run(
        *cam_command(
            data, folder / "cam.pt", "--from-scratch", "--seed", 1, "--metrics", folder / "cam.jsonl", "--workers", 0
        )
    )
    return Trained(folder / "cam.pt", folder / "cam.jsonl")


@pytest.fixture(scope="module")
def irn(data: SmallData, cam: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("irn")
    options = ["--seed", 1, "--metrics", folder / "irn.jsonl", "--mean-split", "train+val", "--workers", 0]
    run(*irn_command(data, cam.weights, folder / "irn.pt", *options))
    return Trained(folder / "irn.pt", folder / "irn.jsonl")


class TestCommands:
    def test_the_classifier_loads_with_what_later_stages_need(self, cam: Trained) -> None:
        model, contents = load_classifier(cam.weights)
        assert contents["backbone"] == "test_resnet"
        assert contents["class_names"] == ["dark", "bright"]
        assert contents["crop_size"] == 64
        assert model.classifier.out_channels == 2
        settings = json.loads(contents["provenance"])["settings"]
        assert (settings["seed"], settings["momentum"], settings["from_scratch"]) == (1, 1e-4, True)
        assert (settings["cam.epochs"], settings["cam.long_side"], settings["split"]) == (2, [48, 96], "train")

    def test_irnet_holds_the_backbone_as_it_was_given(self, cam: Trained, irn: Trained) -> None:
        given, kept = tensors(cam.weights), tensors(irn.weights)
        names = [name for name in kept if name.startswith("backbone.")]
        assert names == [name for name in given if name.startswith("backbone.")]
        assert all(torch.equal(kept[name], given[name]) for name in names)
        assert load_irnet(irn.weights)[1]["crop_size"] == 64

    @pytest.mark.parametrize(
        ("stage", "losses"),
        [
            ("cam", []),
            ("irn", ["positive_affinity", "negative_affinity", "foreground_displacement", "background_displacement"]),
        ],
    )
    def test_metrics(self, cam: Trained, irn: Trained, stage: str, losses: list[str]) -> None:
        lines = [
            json.loads(line)
            for line in {"cam": cam, "irn": irn}[stage].metrics.read_text(encoding="utf-8").splitlines()
        ]
        assert lines[0]["event"] == "start"
        # Five images in batches of two: the last is dropped in each of the two epochs.
        assert lines[0]["steps"] == lines[-1]["step"] == 4
        assert (lines[0]["seed"], lines[0]["batch_size"]) == (1, 2)
        for line in lines[1:]:
            assert all(math.isfinite(line[name]) for name in ["loss", *losses])
            assert line["learning_rate"] == pytest.approx(0.1 * (1 - (line["step"] - 1) / 4) ** 0.9)

    def test_mean_displacement(self, data: SmallData, irn: Trained) -> None:
        model, contents = load_irnet(irn.weights)
        means = []
        for pixels in map(data.pixels, SIZES):
            image = torch.zeros(1, 3, 64, 64)
            cut = pixels[:64, :64]
            image[0, :, : cut.shape[0], : cut.shape[1]] = model.backbone.normalise(torch.from_numpy(cut.copy()))
            with torch.inference_mode():
                means.append(model(image)[1].numpy().astype(np.float64).mean((0, 2, 3)))
        assert contents["mean_displacement"] == pytest.approx(np.mean(means, 0), rel=1e-3, abs=1e-4)

    def test_from_given_weights_the_first_layers_stay(self, data: SmallData, cam: Trained, tmp_path: Path) -> None:
        run(*cam_command(data, tmp_path / "w.pt", "--backbone-weights", cam.weights, "--epochs", 1))
        before, after = tensors(cam.weights), tensors(tmp_path / "w.pt")
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert {name.removeprefix("backbone.network.").split(".")[0] for name in changed} == {
            "layer3",
            "layer4",
            "classifier",
        }
        assert not any("running" in name or "num_batches" in name for name in changed)

    def test_the_same_seed_gives_the_same_classifier_with_other_workers_too(
        self, data: SmallData, cam: Trained, tmp_path: Path
    ) -> None:
        run(*cam_command(data, tmp_path / "w.pt", "--from-scratch", "--seed", 1, "--workers", 2))
        assert same_bytes(tensors(tmp_path / "w.pt"), tensors(cam.weights))

    def test_the_same_seed_gives_the_same_irnet_with_other_workers_too(
        self, data: SmallData, cam: Trained, irn: Trained, tmp_path: Path
    ) -> None:
        run(
            *irn_command(data, cam.weights, tmp_path / "w.pt", "--seed", 1, "--mean-split", "train+val", "--workers", 2)
        )
        assert same_bytes(tensors(tmp_path / "w.pt"), tensors(irn.weights))
        assert load_irnet(tmp_path / "w.pt")[1]["mean_displacement"] == load_irnet(irn.weights)[1]["mean_displacement"]

    def test_another_seed_gives_others(self, data: SmallData, cam: Trained, irn: Trained, tmp_path: Path) -> None:
        run(*cam_command(data, tmp_path / "cam.pt", "--from-scratch", "--seed", 2))
        run(*irn_command(data, cam.weights, tmp_path / "irn.pt", "--seed", 2))
        for name in ("classifier.weight", "backbone.network.conv1.0.weight"):
            assert not torch.equal(tensors(tmp_path / "cam.pt")[name], tensors(cam.weights)[name])
        for name in ("boundary.output.weight", "displacement.output.weight"):
            assert not torch.equal(tensors(tmp_path / "irn.pt")[name], tensors(irn.weights)[name])

    @pytest.mark.parametrize("stage", ["cam", "irn"])
    def test_training_lowers_the_loss(
        self, data: SmallData, cam: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
    ) -> None:
        # Writing one after each step would take longer than the steps.
        monkeypatch.setattr(Checkpoint, "save", lambda *_: None)
        metrics, out = tmp_path / "m.jsonl", tmp_path / "w.pt"
        command = cam_command(data, out, "--from-scratch") if stage == "cam" else irn_command(data, cam.weights, out)
        run(*command, "--epochs", 20, "--batch-size", 5, "--learning-rate", 0.005, "--metrics", metrics)
        # Each line is the mean of ten steps.
        first, last = (json.loads(line)["loss"] for line in metrics.read_text(encoding="utf-8").splitlines()[1:])
        assert last < 0.95 * first


def without_speed(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


@pytest.fixture(scope="module", params=["cam", "irn"])
def undisturbed(
    request: pytest.FixtureRequest, data: SmallData, cam: Trained, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Callable[[Path], list[object]], Path]:
    """A training's command for a folder, and a folder in which it has run to its end."""

    def command(folder: Path) -> list[object]:
        options = ["--epochs", 3, "--momentum", 0.5, "--metrics", folder / "m.jsonl"]
        if request.param == "cam":
            return cam_command(data, folder / "w.pt", "--from-scratch", *options)
        return irn_command(data, cam.weights, folder / "w.pt", *options)

    folder = tmp_path_factory.mktemp("undisturbed")
    run(*command(folder))
    return command, folder


class TestHeadEpochs:
    @staticmethod
    def command(data: SmallData, cam: Trained, folder: Path, views: int, *more: object) -> list[object]:
        options = ["--head-epochs", 2, "--head-views", views, "--epochs", 1, "--momentum", 0.5]
        options += ["--backbone-weights", cam.weights, "--metrics", folder / "m.jsonl"]
        return cam_command(data, folder / "w.pt", *options, *more)

    @pytest.mark.parametrize(("views", "epochs"), [(0, 2), (1, 1)])
    def test_the_last_layer_alone_learns_before_all_do(
        self, data: SmallData, cam: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int, epochs: int
    ) -> None:
        command = partial(self.command, data, cam, views=views)
        start = tensors(cam.weights)
        for folder in ("whole", "again"):
            (tmp_path / folder).mkdir()
        killed_after(monkeypatch, epochs, *command(tmp_path / "again"))
        half = load_file(tmp_path / "again" / "w.pt.checkpoint")["network"]
        assert {name for name, tensor in half.items() if not torch.equal(tensor, start[name])} == {"classifier.weight"}
        for folder in ("whole", "again"):
            run(*command(tmp_path / folder))
        whole, deep = tensors(tmp_path / "whole" / "w.pt"), "backbone.network.layer4.0.conv2.weight"
        assert not torch.equal(whole[deep], start[deep])
        assert same_bytes(whole, tensors(tmp_path / "again" / "w.pt"))
        assert without_speed(tmp_path / "whole" / "m.jsonl")[0]["epochs"] == 3
        assert without_speed(tmp_path / "whole" / "m.jsonl") == without_speed(tmp_path / "again" / "m.jsonl")

    def test_features_of_a_view_for_each_epoch_train_it_as_the_views_do(
        self, data: SmallData, cam: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained = []
        for views in (0, 2):
            killed_after(monkeypatch, 2, *self.command(data, cam, tmp_path, views))
            trained.append(load_file(tmp_path / "w.pt.checkpoint")["network"]["classifier.weight"])
        start = tensors(cam.weights)["classifier.weight"]
        assert torch.linalg.vector_norm(trained[1] - trained[0]) < 1e-4 * torch.linalg.vector_norm(trained[0] - start)

    def test_the_images_are_read_once_for_each_view(
        self, data: SmallData, cam: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[SampleId] = []

        def view(sample_id: SampleId, **options: Any) -> Any:
            seen.append(sample_id)
            return classifier_view(sample_id, **options)

        monkeypatch.setattr(train_cam, "classifier_view", view)
        run(*self.command(data, cam, tmp_path, 2, "--head-epochs", 6, "--workers", 0, "--learning-rate", 0.001))
        views = [SampleId(view, image) for image in range(5) for view in range(2)]
        assert seen[: len(views)] == views
        # The last epoch has two batches of two images.
        assert [sample_id.epoch for sample_id in seen[len(views) :]] == [6] * 4

    def test_from_scratch_each_epoch_has_its_own_views(self, data: SmallData, cam: Trained, tmp_path: Path) -> None:
        command = cam_command(data, tmp_path / "w.pt", "--from-scratch", "--head-epochs", 2, "--epochs", 1)
        run(*command)
        plain = tensors(tmp_path / "w.pt")
        run(*command, "--head-views", 1)
        assert same_bytes(plain, tensors(tmp_path / "w.pt"))

    def test_features_that_take_too_much_memory_are_refused(
        self,
        data: SmallData,
        cam: Trained,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(features, "FEATURES", 2**30 // 10**6)
        said = refused(capsys, tmp_path, *self.command(data, cam, tmp_path, 2))
        assert "--head-views 2: features of 5 images take" in said
        assert "or 0 for a new view in every epoch" in said


class TestCheckpoints:
    @pytest.mark.parametrize("epochs", [1, 3])
    def test_what_was_killed_ends_as_if_it_had_not_been(
        self,
        undisturbed: tuple[Callable[[Path], list[object]], Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        epochs: int,
    ) -> None:
        command, whole = undisturbed
        killed_after(monkeypatch, epochs, *command(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["w.pt.checkpoint"]
        capsys.readouterr()
        run(*command(tmp_path))
        assert f"going on after epoch {epochs}" in capsys.readouterr().err
        assert same_bytes(tensors(whole / "w.pt"), tensors(tmp_path / "w.pt"))
        assert without_speed(whole / "m.jsonl") == without_speed(tmp_path / "m.jsonl")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "w.pt"]

    @pytest.mark.parametrize("change", ["setting", "input"])
    def test_it_does_not_hold_for_another_training(
        self,
        data: SmallData,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        change: str,
    ) -> None:
        labels = tmp_path / "labels.csv"
        labels.write_bytes(data.labels.read_bytes())
        command = cam_command(data, tmp_path / "w.pt", "--from-scratch", "--labels", labels)
        killed_after(monkeypatch, 1, *command, "--seed", 1)
        if change == "input":
            labels.write_text(
                labels.read_text(encoding="utf-8").replace("dark,bright", "bright,dark"), encoding="utf-8"
            )
        capsys.readouterr()
        run(*command, "--seed", 2 if change == "setting" else 1)
        assert "going on" not in capsys.readouterr().err

    def test_a_damaged_one_is_refused_by_name(
        self, data: SmallData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = cam_command(data, tmp_path / "w.pt", "--from-scratch")
        killed_after(monkeypatch, 1, *command)
        checkpoint = tmp_path / "w.pt.checkpoint"
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
        assert f"{checkpoint}: not a readable weights file" in refused(capsys, tmp_path, *command)


class TestMistakes:
    def test_a_batch_larger_than_the_data(
        self, data: SmallData, cam: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for command in (
            cam_command(data, tmp_path / "w.pt", "--from-scratch"),
            irn_command(data, cam.weights, tmp_path / "w.pt"),
        ):
            said = refused(capsys, tmp_path, *command, "--batch-size", 6, "--metrics", tmp_path / "m.jsonl")
            assert "--batch-size 6" in said
            assert "5 images" in said

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_loss_that_is_no_number(
        self, data: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
    ) -> None:
        command = cam_command(data, tmp_path / "w.pt", "--from-scratch", "--learning-rate", 1e30, "--workers", workers)
        said = refused(capsys, tmp_path, *command, "--metrics", tmp_path / "m.jsonl")
        assert "the loss is" in said
        assert "learning rate" in said

    def test_the_images_of_the_batch_are_named(
        self, data: SmallData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        seen: list[str] = []

        def view(sample_id: SampleId, records: list[ImageRecord], **rest: Any) -> dict[str, np.ndarray]:
            seen.append(records[sample_id.image].image_id)
            return classifier_view(sample_id, records, **rest)

        def losses(*given: Any) -> dict[str, torch.Tensor]:
            # In the second epoch.
            wrong = math.nan if len(seen) == 8 else 0.0
            return {"loss": CLASSIFIER.losses(*given)["loss"] + wrong}

        monkeypatch.setattr("irn.commands.train_cam.classifier_view", view)
        monkeypatch.setattr("irn.commands.train_cam.CLASSIFIER", CLASSIFIER._replace(losses=losses))
        # With this seed, the batch has other images than the same batch of the first epoch.
        options = ["--from-scratch", "--epochs", 3, "--batch-size", 2, "--workers", 0, "--seed", 1]
        said = refused(capsys, tmp_path, *cam_command(data, tmp_path / "w.pt", *options))
        assert f"the loss is nan at step 4 of 6, of images {seen[6]}, {seen[7]}; " in said

    def test_a_class_that_no_image_to_learn_from_has(
        self, data: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        labels = tmp_path / "labels.csv"
        rows = [f"{line},{int(index == 0)}" for index, line in enumerate(data.labels.read_text().splitlines())]
        labels.write_text(
            "\n".join([f"{rows[0].rpartition(',')[0]},grey", *(f"{row.rpartition(',')[0]},0" for row in rows[1:])])
            + "\n"
        )
        run(*cam_command(data, tmp_path / "w.pt", "--from-scratch", "--epochs", 1, "--labels", labels))
        assert "notice: no image to learn from has grey; maps of such classes mean nothing" in capsys.readouterr().out
        assert len(load_file(tmp_path / "w.pt")["class_names"]) == 3

    def test_a_crop_too_small_for_the_radius(
        self, data: SmallData, cam: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = refused(capsys, tmp_path, *irn_command(data, cam.weights, tmp_path / "w.pt", "--radius", 9))
        assert said == (
            "irn train-irn: --crop-size is 64; expected at least 80 for pairs of radius 9, or a smaller radius;"
            " see irn train-irn --help"
        )

    def test_an_image_without_an_ir_label(
        self, data: SmallData, cam: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        manifest = tmp_path / "manifest.csv"
        manifest.write_text(
            f"image_id,path,height,width,split\ng,{data.images / 'a.png'},60,80,train\n", encoding="utf-8"
        )
        command = irn_command(data, cam.weights, tmp_path / "w.pt", "--manifest", manifest)
        said = refused(capsys, tmp_path, *command)
        assert "'g'" in said
        assert str(data.cache("ir_label")) in said

    def test_an_ir_label_of_another_size(
        self, data: SmallData, cam: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with CacheWriter(tmp_path / "f.h5", "ir_label", {"stage": "test"}) as cache:
            for image_id, (height, width) in SIZES.items():
                cache.write(image_id, width, height, {"label": np.zeros((width, height), np.uint8)})
        command = irn_command(data, cam.weights, tmp_path / "w.pt", "--ir-labels", tmp_path / "f.h5")
        said = refused(capsys, tmp_path, *command)
        assert "f.h5: image" in said
        assert "make both from the same images" in said

    def test_an_image_that_cannot_be_read_in_a_worker(
        self, data: SmallData, cam: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        manifest = tmp_path / "manifest.csv"
        rows = [f"{image_id},gone.png,{height},{width},train\n" for image_id, (height, width) in SIZES.items()]
        manifest.write_text("image_id,path,height,width,split\n" + "".join(rows), encoding="utf-8")
        command = irn_command(data, cam.weights, tmp_path / "w.pt", "--manifest", manifest, "--workers", 2)
        assert "gone.png: no such image" in refused(capsys, tmp_path, *command)


def coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of each pixel's row and column, both plus 1 so that nothing is 0, and a label that follows from them."""
    y, x = np.indices((height, width))
    pixels = np.stack([y + 1, x + 1, np.full_like(y, 77)], -1).astype(np.uint8)
    return pixels, label_at(pixels)


def label_at(pixels: np.ndarray) -> np.ndarray:
    return ((7 * pixels[..., 0].astype(int) + 3 * pixels[..., 1]) % 200).astype(np.uint8)


class TestRandomView:
    @pytest.mark.parametrize("size", [(20, 30), (32, 32), (50, 20), (45, 60), (1, 1), (33, 31)])
    def test_content_is_a_piece_of_the_image_or_its_mirror_in_its_box(self, size: tuple[int, int]) -> None:
        pixels, label = coordinates(*size)
        for seed in range(20):
            crop, box, label_crop = random_view(np.random.default_rng(seed), pixels, label, 1.0, 32)
            assert label_crop is not None
            assert (crop.shape, label_crop.shape) == ((32, 32, 3), (32, 32))
            assert (crop.dtype, label_crop.dtype) == (np.uint8, np.uint8)
            top, left, bottom, right = box
            assert (bottom - top, right - left) == (min(size[0], 32), min(size[1], 32))
            assert top >= 0
            assert left >= 0
            inside = crop[top:bottom, left:right]
            assert (np.diff(inside[..., 0].astype(int), axis=0) == 1).all()
            assert (np.diff(inside[..., 0].astype(int), axis=1) == 0).all()
            steps = np.diff(inside[..., 1].astype(int), axis=1)
            assert (np.abs(steps) == 1).all()
            assert len(np.unique(steps)) <= 1
            assert (inside[..., 2] == 77).all()
            np.testing.assert_array_equal(label_crop[top:bottom, left:right], label_at(inside))
            outside = np.ones((32, 32), bool)
            outside[top:bottom, left:right] = False
            assert not crop[outside].any()
            assert (label_crop[outside] == 255).all()

    @pytest.mark.parametrize("size", [(2, 3), (6, 7)])
    def test_every_placement_and_both_mirrors_come_up_about_equally_often(self, size: tuple[int, int]) -> None:
        pixels, _ = coordinates(*size)
        seen: Counter[tuple[int, ...]] = Counter()
        for seed in range(1500):
            crop, box, _ = random_view(np.random.default_rng(seed), pixels, None, 1.0, 4)
            corner = crop[box[0], box[1]].astype(int)
            mirrored = crop[box[0], box[3] - 1, 1] < corner[1]
            seen[(box[0], box[1], corner[0], crop[box[0], box[1] : box[3], 1].min(), int(mirrored))] += 1
        places = [abs(4 - side) + 1 for side in size]
        assert len(seen) == 2 * places[0] * places[1]
        mean = 1500 / len(seen)
        assert all(0.5 * mean < count < 1.6 * mean for count in seen.values())

    @pytest.mark.parametrize("scale", [0.5, 0.77, 1.5, 2.2])
    def test_image_and_label_stay_aligned_when_scaled(self, scale: float) -> None:
        label = np.zeros((40, 52), np.uint8)
        label[10:25, 7:30] = 9
        pixels = np.repeat((20 * label + 10)[..., None], 3, -1).astype(np.uint8)
        for seed in range(10):
            crop, box, label_crop = random_view(np.random.default_rng(seed), pixels, label, scale, 64)
            assert label_crop is not None
            top, left, bottom, right = box
            assert (bottom - top, right - left) == (min(round(40 * scale), 64), min(round(52 * scale), 64))
            there, bright = label_crop[top:bottom, left:right] == 9, crop[top:bottom, left:right, 0] > 100
            # Only along the rim may half a pixel of difference show.
            assert (there ^ bright).mean() < 0.03
            assert set(np.unique(label_crop)) <= {0, 9, 255}

    def test_the_same_random_numbers_give_the_same_view_with_and_without_label(self) -> None:
        pixels, label = coordinates(40, 30)
        with_label, without = (random_view(np.random.default_rng(3), pixels, given, 1.2, 32) for given in (label, None))
        np.testing.assert_array_equal(with_label[0], without[0])
        np.testing.assert_array_equal(with_label[1], without[1])
        assert without[2] is None

    def test_pair_labels_are_the_label_rescaled_to_a_quarter_by_the_nearest_pixel(self, tmp_path: Path) -> None:
        pixels, label = coordinates(41, 53)
        record = ImageRecord("x", save_png(tmp_path / "x.png", pixels), 41, 53, "train")
        with CacheWriter(tmp_path / "f.h5", "ir_label", {"stage": "test"}) as cache:
            cache.write("x", 41, 53, {"label": label})
        labels = CacheReader([tmp_path / "f.h5"], "ir_label")
        for epoch in range(8):
            view = pair_view(
                SampleId(epoch, 0), [record], partial(cached_label, ir_labels=labels), (1.0, 1.0), 48, seed=0
            )
            crop = np.full((48, 48), 255, np.uint8)
            top, left, bottom, right = view["box"]
            crop[top:bottom, left:right] = label_at(view["pixels"][top:bottom, left:right])
            quarter = Image.fromarray(crop).resize((12, 12), Image.Resampling.NEAREST)
            np.testing.assert_array_equal(view["label"], np.array(quarter))

    def test_the_long_side_is_drawn_from_the_whole_range(self, tmp_path: Path) -> None:
        pixels, _ = coordinates(30, 60)
        record = ImageRecord("x", save_png(tmp_path / "x.png", pixels), 30, 60, "train")
        targets = np.ones((1, 2), np.float32)
        views = [classifier_view(SampleId(epoch, 0), [record], targets, (20, 23), 32, seed=0) for epoch in range(40)]
        assert {int(view["box"][3] - view["box"][1]) for view in views} == {20, 21, 22, 23}
        assert {int(view["box"][2] - view["box"][0]) for view in views} == {10, 11, 12}

    def test_an_epoch_and_an_image_have_a_view_of_their_own(self, tmp_path: Path) -> None:
        pixels, _ = coordinates(60, 60)
        record = ImageRecord("x", save_png(tmp_path / "x.png", pixels), 60, 60, "train")
        sample = partial(
            classifier_view, records=[record, record], targets=np.eye(2), long_side=(40, 80), crop_size=32, seed=0
        )
        places = [SampleId(epoch, index) for epoch in range(6) for index in range(2)]
        assert len({sample(place)["pixels"].tobytes() for place in places}) == len(places)
        assert sample(places[3])["pixels"].tobytes() == sample(places[3])["pixels"].tobytes()
        assert sample(places[3])["pixels"].tobytes() != sample(places[3], seed=1)["pixels"].tobytes()
        assert sample(places[3])["target"].tolist() == [0, 1]

    def test_normalised_is_zero_outside_the_box_alone(self) -> None:
        pixels = torch.zeros((2, 8, 8, 3), dtype=torch.uint8)
        batch = {"pixels": pixels, "box": torch.tensor([[1, 2, 5, 8], [0, 0, 8, 8]])}
        backbone = make_backbone("test_resnet")
        found = normalised(batch, backbone)
        expected = backbone.normalise(pixels)
        inside = torch.zeros((2, 1, 8, 8), dtype=torch.bool)
        inside[0, 0, 1:5, 2:8] = inside[1] = True
        # Black pixels of an image are not zero after normalisation; the rest of the crop is.
        assert torch.equal(found, torch.where(inside, expected, torch.zeros(())))
        assert (found[inside.expand_as(found)] != 0).all()

    def test_normalised_images_are_those_of_inference(self, data: SmallData) -> None:
        pixels = torch.from_numpy(read_image(data.images / "c.png"))[None]
        backbone, batch = make_backbone("test_resnet"), {"pixels": pixels, "box": torch.tensor([[0, 0, 64, 64]])}
        assert torch.equal(normalised(batch, backbone), backbone.normalise(pixels))
