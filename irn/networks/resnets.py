"""torchvision's ResNets as backbones; the paper's is resnet50."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
import torchvision
from torch import nn

from irn.networks.base import Backbone


class ResNet(Backbone):
    """A torchvision ResNet without its classifier, its last stage not strided where its output is to have stride 16.

    Module names are torchvision's, so its state dicts load as they are.
    """

    foreign = ("fc.",)

    def __init__(self, name: str, last_stride: int = 16) -> None:
        super().__init__(name, last_stride)
        resnet: Any = torchvision.models.get_model(name, weights=None)
        first = resnet.layer4[0]
        strided = first.conv2 if hasattr(first, "conv3") else first.conv1
        strided.stride = first.downsample[0].stride = (last_stride // 16, last_stride // 16)
        self.conv1: nn.Module = resnet.conv1
        self.bn1: nn.Module = resnet.bn1
        self.relu: nn.Module = resnet.relu
        self.maxpool: nn.Module = resnet.maxpool
        self.layer1: nn.Sequential = resnet.layer1
        self.layer2: nn.Sequential = resnet.layer2
        self.layer3: nn.Sequential = resnet.layer3
        self.layer4: nn.Sequential = resnet.layer4
        self.channels = (
            64,
            *(_output_channels(layer) for layer in (self.layer1, self.layer2, self.layer3, self.layer4)),
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        level1 = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        level2 = self.layer1(level1)
        level3 = self.layer2(level2)
        level4 = self.layer3(level3)
        return [level1, level2, level3, level4, self.layer4(level4)]

    def early_parameters(self) -> Iterator[nn.Parameter]:
        return chain.from_iterable(part.parameters() for part in (self.conv1, self.bn1, self.layer1, self.layer2))


def _output_channels(layer: nn.Sequential) -> int:
    return [module for module in layer[-1].modules() if isinstance(module, nn.Conv2d)][-1].out_channels
