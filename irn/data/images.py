"""Reading images."""

import hashlib
import warnings
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from irn.data.colours import in_8_bits, is_deep, is_number, rawmode_of, to_srgb
from irn.data.containers import Bare, bare
from irn.data.file_kinds import READ, kind_of, other_kind_of
from irn.data.tiff import orientation_of
from irn.errors import IrnError
from irn.records import PLAIN, Colours, ImageRecord, Range

# Pillow refuses more than twice its limit: a small file can unpack to more than there is memory.
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EIGHT_BITS = "expected 8-bit RGB, grey or palette, no pixel transparent"
_FLATTEN = "lay it over the background that it is meant for and save it as RGB"
_ONE_RANGE = (
    "say by dataset.value_range (--value-range) from which to which value to read it, such as 0 65535, or scale all"
    " images by one range, 255 * (values - low) / (high - low), and save them as 8 bits (Pillow's convert would clip)"
)
_CONVERT = "convert the file to RGB first, for example with Pillow's convert('RGB')"
_BANDS = "expected 1 (grey) or 3 (red, green, blue); write the three to look at into a file of their own"


class How(NamedTuple):
    """How an image file was read.

    mode: Pillow's. turned: whether EXIF turns it. frames: how many pictures the file holds. deep: whether colours have
    16 bits, of which the upper 8 are read. beyond: whether values lie beyond the range that is given. profiled: whether
    a colour profile changed its colours.
    """

    mode: str
    turned: bool
    frames: int
    deep: bool
    beyond: bool
    profiled: bool


class Look(NamedTuple):
    """What an image is.

    height, width: pixels, as shown. darkest, brightest: of 255; a hundredth of all values lie below and above them.
    digest: of the pixels.
    """

    how: How
    height: int
    width: int
    darkest: int
    brightest: int
    digest: str


class _Read(NamedTuple):
    """An image as RGB, turned upright."""

    picture: Image.Image
    how: How


def read_image(path: Path, height: int | None = None, width: int | None = None, colours: Colours = PLAIN) -> np.ndarray:
    """Read an image as RGB, turned as its EXIF orientation says.

    Parameters
    ----------
    path: an image file of a kind in docs/limits.md, told by its content; of several pictures in it, the first.
    height, width: pixels that the manifest names; checked when given.
    colours: how its values become 8-bit RGB.

    Returns
    -------
    (height, width, 3) uint8, RGB.

    Raises
    ------
    IrnError for a file that is missing, unreadable, of another kind or another size than given, of more than
    `MAX_PIXELS`, for transparent pixels, and for 16 bits or floats without a range.
    """
    pixels = np.array(_read(path, colours).picture)
    if height is not None and pixels.shape[:2] != (height, width):
        raise IrnError(
            f"{path}: {pixels.shape[0]} x {pixels.shape[1]} pixels, but the manifest says {height} x {width}; build the"
            " manifest again"
        )
    return pixels


def read_record(record: ImageRecord) -> np.ndarray:
    """Read an image of a manifest, as `read_image` does."""
    return read_image(record.path, record.height, record.width, record.colours)


def look(path: Path, colours: Colours = PLAIN) -> Look | IrnError:
    """Read an image in full and say what it is, or what `read_image` raises."""
    try:
        read = _read(path, colours)
    except IrnError as error:
        return error
    pixels = np.array(read.picture)
    some_values = pixels.reshape(-1)[:: max(1, pixels.size // 100_000)]
    darkest, brightest = np.percentile(some_values, (1, 99)).astype(int).tolist()
    digest = hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()
    return Look(read.how, pixels.shape[0], pixels.shape[1], darkest, brightest, digest)


def _read(path: Path, colours: Colours) -> _Read:
    """Read a file; its damage becomes an IrnError, whatever Pillow makes of it."""
    try:
        content = path.read_bytes()
        kind = kind_of(content)
        if kind is None:
            raise IrnError(_unreadable(path, other_kind_of(content)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images, which change no pixel
            return _upright(path, kind, bare(kind, content), colours)
    except FileNotFoundError:
        raise IrnError(f"{path}: no such image; fix the path in the manifest or build the manifest again") from None
    except Image.DecompressionBombError:
        raise IrnError(
            f"{path}: an image of more than {MAX_PIXELS} pixels; make it smaller, or cut it into several"
        ) from None
    except (IrnError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise IrnError(_unreadable(path, f"it starts as {kind} does, but is damaged behind that")) from None
    except Exception as error:  # of almost any kind: each of Pillow's formats has its own
        raise IrnError(_unreadable(path, " ".join(str(error).split()))) from None


def _upright(path: Path, kind: str, file: Bare, colours: Colours) -> _Read:
    """Decode a picture and make it RGB."""
    if kind == "HEIF":
        from pillow_heif import register_heif_opener  # late, since few data sets have such files

        register_heif_opener()
    _check_bands(path, file)
    with Image.open(BytesIO(file.content), formats=[kind]) as picture:
        rawmode = rawmode_of(picture)
        deep = is_deep(picture.mode, rawmode)
        value_range = colours.value_range if deep or is_number(picture.mode) else None
        _check_mode(path, picture, value_range)
        flat, beyond = in_8_bits(path, file.content, picture, rawmode, value_range)
        orientation = max(file.orientation, orientation_of(picture.info.get("exif") or b""))
        profile = file.profile or picture.info.get("icc_profile") or b""
        srgb, profiled = to_srgb(flat, profile) if colours.profiles else (flat, False)
        rgb = srgb.convert("RGB")
        upright = rgb.transpose(_TURNS[orientation]) if orientation in _TURNS else rgb
        frames = max(file.pictures, getattr(picture, "n_frames", 1))
        is_cut = deep and value_range is None
        return _Read(upright, How(picture.mode, orientation > 1, frames, is_cut, beyond, profiled))


def _check_bands(path: Path, file: Bare) -> None:
    """Raise IrnError for a TIFF whose values Pillow does not read, or reads as others."""
    if file.bands is None:
        return
    count, bits, in_planes, words = file.bands
    is_read = {1: bits <= 32, 2: bits == 8, 3: bits in (8, 16), 4: bits in (8, 16)}.get(count, False)
    if not is_read or (bits == 16 and in_planes):
        raise IrnError(f"{path}: not a readable image ({words}); {_BANDS}")


def _check_mode(path: Path, picture: Image.Image, value_range: Range | None) -> None:
    """Raise IrnError where becoming RGB takes a choice that is for the data's owner to make.

    Such are what lies behind transparent pixels, and which of 16 bits to look at.
    """
    mode = picture.mode
    if (value_range is not None and is_number(mode)) or mode in ("RGB", "CMYK"):
        return
    if mode in ("L", "P", "LA", "PA", "RGBA"):
        is_opaque = not picture.has_transparency_data or picture.convert("RGBA").getchannel("A").getextrema()[0] == 255
        if is_opaque:
            return
    transparent = mode in ("LA", "PA", "RGBA", "La", "RGBa", "P", "L")
    advice = _FLATTEN if transparent else _ONE_RANGE if is_number(mode) else _CONVERT
    raise IrnError(f"{path}: image mode is {mode}, {_EIGHT_BITS}; {advice}")


def _unreadable(path: Path, reason: str) -> str:
    is_empty = path.is_file() and not path.stat().st_size
    reason = "the file is empty" if is_empty else reason or "its first bytes are those of no kind that is read"
    return (
        f"{path}: not a readable image ({reason}); expected {', '.join(READ)}: replace the file or take it out of the"
        " data set"
    )
