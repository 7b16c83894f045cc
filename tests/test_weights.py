"""Weights files: what comes back, and every kind of wrong file."""

import argparse
import pickle
import urllib.error
import warnings
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from helpers import refused, run
from safetensors.torch import save_file as save_safetensors
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from irn.errors import IrnError
from irn.networks.backbones import make_backbone
from irn.networks.classifier import Classifier
from irn.networks.imagenet import load_backbone, start_backbone
from irn.networks.irnet import IRNet
from irn.settings.reading import check_config
from irn.weights.files import load_classifier, load_irnet, save_weights

PROVENANCE = {"stage": "a_stage"}


@pytest.fixture(scope="module")
def torchvision_states() -> dict[str, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    return {name: torchvision.models.get_model(name, weights=None).state_dict() for name in ("resnet18", "resnet34")}


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "cam.pt"
    save_weights(path, "cam", Classifier("resnet18", 2), PROVENANCE, ["a", "b"])
    return path


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def message(path: Path, backbone: str = "resnet18") -> str:
    with pytest.raises(IrnError) as caught:
        load_backbone(make_backbone(backbone), path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
    def test_classifier(self, tmp_path: Path, backbone: str) -> None:
        model = Classifier(backbone, 3)
        save_weights(tmp_path / "w.pt", "cam", model, PROVENANCE, ["a", "b", "c"], 64)
        found, contents = load_classifier(tmp_path / "w.pt")
        assert same(found, model)
        assert not found.training
        assert contents["class_names"] == ["a", "b", "c"]
        assert contents["crop_size"] == 64
        assert list(tmp_path.iterdir()) == [tmp_path / "w.pt"]

    def test_irnet_with_its_backbone(self, tmp_path: Path) -> None:
        model = IRNet("resnet18")
        save_weights(tmp_path / "w.pt", "irn", model, PROVENANCE, crop_size=128, mean_displacement=(0.25, -1.5))
        found, contents = load_irnet(tmp_path / "w.pt")
        assert same(found, model)
        assert tuple(contents["mean_displacement"]) == (0.25, -1.5)
        assert contents["crop_size"] == 128

    def test_plain_torch_loads_it_without_running_code(self, tmp_path: Path) -> None:
        save_weights(tmp_path / "w.pt", "cam", Classifier("resnet18", 2), PROVENANCE, ["a", "b"])
        contents = torch.load(tmp_path / "w.pt", weights_only=True)
        assert contents["backbone"] == "resnet18"
        assert contents["class_names"] == ["a", "b"]
        assert "a_stage" in contents["provenance"]


class TestWrongFiles:
    def test_the_other_kind(self, tmp_path: Path) -> None:
        save_weights(tmp_path / "cam.pt", "cam", Classifier("resnet18", 2), PROVENANCE, ["a", "b"])
        save_weights(tmp_path / "irn.pt", "irn", IRNet("resnet18"), PROVENANCE, mean_displacement=(0, 0))
        with pytest.raises(IrnError, match="kind 'irn', expected 'cam'"):
            load_classifier(tmp_path / "irn.pt")
        with pytest.raises(IrnError, match="kind 'cam', expected 'irn'"):
            load_irnet(tmp_path / "cam.pt")

    def test_a_torchvision_file_where_a_trained_one_is_due(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]]
    ) -> None:
        torch.save(torchvision_states["resnet18"], tmp_path / "w.pt")
        with pytest.raises(IrnError, match="not a weights file of this project"):
            load_classifier(tmp_path / "w.pt")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("format_version", 2),
            ("backbone", "vgg16"),
            ("backbone", "resnet34"),
            ("backbone", None),
            ("kind", None),
            ("state_dict", {}),
            ("state_dict", None),
            ("state_dict", {"classifier.weight": torch.zeros(2, 512, 1, 1)}),
            ("state_dict", {"classifier.weight": torch.tensor(1.0)}),
            ("state_dict", {"classifier.weight": "text"}),
        ],
    )
    def test_contents_that_do_not_fit(self, tmp_path: Path, classifier_file: Path, key: str, value: object) -> None:
        contents = torch.load(classifier_file, weights_only=True)
        torch.save(contents | {key: value}, tmp_path / "w.pt")
        with pytest.raises(IrnError, match=r"w\.pt: ") as caught:
            load_classifier(tmp_path / "w.pt")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "key", ["format_version", "kind", "backbone", "state_dict", "class_names", "crop_size", "mean_displacement"]
    )
    def test_missing_contents(self, tmp_path: Path, classifier_file: Path, key: str) -> None:
        contents = torch.load(classifier_file, weights_only=True)
        del contents[key]
        torch.save(contents, tmp_path / "w.pt")
        with pytest.raises(IrnError, match=r"w\.pt: "):
            load_classifier(tmp_path / "w.pt")

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken archive"])
    def test_a_damaged_file(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "w.pt").write_bytes(content)
        assert "not a readable weights file" in message(tmp_path / "w.pt")

    @pytest.mark.parametrize("share", [0.1, 0.9])
    def test_a_truncated_file(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]], share: float
    ) -> None:
        torch.save(torchvision_states["resnet18"], tmp_path / "whole.pt")
        content = (tmp_path / "whole.pt").read_bytes()
        (tmp_path / "w.pt").write_bytes(content[: int(share * len(content))])
        assert "not a readable weights file" in message(tmp_path / "w.pt")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "no such weights file" in message(tmp_path / "w.pt")
        assert str(tmp_path) in message(tmp_path)

    @pytest.mark.parametrize("legacy", [False, True])
    def test_code_in_a_file_is_not_run(self, tmp_path: Path, legacy: bool) -> None:
        if legacy:
            (tmp_path / "w.pt").write_bytes(pickle.dumps(Touch(tmp_path / "run")))
        else:
            torch.save({"conv1.weight": Touch(tmp_path / "run")}, tmp_path / "w.pt")
        assert "not a readable weights file" in message(tmp_path / "w.pt")
        assert not (tmp_path / "run").exists()

    def test_no_dictionary(self, tmp_path: Path) -> None:
        torch.save([torch.zeros(3)], tmp_path / "w.pt")
        assert "holds a list" in message(tmp_path / "w.pt")


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


