"""How the numbers in an image file become 8-bit sRGB."""

import sys
import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from irn.errors import IrnError
from irn.records import Range

ALIKE = 3  # of 255: a profile that changes no colour by more is sRGB's, but for rounding
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # modes of the colours that a profile is for
# As libtiff and the file give 16 bits: the order of their two bytes, and the other one, by which Pillow takes the low.
_OTHER_ORDER = {";16L": ";16B", ";16B": ";16L", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}


def is_number(mode: str) -> bool:
    """Whether a mode of Pillow holds numbers of 16 bits or more, or floats, for which a range has to be given."""
    return mode.startswith(("I", "F"))


def rawmode_of(picture: Any) -> str:
    """How the values of a picture that is not decoded yet lie in the file, in Pillow's words."""
    args = picture.tile[0].args if picture.tile else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def is_deep(mode: str, rawmode: str) -> bool:
    """Whether colours have 16 bits, of which Pillow keeps the upper eight."""
    return not is_number(mode) and ";16" in rawmode


def in_8_bits(
    path: Path, content: bytes, picture: Image.Image, rawmode: str, value_range: Range | None
) -> tuple[Image.Image, bool]:
    """A picture as RGB, L or CMYK, without its alpha, and whether values lay beyond the range.

    path: for messages. content: the file that it was opened from. rawmode: as `rawmode_of` said. value_range: of
    numbers and of 16 bits, the values that become 0 and 255, as do those beyond.

    Raises IrnError for numbers that are not finite.
    """
    if value_range is None:
        mode = {"P": "RGB", "PA": "RGB", "RGBA": "RGB", "LA": "L"}.get(picture.mode, picture.mode)
        return picture.convert(mode), False
    values = np.array(picture) if is_number(picture.mode) else _deep_values(content, picture, rawmode)
    if not np.isfinite(values).all():
        raise IrnError(
            f"{path}: holds numbers that are not finite; give them values, or take the image out of the data set"
        )
    beyond = bool(values.min() < value_range[0] or values.max() > value_range[1])
    if values.dtype == np.uint16:  # by a table, which takes less time and memory
        eight_bits = _scaled(np.arange(1 << 16), value_range)[values]
    else:
        eight_bits = _scaled(values, value_range)
    return Image.fromarray(eight_bits, "CMYK" if picture.mode == "CMYK" else None), beyond


def _scaled(values: np.ndarray, value_range: Range) -> np.ndarray:
    low, high = value_range
    share = (values.astype(np.float64) - low) / (high - low)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)


def _deep_values(content: bytes, picture: Image.Image, rawmode: str) -> np.ndarray:
    """(H, W) or (H, W, bands) uint16, without alpha, of a picture whose colours have 16 bits.

    Pillow decodes it twice: for the upper and for the lower eight bits.
    """
    if rawmode.startswith("LA"):
        return _grey_beside_alpha(content)
    order = rawmode[-4:]
    bands = rawmode[:-4].replace("a", "A")  # alpha is opaque here, so nothing was multiplied by it
    high, low = (_decoded(content, picture, rawmode, bands + end) for end in (order, _OTHER_ORDER[order]))
    values = high.astype(np.uint16) << 8 | low
    return values if picture.mode == "CMYK" else values[..., :3]


def _decoded(content: bytes, picture: Image.Image, old: str, new: str) -> np.ndarray:
    """(H, W, bands) uint8 of a file that is read in another way."""
    with Image.open(BytesIO(content), formats=[str(picture.format)]) as opened:
        other: Any = opened
        other.tile = [tile._replace(args=_replaced(tile.args, old, new)) for tile in other.tile]
        return np.array(other)


def _replaced(args: Any, old: str, new: str) -> Any:
    return new if isinstance(args, str) else tuple(new if part == old else part for part in args)


def _grey_beside_alpha(content: bytes) -> np.ndarray:
    """(H, W) uint16 of a PNG: its four bytes a pixel are read as if they were four bands of 8 bits."""
    header = bytearray(content[:33])
    header[24:26] = bytes([8, 6])  # the bits of a band; red, green, blue and alpha
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    with Image.open(BytesIO(bytes(header) + content[33:]), formats=["PNG"]) as picture:
        parts = np.array(picture).astype(np.uint16)
    return parts[..., 0] << 8 | parts[..., 1]


def to_srgb(picture: Image.Image, profile: bytes) -> tuple[Image.Image, bool]:
    """A picture as its ICC profile means it, and whether that changed it; a profile that cannot be read does nothing.

    picture: of mode RGB, L or CMYK. Returns it as it is, or as RGB.
    """
    space = _space(profile)
    if space is None or (space != picture.mode and (space, picture.mode) != ("RGB", "L")):
        return picture, False
    transform = _transform(profile, space)
    if transform is None:
        return picture, False
    converted = picture if picture.mode == space else picture.convert(space)
    return transform.apply(converted), True


def _space(profile: bytes) -> str | None:
    """The mode of the pictures that a profile is for."""
    return _SPACES.get(profile[16:20].decode("latin-1").strip())


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where it is sRGB, or cannot be read."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        colours = _all_over(mode)
        difference = np.array(transform.apply(colours)).astype(int) - np.array(colours.convert("RGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return transform if mode == "CMYK" or abs(difference).max() > ALIKE else None


def _all_over(mode: str) -> Image.Image:
    """A picture with colours from everywhere in a mode."""
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    if mode == "L":
        return Image.fromarray(steps[None])
    bands = np.stack(np.meshgrid(*[steps[:: 1 if mode == "RGB" else 5]] * len(mode)), -1)
    return Image.fromarray(bands.reshape(1, -1, len(mode)), mode)
