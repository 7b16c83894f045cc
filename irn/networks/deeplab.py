"""DeepLab on any backbone: the network that learns a class for each pixel from labels.

Reference: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
"""

from typing import Any

import torch
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from irn.networks.backbones import Trainable, freeze_batch_norm, make_backbone

RATES = (6, 12, 18)  # of the paper for stride 16


class DeepLab(Trainable):
    """torchvision's DeepLabV3 head on the last level of a backbone, at stride 16.

    `from_scratch` says how it is trained: every layer and the batch norm learn; otherwise only what lies above stride 8, and
    the backbone's batch norm keeps its statistics.
    """

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.head = DeepLabHead(self.backbone.channels[-1], classes + 1, RATES)
        self.from_scratch = from_scratch
        for parameter in () if from_scratch else self.backbone.early_parameters():
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "DeepLab":
        super().train(mode)
        if not self.from_scratch:
            freeze_batch_norm(self.backbone)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to logits (B, 1 + classes, H, W), background first."""
        logits = self.head(self.backbone(x)[-1])
        return functional.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: the backbone at `learning_rate`, the head at `head_factor` times that."""
        return [
            {"params": [parameter for parameter in self.backbone.parameters() if parameter.requires_grad], "lr": learning_rate},
            {"params": list(self.head.parameters()), "lr": head_factor * learning_rate},
        ]
