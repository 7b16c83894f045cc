"""Weights files: one file holds all that its stage needs (docs/weights.md)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from irn.errors import IrnError
from irn.grid import FORMAT_VERSION
from irn.io.tensors import Contents, load_file, save_file
from irn.networks.base import Backbone, Trainable
from irn.networks.cell_classifier import CellClassifier
from irn.networks.classifier import Classifier
from irn.networks.imagenet import start_backbone
from irn.networks.irnet import IRNet
from irn.networks.objectness import Objectness

KEYS = ("kind", "backbone", "state_dict", "class_names", "crop_size", "mean_displacement")
M = TypeVar("M", bound=nn.Module)


def save_weights(
    path: Path,
    kind: str,
    network: Trainable,
    provenance: dict[str, Any],
    class_names: list[str] | None = None,
    crop_size: int = 512,
    mean_displacement: tuple[float, float] | None = None,
) -> None:
    """Write a weights file of kind "cam", "irn", "objectness", "cell_classifier" or the name of a final network.

    crop_size: side in pixels. mean_displacement: (dy, dx) in cells, of "irn" alone.
    """
    contents = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "backbone": network.backbone.name,
        "state_dict": {name: tensor.detach().cpu() for name, tensor in network.saved_tensors().items()},
        "class_names": class_names,
        "crop_size": crop_size,
        "mean_displacement": mean_displacement,
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    save_file(path, contents)


def load_network(
    path: Path, kind: str, make_network: Callable[[Contents], M], contents: Contents | None = None
) -> tuple[M, Contents]:
    """The network of a weights file of a kind, in evaluation mode, and the contents of the file.

    make_network: gives the network that the contents describe. contents: of the file, where it is read already.

    Raises IrnError for a file that cannot be read or is of another kind, and where its tensors do not fit.
    """
    contents = _checked(path, kind, load_file(path) if contents is None else contents)
    try:
        network = make_network(contents)
    except IrnError as error:
        raise IrnError(f"{path}: {error}") from None
    try:
        network.load_state_dict(contents["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise IrnError(f"{path}: tensors do not fit the network ({reason}); make the file again") from None
    return network.eval(), contents


def check_kind(path: Path, kind: str) -> None:
    """Raise IrnError for a file that cannot be read or is of another kind, without making its network."""
    _checked(path, kind, load_file(path))


def load_classifier(path: Path, contents: Contents | None = None) -> tuple[Classifier, Contents]:
    """The classifier of a weights file of kind "cam", as `load_network` gives it."""
    return load_network(path, "cam", _classifier_of, contents)


def load_irnet(path: Path, contents: Contents | None = None, backbone: str = "") -> tuple[IRNet, Contents]:
    """IRNet from a weights file of kind "irn", as `load_network` gives it.

    backbone: the only one that is allowed, if any. Raises IrnError for another.
    """
    network, contents = load_network(path, "irn", lambda contents: IRNet(str(contents["backbone"])), contents)
    if backbone and contents["backbone"] != backbone:
        raise IrnError(
            f"{path}: IRNet on backbone {contents['backbone']}, expected {backbone}; set backbone to the former, or"
            " start from weights on the latter"
        )
    return network, contents


def load_objectness(path: Path) -> Objectness:
    """Objectness from a weights file of that kind; a backbone that the file leaves out has ImageNet's weights."""
    return load_network(path, "objectness", _objectness_of)[0]


def load_cell_classifier(path: Path, backbone: Backbone, names: Sequence[str] | None = None) -> CellClassifier:
    """The cell classifier of a weights file, on a backbone.

    names: the classes that it has to know, if they are known.

    Raises IrnError where it learned from the features of another backbone, or knows other classes.
    """

    def network_of(contents: Contents) -> CellClassifier:
        if contents["backbone"] != backbone.name:
            raise IrnError(
                f"learned from features of {contents['backbone']}, but objectness has {backbone.name}; give both of"
                " one backbone"
            )
        if names is not None and list(contents["class_names"]) != list(names):
            raise IrnError(
                f"knows the classes {', '.join(contents['class_names'])}, but the classifier {', '.join(names)}; give"
                " both of one data set"
            )
        tensors = contents["state_dict"]
        network = CellClassifier(backbone, len(tensors["layer.bias"]) if "layer.bias" in tensors else 1)
        of_backbone = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
        contents["state_dict"] = of_backbone | tensors
        return network

    return load_network(path, "cell_classifier", network_of)[0]


def _objectness_of(contents: Contents) -> Objectness:
    network, tensors = Objectness(str(contents["backbone"])), contents["state_dict"]
    if not any(name.startswith("backbone.") for name in tensors):
        start_backbone(network.backbone, None)
    # What a file leaves out: a published backbone, and the counters of batch norm.
    contents["state_dict"] = network.state_dict() | tensors
    return network


def _classifier_of(contents: Contents) -> Classifier:
    weight = contents["state_dict"].get("classifier.weight")
    # Without this tensor, build a one-class network, so that loading fails with the missing name.
    classes = len(weight) if weight is not None and weight.ndim else 1
    return Classifier(str(contents["backbone"]), classes)


def _checked(path: Path, kind: str, contents: Contents) -> Contents:
    """The contents of a weights file; IrnError where they are not what a file of a kind holds."""
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