class TestBackbone:
    @pytest.mark.parametrize("number_type", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
    def test_a_torchvision_state_dict_of_any_float_type(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]], number_type: torch.dtype
    ) -> None:
        state = {
            name: t.to(number_type) if t.is_floating_point() else t
            for name, t in torchvision_states["resnet18"].items()
        }
        torch.save(state, tmp_path / "w.pt")
        backbone = make_backbone("resnet18")
        load_backbone(backbone, tmp_path / "w.pt")
        for name, tensor in backbone.state_dict().items():
            assert tensor.dtype == (torch.float32 if state[name].is_floating_point() else torch.int64)
            assert torch.equal(tensor, state[name].to(tensor.dtype)), name

    def test_an_old_file_without_counters(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]]
    ) -> None:
        state = {name: tensor for name, tensor in torchvision_states["resnet18"].items() if "num_batches" not in name}
        torch.save(state, tmp_path / "w.pt")
        backbone = make_backbone("resnet18")
        load_backbone(backbone, tmp_path / "w.pt")
        assert torch.equal(backbone.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])

    def test_a_trained_classifier(self, tmp_path: Path) -> None:
        model = Classifier("resnet18", 2)
        save_weights(tmp_path / "w.pt", "cam", model, PROVENANCE, ["a", "b"])
        backbone = make_backbone("resnet18")
        load_backbone(backbone, tmp_path / "w.pt")
        assert same(backbone, model.backbone)

    @pytest.mark.parametrize(("wanted", "given"), [("resnet18", "resnet34"), ("resnet34", "resnet18")])
    def test_another_depth(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]], wanted: str, given: str
    ) -> None:
        torch.save(torchvision_states[given], tmp_path / "plain.pt")
        assert wanted in message(tmp_path / "plain.pt", wanted)
        save_weights(tmp_path / "own.pt", "cam", Classifier(given, 2), PROVENANCE, ["a", "b"])
        said = message(tmp_path / "own.pt", wanted)
        assert wanted in said
        assert given in said

    def test_tensors_of_another_width(self, tmp_path: Path) -> None:
        torch.save(torchvision.models.get_model("resnet50", weights=None).state_dict(), tmp_path / "w.pt")
        assert "resnet18" in message(tmp_path / "w.pt", "resnet18")

    def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        torch.save({"epoch": 3, "model": {}}, tmp_path / "w.pt")
        assert "resnet18" in message(tmp_path / "w.pt")

    def test_a_checkpoint_around_a_state_dict(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]]
    ) -> None:
        state = torchvision_states["resnet18"]
        for number, contents in enumerate(checkpoints(state)):
            path = tmp_path / f"{number}.pth.tar"
            torch.save(contents, path, _use_new_zipfile_serialization=number % 2 == 0)
            backbone = make_backbone("resnet18")
            load_backbone(backbone, path)
            assert torch.equal(backbone.layer4[1].conv2.weight, state["layer4.1.conv2.weight"]), number

    def test_safetensors_are_read(self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]]) -> None:
        save_safetensors(torchvision_states["resnet18"], tmp_path / "model.safetensors")
        backbone = make_backbone("resnet18")
        load_backbone(backbone, tmp_path / "model.safetensors")
        assert torch.equal(backbone.conv1.weight, torchvision_states["resnet18"]["conv1.weight"])

    def test_a_checkpoint_with_several_networks_of_other_names(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]]
    ) -> None:
        torch.save({"left": torchvision_states["resnet18"], "right": torchvision_states["resnet34"]}, tmp_path / "w.pt")
        assert "could be any of its entries left, right" in message(tmp_path / "w.pt")

    def test_a_deeper_network_in_a_checkpoint(
        self, tmp_path: Path, torchvision_states: dict[str, dict[str, torch.Tensor]]
    ) -> None:
        deeper = {f"module.{name}": tensor for name, tensor in torchvision_states["resnet34"].items()}
        torch.save({"model": deeper}, tmp_path / "w.pt")
        assert "not a state dict of resnet18" in message(tmp_path / "w.pt")


