"""What Label Studio's brush painted, as the run lengths of a picture in RGBA."""

from typing import Any

import numpy as np

from irn.data.shapes import Drawing


def brushed(codes: Any, size: tuple[Any, Any]) -> Drawing:
    """Draws what a brush painted: the run lengths of an RGBA picture of `size`, which has to be the image's."""
    painted = np.array(codes, np.int64)
    if painted.ndim != 1 or not painted.size or not 0 <= painted.min() <= painted.max() < 256:
        raise ValueError("run lengths that are not bytes")

    def draw(height: int, width: int) -> np.ndarray:
        if size not in ((None, None), (height, width)):
            raise ValueError(f"a brush mask of {size[0]} x {size[1]} pixels for an image of {height} x {width}")
        values = unpacked(painted.astype(np.uint8), 4 * height * width)
        return values.reshape(height, width, 4)[..., 3] > 127

    return draw


def unpacked(codes: np.ndarray, count: int) -> np.ndarray:
    """(count,) bytes from the run lengths that Label Studio's brush writes; ValueError where they hold other bytes.

    A stream of bits: how many values there are, how many bits each has, and how many bits four kinds of lengths have;
    then runs, each with whether it repeats one value, its kind of length, its length, and its values.
    """
    bits, at = np.unpackbits(codes), 0

    def number(length: int) -> int:
        nonlocal at
        if at + length > len(bits):
            raise ValueError("run lengths that end early")
        part = bits[at : at + length]
        at += length
        return int(part.dot(1 << np.arange(length - 1, -1, -1)))

    total, width = number(32), number(5) + 1
    lengths = [number(4) + 1 for _ in range(4)]
    if total != count or width != 8:
        raise ValueError(f"run lengths of {total} values of {width} bits, not of {count} of 8")
    values, filled = np.zeros(count, np.uint8), 0
    while filled < count:
        repeats = number(1)
        end = min(filled + 1 + number(lengths[number(2)]), count)
        if repeats:
            values[filled:end] = number(8)
        else:
            for place in range(filled, end):
                values[place] = number(8)
        filled = end
    return values
