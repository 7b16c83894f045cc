"""Reading images."""

from pathlib import Path

import numpy as np
from PIL import Image

from irn.errors import IrnError

# What a message says of a picture that `is_colour` refuses.
EXPECTED = "expected 8-bit RGB, grey or palette, no pixel transparent; convert the file first, for example with Pillow's convert('RGB')"


def is_colour(picture: Image.Image) -> bool:
    """Whether a picture is RGB or turns into it without a choice: grey or palette, and an alpha channel that is opaque everywhere.

    What lies behind transparent pixels, and how printing colours or 16 bits become RGB, is for the data's owner to decide.
    """
    if picture.mode not in ("L", "P", "LA", "PA", "RGBA"):
        return picture.mode == "RGB"
    return not picture.has_transparency_data or picture.convert("RGBA").getchannel("A").getextrema()[0] == 255


def read_image(path: Path, height: int | None = None, width: int | None = None) -> np.ndarray:
    """Read an image as RGB.

    Parameters
    ----------
    path: an image file of any kind that Pillow reads.
    height, width: pixels that the manifest names; checked when given.

    Returns
    -------
    (height, width, 3) uint8, RGB.

    Raises
    ------
    IrnError for a file that is missing, no image, of another size than given, or that `is_colour` refuses.
    """
    try:
        with Image.open(path) as picture:
            if not is_colour(picture):
                raise IrnError(f"{path}: image mode is {picture.mode}, {EXPECTED}")
            pixels = np.array(picture.convert("RGB"))
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
