"""Fetch torchvision's ImageNet weights once, so that no later stage needs internet access."""

from pathlib import Path

from irn.io.weights import imagenet_state_dict, save_file
from irn.settings import Settings


def download_backbone(out: Path, settings: Settings) -> None:
    """Write the state dict of the backbone trained on ImageNet. Raises IrnError where it cannot be downloaded."""
    save_file(out, imagenet_state_dict(settings.backbone))
