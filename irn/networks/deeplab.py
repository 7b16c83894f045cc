"""DeepLab on any backbone: the network that learns a class for each pixel from labels.

Reference: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from irn.networks.backbones import FineTuned, make_backbone, seeded

RATES = (6, 12, 18)  # of the paper for stride 16


class DeepLab(FineTuned):
    """torchvision's DeepLabV3 head on the last level of a backbone, at stride 16."""

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.head = DeepLabHead(self.backbone.channels[-1], classes + 1, RATES)
        project: Any = cast(Any, self.head[0]).project
        self.dropout = project[-1] = OwnDropout(project[-1].p)
        self.start(from_scratch)

    def forward(self, x: torch.Tensor, seeds: Sequence[int] = ()) -> torch.Tensor:
        """(B, 3, H, W) normalised images to logits (B, 1 + classes, H, W), background first; in training with a seed for each image."""
        self.dropout.seeds = seeds
        logits = self.head(self.backbone(x)[-1])
        return functional.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)


class OwnDropout(nn.Dropout):
    """Dropout that draws for each image by its own seed, so that it does not matter in which part of a batch it is."""

    seeds: Sequence[int] = ()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same."""
        if not self.training:
            return x
        kept = []
        for seed, image in zip(self.seeds, x, strict=True):
            with seeded(seed, x.device):
                kept.append(torch.rand_like(image, dtype=torch.float32) >= self.p)
        return x * torch.stack(kept) / (1 - self.p)
