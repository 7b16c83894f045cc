"""Networks of timm as backbones: EfficientNet-Lite and others whose features have the strides that the heads stand on."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import timm
import torch
from torch import nn
from torch.nn import functional

from irn.errors import IrnError
from irn.networks.backbones import STRIDES, Backbone

# How networks are asked for the stride of their output, which dilates a last stage that is not strided, or for any size of image.
WAYS: tuple[dict[str, Any], ...] = (
    {"output_stride": None},
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"features_only": True, "output_stride": None},
)
PROBE = 64  # pixels a side of the image that finds a network's levels


class TimmNetwork(Backbone):
    """A network of timm. Its kernels are dilated where its last stage would be strided, so that they see what they learned on.

    Levels at other strides than the five are brought there: finer ones by the mean, coarser ones bilinearly. A vision
    transformer gives the outcome of a quarter, a half, three quarters and all of its blocks.
    """

    prefix = "network."
    foreign = ("classifier.", "head.", "fc.", "fc_norm.", "conv_head.", "bn2.", "norm_head.", "head_dist.")

    def __init__(self, name: str, last_stride: int = 16) -> None:
        network = _network(name, last_stride)
        config = getattr(network, "default_cfg", None) or network.pretrained_cfg
        super().__init__(name, last_stride, config["mean"], config["std"])
        self.network = network
        self.eval()
        try:
            levels = self._features(torch.zeros(1, 3, PROBE, PROBE))
        except (AssertionError, RuntimeError):  # it takes images of one size alone
            raise _unfit(name) from None
        self.chosen = _chosen(name, [PROBE // level.shape[-1] for level in levels], last_stride)
        self.channels = tuple(levels[index].shape[1] for index in self.chosen)
        # What has a gradient from the level at stride 8 is behind it.
        levels[self.chosen[2]].sum().backward()
        self._early = [key for key, parameter in self.named_parameters() if parameter.grad is not None]
        self.zero_grad(set_to_none=True)
        self.train()

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = self._features(x)
        height, width = x.shape[-2:]
        sizes = [(-(-height // stride), -(-width // stride)) for stride in (*STRIDES, self.last_stride)]
        return [_resampled(features[index], size) for index, size in zip(self.chosen, sizes, strict=True)]

    def early_parameters(self) -> Iterator[nn.Parameter]:
        early = set(self._early)
        return (parameter for name, parameter in self.named_parameters() if name in early)

    def _features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """All that the network gives, the last after its head's convolution where it has one."""
        if not hasattr(self.network, "forward_intermediates"):
            return self.network(x)
        last, features = self.network.forward_intermediates(x, output_fmt="NCHW")
        if last.ndim == 4 and last.shape[-2:] == features[-1].shape[-2:]:
            features[-1] = last
        return features


def _network(name: str, last_stride: int) -> Any:
    known = timm.list_models()
    if name not in known:
        near = [longer for longer in known if longer.startswith(name)][:3] or difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists all"
        raise IrnError(
            f"backbone {name!r} is neither a torchvision ResNet nor a network of timm {timm.__version__}; {hint}"
        )
    for way in WAYS:
        told = {key: last_stride if key == "output_stride" else given for key, given in way.items()}
        try:
            return timm.create_model(
                name, pretrained=False, **({} if "features_only" in way else {"num_classes": 0}), **told
            )
        except (TypeError, RuntimeError, AttributeError, NotImplementedError, AssertionError):
            continue
    raise _unfit(name)


def _unfit(name: str) -> IrnError:
    return IrnError(
        f"backbone {name!r} cannot give features at stride 16; take another one, such as resnet50 or tf_efficientnet_lite0"
    )


def _chosen(name: str, strides: Sequence[int], last_stride: int) -> list[int]:
    """Which of a network's features are the five levels, given the stride of each."""
    if set(strides) == {16} and len(strides) >= 4:
        quarter, half, most = (len(strides) * part // 4 - 1 for part in (1, 2, 3))
        return [quarter, quarter, half, most, len(strides) - 1]
    late = [index for index, stride in enumerate(strides[:-1]) if stride == 16]
    if sorted(strides) != list(strides) or not {4, 8} <= set(strides) or not late or strides[-1] != last_stride:
        given = ", ".join(map(str, strides))
        raise IrnError(
            f"backbone {name!r} gives features at strides {given}; expected 4, 8, 16 and {last_stride} among them"
        )
    second = strides.index(4)
    return [max(0, second - 1), second, strides.index(8), late[-1], len(strides) - 1]


def _resampled(level: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if level.shape[-2:] == size:
        return level
    if level.shape[-1] > size[-1]:
        return functional.adaptive_avg_pool2d(level, size)
    return functional.interpolate(level, size, mode="bilinear", align_corners=False)
