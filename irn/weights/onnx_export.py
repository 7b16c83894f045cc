"""Networks as ONNX files, which other programs run without torch."""

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.onnx import OnnxExporterError

from irn.errors import IrnError
from irn.io.files import whole_file

OPSET = 18
EXAMPLE = (160, 192)  # pixels of the image that a network is traced with


class TakesPixels(nn.Module):
    """A network on a backbone, given pixels (height, width, 3) uint8 of any size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """As `Backbone.normalise`, whose `movedim` the exporter does not know."""
        backbone = self.network.backbone
        return ((pixels.float() / 255 - backbone.mean) / backbone.std).permute(2, 0, 1)


class Exported(NamedTuple):
    """A network as it is exported, and its outputs by name, each with the axes that vary."""

    network: TakesPixels
    outputs: dict[str, dict[int, str]]


def write_onnx(out: Path, exported: Exported, class_names: Sequence[str]) -> None:
    """Write a network as ONNX: its input is `image` (height, width, 3) uint8; metadata `class_names` is a JSON list.

    Raises IrnError for one with a part that ONNX does not have.
    """
    import onnx  # late, since only the extra `onnx` brings it

    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (*EXAMPLE, 3)).astype(np.uint8))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torchvision's detection was written for the exporter that traces; torch warns of it and while it traces.
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        try:
            torch.onnx.export(
                exported.network.eval(),
                (pixels,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["image"],
                output_names=list(exported.outputs),
                dynamic_axes={"image": {0: "height", 1: "width"}, **exported.outputs},
            )
        except OnnxExporterError as error:
            reason = str(error).splitlines()[0]
            raise IrnError(
                f"--onnx: torch cannot write this network as ONNX ({reason}); take another backbone"
            ) from None
        model = onnx.load(path)
    onnx.helper.set_model_props(model, {"class_names": json.dumps(list(class_names))})
    with whole_file(out) as partial:
        partial.write_bytes(model.SerializeToString())
