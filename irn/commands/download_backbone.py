"""Fetch a backbone's ImageNet weights once, so that no later stage needs internet access."""

from pathlib import Path

from irn.io.imagenet import imagenet_weights
from irn.io.weights import save_file
from irn.settings import Settings


def download_backbone(out: Path, settings: Settings) -> None:
    """Write the state dict of the backbone trained on ImageNet. Raises IrnError where it cannot be had."""
    save_file(out, imagenet_weights(settings.backbone))
