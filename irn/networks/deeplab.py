"""DeepLab on any backbone: the network that learns a class for each pixel from labels.

Reference: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from irn.networks.backbones import make_backbone
from irn.networks.base import FineTuned, seeded

RATES = (6, 12, 18)  # of the paper for stride 16


class DeepLab(FineTuned):
    """torchvision's DeepLabV3 head on the last level of a backbone, at stride 16."""

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.head = DeepLabHead(self.backbone.channels[-1], classes + 1, RATES)
        # torchvision's dropout, the last layer of the pooling, takes no seeds.
        project: Any = cast(Any, self.head[0]).project
        self.dropout: float = project[-1].p
        project[-1] = nn.Identity()
        self.start(from_scratch)

    def forward(self, x: torch.Tensor, seeds: Sequence[int] = ()) -> torch.Tensor:
        """(B, 3, H, W) normalised images to logits (B, 1 + classes, H, W), background first.

        seeds: one for each image in training, for what its dropout draws; none in evaluation.
        """
        pooling, *layers = self.head
        logits = pooling(self.backbone(x)[-1])
        if self.training:
            logits = seeded_dropout(logits, self.dropout, seeds)
        for layer in layers:
            logits = layer(logits)
        return functional.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)


def seeded_dropout(x: torch.Tensor, share: float, seeds: Sequence[int]) -> torch.Tensor:
    """Dropout of (B, C, H, W) that draws by a seed for each image, so that the rest of a batch does not matter."""
    kept = []
    for seed, image in zip(seeds, x, strict=True):
        with seeded(seed, x.device):
            kept.append(torch.rand_like(image, dtype=torch.float32) >= share)
    return x * torch.stack(kept) / (1 - share)
