"""Networks made faster where they no longer learn."""

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from irn.networks.base import beside_batch_norm

Network = TypeVar("Network", bound=nn.Module)


def for_inference(model: Network, device: torch.device) -> Network:
    """Move a model in evaluation mode to `device` and make it faster there; its outputs differ only by rounding."""
    _fold_batch_norm(model)
    # Convolutions on CPUs are about a fifth faster in this layout.
    layout = torch.channels_last if device.type == "cpu" else torch.preserve_format
    return model.to(device=device, memory_format=layout)  # type: ignore[call-overload]


def _fold_batch_norm(module: nn.Module) -> None:
    """Fold each batch norm into the weights of the convolution before it."""
    children = list(module.named_children())
    for (name, convolution), (norm_name, norm) in pairwise(children):
        if (
            isinstance(convolution, nn.Conv2d)
            and isinstance(norm, nn.BatchNorm2d)
            and convolution.out_channels == norm.num_features
        ):
            setattr(module, name, fuse_conv_bn_eval(convolution, norm))
            rest = beside_batch_norm(norm)
            setattr(module, norm_name, nn.Sequential(*rest) if rest else nn.Identity())
    for _, child in children:
        _fold_batch_norm(child)
