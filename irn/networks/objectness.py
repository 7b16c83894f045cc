"""Objectness: whether a cell shows an object, of whatever class, from the features of a frozen backbone."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from irn.networks.backbones import make_backbone
from irn.networks.base import Trainable, freeze_batch_norm

HIDDEN = 192  # channels between the two layers
DROPOUT = 0.2
LEVELS = (2, 3, 4)  # of the backbone's five, from 0: those of strides 8, 16 and 16


class Objectness(Trainable):
    """Two layers on levels 3 to 5 of a frozen backbone and on the mean of level 5 over the image, at stride 8."""

    def __init__(self, backbone: str, is_published: bool = True) -> None:
        """is_published: whether the backbone has the published ImageNet weights, which no file needs to hold."""
        super().__init__()
        self.is_published = is_published
        self.backbone = make_backbone(backbone)
        self.head = ObjectnessHead(self.backbone.channels)
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> "Objectness":
        super().train(mode)
        freeze_batch_norm(self.backbone)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) to logits (B, h, w) in cells of 8 pixels."""
        with torch.no_grad():
            levels = self.backbone(x)
        return self.head(levels)

    def saved_tensors(self) -> dict[str, torch.Tensor]:
        """The head in float16, and the backbone unless it is a published one."""
        head = {f"head.{name}": tensor.half() for name, tensor in self.head.state_dict().items() if tensor.ndim}
        return head if self.is_published else {**self.state_dict(), **head}

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: the head, at `learning_rate`."""
        return [{"params": list(self.head.parameters()), "lr": learning_rate}]


class ObjectnessHead(nn.Module):
    """Five levels to one map of logits at stride 8.

    The first layer is linear, so that it is applied to each level at the level's own stride and the results are added.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        inputs = [channels[level] for level in LEVELS]
        # Features as they were standardised over the training images.
        self.norms = nn.ModuleList(nn.BatchNorm2d(count, affine=False) for count in inputs)
        self.levels = nn.ModuleList(nn.Conv2d(count, HIDDEN, 1, bias=False) for count in inputs)
        self.context = nn.Linear(inputs[-1], HIDDEN)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Conv2d(HIDDEN, 1, 1)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Five levels of B images to (B, h, w), the grid of the third."""
        size = levels[LEVELS[0]].shape[-2:]
        features = [norm(levels[level]) for norm, level in zip(self.norms, LEVELS, strict=True)]
        hidden = self.context(features[-1].mean((-2, -1)))[..., None, None]
        for layer, feature in zip(self.levels, features, strict=True):
            projected = layer(feature)
            if projected.shape[-2:] != size:
                projected = functional.interpolate(projected, size, mode="bilinear", align_corners=False)
            hidden = hidden + projected
        return self.output(self.dropout(functional.relu(hidden)))[:, 0]
