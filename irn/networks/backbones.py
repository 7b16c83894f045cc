"""What both networks stand on: a network that gives five levels of features, whatever it is made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

STRIDES = (4, 4, 8, 16)  # of the levels but the last, which has 16 or, strided as it was published, 32
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Trainable(nn.Module):
    """A network of which some parts learn; with `head_alone` its backbone does not for now."""

    backbone: "Backbone"
    head_alone = False

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns, and how fast: a backbone or first head at `learning_rate`, the last at `head_factor` times that."""
        raise NotImplementedError


class FineTuned(Trainable):
    """A network whose backbone learns too. Subclasses have their `backbone` before they call `start`.

    `from_scratch` says how it is trained: every layer and the batch norm learn; otherwise only what lies above stride 8, and
    the backbone's batch norm keeps its statistics.
    """

    from_scratch = False

    def start(self, from_scratch: bool) -> None:
        """Freeze what does not learn."""
        self.from_scratch = from_scratch
        for parameter in () if from_scratch else self.backbone.early_parameters():
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "FineTuned":
        super().train(mode)
        if not self.from_scratch:
            freeze_batch_norm(self.backbone)
        return self

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: the backbone at `learning_rate`, all else at `head_factor` times that."""
        own = {id(parameter) for parameter in self.backbone.parameters()}
        return [
            {
                "params": [parameter for parameter in self.backbone.parameters() if parameter.requires_grad],
                "lr": learning_rate,
            },
            {
                "params": [parameter for parameter in self.parameters() if id(parameter) not in own],
                "lr": head_factor * learning_rate,
            },
        ]


class Backbone(nn.Module):
    """The face of all backbones.

    `channels` are those of the five levels, and `last_stride` is the last one's stride. `mean` and `std` normalise its input.
    `prefix` stands before the names of its tensors where its published state dicts have none, and `foreign` are beginnings of
    published names that it does without.
    """

    channels: tuple[int, ...]
    prefix = ""
    foreign: tuple[str, ...] = ()
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        name: str,
        last_stride: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.name, self.last_stride = name, last_stride
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """(..., H, W, 3) uint8 to (..., 3, H, W) float32, (x / 255 - mean) / deviation with the figures of its training."""
        return ((pixels.float() / 255 - self.mean) / self.std).movedim(-1, -3)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) normalised to the five levels, of strides 4, 4, 8, 16 and `last_stride`."""
        raise NotImplementedError

    def early_parameters(self) -> Iterator[nn.Parameter]:
        """Those behind the levels up to stride 8, which stay as they are when training starts from given weights."""
        raise NotImplementedError


def make_backbone(name: str, last_stride: int = 16) -> Backbone:
    """A backbone with random weights: a torchvision ResNet, or any network of timm that gives such levels.

    last_stride: 16, or 32 as it was published, for a pyramid.

    Raises IrnError for a name that timm does not know, and for a network without such levels.
    """
    if name in RESNETS:
        from irn.networks.resnets import ResNet

        return ResNet(name, last_stride)
    from irn.networks.timm_networks import TimmNetwork

    return TimmNetwork(name, last_stride)


def freeze_batch_norm(module: nn.Module) -> None:
    """Keep the statistics of all batch norms."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.eval()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of torch from a seed; what is drawn afterwards is as if nothing had been."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
