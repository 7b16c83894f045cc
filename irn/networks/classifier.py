"""The classifier that gives class attention maps."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from irn.networks.backbones import Trainable, freeze_batch_norm, make_backbone


class Classifier(Trainable):
    """Multilabel classifier whose weights, applied before the pooling, give class attention maps.

    `from_scratch` says how it is trained: every layer and the batch norm learn; otherwise only what lies above stride 8,
    and the batch norm keeps its statistics.
    """

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.from_scratch = from_scratch
        self.classifier = nn.Conv2d(self.backbone.channels[-1], classes, 1, bias=False)
        for parameter in () if from_scratch else self.backbone.early_parameters():
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        if not self.from_scratch:
            freeze_batch_norm(self.backbone)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to (B, classes) logits."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.head_alone):
            features = self.backbone(x)[-1]
        return self.classifier(functional.adaptive_avg_pool2d(features, 1)).flatten(1)

    def class_maps(self, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) to (B, K, h, w): the rectified maps of the K given classes at stride 16."""
        return functional.relu(functional.conv2d(self.backbone(x)[-1], self.classifier.weight[classes]))

    def parameter_groups(self, learning_rate: float, head_factor: float) -> list[dict[str, Any]]:
        """What learns: the backbone at `learning_rate`, the classifier at `head_factor` times that."""
        return [
            {"params": [parameter for parameter in self.backbone.parameters() if parameter.requires_grad], "lr": learning_rate},
            {"params": list(self.classifier.parameters()), "lr": head_factor * learning_rate},
        ]
