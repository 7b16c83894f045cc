"""Mask R-CNN on a feature pyramid over any backbone: the network that learns instances from labels.

References
----------
He, Gkioxari, Dollár, Girshick, "Mask R-CNN", ICCV 2017.
Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
"""

from typing import Any, cast

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from irn.networks.backbones import Backbone, FineTuned, make_backbone


class MaskRcnn(FineTuned):
    """torchvision's Mask R-CNN on levels 2 to 5 of a backbone, whose last stage is strided as it was published.

    `side` is the long side in pixels at which images are looked at; `channels`, 256 in the papers, are those of the pyramid and
    the heads; `regions` are those of an image that the heads learn from in a step.
    """

    def __init__(self, backbone: str, classes: int, side: int, channels: int = 256, regions: int = 512, from_scratch: bool = False) -> None:
        super().__init__()
        self.network = MaskRCNN(
            _Pyramid(backbone, channels), None, min_size=side, max_size=side, image_mean=[0.0] * 3, image_std=[1.0] * 3,
            box_head=TwoMLPHead(channels * 7 * 7, 4 * channels), box_predictor=FastRCNNPredictor(4 * channels, classes + 1),
            box_batch_size_per_image=regions,
            mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1), mask_predictor=MaskRCNNPredictor(channels, channels, classes + 1),
        )  # fmt: skip
        self.start(from_scratch)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """What the pyramid stands on."""
        return cast(_Pyramid, self.network.backbone).body

    def forward(self, x: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None) -> Any:
        """(B, 3, H, W) normalised images to their instances, or, with `targets` in training, to the losses by name.

        targets: of each image `boxes` (N, 4) float32 x0, y0, x1, y1 in pixels, `labels` (N,) int64 1 + class index, and
            `masks` (N, H, W) uint8.

        Returns of each image `scores` (N,), `labels` (N,) 1 + class index, and `masks` (N, 1, H, W) in [0, 1].
        """
        return self.network(list(x), targets)


class _Pyramid(nn.Module):
    """Levels 2 to 5 of a backbone as a pyramid of strides 4, 8, 16, 32 and 64, by names as torchvision wants them."""

    def __init__(self, backbone: str, channels: int) -> None:
        super().__init__()
        self.body = make_backbone(backbone, 32)
        self.fpn = FeaturePyramidNetwork(list(self.body.channels[1:]), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.fpn({str(index): level for index, level in enumerate(self.body(x)[1:])})
