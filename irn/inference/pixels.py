"""The pixels of an image that somebody gives."""

from pathlib import Path

import numpy as np

from irn.data.images import read_image
from irn.errors import IrnError
from irn.settings.settings import Settings


def pixels_of(image: str | Path | np.ndarray, settings: Settings) -> np.ndarray:
    """(H, W, 3) uint8 pixels of an image file, or those given.

    Raises IrnError for a file that is not an image, and for an array of another shape or number type.
    """
    if not isinstance(image, np.ndarray):
        return read_image(Path(image), colours=settings.dataset.colours())
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise IrnError(f"image: {image.dtype} of shape {image.shape}; expected uint8 of shape (height, width, 3), RGB")
    # torch takes neither reversed channels, as OpenCV's users write them, nor what must not be written to.
    return np.require(image, requirements=("C", "W"))
