"""The random walk of one image, from its class attention maps and its fields."""

from collections.abc import Mapping

import numpy as np

from irn.grid import cells, working_size
from irn.ops.resize import field_of_size, resized
from irn.ops.walk import walk_instances
from irn.settings.settings import Settings


def walk_of(
    maps: Mapping[str, np.ndarray], field: Mapping[str, np.ndarray], height: int, width: int, settings: Settings
) -> dict[str, np.ndarray]:
    """Walk the class maps of an image of `height` x `width` pixels over its instances, in the working size.

    maps: `classes` (K,) and `cam` (K, h, w) float32 in [0, 1]. field: `boundary` (h, w) float32 in [0, 1] and
    `displacement` (2, h, w) float32 in cells. Returns the arrays of a walk cache (`walk_instances`) in the cells of the
    working size; `walk_of_size` brings them to those of the image.
    """
    h, w = map(cells, working_size(height, width, settings.dataset.max_side))
    small = {"classes": maps["classes"], "cam": resized(maps["cam"], h, w)}
    return walk_instances(small, field_of_size(field, h, w), settings.walk)
