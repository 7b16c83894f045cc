"""Both networks of the method, loaded once, to label images whose classes are known."""

import operator
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from irn.errors import IrnError
from irn.inference.image import Networks, label_pixels
from irn.inference.pixels import pixels_of
from irn.inference.refine import open_refiner
from irn.networks.folding import for_inference
from irn.networks.precision import autocast
from irn.settings.settings import Settings
from irn.weights.files import load_classifier, load_irnet


class Labeller:
    """A classifier and IRNet on a device; call it with an image and the classes that are in it.

    `names` are those of the classifier's classes, None for imported weights, which know only how many.
    """

    def __init__(
        self,
        classifier: Path,
        irnet: Path,
        settings: Settings,
        device: torch.device,
        cell_classifier: Path | None = None,
    ) -> None:
        model, about_classifier = load_classifier(classifier)
        heads, about = load_irnet(irnet)
        for network in (model, heads):
            for_inference(network, device)
        self.names: list[str] | None = about_classifier["class_names"]
        refiner = open_refiner(
            settings, device, cell_classifier=cell_classifier, classifier=about_classifier, started=heads.backbone
        )
        self._networks = Networks(model, heads, about["crop_size"], about["mean_displacement"], refiner)
        self._settings, self._device, self._source = settings, device, classifier

    def __call__(self, image: str | Path | np.ndarray, classes: Sequence[int | str]) -> dict[str, np.ndarray]:
        """Label an image file, or (height, width, 3) uint8 pixels, as `irn.open_labeller` says."""
        indices = self._indices(classes)
        pixels = pixels_of(image, self._settings)
        with torch.inference_mode(), autocast(self._device, self._settings.precision):
            return label_pixels(self._networks, pixels, indices, self._settings)

    def _indices(self, classes: Sequence[int | str]) -> list[int]:
        """The index of each class, once each; IrnError for a class that the classifier does not know."""
        count = self._networks.classifier.classifier.out_channels
        known = {name: index for index, name in enumerate(self.names or [])}
        indices = [known.get(label, -1) if isinstance(label, str) else _whole(label) for label in classes]
        for label, index in zip(classes, indices, strict=True):
            if not 0 <= index < count:
                names = f"; {', '.join(known)}" if known else ""
                raise IrnError(f"classes: {label!r}, but {self._source} knows {count} classes, counted from 0{names}")
        return list(dict.fromkeys(indices))


def _whole(label: object) -> int:
    """A class index; -1 for what is none, such as a truth value."""
    return -1 if isinstance(label, bool | np.bool_) or not hasattr(label, "__index__") else operator.index(label)
