"""What both networks stand on: five levels of features of a torchvision network, and how its input is normalised."""

from collections.abc import Iterator
from typing import Any

import torch
import torchvision
from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """(..., H, W, 3) uint8 to (..., 3, H, W) float32, (x / 255 - mean) / deviation with ImageNet's figures."""
    mean, std = pixels.new_tensor([IMAGENET_MEAN, IMAGENET_STD], dtype=torch.float32)
    return ((pixels.float() / 255 - mean) / std).movedim(-1, -3)


class Trainable(nn.Module):
    """A network of which some parts learn."""

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns, and how fast: a backbone or first head at `learning_rate`, the last at `head_factor` times that."""
        raise NotImplementedError


class Backbone(nn.Module):
    """A torchvision ResNet without its classifier, its last stage not strided, so that its output has stride 16.

    Module names are torchvision's, so its state dicts load as they are.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        resnet: Any = torchvision.models.get_model(name, weights=None)
        first = resnet.layer4[0]
        strided = first.conv2 if hasattr(first, "conv3") else first.conv1
        strided.stride = first.downsample[0].stride = (1, 1)
        self.conv1: nn.Module = resnet.conv1
        self.bn1: nn.Module = resnet.bn1
        self.relu: nn.Module = resnet.relu
        self.maxpool: nn.Module = resnet.maxpool
        self.layer1: nn.Sequential = resnet.layer1
        self.layer2: nn.Sequential = resnet.layer2
        self.layer3: nn.Sequential = resnet.layer3
        self.layer4: nn.Sequential = resnet.layer4
        self.channels = (64, *(_output_channels(layer) for layer in (self.layer1, self.layer2, self.layer3, self.layer4)))

    def forward(self, x: torch.Tensor, stop_gradient: bool = False) -> list[torch.Tensor]:
        """(B, 3, H, W) to the five levels of strides 4, 4, 8, 16, 16; `stop_gradient` keeps it from reaching layer 2 and below."""
        level1 = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        level2 = self.layer1(level1)
        level3 = self.layer2(level2)
        level4 = self.layer3(level3.detach() if stop_gradient else level3)
        return [level1, level2, level3, level4, self.layer4(level4)]


def _output_channels(layer: nn.Sequential) -> int:
    return [module for module in layer[-1].modules() if isinstance(module, nn.Conv2d)][-1].out_channels


def freeze_batch_norm(module: nn.Module) -> None:
    for norm in _batch_norms(module):
        norm.eval()


def _batch_norms(module: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (child for child in module.modules() if isinstance(child, nn.BatchNorm2d))
