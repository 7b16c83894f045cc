"""Bring the published release's checkpoints into this project's weights files."""

import re
from pathlib import Path

import torch

from irn.errors import IrnError
from irn.io.tensors import load_file
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.networks.state_dicts import state_dict_of
from irn.weights.files import save_weights
from irn.workflow.provenance import provenance

# The release's names of modules, and ours.
RENAMED = [
    (r"^resnet50\.", "backbone."),
    (r"^fc_edge6\.", "boundary.output."),
    (r"^fc_dp7\.3\.", "displacement.output."),
    (r"^fc_dp7\.", "displacement.fine."),
    (r"^fc_dp6\.", "displacement.coarse."),
]
HEADS = {"fc_edge": "boundary", "fc_dp": "displacement"}
PASSED_OVER = re.compile(r"num_batches_tracked$|path_indices|disp_target")


def import_weights(cam: Path, irn: Path, out_cam: Path, out_irn: Path) -> None:
    """Read the two checkpoints of the release (ResNet-50, 512-pixel crops) and write them as weights files.

    The class names are not in the checkpoints, so the imported files have none. Raises IrnError for a checkpoint in
    which a tensor is missing or has another shape.
    """
    cam_tensors, irn_tensors = _renamed(cam), _renamed(irn)
    classifier_weight = cam_tensors.get("classifier.weight")
    if classifier_weight is None:
        raise IrnError(
            f"{cam}: tensor 'classifier.weight' is missing; give the release's checkpoint of the CAM network"
        )
    classifier, irnet = Classifier("resnet50", classifier_weight.shape[0]), IRNet("resnet50")
    _load(cam, classifier, cam_tensors)
    _load(irn, irnet, irn_tensors)
    mean = irn_tensors.get("mean_shift.running_mean")
    if mean is None or mean.shape != (2,):
        raise IrnError(
            f"{irn}: tensor 'mean_shift.running_mean' of shape (2,) is missing; give the release's checkpoint of IRNet"
        )
    record = provenance("import_weights", cam=cam.name, irn=irn.name)
    save_weights(out_cam, "cam", classifier, record)
    save_weights(out_irn, "irn", irnet, record, mean_displacement=(float(mean[0]), float(mean[1])))


def _renamed(path: Path) -> dict[str, torch.Tensor]:
    """Tensors under this project's names; of the several names that the release has for a tensor, one is known here."""
    tensors = state_dict_of(load_file(path), path, "the release's network")
    return {
        _renamed_tensor(name.removeprefix("module.")): tensor
        for name, tensor in tensors.items()
        if not PASSED_OVER.search(name)
    }


def _renamed_tensor(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    level = re.match(r"^(fc_edge|fc_dp)(\d)\.(.*)$", name)
    if level:
        name = f"{HEADS[level[1]]}.levels.{int(level[2]) - 1}.{level[3]}"
    return re.sub(r"^((?:boundary|displacement)\.(?:levels\.\d|coarse|fine))\.([01])\.", _conv_or_norm, name)


def _conv_or_norm(match: re.Match[str]) -> str:
    return f"{match[1]}.{('conv', 'norm')[int(match[2])]}."


def _load(path: Path, model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    for name, wanted in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in tensors:
            raise IrnError(f"{path}: no tensor for {name!r}; give the release's checkpoint, saved as a state dict")
        if tensors[name].shape != wanted.shape:
            raise IrnError(
                f"{path}: tensor for {name!r} has shape {tuple(tensors[name].shape)}, expected {tuple(wanted.shape)}"
            )
    known = model.state_dict().keys()
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name in known}, strict=False)
