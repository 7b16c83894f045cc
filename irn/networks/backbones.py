"""Which backbones there are, by name."""

from irn.networks.base import Backbone

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")


def make_backbone(name: str, last_stride: int = 16) -> Backbone:
    """A backbone with random weights: a ResNet of torchvision, or any network of timm with five levels of features.

    last_stride: 16, or 32 as it was published, for a pyramid.

    Raises IrnError for a name that timm does not know, and for a network without such levels.
    """
    # Each takes a second to import.
    if name in RESNETS:
        from irn.networks.resnets import ResNet

        return ResNet(name, last_stride)
    from irn.networks.timm_networks import TimmNetwork

    return TimmNetwork(name, last_stride)
