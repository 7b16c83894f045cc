"""COCO's run lengths of masks: pixels outside and inside in turn, down the columns."""

from typing import Any

import numpy as np


def run_lengths(mask: np.ndarray, top: int = 0, left: int = 0, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Compressed run lengths of a mask (H, W) bool, as pycocotools has them: `size`, and `counts` as bytes.

    top, left, size: where the mask lies in an image of that size (height, width), if it is only a part of it.
    """
    from pycocotools import mask as drawing

    height, width = size or mask.shape
    columns = np.zeros((mask.shape[1], height), bool)
    columns[:, top : top + mask.shape[0]] = mask.T
    changes = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False)) + left * height
    lengths = np.diff(changes, prepend=0, append=height * width).tolist()
    return drawing.frPyObjects({"size": [height, width], "counts": lengths}, height, width)
