"""Reading images."""

from pathlib import Path

import numpy as np
from PIL import Image

from irn.errors import IrnError


def read_image(path: Path, height: int | None = None, width: int | None = None) -> np.ndarray:
    """Read an RGB image.

    Parameters
    ----------
    path: an image file of any kind that Pillow reads.
    height, width: pixels that the manifest names; checked when given.

    Returns
    -------
    (height, width, 3) uint8, RGB.

    Raises
    ------
    IrnError for a file that is missing, no image, of another size than given, or of a mode other than RGB: converting
    grey, palette or alpha pictures is a choice about the data that belongs to its owner.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode != "RGB":
                raise IrnError(
                    f"{path}: image mode is {picture.mode}, expected RGB; convert it first, for example with Pillow's convert('RGB')"
                )
            pixels = np.array(picture)
    except FileNotFoundError:
        raise IrnError(f"{path}: no such image; fix the path in the manifest or build the manifest again") from None
    # Pillow says SyntaxError of a PNG that is damaged in the middle.
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file or take it out of the manifest") from None
    if height is not None and pixels.shape[:2] != (height, width):
        raise IrnError(
            f"{path}: {pixels.shape[0]} x {pixels.shape[1]} pixels, but the manifest says {height} x {width}; build the manifest again"
        )
    return pixels
