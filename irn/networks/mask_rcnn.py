"""Mask R-CNN on a feature pyramid over any backbone: the network that learns instances from labels.

References
----------
He, Gkioxari, Dollár, Girshick, "Mask R-CNN", ICCV 2017.
Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.poolers import initLevelMapper

from irn.networks.backbones import Backbone, FineTuned, make_backbone, seeded

POOLED = (4, 8, 16, 32)  # strides of the levels that regions are pooled from
Masks = list[torch.Tensor]


class MaskRcnn(FineTuned):
    """torchvision's Mask R-CNN on levels 2 to 5 of a backbone, whose last stage is strided as it was published.

    `side` is the long side in pixels at which images are looked at; `channels`, 256 in the papers, are those of the pyramid and
    the heads; `regions` are those of an image that the heads learn from in a step.
    """

    def __init__(
        self,
        backbone: str,
        classes: int,
        side: int,
        channels: int = 256,
        regions: int = 512,
        from_scratch: bool = False,
    ) -> None:
        super().__init__()
        self.network = MaskRCNN(
            _Pyramid(backbone, channels), None, min_size=side, max_size=side, image_mean=[0.0] * 3, image_std=[1.0] * 3,
            box_head=TwoMLPHead(channels * 7 * 7, 4 * channels), box_predictor=FastRCNNPredictor(4 * channels, classes + 1),
            box_batch_size_per_image=regions,
            mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1), mask_predictor=MaskRCNNPredictor(channels, channels, classes + 1),
        )  # fmt: skip
        for pool in (self.network.roi_heads.box_roi_pool, self.network.roi_heads.mask_roi_pool):
            # torchvision guesses them from the first image, and wrongly from a small one that it pads.
            pool.scales, pool.map_levels = [1 / stride for stride in POOLED], initLevelMapper(2, 5)  # type: ignore[union-attr]
        self._samplers = [OwnSampler(self.network.rpn), OwnSampler(self.network.roi_heads)]
        self.start(from_scratch)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """What the pyramid stands on."""
        return cast(_Pyramid, self.network.backbone).body

    def forward(
        self, x: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None, seeds: Sequence[int] = ()
    ) -> Any:
        """(B, 3, H, W) normalised images to their instances, or, with `targets` in training, to the losses by name and `counts`.

        targets: of each image `boxes` (N, 4) float32 x0, y0, x1, y1 in pixels, `labels` (N,) int64 1 + class index, and
            `masks` (N, H, W) uint8. seeds: of each image in training, for what is drawn of it to learn from.

        Returns of each image `scores` (N,), `labels` (N,) 1 + class index, and `masks` (N, 1, H, W) in [0, 1].
        """
        if targets is None:
            return self.network(list(x))
        self._seed(seeds)
        losses = self.network(list(x), targets)
        return losses, self._drawn()

    def counts(self, x: torch.Tensor, targets: list[dict[str, torch.Tensor]], seeds: Sequence[int]) -> torch.Tensor:
        """(3,) int64: of how many anchors, regions and masks `forward` takes means in training, without computing the heads."""
        self._seed(seeds)
        network: Any = self.network
        images, resized = network.transform(list(x), targets)
        proposals, _ = network.rpn(images, network.backbone(images.tensors), resized)
        network.roi_heads.select_training_samples(proposals, resized)
        return self._drawn()

    def _seed(self, seeds: Sequence[int]) -> None:
        for sampler in self._samplers:
            sampler.seeds = seeds

    def _drawn(self) -> torch.Tensor:
        anchors, regions = self._samplers
        return torch.stack([anchors.drawn, regions.drawn, regions.positive])


class OwnSampler:
    """Takes the place of a part's sampler: it draws for each image by its own seed, and counts what it draws."""

    positive: torch.Tensor
    drawn: torch.Tensor

    def __init__(self, part: Any) -> None:
        self.sampler, part.fg_bg_sampler = part.fg_bg_sampler, self
        self.seeds: Sequence[int] = ()

    def __call__(self, matched: Masks) -> tuple[Masks, Masks]:
        """As torchvision's: of each image two masks, of positives and of negatives."""
        positives, negatives = [], []
        for seed, image in zip(self.seeds, matched, strict=True):
            with seeded(seed, image.device):
                (positive,), (negative,) = self.sampler([image])
            positives.append(positive)
            negatives.append(negative)
        self.positive, negative = (
            torch.stack([mask.sum() for mask in masks]).sum() for masks in (positives, negatives)
        )
        self.drawn = self.positive + negative
        return positives, negatives


class _Pyramid(nn.Module):
    """Levels 2 to 5 of a backbone as a pyramid of strides 4, 8, 16, 32 and 64, by names as torchvision wants them."""

    def __init__(self, backbone: str, channels: int) -> None:
        super().__init__()
        self.body = make_backbone(backbone, 32)
        self.fpn = FeaturePyramidNetwork(list(self.body.channels[1:]), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.fpn({str(index): level for index, level in enumerate(self.body(x)[1:])})
