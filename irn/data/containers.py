"""Image files without their metadata: damage in it changes nothing, because Pillow never sees it."""

import re
import zlib
from typing import NamedTuple

from irn.data.tiff import ICC_PROFILE, OF_PIXELS, Bands, bands_of, directory_of, orientation_of, with_entries

LONGEST_PROFILE = 1 << 24  # bytes; a few hundred kB are usual
_PICTURES_OF_MPF = 0xB001  # the tag of their number in a JPEG of several


class Bare(NamedTuple):
    """An image file that holds nothing but a picture, and what its metadata say about this picture.

    orientation: EXIF's, 1 to 8. profile: an ICC profile, or nothing. pictures: how many the file held, as far as is
    known here. bands: of a TIFF alone.
    """

    content: bytes
    orientation: int = 1
    profile: bytes = b""
    pictures: int = 1
    bands: Bands | None = None


def bare(format_name: str, content: bytes) -> Bare:
    """Take the metadata out of a file of one of Pillow's formats."""
    readers = {"JPEG": _jpeg, "PNG": _png, "TIFF": _tiff, "AVIF": _boxes, "HEIF": _boxes}
    return readers.get(format_name, Bare)(content)


def _jpeg(content: bytes) -> Bare:
    kept, exif, mpf = [content[:2]], b"", b""
    profile: dict[int, bytes] = {}  # its parts by their numbers
    place = 2
    while (place := content.find(b"\xff", place)) >= 0 and place + 4 <= len(content):
        marker = content[place + 1]
        if marker == 0xFF or marker < 2 or 0xD0 <= marker <= 0xD8:  # fill bytes, and markers without a length
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[place + 2 : place + 4])
        if marker in (0xD9, 0xDA) or length < 2:  # where the compressed picture starts
            break
        segment, held = content[place : place + 2 + length], content[place + 4 : place + 2 + length]
        if marker == 0xE1 and held.startswith(b"Exif\0\0"):
            exif = exif or held
        elif marker == 0xE2 and held.startswith(b"ICC_PROFILE\0") and len(held) > 14:
            profile.setdefault(held[12], held[14:])
        elif marker == 0xE2 and held.startswith(b"MPF\0"):
            mpf = held[4:]
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or _is_about_colours(marker, held):
            kept.append(segment)
        place += 2 + length
    kept.append(content[max(place, 0) :] if place >= 0 else b"")
    pictures = (directory_of(mpf).numbers(_PICTURES_OF_MPF) or (1,))[0]
    parts = [profile[number] for number in sorted(profile)]
    return Bare(b"".join(kept), orientation_of(exif), b"".join(parts), pictures)


def _is_about_colours(marker: int, held: bytes) -> bool:
    """Whether a decoder needs an application's segment to tell RGB from YCbCr, and CMYK from YCCK."""
    return (marker == 0xE0 and held.startswith(b"JFIF\0") and len(held) >= 14) or (
        marker == 0xEE and held.startswith(b"Adobe") and len(held) >= 12
    )


def _png(content: bytes) -> Bare:
    kept, exif, profile, pictures = [content[:8]], b"", b"", 1
    place, kind = 8, b""
    while place + 12 <= len(content) and kind != b"IEND":
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        chunk = content[place : place + 12 + length]
        held = chunk[8 : 8 + length]
        if kind == b"eXIf":
            exif = exif or held
        elif kind == b"iCCP":
            profile = profile or _unpacked(held.partition(b"\0")[2][1:])
        elif kind == b"acTL":
            pictures = int.from_bytes(held[:4])
        elif kind == b"tRNS" or not kind[0] & 0x20:  # a small letter marks what is not needed to show the picture
            kept.append(chunk)
        place += 12 + length
    return Bare(b"".join(kept), orientation_of(exif), profile, pictures)


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, LONGEST_PROFILE)
    except zlib.error:
        return b""


def _tiff(content: bytes) -> Bare:
    directory = directory_of(content)
    profile = directory.entries[ICC_PROFILE].content if ICC_PROFILE in directory.entries else b""
    pictures = 2 if directory.follows else 1
    picture = with_entries(content, directory, OF_PIXELS) if directory.entries else content
    return Bare(picture, orientation_of(content), profile, pictures, bands_of(directory))


# An item of EXIF or XMP, in the table of a file's items.
_ITEM = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))(?:Exif|mime)", re.DOTALL)


def _boxes(content: bytes) -> Bare:
    """HEIC and AVIF, whose own boxes say how a picture is turned: EXIF, which may differ, is to be ignored."""
    place = 0
    while place + 16 <= len(content):
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        if kind == b"meta":
            end = place + length
            return Bare(content[:place] + _ITEM.sub(rb"\1free", content[place:end]) + content[end:])
        place += length if length > 1 else int.from_bytes(content[place + 8 : place + 16]) or len(content)
    return Bare(content)
