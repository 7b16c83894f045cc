"""A trained network that segments new images, whichever it is."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from irn.errors import IrnError
from irn.inference.image import Networks, pixels_of
from irn.inference.predictions import Prediction, attended, instances, segments, walked
from irn.io.devices import autocast
from irn.networks.inference import for_inference
from irn.ops.resize import bounded, rescale
from irn.settings.values import Settings, value
from irn.weights.files import Contents, load_classifier, load_deeplab, load_irnet, load_mask_rcnn

SHOWN = 0.5  # the least score of an instance that is drawn, where none is given


class Predictor:
    """A trained network on a device: `names` of its classes; `guesses`, whether a classifier guesses which an image has; call it."""

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
        """What it finds in an image file, or in (H, W, 3) uint8 pixels, in the image's size.

        The image is worked on in the size that `dataset.max_side` allows. Raises IrnError as `pixels_of`.
        """
        pixels = pixels_of(image, self._settings)
        small = bounded(pixels, self._settings.dataset.max_side)
        with torch.inference_mode(), autocast(self._device, self._settings.precision):
            return _enlarged(self._find(small), *pixels.shape[:2])


def _enlarged(found: Prediction, height: int, width: int) -> Prediction:
    """What was found in the working size of an image, in its own."""
    if found.semantic.shape == (height, width):
        return found
    masks = [rescale(mask.astype(np.uint8), height, width, nearest=True) for mask in found.masks]
    semantic = rescale(found.semantic.astype(np.uint8), height, width, nearest=True)
    return found._replace(masks=np.array(masks, bool).reshape(-1, height, width), semantic=semantic)


def open_predictor(
    read: Mapping[Path, Contents], settings: Settings, device: torch.device, shown: float = SHOWN
) -> Predictor:
    """The network of some weights files: Mask R-CNN's, DeepLab's, a classifier's, or those of a classifier and of IRNet.

    read: what each file holds. shown: the least score of the instances that are in Mask R-CNN's semantic map.
    Raises IrnError for files of other kinds.
    """
    kinds = {str(contents.get("kind")): path for path, contents in read.items()}
    cam, irn, other = kinds.get("cam"), kinds.get("irn"), next(iter(kinds.values()))
    find: Callable[[np.ndarray], Prediction]
    if set(kinds) == {"mask_rcnn"} and len(read) == 1:
        rcnn, contents = load_mask_rcnn(other, read[other])
        for_inference(rcnn, device)
        names, find = (
            contents["class_names"],
            lambda pixels: instances(rcnn, torch.from_numpy(pixels).to(device), shown),
        )
    elif set(kinds) == {"deeplab"} and len(read) == 1:
        deeplab, contents = load_deeplab(other, read[other])
        for_inference(deeplab, device)
        names, find = (
            contents["class_names"],
            lambda pixels: segments(deeplab, pixels, value(settings, "deeplab").scales, device),
        )
    elif cam and len(read) == len(kinds) and set(kinds) <= {"cam", "irn"}:
        classifier, contents = load_classifier(cam, read[cam])
        for_inference(classifier, device)
        names = contents["class_names"] or [f"class {index}" for index in range(len(classifier.classifier.weight))]
        find = lambda pixels: attended(classifier, pixels, settings)  # noqa: E731
        if irn:
            irnet, about = load_irnet(irn, read[irn])
            for_inference(irnet, device)
            networks = Networks(classifier, irnet, about["crop_size"], about["mean_displacement"])
            find = lambda pixels: walked(networks, pixels, settings)  # noqa: E731
    else:
        given = " and ".join(str(contents.get("kind")) for contents in read.values())
        raise IrnError(f"--weights: {given}; expected one file of mask_rcnn, deeplab or cam, or cam and irn together")
    return Predictor(names, find, cam is not None, device, settings)
