"""Fetch torchvision's ImageNet weights once, so that no later stage needs a network."""

from pathlib import Path

from irn.weights import imagenet_state_dict, save_file


def download_backbone(backbone: str, out: Path) -> None:
    """Write the state dict of a backbone trained on ImageNet. Raises IrnError where it cannot be downloaded."""
    save_file(out, imagenet_state_dict(backbone))
