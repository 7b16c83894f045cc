"""Fetch a backbone's ImageNet weights once, so that no later stage needs internet access."""

from pathlib import Path

from irn.io.tensors import save_file
from irn.networks.backbones import make_backbone
from irn.networks.imagenet import imagenet_state_dict
from irn.settings.settings import Settings


def download_backbone(out: Path, settings: Settings) -> None:
    """Write the state dict of the backbone trained on ImageNet. Raises IrnError where it cannot be had."""
    save_file(out, imagenet_state_dict(make_backbone(settings.backbone)))
