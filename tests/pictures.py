"""Image files put together byte by byte, for what Pillow does not write."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageCms

Tag = tuple[int, int, int, bytes]  # number, type, count, value


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture in one of Pillow's formats."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def tiff(
    pixels: np.ndarray, order: str = "<", more: Sequence[Tag] = (), planes: bool = False, packed: bool = False
) -> bytes:
    """A TIFF of (H, W, bands) numbers, of three bands red, green and blue; `packed` by deflate."""
    height, width, bands = pixels.shape
    kind = pixels.dtype.newbyteorder(order)  # type: ignore[arg-type]
    strips = [pixels.astype(kind)[..., band].tobytes() for band in range(bands)] if planes else []
    data = b"".join(strips) or pixels.astype(kind).tobytes()
    data = zlib.compress(data) if packed else data
    starts = [8 + number * len(data) // max(1, len(strips)) for number in range(max(1, len(strips)))]
    lengths = [len(data) // len(starts)] * len(starts)

    def numbers(code: str, values: Sequence[int]) -> bytes:
        return struct.pack(f"{order}{len(values)}{code}", *values)

    bits = 8 * pixels.dtype.itemsize
    tags: list[Tag] = [
        (256, 4, 1, numbers("I", [width])), (257, 4, 1, numbers("I", [height])),
        (258, 3, bands, numbers("H", [bits] * bands)), (259, 3, 1, numbers("H", [8 if packed else 1])),
        (262, 3, 1, numbers("H", [2 if bands in (3, 4) else 1])),
        (273, 4, len(starts), numbers("I", starts)), (277, 3, 1, numbers("H", [bands])),
        (278, 4, 1, numbers("I", [height])), (279, 4, len(starts), numbers("I", lengths)),
        (284, 3, 1, numbers("H", [2 if planes else 1])),
        (339, 3, bands, numbers("H", [3 if pixels.dtype.kind == "f" else 1] * bands)),
        *([(338, 3, 1, numbers("H", [2]))] if bands == 4 else []),
        *more,
    ]  # fmt: skip
    data += bytes(len(data) % 2)
    return (b"II*\0" if order == "<" else b"MM\0*") + directory(tags, order, 8 + len(data), data)


def directory(tags: Sequence[Tag], order: str = "<", start: int = 8, before: bytes = b"") -> bytes:
    """The offset of a TIFF's directory, what lies before it, and the directory with its values."""
    tags = sorted(tags, key=lambda tag: tag[0])
    end = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for number, kind, count, value in tags:
        entries += struct.pack(f"{order}HHI", number, kind, count)
        if len(value) <= 4:
            entries += value.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", end + len(values))
            values += value + bytes(len(value) % 2)
    return struct.pack(f"{order}I", start) + before + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values


def exif(orientation: int, more: Sequence[Tag] = (), order: str = "<") -> bytes:
    """A block of EXIF."""
    tags = [(0x0112, 3, 1, struct.pack(f"{order}H", orientation)), *more]
    return b"Exif\0\0" + (b"II*\0" if order == "<" else b"MM\0*") + directory(tags, order)


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG with more segments in front: the marker of each, and what it holds."""
    parts = [bytes([0xFF, marker]) + struct.pack(">H", len(held) + 2) + held for marker, held in segments]
    return jpeg[:2] + b"".join(parts) + jpeg[2:]


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks behind its header."""
    return png[:33] + b"".join(chunk(*pair) for pair in chunks) + png[33:]


def chunk(kind: bytes, held: bytes) -> bytes:
    return struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held))


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits: (H, W, bands), of grey, grey and alpha, RGB, or RGB and alpha."""
    height, width, bands = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*pair) for pair in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    )


def with_riff_chunks(webp: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP with more chunks behind its picture."""
    parts = [kind + struct.pack("<I", len(held)) + held + bytes(len(held) % 2) for kind, held in chunks]
    body = webp[8:] + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def profile_of_matrix(gamma: float, red: Sequence[float], green: Sequence[float], blue: Sequence[float]) -> bytes:
    """An ICC profile of a screen: its curve, and the XYZ of its three colours."""
    curve = _curve(gamma)
    return _profile(b"RGB ", [(b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve),
                              (b"rXYZ", _xyz(red)), (b"gXYZ", _xyz(green)), (b"bXYZ", _xyz(blue))])  # fmt: skip


def profile_of_grey(gamma: float) -> bytes:
    """An ICC profile of grey."""
    return _profile(b"GRAY", [(b"kTRC", _curve(gamma))])


def profile_of_cmyk() -> bytes:
    """An ICC profile of a printer whose black is grey and whose inks are pale."""
    ramp = bytes(range(256))
    corners = b""
    for inks in np.ndindex(2, 2, 2, 2):
        cyan, magenta, yellow, black = inks
        light = max(10, 250 - 40 * (cyan + magenta + yellow) - 150 * black)
        corners += bytes([light, 128 - 30 * cyan + 30 * magenta, 128 - 30 * cyan + 40 * yellow])
    matrix = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + corners + 3 * ramp
    return _profile(b"CMYK", [(b"A2B0", table)], b"prtr", b"Lab ")


def _curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIHH", 0, 1, round(gamma * 256), 0)


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(
    space: bytes, tags: Sequence[tuple[bytes, bytes]], device: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    white = _xyz((0.9642, 1.0, 0.8249))
    tags = [*tags, (b"wtpt", white), (b"desc", b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)),
            (b"cprt", b"text" + bytes(4) + b"x\0")]  # fmt: skip
    start = 128 + 4 + 12 * len(tags)
    table, values = struct.pack(">I", len(tags)), b""
    for name, value in tags:
        table += name + struct.pack(">II", start + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    body = table + values
    words = (128 + len(body), b"lcms", 0x02400000, device, space, connection, bytes(12), b"acsp")
    header = struct.pack(">I4sI4s4s4s12s4s", *words)
    header += bytes(68 - len(header)) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + body


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
