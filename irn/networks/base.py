"""What all networks have in common: a backbone, which gives five levels of features, and what is trained of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

STRIDES = (4, 4, 8, 16)  # of the levels but the last, whose stride is 16 or, as it was published, 32
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Trainable(nn.Module):
    """A network on a backbone that can be trained, in whole or in part."""

    backbone: "Backbone"

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: a backbone or first head at `learning_rate`, the rest at `head_factor` times that."""
        raise NotImplementedError

    def saved_tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that a weights file holds."""
        return self.state_dict()


class FineTuned(Trainable):
    """A network whose backbone learns too. Subclasses have their `backbone` before they call `start`.

    With `from_scratch` every layer and the batch norm learn; otherwise only what lies above stride 8 learns, and the
    batch norm of the backbone keeps its statistics.
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
        backbone = list(self.backbone.parameters())
        ids = {id(parameter) for parameter in backbone}
        learning = [parameter for parameter in backbone if parameter.requires_grad]
        head = [parameter for parameter in self.parameters() if id(parameter) not in ids]
        return [{"params": learning, "lr": learning_rate}, {"params": head, "lr": head_factor * learning_rate}]


class Backbone(nn.Module):
    """What every backbone offers.

    `channels` are those of the five levels, and `last_stride` is the last one's stride. `mean` and `std` normalise its
    input. `prefix` comes before the names of its tensors where published state dicts have none, and `foreign` are
    beginnings of published names that it does not use.
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
        """(..., H, W, 3) uint8 to (..., 3, H, W) float32: (x / 255 - mean) / std."""
        return ((pixels.float() / 255 - self.mean) / self.std).movedim(-1, -3)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) normalised to the five levels, of strides 4, 4, 8, 16 and `last_stride`."""
        raise NotImplementedError

    def early_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the layers up to stride 8, which do not learn when training starts from given weights."""
        raise NotImplementedError


def freeze_batch_norm(module: nn.Module) -> None:
    """Keep the statistics of all batch norms."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.eval()


def beside_batch_norm(module: nn.Module) -> list[nn.Module]:
    """What a batch norm does besides: those of timm have the rectifier, and dropout, as parts."""
    return [part for name, part in module.named_children() if name in ("drop", "act")]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of torch from a seed; what is drawn afterwards does not change by it."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
