"""IRNet: boundary and displacement heads on a frozen backbone."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from irn.networks.backbones import make_backbone
from irn.networks.base import Trainable, freeze_batch_norm


class IRNet(Trainable):
    """Boundary and displacement heads on the five levels of a frozen backbone."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.boundary = BoundaryHead(self.backbone.channels)
        self.displacement = DisplacementHead(self.backbone.channels)
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> "IRNet":
        super().train(mode)
        freeze_batch_norm(self.backbone)
        return self

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) to boundary logits (B, 1, h, w) and displacement (B, 2, h, w), in cells of 4 pixels."""
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
        self.levels = nn.ModuleList(
            Level(inputs, 32, 4, scale) for inputs, scale in zip(channels, (1, 1, 2, 4, 4), strict=True)
        )
        self.output = nn.Conv2d(160, 1, 1)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        return self.output(
            torch.cat([level(x, like=levels[1]) for level, x in zip(self.levels, levels, strict=True)], 1)
        )


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
