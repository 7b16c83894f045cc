"""Fetch torchvision's ImageNet weights once, so that no later stage needs a network."""

from pathlib import Path

import torch

from irn.files import whole_file
from irn.weights import imagenet_state_dict


def download_backbone(backbone: str, out: Path) -> None:
    """Write the state dict of a backbone trained on ImageNet. Raises IrnError where it cannot be downloaded."""
    state_dict = imagenet_state_dict(backbone)
    with whole_file(out) as partial:
        torch.save(state_dict, partial)
