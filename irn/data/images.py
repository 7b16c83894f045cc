"""Reading images."""

import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from irn.errors import IrnError
from irn.records import ImageRecord

ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
Range = tuple[float, float]
# Pillow refuses more than twice its limit: a small file can unpack to more than there is memory.
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)

_EIGHT_BITS = "expected 8-bit RGB, grey or palette, no pixel transparent"
_FLATTEN = "lay it over the background that it is meant for and save it as RGB"
_ONE_RANGE = (
    "say by dataset.value_range (--value-range) from which to which value to read it, such as 0 65535, or scale all"
    " images"
    " by one range, 255 * (values - low) / (high - low), and save them as 8 bits (Pillow's convert would clip)"
)
_CONVERT = "convert the file to RGB first, for example with Pillow's convert('RGB')"


class Look(NamedTuple):
    """What an image is.

    height, width: pixels, as shown. mode: Pillow's. turned: whether EXIF turns it. frames: how many pictures the file
        holds.
    deep: whether colours have 16 bits. beyond: whether values lie beyond the range that is given. digest: of the
        pixels.
    """

    height: int
    width: int
    mode: str
    turned: bool
    frames: int
    deep: bool
    beyond: bool
    digest: str


def is_colour(picture: Image.Image) -> bool:
    """Whether a picture is RGB or becomes RGB without a choice: grey, palette, or an alpha channel opaque everywhere.

    What lies behind transparent pixels, and how printing colours or 16 bits become RGB, is for the data's owner to
    decide.
    """
    if picture.mode not in ("L", "P", "LA", "PA", "RGBA"):
        return picture.mode == "RGB"
    return not picture.has_transparency_data or picture.convert("RGBA").getchannel("A").getextrema()[0] == 255


def read_image(
    path: Path, height: int | None = None, width: int | None = None, value_range: Range | None = None
) -> np.ndarray:
    """Read an image as RGB, turned as its EXIF orientation says.

    Parameters
    ----------
    path: an image file of any kind that Pillow reads; of several pictures in it, the first.
    height, width: pixels that the manifest names; checked when given.
    value_range: of one channel of 16 bits or more or of floats, the values that become 0 and 255, as do those beyond.

    Returns
    -------
    (height, width, 3) uint8, RGB.

    Raises
    ------
    IrnError for a file that is missing, unreadable, of another size than given, of more than `MAX_PIXELS`, or that
    `is_colour` refuses.
    """
    pixels, _ = _decode(path, value_range)
    if height is not None and pixels.shape[:2] != (height, width):
        raise IrnError(
            f"{path}: {pixels.shape[0]} x {pixels.shape[1]} pixels, but the manifest says {height} x {width}; build the"
            " manifest again"
        )
    return pixels


def read_record(record: ImageRecord) -> np.ndarray:
    """Read an image of a manifest, as `read_image` does."""
    return read_image(record.path, record.height, record.width, record.value_range)


def look(path: Path, value_range: Range | None = None) -> Look | IrnError:
    """Read an image in full and say what it is, or what `read_image` raises."""
    try:
        return _decode(path, value_range)[1]
    except IrnError as error:
        return error


def _decode(path: Path, value_range: Range | None) -> tuple[np.ndarray, Look]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images and odd metadata, which change no pixel
            with Image.open(path) as picture:
                # Pillow keeps the upper eight bits of PNGs with sixteen for each colour.
                deep = any(";16" in str(part[-1]) for part in picture.tile)
                mode, frames = picture.mode, getattr(picture, "n_frames", 1)
                if not (is_colour(picture) or (mode.startswith(("I", "F")) and value_range is not None)):
                    raise IrnError(f"{path}: image mode is {mode}, {_EIGHT_BITS}; {_advice(mode)}")
                turned = picture.getexif().get(ORIENTATION, 1) not in (0, 1)
                upright = ImageOps.exif_transpose(picture)
                if mode.startswith(("I", "F")) and value_range is not None:
                    pixels, beyond = _in_range(path, np.array(upright), value_range)
                else:
                    pixels, beyond = np.array(upright.convert("RGB")), False
    except FileNotFoundError:
        raise IrnError(f"{path}: no such image; fix the path in the manifest or build the manifest again") from None
    # Pillow raises SyntaxError for a PNG that is damaged in the middle, and other errors for other damages.
    except Image.DecompressionBombError:
        raise IrnError(
            f"{path}: an image of more than {MAX_PIXELS} pixels; make it smaller, or cut it into several"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError) as error:
        if isinstance(error, IrnError):
            raise
        reason = "the file is empty" if path.is_file() and not path.stat().st_size else " ".join(str(error).split())
        raise IrnError(
            f"{path}: not a readable image ({reason}); replace the file or take it out of the data set"
        ) from None
    digest = hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()
    return pixels, Look(pixels.shape[0], pixels.shape[1], mode, turned, frames, deep, beyond, digest)


def _in_range(path: Path, values: np.ndarray, value_range: Range) -> tuple[np.ndarray, bool]:
    """(H, W) numbers to (H, W, 3) uint8, and whether some lie beyond the range."""
    if not np.isfinite(values).all():
        raise IrnError(
            f"{path}: holds numbers that are not finite; give them values, or take the image out of the data set"
        )
    low, high = value_range
    share = (values.astype(np.float64) - low) / (high - low)
    grey = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2), bool(share.min() < 0 or share.max() > 1)


def _advice(mode: str) -> str:
    if mode in ("LA", "PA", "RGBA", "La", "RGBa", "P", "L"):
        return _FLATTEN
    return _ONE_RANGE if mode.startswith(("I", "F")) else _CONVERT
