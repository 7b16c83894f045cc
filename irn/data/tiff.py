"""The directories of TIFF, which EXIF uses too: single tags read, whatever the others hold."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, NamedTuple

ORIENTATION = 0x0112  # 1 is upright
ICC_PROFILE = 0x8773
_BITS, _SAMPLES, _PLANES, _FORMAT = 0x0102, 0x0115, 0x011C, 0x0153
_WORDS_OF_FORMAT = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
# What says how pixels lie in the file and what they mean: all else is about the picture, and may be damaged.
OF_PIXELS = frozenset(
    (0x00FE, 0x0100, 0x0101, _BITS, 0x0103, 0x0106, 0x010A, 0x0111, _SAMPLES, 0x0116, 0x0117, _PLANES, 0x0124, 0x0125)
    + (0x013D, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x0152, _FORMAT, 0x015B)
    + (0x0200, 0x0201, 0x0202, 0x0205, 0x0207, 0x0208, 0x0209, 0x0211, 0x0212, 0x0213, 0x0214)
)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = (1, 3, 4, 13, 16)  # types of whole numbers without a sign
MOST = 1 << 16  # entries, and numbers of an entry that are read


class Entry(NamedTuple):
    """A tag: its type, how many values it claims, their bytes as far as the file has them, and the entry as it lies."""

    kind: int
    values: int
    content: bytes
    raw: bytes


@dataclass(frozen=True)
class Directory:
    """The first directory of a block of bytes; a block that is none has no entries.

    order: of bytes, "little" or "big". is_big: whether it is a BigTIFF, whose numbers are longer. follows: whether
    another directory, and so another picture, comes after it.
    """

    order: Literal["little", "big"]
    is_big: bool
    entries: dict[int, Entry]
    follows: bool

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of a place in the file, and of the number of entries."""
        return (8, 8) if self.is_big else (4, 2)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The whole numbers that a tag holds; none where it is missing or of another type."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _WHOLE:
            return ()
        size = _SIZES[entry.kind]
        content = entry.content[: MOST * size]
        return tuple(self.number(content[n : n + size]) for n in range(0, len(content) - size + 1, size))

    def number(self, content: bytes) -> int:
        """A whole number."""
        return int.from_bytes(content, self.order)


def directory_of(block: bytes) -> Directory:
    """Read the first directory of a TIFF, or of what EXIF holds behind `Exif` and two zeros."""
    order: Literal["little", "big"] = "big" if block[:2] == b"MM" else "little"
    magic = int.from_bytes(block[2:4], order)
    bare = Directory(order, magic == 43, {}, False)
    if block[:2] not in (b"II", b"MM") or magic not in (42, 43):
        return bare
    size, head = bare.sizes
    start = bare.number(block[size : 2 * size])
    count = min(bare.number(block[start : start + head]), MOST)
    length = 4 + 2 * size
    end = start + head + count * length
    entries: dict[int, Entry] = {}
    for place in range(start + head, min(end, len(block) - length + 1), length):
        raw = block[place : place + length]
        kind, values = bare.number(raw[2:4]), bare.number(raw[4 : 4 + size])
        held = values * _SIZES.get(kind, 1)
        inline = raw[4 + size :]
        outside = bare.number(inline)
        content = inline[:held] if held <= size else block[outside : outside + held]
        entries.setdefault(bare.number(raw[:2]), Entry(kind, values, content, raw))
    return Directory(order, bare.is_big, entries, bare.number(block[end : end + size]) > 0)


def orientation_of(block: bytes) -> int:
    """The orientation that EXIF gives, 1 to 8; 1 where it gives none that makes sense."""
    numbers = directory_of(block.removeprefix(b"Exif\0\0")).numbers(ORIENTATION)
    return numbers[0] if len(numbers) == 1 and 1 <= numbers[0] <= 8 else 1


def with_entries(block: bytes, directory: Directory, tags: Container[int]) -> bytes:
    """A TIFF of its first picture alone, with no tags but these."""
    size, head = directory.sizes
    kept = [entry.raw for tag, entry in sorted(directory.entries.items()) if tag in tags]
    gap = bytes(-len(block) % 8)
    place = (len(block) + len(gap)).to_bytes(size, directory.order)
    count = len(kept).to_bytes(head, directory.order)
    return b"".join([block[:size], place, block[2 * size :], gap, count, *kept, bytes(size)])


class Bands(NamedTuple):
    """How many values a pixel has, the bits of the longest, whether each is a plane of its own; and all in words."""

    number: int
    bits: int
    in_planes: bool
    words: str


def bands_of(directory: Directory) -> Bands:
    """The bands of a TIFF's picture."""
    count = (directory.numbers(_SAMPLES) or (1,))[0]
    bits = max(directory.numbers(_BITS) or (1,))
    kinds = directory.numbers(_FORMAT) or (1,)
    in_planes = directory.numbers(_PLANES) == (2,) and count > 1
    words = f"{count} band{'s' * (count != 1)} of {_WORDS_OF_FORMAT.get(kinds[0], '')}{bits} bits"
    return Bands(count, bits, in_planes, words + (", each a plane of its own" if in_planes else ""))
