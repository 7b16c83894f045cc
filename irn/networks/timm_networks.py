"""Networks of timm as backbones: EfficientNet-Lite and others whose feature maps have the strides that heads need."""

from collections.abc import Iterator, Sequence
from typing import Any

import timm
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.nn import functional

from irn.errors import IrnError, did_you_mean_network
from irn.networks.base import STRIDES, Backbone

LONGEST_REASON = 100  # characters
PROBE = 64  # pixels a side of the image that finds a network's levels


class TimmNetwork(Backbone):
    """A network of timm. Where its last stage would be strided, kernels are dilated, and see what they learned on.

    Feature maps at other strides than those of the five levels are brought there: finer ones by the mean, coarser ones
    bilinearly. A vision transformer gives the outputs after a quarter, a half, three quarters and all of its blocks.

    The padding of TensorFlow's networks lies on one side where a size is even, and on both where it is odd: their
    features would be moved against the image by another part of a stride at each size. So they see images that are
    padded to whole strides, below and to the right.
    """

    prefix = "network."
    foreign = ("classifier.", "head.", "fc.", "fc_norm.", "conv_head.", "bn2.", "norm_head.", "head_dist.")

    def __init__(self, name: str, last_stride: int = 16) -> None:
        network = _network(name, last_stride)
        config = getattr(network, "default_cfg", None) or network.pretrained_cfg
        super().__init__(name, last_stride, config["mean"], config["std"])
        self.network = network
        self.is_padded = any(isinstance(module, Conv2dSame) for module in network.modules())
        self.eval()
        try:
            levels = self._features(torch.zeros(1, 3, PROBE, PROBE))
        except (AssertionError, RuntimeError) as error:  # it takes images of one size alone
            raise _unfit(name, error) from None
        strides = [PROBE // level.shape[-1] for level in levels]
        self.places = _places_of_levels(name, strides, last_stride)
        self.channels = tuple(levels[place].shape[1] for place in self.places)
        self.strides = tuple(strides[place] for place in self.places)
        # Early parameters are those that have a gradient from the level at stride 8.
        levels[self.places[2]].sum().backward()
        self._early = [key for key, parameter in self.named_parameters() if parameter.grad is not None]
        self.zero_grad(set_to_none=True)
        self.train()

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        height, width = x.shape[-2:]
        if self.is_padded:
            whole = [self.last_stride * _cells(side, self.last_stride) for side in (height, width)]
            x = functional.pad(x, (0, whole[1] - width, 0, whole[0] - height))
        features = self._features(x)
        levels = []
        for place, stride, wanted in zip(self.places, self.strides, (*STRIDES, self.last_stride), strict=True):
            level = features[place][..., : _cells(height, stride), : _cells(width, stride)]
            levels.append(_resampled(level, (_cells(height, wanted), _cells(width, wanted))))
        return levels

    def early_parameters(self) -> Iterator[nn.Parameter]:
        early = set(self._early)
        return (parameter for name, parameter in self.named_parameters() if name in early)

    def _features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """All feature maps of the network, the last after its head's convolution where it has one."""
        if not hasattr(self.network, "forward_intermediates"):
            return self.network(x)
        last, features = self.network.forward_intermediates(x, output_fmt="NCHW")
        if last.ndim == 4 and last.shape[-2:] == features[-1].shape[-2:]:
            features[-1] = last
        return features


def _network(name: str, last_stride: int) -> Any:
    known = timm.list_models()
    if name not in known:
        raise IrnError(
            f"backbone {name!r} is neither a torchvision ResNet nor a network of timm {timm.__version__};"
            f" {did_you_mean_network(name, known)}"
        )
    # An output stride dilates a last stage that is not strided; vision transformers are asked for any size of image.
    ways: tuple[dict[str, Any], ...] = (
        {"num_classes": 0, "output_stride": last_stride},
        {"num_classes": 0, "dynamic_img_size": True, "dynamic_img_pad": True},
        {"features_only": True, "output_stride": last_stride},
    )
    for way in ways:
        try:
            return timm.create_model(name, pretrained=False, **way)
        # What timm raises for options that a network does not have.
        except (TypeError, RuntimeError, AttributeError, NotImplementedError, AssertionError) as error:
            cause = error
    raise _unfit(name, cause) from None


def _unfit(name: str, cause: Exception) -> IrnError:
    reason = " ".join(str(cause).split())[:LONGEST_REASON] or type(cause).__name__
    return IrnError(
        f"backbone {name!r} cannot give features at stride 16 ({reason}); take another one, such as resnet50 or"
        " tf_efficientnet_lite0"
    )


def _places_of_levels(name: str, strides: Sequence[int], last_stride: int) -> list[int]:
    """Which of a network's feature maps are the five levels, from the stride of each."""
    if set(strides) == {16} and len(strides) >= 4:
        quarter, half, most = (len(strides) * part // 4 - 1 for part in (1, 2, 3))
        return [quarter, quarter, half, most, len(strides) - 1]
    late = [index for index, stride in enumerate(strides[:-1]) if stride == 16]
    if sorted(strides) != list(strides) or not {4, 8} <= set(strides) or not late or strides[-1] != last_stride:
        raise IrnError(
            f"backbone {name!r} gives features at strides {', '.join(map(str, strides))};"
            f" expected 4, 8, 16 and {last_stride} among them"
        )
    second = strides.index(4)
    return [max(0, second - 1), second, strides.index(8), late[-1], len(strides) - 1]


def _cells(pixels: int, stride: int) -> int:
    return (pixels + stride - 1) // stride  # of whole numbers above 0 alone, as ONNX divides towards 0


def _resampled(level: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if level.shape[-2:] == size:
        return level
    if level.shape[-1] > size[-1]:
        return functional.adaptive_avg_pool2d(level, size)
    return functional.interpolate(level, size, mode="bilinear", align_corners=False)
