"""Networks at the end as ONNX files, which other programs run without torch."""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import paste_masks_in_image

from irn.errors import IrnError
from irn.io.files import whole_file
from irn.networks.deeplab import DeepLab
from irn.networks.mask_rcnn import MaskRcnn
from irn.weights.files import Contents, load_deeplab, load_mask_rcnn

OPSET = 18
PADDED = 32  # torchvision pads images to multiples of so many pixels
EXAMPLE = (160, 192)  # pixels of the image that a network is traced with


def write_onnx(weights: Path, read: Contents, out: Path) -> None:
    """Write Mask R-CNN or DeepLab of a weights file as ONNX, with the names of its classes as JSON in its metadata, `class_names`.

    `read` is what the file holds. The network's input `image` is (height, width, 3) uint8, of any size. Mask R-CNN gives `boxes`
    (N, 4) x0, y0, x1, y1 in pixels, `labels` (N,) 1 + class index, `scores` (N,) and `masks` (N, 1, height, width) in [0, 1]; DeepLab
    `probability` (1 + classes, height, width), background first.

    Raises IrnError for weights of another kind.
    """
    import onnx  # late, since only the extra `onnx` brings it

    network, names, outputs = _network(weights, read)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (*EXAMPLE, 3)).astype(np.uint8))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torchvision's detection has been written for the exporter that traces; torch warns of that exporter and while it traces.
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network, (pixels,), path, dynamo=False, opset_version=OPSET, input_names=["image"], output_names=list(outputs),
            dynamic_axes={"image": {0: "height", 1: "width"}, **outputs},
        )  # fmt: skip
        model = onnx.load(path)
    onnx.helper.set_model_props(model, {"class_names": json.dumps(names)})
    with whole_file(out) as partial:
        partial.write_bytes(model.SerializeToString())


def _network(weights: Path, read: Contents) -> tuple[nn.Module, list[str], dict[str, dict[int, str]]]:
    """The network as it is exported, the names of its classes, and its outputs with the axes that vary."""
    kind = read.get("kind")
    if kind == "mask_rcnn":
        rcnn, contents = load_mask_rcnn(weights, read)
        axes = {name: {0: "instances"} for name in ("boxes", "labels", "scores", "masks")}
        axes["masks"] |= {2: "height", 3: "width"}
        return _Instances(rcnn).eval(), contents["class_names"], axes
    if kind == "deeplab":
        deeplab, contents = load_deeplab(weights, read)
        return _Probability(deeplab).eval(), contents["class_names"], {"probability": {1: "height", 2: "width"}}
    raise IrnError(f"--onnx: {weights} is of kind {kind}; expected weights of mask_rcnn or deeplab")


class _Exported(nn.Module):
    """A network that takes pixels."""

    def __init__(self, model: MaskRcnn | DeepLab) -> None:
        super().__init__()
        self.model: Any = model

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """As `Backbone.normalise`, whose `movedim` the exporter does not know."""
        backbone = self.model.backbone
        return ((pixels.float() / 255 - backbone.mean) / backbone.std).permute(2, 0, 1)


class _Instances(_Exported):
    """Mask R-CNN around a resizing of its own: in torchvision's ONNX rounds some sizes otherwise than torch does."""

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        network = self.model.network
        size = torch._shape_as_tensor(pixels)[:2]
        height, width = torch.div(size * network.transform.max_size, size.max(), rounding_mode="floor")
        image = self.normalised(pixels)[None]
        image = functional.interpolate(image, size=(height, width), mode="bilinear", align_corners=False)
        image = functional.pad(image, (0, -width % PADDED, 0, -height % PADDED))
        images = ImageList(image, [(height, width)])
        features = network.backbone(image)
        proposals, _ = network.rpn(images, features)
        found = network.roi_heads(features, proposals, images.image_sizes)[0][0]
        ratio = (size.float() / torch.stack([height, width]).float()).flip(0).repeat(2)
        boxes = found["boxes"] * ratio
        sides: Any = (size[0], size[1])
        return boxes, found["labels"], found["scores"], paste_masks_in_image(found["masks"], boxes, sides)


class _Probability(_Exported):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model(self.normalised(pixels)[None]).softmax(1)[0]
