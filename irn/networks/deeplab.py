"""DeepLab on any backbone: the network that learns a class for each pixel from labels.

Reference: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
"""

import torch
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from irn.networks.backbones import FineTuned, make_backbone

RATES = (6, 12, 18)  # of the paper for stride 16


class DeepLab(FineTuned):
    """torchvision's DeepLabV3 head on the last level of a backbone, at stride 16."""

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.head = DeepLabHead(self.backbone.channels[-1], classes + 1, RATES)
        self.start(from_scratch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to logits (B, 1 + classes, H, W), background first."""
        logits = self.head(self.backbone(x)[-1])
        return functional.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)
