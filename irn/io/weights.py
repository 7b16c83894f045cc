"""Weights files: one file holds all that its stage needs (docs/caches.md)."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from irn.errors import IrnError
from irn.grid import FORMAT_VERSION
from irn.io.files import whole_file
from irn.networks.backbones import Backbone, Trainable
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet

if TYPE_CHECKING:
    # Importing torchvision's detection takes seconds.
    from irn.networks.deeplab import DeepLab
    from irn.networks.mask_rcnn import MaskRcnn

KEYS = ("kind", "backbone", "state_dict", "class_names", "crop_size", "mean_displacement")
Contents = dict[str, Any]
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


def save_file(path: Path, contents: Contents) -> None:
    """Write a dictionary for `load_file`."""
    # torch.save reports a full disk as a bare RuntimeError; writing the bytes ourselves gives an OSError.
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


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


def load_backbone(backbone: Backbone, path: Path) -> None:
    """Fill a backbone from its published state dict, of any float type, or from a weights file of kind "cam".

    Raises IrnError for a file that is neither, or one of another backbone.
    """
    contents = load_file(path)
    if "state_dict" in contents:
        if "format_version" not in contents:
            raise IrnError(
                f"{path}: a checkpoint around a state dict; save its entry 'state_dict' alone, with its published names, and give that"
            )
        if contents.get("backbone") != backbone.name:
            raise IrnError(
                f"{path}: the weights are of backbone {contents.get('backbone')}, expected {backbone.name}; set backbone to match"
            )
        contents = {k.removeprefix("backbone."): v for k, v in contents["state_dict"].items() if k.startswith("backbone.")}
    fill_backbone(backbone, contents, path)


def fill_backbone(backbone: Backbone, contents: Contents, source: object) -> None:
    """Fill a backbone from a state dict with its published names or its own; IrnError, naming `source`, where they do not fit."""
    wanted = backbone.state_dict()
    renamed = {name if name in wanted else backbone.prefix + name: tensor for name, tensor in contents.items()}
    chosen = {name: renamed[name] for name in wanted if name in renamed}
    # Old torchvision files lack the counters, which only training from scratch uses.
    lacking = [name for name in wanted if name not in renamed and not name.endswith("num_batches_tracked")]
    unequal = [name for name, tensor in chosen.items() if tensor.shape != wanted[name].shape]
    # A deeper network holds every name of a shallower one.
    foreign = [name for name in renamed if name not in wanted and not name.removeprefix(backbone.prefix).startswith(backbone.foreign)]
    if lacking or unequal or foreign:
        name = (lacking + unequal + foreign)[0]
        raise IrnError(f"{source}: not a state dict of {backbone.name} (see {name!r}); give one, or set backbone to match")
    backbone.load_state_dict(chosen, strict=False)


def load_file(path: Path) -> Contents:
    """The dictionary in a file that torch.save wrote, loaded without running any code in it."""
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise IrnError(f"{path}: no such weights file; run the stage that makes it, or fix the path") from None
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IrnError(f"{path}: not a readable weights file ({reason[:100]}); copy it again, or move it away and make it again") from None
    if not isinstance(contents, dict):
        raise IrnError(f"{path}: holds a {type(contents).__name__}, expected a dictionary of tensors; give a state dict")
    return contents


def _load_own(path: Path, kind: str, read: Contents | None) -> Contents:
    """A file's contents, which may have been read already."""
    contents = load_file(path) if read is None else read
    if "format_version" not in contents:
        raise IrnError(f"{path}: not a weights file of this project; import a published checkpoint with irn import-weights")
    if contents["format_version"] != FORMAT_VERSION:
        raise IrnError(f"{path}: weights format_version is {contents['format_version']}, expected {FORMAT_VERSION}; make it again")
    missing = [key for key in KEYS if key not in contents]
    if missing:
        raise IrnError(f"{path}: {missing[0]!r} is missing from the weights; make the file again")
    if contents["kind"] != kind:
        maker = f"irn train-{kind.replace('_', '-')}"
        raise IrnError(f"{path}: weights of kind {contents['kind']!r}, expected {kind!r}; give the file that {maker} wrote")
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
        raise IrnError(f"{path}: tensors do not fit the network ({' '.join(str(error).split())[:200]}); make the file again") from None
    return model.eval()