def checkpoints(state: dict[str, torch.Tensor]) -> list[dict[str, object]]:
    """A state dict as programs save it: with what else they keep, and names that begin with a wrapper's."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], 0.1).state_dict()
    scores = {"best_acc1": np.float64(71.5), "epoch": np.int64(3), "curve": np.arange(3.0)}
    in_parallel = {f"module.{name}": tensor for name, tensor in state.items()}
    of_task = {f"model.encoder.{name}": tensor for name, tensor in state.items()}
    return [
        {"arch": "resnet18", "state_dict": in_parallel, "optimizer": optimiser, **scores},
        {"arch": "resnet18", "state_dict": in_parallel, "optimizer": optimiser, **scores},
        {"model": state, "args": argparse.Namespace(lr=0.1, out=Path("out")), "best_acc1": torch.tensor(71.5)},
        {"model": {"state_dict": state}, "epoch": 3},
        {"state_dict": {**of_task, "model.head.weight": torch.zeros(2, 2)}, "date": datetime(2020, 1, 1)},
        {"student": of_task, "teacher": in_parallel},
    ]


class TestOtherFiles:
    """What comes in place of weights: each is told by name, with what to do."""

    @pytest.mark.parametrize(
        ("content", "reason", "remedy"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n", "Git LFS", "git lfs pull"),
            (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a page of HTML", "open its link in a browser"),
            (b"a list of classes", "a text", "give a file that torch.save or safetensors wrote"),
            (b"\xff\xd8\xff\xe0", "a picture (JPEG)", "give a file that torch.save or safetensors wrote"),
            (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "a page of HTML or XML", "open its link"),
            (b'{"error": "not found"}', "JSON", "give the file of tensors"),
            (b"\x1f\x8b\x08\x00 packed", "an archive (gzip)", "unpack it"),
            (b"", "empty", "copy it again"),
            (b"\0text", "neither of torch.save nor of safetensors", "give a file"),
            (b"\x93NUMPY\x01\x00", "NumPy", "torch.save or safetensors"),
        ],
    )
    def test_by_its_first_bytes(self, tmp_path: Path, content: bytes, reason: str, remedy: str) -> None:
        (tmp_path / "w.pt").write_bytes(content)
        said = message(tmp_path / "w.pt")
        assert reason in said
        assert remedy in said

    def test_it_is_refused_before_the_first_job(self, tmp_path: Path) -> None:
        (tmp_path / "w.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
        with pytest.raises(IrnError, match=r"pretrained names .*w\.pt: .*a Git LFS pointer.*; run git lfs pull"):
            check_config({"dataset": {"kind": "demo"}, "pretrained": str(tmp_path / "w.pt")})

    @pytest.mark.parametrize("legacy", [False, True])
    def test_a_whole_model(self, tmp_path: Path, legacy: bool) -> None:
        torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
        said = message(tmp_path / "w.pt")
        assert "not run" in said
        assert "weights_only=False).state_dict()" in said

    def test_a_model_in_a_checkpoint(self, tmp_path: Path) -> None:
        torch.save({"epoch": 3, "model": torch.nn.Linear(2, 2)}, tmp_path / "w.pt")
        assert "no state dict of resnet18 in it (it holds epoch, model)" in message(tmp_path / "w.pt")

    def test_a_torchscript_program(self, tmp_path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "w.pt")
        assert "torch.jit.load(FILE).state_dict()" in message(tmp_path / "w.pt")

    def test_archives_and_pickles(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
            archive.writestr("weights.pth", "x")
        assert "(an archive); unpack it" in message(tmp_path / "w.zip")
        for protocol in (2, 4):
            (tmp_path / "w.pkl").write_bytes(pickle.dumps({"conv1.weight": [0.0]}, protocol))
            assert "a pickle, but not as torch.save writes it" in message(tmp_path / "w.pkl")

    def test_safetensors_cut_short(self, tmp_path: Path) -> None:
        save_safetensors({"conv1.weight": torch.zeros(100)}, tmp_path / "whole.safetensors")
        (tmp_path / "w.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:100])
        assert "cut short or damaged" in message(tmp_path / "w.safetensors")


class TestImageNet:
    def give(
        self,
        monkeypatch: pytest.MonkeyPatch,
        state: dict[str, torch.Tensor] | Exception,
        weights: type = ResNet18_Weights,
    ) -> list[object]:
        """Let torchvision give a state dict, or fail, without a network; returns which weights it was asked for."""
        asked: list[object] = []

        def get_state_dict(weights: object, *_: object, **__: object) -> dict[str, torch.Tensor]:
            asked.append(weights)
            if isinstance(state, Exception):
                raise state
            return state

        monkeypatch.setattr(weights, "get_state_dict", get_state_dict)
        return asked

    def test_what_torchvision_gives_is_stored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torchvision_states: dict[str, dict[str, torch.Tensor]]
    ) -> None:
        state = torchvision_states["resnet18"]
        asked = self.give(monkeypatch, state)
        run("download-backbone", "--backbone", "resnet18", "--out", tmp_path / "w.pt")
        assert asked == [ResNet18_Weights.IMAGENET1K_V1]
        found = torch.load(tmp_path / "w.pt", weights_only=True)
        assert list(found) == list(state)
        assert all(torch.equal(found[name], state[name]) for name in state)
        stored, direct = make_backbone("resnet18"), make_backbone("resnet18")
        start_backbone(stored, tmp_path / "w.pt")
        start_backbone(direct, None)
        assert same(stored, direct)

    def test_the_weights_are_those_that_the_published_numbers_stand_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = self.give(monkeypatch, {"conv1.weight": torch.zeros(1)}, ResNet50_Weights)
        run("download-backbone", "--backbone", "resnet50", "--out", tmp_path / "w.pt")
        assert asked == [ResNet50_Weights.IMAGENET1K_V1]

    @pytest.mark.parametrize(
        "failure", [urllib.error.URLError("no route\nto host"), RuntimeError("invalid hash value"), TimeoutError()]
    )
    def test_a_failing_download(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
    ) -> None:
        self.give(monkeypatch, failure)
        said = refused(capsys, tmp_path, "download-backbone", "--backbone", "resnet18", "--out", tmp_path / "w.pt")
        assert "ImageNet weights of resnet18" in said
        assert "--backbone-weights" in said
