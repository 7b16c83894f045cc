"""The run lengths in which Label Studio keeps what a brush painted."""

import numpy as np

# A run has one of four kinds of lengths, of so many bits.
_LENGTHS = np.array([3, 4, 8, 16])
_VALUE = 8  # bits
_CHANNELS = 4


def packed(mask: np.ndarray) -> list[int]:
    """The bytes, 0 to 255, of a mask (H, W) bool as an RGBA picture, 255 where it is set.

    A stream of bits: how many values there are (32 bits), how many bits each has, less one (5), and each kind of
    length, less one (4 each); then runs: whether it repeats a single value (1), its kind of length (2), its length,
    less one, and its value. Only runs that repeat a value are written.
    """
    values = mask.ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    lengths = _CHANNELS * np.diff(np.append(starts, values.size))
    # Those longer than a length can be are several.
    longest = 2 ** int(_LENGTHS[-1])
    times = -(-lengths // longest)
    paints = np.repeat(values[starts], times)
    parts = np.full(len(paints), longest)
    parts[times.cumsum() - 1] = lengths - (times - 1) * longest
    kinds = np.searchsorted(2**_LENGTHS, parts)
    widths = 1 + 2 + _LENGTHS[kinds] + _VALUE
    codes = ((4 + kinds) << (_LENGTHS[kinds] + _VALUE)) | ((parts - 1) << _VALUE) | (255 * paints)
    header = [(_CHANNELS * values.size, 32), (_VALUE - 1, 5), *((length - 1, 4) for length in _LENGTHS)]
    fields = np.concatenate([np.array(header, np.int64), np.stack([codes, widths], 1)])
    return np.packbits(_bits(fields[:, 0], fields[:, 1])).tolist()


def _bits(values: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The bits of numbers of some widths each, of at most 32, the highest first, one after another."""
    all_bits = np.unpackbits(values.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)
    return all_bits[np.arange(32) >= 32 - widths[:, None]]
