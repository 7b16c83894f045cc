"""How the final networks segment images, each in a module of this package with its name."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from irn.inference.predictions import Prediction
from irn.io.tensors import Contents
from irn.networks.base import FineTuned
from irn.weights.files import load_network
from irn.weights.onnx_export import Exported


class Finding(Protocol):
    """What the module of a final network offers.

    network_of: the network that the contents of a weights file describe.
    find: what it finds in pixels (H, W, 3) uint8, in evaluation mode; `section` are the network's settings, `shown` is
        the least score of an instance that the semantic map shows.
    exported: how it goes into an ONNX file.
    """

    def network_of(self, contents: Contents) -> FineTuned: ...

    def find(self, network: Any, pixels: np.ndarray, section: Any, shown: float) -> Prediction: ...

    def exported(self, network: Any) -> Exported: ...


def finding_of(name: str) -> Finding:
    """The module of the final network of a name."""
    return cast(Finding, import_module(f"irn.inference.{name}"))


def load_final_network(path: Path, name: str, contents: Contents | None = None) -> tuple[FineTuned, Contents]:
    """A final network of a name from its weights file, as `load_network` gives it."""
    return load_network(path, name, finding_of(name).network_of, contents)
