"""Colours for maps: functions from arrays to RGB arrays."""

from colorsys import hsv_to_rgb

import numpy as np

# Black, violet, red, orange, pale yellow, each brighter than the one before, so that it also reads in print.
HEAT_COLOURS = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], float
)
GOLDEN_RATIO = 0.618034


def voc_palette(count: int = 256) -> np.ndarray:
    """The colours of VOC's index images, (count, 3) uint8 for a count up to 256: the first is black, the background.

    The bits of the index, three at a time, go to red, green and blue from each one's highest bit downwards.
    """
    index = np.arange(count)[:, None]
    channel = np.arange(3)
    return np.sum([((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)], axis=0).astype(np.uint8)


def distinct_colours(count: int) -> np.ndarray:
    """Bright colours of which neighbours in the list differ much, (count, 3) uint8."""
    # Steps of the golden ratio never return to a hue; two brightnesses part those that come near.
    colours = [
        hsv_to_rgb((0.57 + GOLDEN_RATIO * i) % 1, 0.85 - 0.25 * (i // 5 % 2), 1 - 0.15 * (i // 3 % 2))
        for i in range(count)
    ]
    return np.round(255 * np.array(colours).reshape(count, 3)).astype(np.uint8)


def heat(values: np.ndarray) -> np.ndarray:
    """(H, W) floats to (H, W, 3) uint8, from black for 0 or less through red to pale yellow for 1 or more."""
    steps = np.linspace(0, 1, len(HEAT_COLOURS))
    return np.stack([np.interp(values, steps, channel) for channel in HEAT_COLOURS.T], axis=-1).round().astype(np.uint8)


def heat_overlay(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Heat over a dimmed image, the more opaque the hotter.

    image: (H, W, 3) uint8. values: (H, W) floats in [0, 1]. Returns (H, W, 3) uint8.
    """
    opacity = 0.85 * np.clip(values, 0, 1)[..., None] ** 0.6
    return _mix(dimmed(image, 0.45), heat(values), opacity)


def flow_colours(displacement: np.ndarray, longest: float | None = None) -> np.ndarray:
    """Colour vectors by the wheel: hue is the direction, saturation the length, white is no displacement.

    displacement: (2, H, W) floats, (dy, dx); a vector to the right is red, down is yellow-green, left cyan, up violet.
    longest: the length of full colour; by default the 99th percentile of all lengths. Returns (H, W, 3) uint8.
    """
    dy, dx = displacement.astype(float)
    length = np.hypot(dy, dx)
    longest = flow_length(displacement) if longest is None else longest
    saturation = np.clip(length / longest, 0, 1) if longest > 0 else np.zeros_like(length)
    hue = np.arctan2(dy, dx) / (2 * np.pi) % 1
    # How far each channel is from full, as hue turns: 0 within a sixth of its own third, 1 in the two opposite sixths.
    distance = np.abs((hue[..., None] * 6 - np.array([0, 2, 4]) + 3) % 6 - 3)
    missing = np.clip(distance - 1, 0, 1) * saturation[..., None]
    # Long vectors a little darker: the eye sees little difference between a colour and the same half as strong.
    return np.round(255 * (1 - missing) * (1 - 0.15 * saturation[..., None])).astype(np.uint8)


def flow_length(displacement: np.ndarray) -> float:
    """The length that `flow_colours` shows in full colour: the 99th percentile of a (2, H, W) field."""
    return float(np.percentile(np.hypot(*displacement.astype(float)), 99))


def flow_wheel(diameter: int) -> tuple[np.ndarray, np.ndarray]:
    """The legend of `flow_colours`: the colours of all vectors in a disc, and where the disc is.

    Returns (D, D, 3) uint8 and (D, D) floats, the opacity in [0, 1].
    """
    radius = diameter / 2
    offsets = np.arange(diameter) + 0.5 - radius
    vectors = np.stack(np.meshgrid(offsets, offsets, indexing="ij"))
    return flow_colours(vectors, radius), np.clip(radius - np.hypot(*vectors), 0, 1)


def overlay(image: np.ndarray, label_map: np.ndarray, palette: np.ndarray, alpha: float) -> np.ndarray:
    """Blend colours over the image where the label is not 0.

    image: (H, W, 3) uint8. label_map: (H, W) integers from 0. palette: (n, 3) uint8, n above the highest label.
    alpha: opacity in [0, 1]. Returns (H, W, 3) uint8.
    """
    return _mix(image, palette[label_map], alpha * (label_map > 0)[..., None])


def outlines(label_map: np.ndarray) -> np.ndarray:
    """(H, W) integers to (H, W) bool: the pixels of a region (not 0) that have a 4-neighbour of another value."""
    padded = np.pad(label_map, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (label_map != 0) & np.any([label_map != neighbour for neighbour in neighbours], axis=0)


def painted(image: np.ndarray, where: np.ndarray, colour: tuple[int, int, int], alpha: float = 1.0) -> np.ndarray:
    """The image (H, W, 3) uint8 with one colour blended over the pixels of a mask (H, W) bool."""
    return _mix(image, np.array(colour), alpha * where[..., None])


def dimmed(image: np.ndarray, brightness: float) -> np.ndarray:
    """The image in darker and paler colours, (H, W, 3) uint8 both ways; `brightness` in [0, 1]."""
    grey = image.mean(axis=-1, keepdims=True)
    return np.round(brightness * _mix(image, grey, 0.5)).astype(np.uint8)


def stripes(height: int, width: int) -> np.ndarray:
    """Diagonal stripes, (height, width) bool: 3 pixels of every 7."""
    return np.add.outer(np.arange(height), np.arange(width)) % 7 < 3


def _mix(below: np.ndarray, above: np.ndarray, opacity: np.ndarray | float) -> np.ndarray:
    share = np.asarray(opacity, np.float32)  # float64 takes twice as long
    return np.rint(below * (1 - share) + np.asarray(above, np.float32) * share).astype(np.uint8)
