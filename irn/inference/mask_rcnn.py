"""What Mask R-CNN finds in an image."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import paste_masks_in_image

from irn.inference.predictions import Prediction
from irn.io.tensors import Contents
from irn.networks.mask_rcnn import MaskRcnn
from irn.ops.crops import crops_of_masks
from irn.settings.final_networks import MaskRcnnSettings
from irn.weights.onnx_export import Exported, TakesPixels

SCORED = 0.05  # torchvision's score below which nothing counts as found
PADDED = 32  # torchvision pads images to multiples of this number of pixels


def network_of(contents: Contents) -> MaskRcnn:
    """The network that a weights file describes."""
    mask_head = contents["state_dict"].get("network.roi_heads.mask_head.0.0.weight")
    channels = 256 if mask_head is None else len(mask_head)
    return MaskRcnn(str(contents["backbone"]), len(contents["class_names"]), contents["crop_size"], channels)


def find(network: MaskRcnn, pixels: np.ndarray, section: MaskRcnnSettings, shown: float) -> Prediction:
    """The instances in (H, W, 3) uint8; the semantic map is that of those with at least the score `shown`."""
    heads: Any = network.network.roi_heads
    # Lower only where instances of lower scores are asked for: more candidates take longer.
    heads.score_thresh = min(SCORED, shown)
    backbone = network.backbone
    image = backbone.normalise(torch.from_numpy(pixels).to(backbone.mean.device))
    instances = network(image[None])[0]
    height, width = pixels.shape[:2]
    crops = crops_of_masks(_whole_masks(instances, height, width), height, width)
    filled = [row for row, mask in enumerate(crops.masks) if mask.size]
    crops, classes = crops.ordered(filled), instances["labels"].cpu().numpy()[filled] - 1
    scores = instances["scores"].float().cpu().numpy()[filled]
    labels = np.concatenate([[0], classes + 1]).astype(np.uint8)
    return Prediction(crops, classes, scores, labels[crops.first_on_top(scores >= shown)])


def _whole_masks(instances: dict[str, torch.Tensor], height: int, width: int) -> Iterator[np.ndarray]:
    """(height, width) bool of each instance, one by one: all of a large image would fill the memory."""
    for box, mask in zip(instances["boxes"], instances["masks"].float(), strict=True):
        whole = paste_masks_in_image(mask[None], box[None], (height, width))
        yield (whole[0, 0] > 0.5).cpu().numpy()


def exported(network: MaskRcnn) -> Exported:
    """Outputs are `boxes` (N, 4) x0, y0, x1, y1 in pixels, `labels` (N,), `scores` (N,) and `masks` (N, 1, H, W).

    Labels are 1 + class index; masks are in [0, 1] and have the size of the image.
    """
    axes = {name: {0: "instances"} for name in ("boxes", "labels", "scores", "masks")}
    axes["masks"] |= {2: "height", 3: "width"}
    return Exported(_Instances(network), axes)


class _Instances(TakesPixels):
    """Mask R-CNN with its own resizing: ONNX rounds some sizes of torchvision's unlike torch."""

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        network = self.network.network
        size = torch._shape_as_tensor(pixels)[:2]
        height, width = torch.div(size * network.transform.max_size, size.max(), rounding_mode="floor").clamp(min=1)
        image = self.normalised(pixels)[None]
        image = functional.interpolate(image, size=(height, width), mode="bilinear", align_corners=False)
        image = functional.pad(image, (0, -width % PADDED, 0, -height % PADDED))
        images = ImageList(image, [(height, width)])
        features = network.backbone(image)
        proposals, _ = network.rpn(images, features)
        instances = network.roi_heads(features, proposals, images.image_sizes)[0][0]
        ratio = (size.float() / torch.stack([height, width]).float()).flip(0).repeat(2)
        boxes = instances["boxes"] * ratio
        sides: Any = (size[0], size[1])
        masks = paste_masks_in_image(instances["masks"], boxes, sides)
        return boxes, instances["labels"], instances["scores"], masks
