"""The classifier that gives class attention maps."""

import torch
from torch import nn
from torch.nn import functional

from irn.networks.backbones import make_backbone
from irn.networks.base import FineTuned


class Classifier(FineTuned):
    """Multilabel classifier whose weights, applied before the pooling, give class attention maps."""

    def __init__(self, backbone: str, classes: int, from_scratch: bool = False) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.classifier = nn.Conv2d(self.backbone.channels[-1], classes, 1, bias=False)
        self.start(from_scratch)

    def forward(self, x: torch.Tensor, head_alone: bool = False) -> torch.Tensor:
        """To (B, classes) logits: (B, 3, H, W) normalised images, or (B, C) features of images as `pooled` gives them.

        With `head_alone` the backbone gets no gradients.
        """
        if x.ndim == 2:
            return self.classifier(x[..., None, None]).flatten(1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not head_alone):
            features = self.backbone(x)[-1]
        return self.classifier(functional.adaptive_avg_pool2d(features, 1)).flatten(1)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to (B, C): the mean over cells of the last level's features."""
        return functional.adaptive_avg_pool2d(self.backbone(x)[-1], 1).flatten(1)

    def class_maps(self, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) to (B, K, h, w): the rectified maps of the K given classes at stride 16."""
        return functional.relu(functional.conv2d(self.backbone(x)[-1], self.classifier.weight[classes]))
