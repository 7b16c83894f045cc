"""What the tiny network finds in an image."""

import numpy as np
import torch

from irn.inference.predictions import Prediction, pieces
from irn.io.tensors import Contents
from irn.networks.tiny import Tiny
from irn.settings.final_networks import TinySettings
from irn.weights.onnx_export import Exported, TakesPixels


def network_of(contents: Contents) -> Tiny:
    """The network that a weights file describes."""
    width = len(contents["state_dict"]["first.weight"])
    return Tiny(str(contents["backbone"]), len(contents["class_names"]), width)


def find(network: Tiny, pixels: np.ndarray, section: TinySettings, shown: float) -> Prediction:
    """The pieces of each class in (H, W, 3) uint8."""
    image = network.backbone.normalise(torch.from_numpy(pixels))
    probability, semantic = network(image[None])[0].float().softmax(0).max(0)
    return pieces(semantic.numpy().astype(np.uint8), probability.numpy())


def exported(network: Tiny) -> Exported:
    """The output is `probability` (1 + classes, H, W), background first."""
    return Exported(_Probability(network), {"probability": {1: "height", 2: "width"}})


class _Probability(TakesPixels):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(self.normalised(pixels)[None]).softmax(1)[0]
