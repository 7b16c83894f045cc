"""The two networks: the classifier that gives class attention maps, and IRNet with its two heads."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """(..., H, W, 3) uint8 to (..., 3, H, W) float32, (x / 255 - mean) / deviation with ImageNet's figures."""
    mean, std = pixels.new_tensor([IMAGENET_MEAN, IMAGENET_STD], dtype=torch.float32)
    return ((pixels.float() / 255 - mean) / std).movedim(-1, -3)


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


class Classifier(nn.Module):
    """Multilabel classifier whose weights, applied before the pooling, give class attention maps.

    `from_scratch` says how it is trained: every layer and the batch norm learn; otherwise only layer 3 and above, and
    the batch norm keeps its statistics.
    """

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = Backbone(backbone)
        self.from_scratch = from_scratch
        self.classifier = nn.Conv2d(self.backbone.channels[-1], classes, 1, bias=False)

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        if not self.from_scratch:
            _freeze_batch_norm(self.backbone)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to (B, classes) logits."""
        features = self.backbone(x, stop_gradient=not self.from_scratch)[-1]
        return self.classifier(functional.adaptive_avg_pool2d(features, 1)).flatten(1)

    def class_maps(self, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) to (B, K, h, w): the rectified maps of the K given classes at stride 16."""
        return functional.relu(functional.conv2d(self.backbone(x)[-1], self.classifier.weight[classes]))

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: the backbone at `learning_rate`, the classifier at `head_factor` times that."""
        trained = self.backbone if self.from_scratch else nn.ModuleList([self.backbone.layer3, self.backbone.layer4])
        return [
            {"params": list(trained.parameters()), "lr": learning_rate},
            {"params": list(self.classifier.parameters()), "lr": head_factor * learning_rate},
        ]


class IRNet(nn.Module):
    """Boundary and displacement heads on the five levels of a frozen backbone."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.backbone = Backbone(backbone)
        self.boundary = BoundaryHead(self.backbone.channels)
        self.displacement = DisplacementHead(self.backbone.channels)
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> "IRNet":
        super().train(mode)
        _freeze_batch_norm(self.backbone)
        return self

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) to boundary logits (B, 1, h, w) and displacement (B, 2, h, w), (dy, dx) in cells, at stride 4."""
        with torch.no_grad():
            levels = self.backbone(x)
        return self.boundary(levels), self.displacement(levels)

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: the boundary head at `learning_rate`, the displacement head at `head_factor` times that."""
        return [
            {"params": list(self.boundary.parameters()), "lr": learning_rate},
            {"params": list(self.displacement.parameters()), "lr": head_factor * learning_rate},
        ]


class Level(nn.Module):
    """1 x 1 convolution without bias, group norm, bilinear upsampling where needed, rectifier, in this order."""

    def __init__(self, inputs: int, outputs: int, groups: int, scale: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.GroupNorm(groups, outputs)
        self.scale = scale

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) to (B, outputs, scale H, scale W), cut to the height and width of `like`."""
        x = self.norm(self.conv(x))
        if self.scale > 1:
            x = functional.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return functional.relu(x[..., : like.shape[-2], : like.shape[-1]])


class BoundaryHead(nn.Module):
    """Five levels to one map of boundary logits at stride 4."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Level(inputs, 32, 4, scale) for inputs, scale in zip(channels, (1, 1, 2, 4, 4), strict=True))
        self.output = nn.Conv2d(160, 1, 1)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        return self.output(torch.cat([level(x, like=levels[1]) for level, x in zip(self.levels, levels, strict=True)], 1))


class DisplacementHead(nn.Module):
    """Five levels to a displacement field at stride 4; levels 3 to 5 are joined at stride 8 first."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        sizes = ((64, 8, 1), (128, 16, 1), (256, 16, 1), (256, 16, 2), (256, 16, 2))
        self.levels = nn.ModuleList(Level(inputs, *size) for inputs, size in zip(channels, sizes, strict=True))
        self.coarse = Level(768, 256, 16, 2)
        self.fine = Level(448, 256, 16)
        self.output = nn.Conv2d(256, 2, 1, bias=False)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        fine, coarse = levels[1], levels[2]
        likes = (fine, fine, coarse, coarse, coarse)
        x = [level(x, like) for level, x, like in zip(self.levels, levels, likes, strict=True)]
        joined = self.coarse(torch.cat(x[2:], 1), like=fine)
        return self.output(self.fine(torch.cat([x[0], x[1], joined], 1), like=fine))


def for_inference(model: Network, device: torch.device) -> Network:
    """Move a model in evaluation mode to `device` and make it faster there; what it computes differs by rounding alone."""
    _fold_batch_norm(model)
    # Convolutions on CPUs are about a fifth faster in this layout.
    layout = torch.channels_last if device.type == "cpu" else torch.preserve_format
    return model.to(device=device, memory_format=layout)  # type: ignore[call-overload]


def _fold_batch_norm(module: nn.Module) -> None:
    """Scale and shift the weights of each convolution by the batch norm that follows it, which then has nothing left to do."""
    children = list(module.named_children())
    for (name, convolution), (norm_name, norm) in pairwise(children):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(convolution, norm))
            setattr(module, norm_name, nn.Identity())
    for _, child in children:
        _fold_batch_norm(child)


def _output_channels(layer: nn.Sequential) -> int:
    return [module for module in layer[-1].modules() if isinstance(module, nn.Conv2d)][-1].out_channels


def _freeze_batch_norm(module: nn.Module) -> None:
    for norm in _batch_norms(module):
        norm.eval()


def _batch_norms(module: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (child for child in module.modules() if isinstance(child, nn.BatchNorm2d))
