"""Two small convolutions on a backbone."""

import torch
from torch import nn
from torch.nn import functional

from irn.networks.backbones import make_backbone
from irn.networks.base import FineTuned


class Tiny(FineTuned):
    """Two convolutions on the last level of a backbone."""

    def __init__(self, backbone: str, classes: int, width: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.first = nn.Conv2d(self.backbone.channels[-1], width, 3, padding=1)
        self.last = nn.Conv2d(width, classes + 1, 1)
        self.start(from_scratch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to logits (B, 1 + classes, H, W), background first."""
        logits = self.last(functional.relu(self.first(self.backbone(x)[-1])))
        return functional.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)
