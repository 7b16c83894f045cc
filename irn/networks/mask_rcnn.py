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
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.poolers import initLevelMapper

from irn.networks.backbones import make_backbone
from irn.networks.base import Backbone, FineTuned, seeded

POOLED = (4, 8, 16, 32)  # strides of the feature maps that regions are pooled from
Masks = list[torch.Tensor]


class MaskRcnn(FineTuned):
    """torchvision's Mask R-CNN on levels 2 to 5 of a backbone, whose last stage is strided as it was published.

    `side` is the long side in pixels to which images are resized; `channels`, 256 in the papers, are those of the
    pyramid and the heads; `regions` are those of an image that the heads learn from in a step.
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
            _Pyramid(backbone, channels),
            None,
            min_size=side,
            max_size=side,
            image_mean=[0.0] * 3,
            image_std=[1.0] * 3,
            box_head=TwoMLPHead(channels * 7 * 7, 4 * channels),
            box_predictor=FastRCNNPredictor(4 * channels, classes + 1),
            box_batch_size_per_image=regions,
            mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1),
            mask_predictor=MaskRCNNPredictor(channels, channels, classes + 1),
        )
        self.network.transform = Resizing(side, side, [0.0] * 3, [1.0] * 3)
        rpn: Any = self.network.rpn
        heads: Any = self.network.roi_heads
        for pool in (heads.box_roi_pool, heads.mask_roi_pool):
            # torchvision guesses them from the first image, wrongly from a small one that it pads.
            pool.scales, pool.map_levels = [1 / stride for stride in POOLED], initLevelMapper(2, 5)
        for head in (rpn.head, heads.box_predictor):
            head.register_forward_hook(_in_float32)
        self._samplers = [SeededSampler(self.network.rpn), SeededSampler(self.network.roi_heads)]
        self.start(from_scratch)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """What the pyramid stands on."""
        return cast(_Pyramid, self.network.backbone).body

    def forward(
        self, x: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None, seeds: Sequence[int] = ()
    ) -> Any:
        """The instances of images, or, with `targets` in training, losses and their counts.

        Parameters
        ----------
        x: (B, 3, H, W) float32, normalised.
        targets: for each image `boxes` (N, 4) float32 x0, y0, x1, y1 in pixels, `labels` (N,) int64 1 + class index,
            and `masks` (N, H, W) uint8.
        seeds: one for each image in training, for the anchors and regions that are drawn from it.

        Returns
        -------
        For each image `boxes` (N, 4), `scores` (N,), `labels` (N,) 1 + class index, and `masks` (N, 1, 28, 28) in
        [0, 1], each for its box.
        In training torchvision's losses by name, and (3,) int64 as from `counts`.
        """
        if targets is None:
            return self.network(list(x))
        self._seed(seeds)
        losses = self.network(list(x), targets)
        return losses, self._drawn()

    def counts(self, x: torch.Tensor, targets: list[dict[str, torch.Tensor]], seeds: Sequence[int]) -> torch.Tensor:
        """(3,) int64: how many anchors, regions and masks `forward` takes means over in training, without the heads."""
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


def _in_float32(head: nn.Module, inputs: object, outputs: Any) -> Any:
    """What a head says, in float32: bfloat16 rounds the corners of boxes to even pixels, and narrow ones to none."""
    return [o.float() if isinstance(o, torch.Tensor) else _in_float32(head, inputs, o) for o in outputs]


class Resizing(GeneralizedRCNNTransform):
    """torchvision's resizing, of which an image that is far longer than wide keeps a pixel, and masks stay small."""

    def resize(
        self, image: torch.Tensor, target: dict[str, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor] | None]:
        """An image (3, H, W) with its long side of `max_size`, and what it teaches in training."""
        sides = image.shape[-2:]
        if target is not None or min(sides) * self.max_size >= max(sides):
            return super().resize(image, target)
        size = [max(1, side * self.max_size // max(sides)) for side in sides]
        return functional.interpolate(image[None], size, mode="bilinear", align_corners=False)[0], None

    def postprocess(
        self,
        result: list[dict[str, torch.Tensor]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, torch.Tensor]]:
        """Boxes in pixels of the images. Masks stay as they are: in the size of an image they may fill the memory."""
        if not self.training:
            for instances, shape, size in zip(result, image_shapes, original_image_sizes, strict=True):
                instances["boxes"] = resize_boxes(instances["boxes"], list(shape), list(size))
        return result


class SeededSampler:
    """Replaces the sampler of a part: it draws by a seed for each image, and counts what it draws.

    torchvision calls it with nothing but matches, so it has to be told `seeds` before each forward pass.
    """

    positive: torch.Tensor
    drawn: torch.Tensor

    def __init__(self, part: Any) -> None:
        self.sampler, part.fg_bg_sampler = part.fg_bg_sampler, self
        self.seeds: Sequence[int] = ()

    def __call__(self, matched: Masks) -> tuple[Masks, Masks]:
        """As torchvision's: two masks for each image, of positives and of negatives."""
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
        levels = self.fpn({str(index): level for index, level in enumerate(self.body(x)[1:])})
        # Anchors have the type of the levels.
        return {name: level.float() for name, level in levels.items()}
