"""Weights files: one file holds all that its stage needs (docs/weights.md)."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from irn.errors import IrnError
from irn.grid import FORMAT_VERSION
from irn.io.tensors import Contents, load_file, save_file
from irn.networks.backbones import Trainable
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet

if TYPE_CHECKING:
    # Importing torchvision's detection takes seconds.
    from irn.networks.deeplab import DeepLab
    from irn.networks.mask_rcnn import MaskRcnn

KEYS = ("kind", "backbone", "state_dict", "class_names", "crop_size", "mean_displacement")
M = TypeVar("M", bound=nn.Module)


def save_weights(
    path: Path,
    kind: str,
    model: Trainable,
    provenance: dict[str, Any],
    class_names: list[str] | None = None,
    crop_size: int = 512,
    mean_displacement: tuple[float, float] | None = None,
) -> None:
    """Write a weights file of kind "cam", "irn", "mask_rcnn" or "deeplab"; `mean_displacement` is (dy, dx) in cells, for "irn" only."""
    contents = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "backbone": model.backbone.name,
        "state_dict": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        "class_names": class_names,
        "crop_size": crop_size,
        "mean_displacement": mean_displacement,
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    save_file(path, contents)


def load_classifier(path: Path, read: Contents | None = None) -> tuple[Classifier, Contents]:
    """The classifier of a weights file of kind "cam", in evaluation mode, and the file's other contents."""
    contents = _load_own(path, "cam", read)
    weight = contents["state_dict"].get("classifier.weight")
    # Without this tensor, build a one-class network, so that loading fails with the missing name.
    classes = len(weight) if weight is not None and weight.ndim else 1
    return _filled(path, partial(Classifier, classes=classes), contents), contents


def load_irnet(path: Path, read: Contents | None = None) -> tuple[IRNet, Contents]:
    """IRNet from a weights file of kind "irn", in evaluation mode, and the file's other contents."""
    contents = _load_own(path, "irn", read)
    return _filled(path, IRNet, contents), contents


def load_mask_rcnn(path: Path, read: Contents | None = None) -> "tuple[MaskRcnn, Contents]":
    """Mask R-CNN from a weights file of kind "mask_rcnn", in evaluation mode, and the file's other contents."""
    from irn.networks.mask_rcnn import MaskRcnn

    contents = _load_own(path, "mask_rcnn", read)
    names, side = contents["class_names"], contents["crop_size"]
    mask_head = contents["state_dict"].get("network.roi_heads.mask_head.0.0.weight")
    channels = 256 if mask_head is None else len(mask_head)
    return _filled(path, partial(MaskRcnn, classes=len(names), side=side, channels=channels), contents), contents


def load_deeplab(path: Path, read: Contents | None = None) -> "tuple[DeepLab, Contents]":
    """DeepLab from a weights file of kind "deeplab", in evaluation mode, and the file's other contents."""
    from irn.networks.deeplab import DeepLab

    contents = _load_own(path, "deeplab", read)
    return _filled(path, partial(DeepLab, classes=len(contents["class_names"])), contents), contents


def _load_own(path: Path, kind: str, read: Contents | None) -> Contents:
    """A file's contents, which may have been read already."""
    contents = load_file(path) if read is None else read
    if "format_version" not in contents:
        raise IrnError(
            f"{path}: not a weights file of this project; import a published checkpoint with irn import-weights"
        )
    if contents["format_version"] != FORMAT_VERSION:
        raise IrnError(
            f"{path}: weights format_version is {contents['format_version']}, expected {FORMAT_VERSION}; make it again"
        )
    missing = [key for key in KEYS if key not in contents]
    if missing:
        raise IrnError(f"{path}: {missing[0]!r} is missing from the weights; make the file again")
    if contents["kind"] != kind:
        maker = f"irn train-{kind.replace('_', '-')}"
        raise IrnError(
            f"{path}: weights of kind {contents['kind']!r}, expected {kind!r}; give the file that {maker} wrote"
        )
    tensors = contents["state_dict"]
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise IrnError(f"{path}: 'state_dict' of the weights is not a dictionary of tensors; make the file again")
    return contents


def _filled(path: Path, network: Callable[[str], M], contents: Contents) -> M:
    """The network of a file's backbone with the file's tensors; IrnError where either does not fit."""
    try:
        model = network(str(contents["backbone"]))
    except IrnError as error:
        raise IrnError(f"{path}: {error}") from None
    try:
        model.load_state_dict(contents["state_dict"])
    except RuntimeError as error:
        raise IrnError(
            f"{path}: tensors do not fit the network ({' '.join(str(error).split())[:200]}); make the file again"
        ) from None
    return model.eval()
