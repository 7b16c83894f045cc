"""The whole method on one image: class attention maps, fields, random walk and labels, one after the other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from irn.grid import cells
from irn.inference.cams import class_attention_maps, scaled_images
from irn.inference.fields import fields
from irn.inference.labels import labels_of
from irn.inference.refine import Refiner, looked_at, refined
from irn.inference.walk import walk_of
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.ops.resize import bounded, walk_of_size
from irn.settings.settings import Settings


class Networks(NamedTuple):
    """The trained networks of the method, in evaluation mode and on one device.

    crop_size, mean_displacement: as in `fields`. refiner: where class maps are refined.
    """

    classifier: Classifier
    irnet: IRNet
    crop_size: int
    mean_displacement: tuple[float, float]
    refiner: Refiner | None = None


def label_pixels(
    networks: Networks, pixels: np.ndarray, classes: Sequence[int], settings: Settings
) -> dict[str, np.ndarray]:
    """Label an image (H, W, 3) uint8 from the indices of the K classes that are in it.

    Returns the arrays of its CAM, field and label caches, and `groups` (h, w), the instance of each cell.
    """
    height, width = pixels.shape[:2]
    small = bounded(pixels, settings.dataset.max_side)
    maps = class_attention_maps(networks.classifier, scaled_images(small, settings), classes, height, width)
    if networks.refiner is not None:
        maps = refined(networks.refiner, looked_at(small, settings), maps, height, width, settings)
    field = fields(networks.irnet, small, height, width, networks.crop_size, networks.mean_displacement)
    return {**maps, **field, **label_maps(maps, field, height, width, settings)}


def label_maps(
    maps: Mapping[str, np.ndarray], field: Mapping[str, np.ndarray], height: int, width: int, settings: Settings
) -> dict[str, np.ndarray]:
    """Label an image of `height` x `width` pixels from its maps and its field, as in `walk_of`.

    Returns the arrays of its label cache, and `groups` (h, w), the instance of each cell.
    """
    walks = walk_of_size(walk_of(maps, field, height, width, settings), cells(height), cells(width))
    return {**labels_of(walks, height, width, settings), "groups": walks["groups"]}
