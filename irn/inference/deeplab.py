"""What DeepLab finds in an image."""

import numpy as np
import torch
from torch.nn import functional

from irn.inference.predictions import Prediction, pieces
from irn.io.tensors import Contents
from irn.networks.deeplab import DeepLab
from irn.ops.resize import at_scale
from irn.settings.final_networks import DeepLabSettings
from irn.weights.onnx_export import Exported, TakesPixels


def network_of(contents: Contents) -> DeepLab:
    """The network that a weights file describes."""
    return DeepLab(str(contents["backbone"]), len(contents["class_names"]))


def find(network: DeepLab, pixels: np.ndarray, section: DeepLabSettings, shown: float) -> Prediction:
    """The pieces of each class in (H, W, 3) uint8, at the scales of the settings; several also see its mirror image."""
    backbone, scales, device = network.backbone, section.scales, network.backbone.mean.device
    total: torch.Tensor | None = None
    for scale in scales:
        image = backbone.normalise(torch.from_numpy(at_scale(pixels, scale)).to(device))
        views = torch.stack([image, image.flip(-1)] if len(scales) > 1 else [image])
        probability = network(views).float().softmax(1)
        merged = probability[0] if len(scales) == 1 else (probability[0] + probability[1].flip(-1)) / 2
        resized = functional.interpolate(merged[None], pixels.shape[:2], mode="bilinear", align_corners=False)[0]
        # In place: for a photograph these are gigabytes.
        total = resized.div_(len(scales)) if total is None else total.add_(resized.div_(len(scales)))
    assert total is not None
    probability, semantic = (array.cpu().numpy() for array in total.max(0))
    return pieces(semantic.astype(np.uint8), probability)


def exported(network: DeepLab) -> Exported:
    """The output is `probability` (1 + classes, H, W), background first."""
    return Exported(_Probability(network), {"probability": {1: "height", 2: "width"}})


class _Probability(TakesPixels):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(self.normalised(pixels)[None]).softmax(1)[0]
