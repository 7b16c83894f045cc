"""A trained network that segments new images, whichever it is."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from irn.errors import IrnError
from irn.inference.finding import finding_of, load_final_network
from irn.inference.pixels import pixels_of
from irn.inference.predictions import Prediction
from irn.io.tensors import Contents
from irn.networks.folding import for_inference
from irn.networks.precision import autocast
from irn.ops.resize import bounded, rescale
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.settings import Settings, value
from irn.weights.onnx_export import Exported

NAMES = tuple(network.name for network in FINAL_NETWORKS)  # kinds of weights files
SHOWN = 0.5  # the least score of an instance that is drawn, where none is given


class Predictor:
    """A trained network on a device; call it with an image.

    `names` are those of its classes; `guesses` says whether a classifier guesses which classes an image has.
    """

    def __init__(
        self,
        names: list[str],
        find: Callable[[np.ndarray], Prediction],
        guesses: bool,
        device: torch.device,
        settings: Settings,
    ) -> None:
        self.names, self.guesses = names, guesses
        self._find, self._device, self._settings = find, device, settings

    def __call__(self, image: str | Path | np.ndarray) -> Prediction:
        """What it finds in an image file, or in (H, W, 3) uint8 pixels.

        The image is worked on in the size that `dataset.max_side` allows. Raises IrnError as `pixels_of`.
        """
        pixels = pixels_of(image, self._settings)
        small = bounded(pixels, self._settings.dataset.max_side)
        with torch.inference_mode(), autocast(self._device, self._settings.precision):
            return _enlarged(self._find(small), *pixels.shape[:2])


def _enlarged(prediction: Prediction, height: int, width: int) -> Prediction:
    """A prediction in the working size of an image, enlarged to the size of the image."""
    if prediction.semantic.shape == (height, width):
        return prediction
    semantic = rescale(prediction.semantic.astype(np.uint8), height, width, nearest=True)
    return prediction._replace(crops=prediction.crops.enlarged(height, width), semantic=semantic)


def exported_network(path: Path, contents: Contents) -> tuple[Exported, list[str]]:
    """The final network of a weights file for ONNX, and the names of its classes.

    Raises IrnError for weights of another kind.
    """
    name = contents.get("kind")
    if name not in NAMES:
        raise IrnError(f"--onnx: {path} is of kind {name}; expected weights of {' or '.join(NAMES)}")
    network, _ = load_final_network(path, name, contents)
    return finding_of(name).exported(network), contents["class_names"]


def open_predictor(
    read: Mapping[Path, Contents], settings: Settings, device: torch.device, shown: float = SHOWN
) -> Predictor:
    """The network of some weights files: of a final network, of a classifier, or of a classifier and IRNet, to which
    that of a cell classifier may come.

    read: what each file holds. shown: the least score of the instances that a semantic map of instances shows.
    Raises IrnError for files of other kinds.
    """
    files = {str(contents.get("kind")): (path, contents) for path, contents in read.items()}
    if len(read) == len(files) == 1 and set(files) <= set(NAMES):
        ((name, (path, contents)),) = files.items()
        network, _ = load_final_network(path, name, contents)
        for_inference(network, device)
        find = partial(finding_of(name).find, network, section=value(settings, name), shown=shown)
        return Predictor(contents["class_names"], find, False, device, settings)
    if len(read) == len(files) and set(files) in ({"cam"}, {"cam", "irn"}, {"cam", "irn", "cell_classifier"}):
        # By name, so that the keys of final networks do not hold the code of the method.
        method = import_module("irn.inference.guessed")
        cell_classifier, _ = files.get("cell_classifier", (None, None))
        names, find = method.open_method(files["cam"], files.get("irn"), settings, device, cell_classifier)
        return Predictor(names, find, True, device, settings)
    kinds = " and ".join(str(contents.get("kind")) for contents in read.values())
    expected = ", ".join(NAMES)
    raise IrnError(
        f"--weights: {kinds}; expected one file of {expected} or cam, or cam and irn together, with cell_classifier"
        " where class maps are refined by one"
    )
