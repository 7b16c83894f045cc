"""Both networks: sizes of their levels, what learns and what stays, and what the classifier's maps are."""

import numpy as np
import pytest
import torch
import torchvision
from helpers import random_images, train_once

from irn.networks.backbones import RESNETS, make_backbone
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.networks.precision import autocast

SMALL = ("resnet18", "resnet50")
CHANNELS = {"resnet18": (64, 64, 128, 256, 512), "resnet50": (64, 256, 512, 1024, 2048)}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 64), (65, 47), (33, 98), (1, 17)])
def test_strides_of_the_levels(name: str, size: tuple[int, int]) -> None:
    model = make_backbone(name).eval()
    with torch.inference_mode():
        levels = model(random_images(0, 1, *size))
    assert model.channels == CHANNELS[name]
    for level, channels, stride in zip(levels, CHANNELS[name], (4, 4, 8, 16, 16), strict=True):
        assert level.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("name", RESNETS)
def test_the_first_four_levels_are_those_of_torchvision(name: str) -> None:
    torch.manual_seed(0)
    reference, model = torchvision.models.get_model(name, weights=None).eval(), make_backbone(name).eval()
    # The names are torchvision's; only its classifier is left over.
    rest = model.load_state_dict(reference.state_dict(), strict=False)
    assert (rest.missing_keys, rest.unexpected_keys) == ([], ["fc.weight", "fc.bias"])
    images = random_images(0, 1, 33, 50)
    with torch.inference_mode():
        x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(images))))
        levels = model(images)
        for level, layer in zip(levels, (None, reference.layer1, reference.layer2, reference.layer3), strict=False):
            x = layer(x) if layer is not None else x
            torch.testing.assert_close(level, x)
        # The last layer reads the same input at every second place.
        assert levels[4].shape[-2:] == levels[3].shape[-2:]
        assert levels[4].shape[1] == reference.layer4(x).shape[1]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 64), (65, 47), (33, 98), (1, 1)])
def test_irnet_gives_maps_at_stride_4(name: str, size: tuple[int, int]) -> None:
    model = IRNet(name).eval()
    with torch.inference_mode():
        logits, displacement = model(random_images(0, 2, *size))
    cells = (-(-size[0] // 4), -(-size[1] // 4))
    assert logits.shape == (2, 1, *cells)
    assert displacement.shape == (2, 2, *cells)


@pytest.mark.parametrize("name", SMALL)
def test_images_of_a_batch_do_not_mix(name: str) -> None:
    torch.manual_seed(0)
    images = random_images(0, 3, 32, 48)
    for model in (Classifier(name, 4).train(), IRNet(name).train()):
        with torch.inference_mode():
            together, alone = model(images), model(images[1:2])
        for one, other in zip(together, alone, strict=True) if isinstance(together, tuple) else [(together, alone)]:
            torch.testing.assert_close(one[1:2], other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
class TestClassifier:
    def test_from_imagenet_the_first_layers_and_all_statistics_stay(self, name: str) -> None:
        torch.manual_seed(0)
        model = Classifier(name, 3)
        trained = train_once(model)
        assert {tensor for tensor in trained if "running" in tensor or "num_batches" in tensor} == set()
        assert {tensor.split(".")[1] for tensor in trained if tensor.startswith("backbone")} == {"layer3", "layer4"}
        parameters = {parameter for parameter, _ in model.named_parameters()}
        assert trained == {
            parameter for parameter in parameters if parameter.split(".")[1] in ("layer3", "layer4", "weight")
        }

    def test_from_scratch_everything_learns(self, name: str) -> None:
        torch.manual_seed(0)
        model = Classifier(name, 3, from_scratch=True)
        assert train_once(model) == set(model.state_dict())

    @pytest.mark.parametrize("from_scratch", [False, True])
    def test_the_classifier_learns_at_a_multiple_of_the_rate(self, name: str, from_scratch: bool) -> None:
        model = Classifier(name, 3, from_scratch)
        slow, fast = model.parameter_groups(0.2, 10.0)
        assert (slow["lr"], fast["lr"]) == (0.2, 2.0)
        assert [id(parameter) for parameter in fast["params"]] == [id(model.classifier.weight)]
        trained = [model.backbone] if from_scratch else [model.backbone.layer3, model.backbone.layer4]
        assert {id(p) for p in slow["params"]} == {id(p) for part in trained for p in part.parameters()}
        assert len({id(p) for p in slow["params"]}) == len(slow["params"])

    def test_logits_are_the_mean_of_the_unrectified_maps(self, name: str) -> None:
        torch.manual_seed(1)
        model, images = Classifier(name, 4).eval(), random_images(2, 2, 40, 64)
        with torch.inference_mode():
            maps = model.classifier(model.backbone(images)[-1])
            torch.testing.assert_close(model(images), maps.mean((2, 3)), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(
                model.class_maps(images, torch.tensor([2, 0])), maps[:, [2, 0]].clamp(min=0), rtol=1e-4, atol=1e-5
            )
        assert model.classifier.bias is None


@pytest.mark.parametrize("name", SMALL)
class TestIRNet:
    def test_only_the_heads_learn(self, name: str) -> None:
        torch.manual_seed(0)
        model = IRNet(name)
        trained = train_once(model)
        assert trained == {
            parameter for parameter, _ in model.named_parameters() if not parameter.startswith("backbone.")
        }

    def test_the_displacement_head_learns_at_a_multiple_of_the_rate(self, name: str) -> None:
        model = IRNet(name)
        boundary, displacement = model.parameter_groups(0.2, 10.0)
        assert (boundary["lr"], displacement["lr"]) == (0.2, 2.0)
        assert {id(p) for p in boundary["params"]} == {id(p) for p in model.boundary.parameters()}
        assert {id(p) for p in displacement["params"]} == {id(p) for p in model.displacement.parameters()}


def test_normalise() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.uint8)
    expected = (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    backbone = make_backbone("resnet18")
    found = backbone.normalise(torch.from_numpy(pixels))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected.transpose(0, 3, 1, 2), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(backbone.normalise(torch.from_numpy(pixels[0])).numpy(), found[0].numpy())


def test_networks_never_compute_in_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    with autocast(torch.device("cpu"), "float32"):
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
