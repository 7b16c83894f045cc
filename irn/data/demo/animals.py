"""The animals of the demonstration: what is drawn at random is the same for all, and the class chooses the head."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

CLASSES = ("badger", "hare", "lynx", "panda", "ram")
HUES = (0.58, 0.95, 0.14, 0.36, 0.76)  # of the marks on each one's head


@dataclass(frozen=True)
class Sprite:
    """One drawn animal: `rgb` (n, n, 3) and `alpha` (n, n) in 0..1, `head` (n, n) bool, `length` in pixels."""

    species: int
    fur: np.ndarray
    rgb: np.ndarray
    alpha: np.ndarray
    head: np.ndarray
    length: float


def _body(rng: Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Distance to trunk, feet, tail and neck in units of the length, y up, facing positive x; and the head's place."""
    half, thick = rng.uniform(0.27, 0.36), rng.uniform(0.15, 0.22)
    body = _ellipse(x, y, 0, 0, half, thick)
    for side in (-1, 1):
        body = _join(
            body,
            _ellipse(x, y, side * rng.uniform(0.4, 0.6) * half, rng.uniform(-0.03, 0.03), 0.9 * thick, thick),
            0.05,
        )
    for hip in (-0.6, 0.6):
        start = (hip * half, -0.7 * thick)
        body = _join(
            body,
            limb(x, y, start, (start[0] + rng.uniform(-0.08, 0.08), -thick - rng.uniform(0, 0.06)), 0.08, 0.06),
            0.04,
        )
    rise, tail = rng.uniform(-0.5, 1), rng.uniform(0.05, 0.12)
    rump = (-0.9 * half, 0.2 * thick)
    body = _join(
        body, limb(x, y, rump, (rump[0] - tail * np.cos(rise), rump[1] + tail * np.sin(rise)), 0.06, 0.05), 0.04
    )
    lift, neck = rng.uniform(-0.1, 0.9), rng.uniform(0.1, 0.16)
    shoulder = (0.8 * half, 0.2 * thick)
    head = (shoulder[0] + neck * np.cos(lift), shoulder[1] + neck * np.sin(lift))
    return _join(body, limb(x, y, shoulder, head, 0.6 * thick, 0.1), 0.05), head


def _head(species: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the head in units of its radius, and its marks.

    Marks are light above 0 and dark below it; their size is a distance to the rim.
    """
    if species == 0:  # badger: long snout, stripes along it
        shape = _join(limb(x, y, (-0.3, 0.1), (1.1, -0.35), 0.85, 0.4), _ellipse(x, y, -0.6, 0.85, 0.28, 0.28), 0.2)
        return shape, abs(abs(0.95 * y + 0.31 * x) - 0.4) - 0.2
    if species == 1:  # hare: two long ears, the lower half light
        ears = np.minimum(
            limb(x, y, (-0.3, 0.5), (-0.9, 1.7), 0.22, 0.2), limb(x, y, (0.15, 0.5), (0.1, 1.9), 0.22, 0.2)
        )
        return _join(_ellipse(x, y, 0, 0, 0.95, 0.8), ears, 0.1), -0.1 - y
    if species == 2:  # lynx: pointed ears and whiskers, bars across
        tips = np.minimum(
            limb(abs(x), y, (0.5, 0.4), (0.85, 1.4), 0.45, 0.02), limb(abs(x), y, (0, -0.1), (1.35, -0.6), 0.6, 0.02)
        )
        return _join(_ellipse(x, y, 0, 0, 0.9, 0.85), tips, 0.1), abs(abs(x) - 0.5) - 0.22
    if species == 3:  # panda: a light disc with round dark ears and eye patches
        face, ears = _ellipse(x, y, 0, 0, 0.95, 0.9), _ellipse(abs(x), y, 0.75, 0.75, 0.4, 0.4)
        return np.minimum(face, ears), np.where(face < 0, _ellipse(abs(x), y, 0.42, 0.05, 0.27, 0.36), -0.3)
    # ram: a dark face, a light curled horn with a dark hole behind it
    curl = np.hypot(x + 0.55, y - 0.3)
    shape = np.minimum(limb(x, y, (-0.1, 0), (0.8, -0.6), 0.75, 0.4), curl - 0.85)
    return shape, 0.24 - abs(curl - 0.61)


def draw_animal(rng: Generator, species: int, fur: np.ndarray, length: float) -> Sprite:
    """Draw an animal of about `length` pixels; `species` chooses the head and changes nothing else that is random."""
    reach = int(0.9 * length)
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1] / length
    tilt, facing = np.clip(rng.normal(0, 0.2), -np.pi / 6, np.pi / 6), rng.choice((-1, 1))
    x, y = facing * (column * np.cos(tilt) + row * np.sin(tilt)), column * np.sin(tilt) - row * np.cos(tilt)
    body, (head_x, head_y) = _body(rng, x, y)
    coat = fur + (rng.uniform(0.02, 0.1) * pattern(rng, x, y, length))[..., None]
    hair = texture(rng, x.shape, 0.012 * length)
    coat += 0.05 * hair[..., None]
    coat += rng.uniform(0, 0.15) * np.tanh(-8 * (y + 0.05))[..., None]  # belly lighter than back
    radius, nod = rng.uniform(0.15, 0.17), rng.uniform(-0.3, 0.3)
    u, v = (x - head_x) / radius, (y - head_y) / radius
    head, marks = _head(species, u * np.cos(nod) + v * np.sin(nod), v * np.cos(nod) - u * np.sin(nod))
    head, marks = head * radius, marks * radius
    # Mostly of the fur's colour: on a photograph too the strongest edges lie on outlines and not inside of an animal.
    dark = fur * rng.uniform(0.5, 0.8) + 0.03 * hair[..., None]
    light = fur + 0.75 * (
        colour(HUES[species] + rng.normal(0, 0.02), rng.uniform(0.35, 0.75), rng.uniform(0.75, 1)) - fur
    )
    face = dark + np.clip(0.5 + marks * length, 0, 1)[..., None] * (light - dark)
    face += 0.02 * texture(rng, x.shape, 0.02 * length)[..., None]
    coat *= (1 - 0.15 * np.exp(-((np.maximum(head, 0) / 0.04) ** 2)))[..., None]  # the head's shadow on the body
    rgb = coat + (face - coat) * np.clip(0.5 - head * length, 0, 1)[..., None]
    inside = -np.where(head < 0, head, body)
    rgb *= (0.7 + 0.3 * np.clip(inside / 0.06, 0, 1) ** 0.7)[..., None]  # darker towards the rims
    rgb *= (1 + rng.uniform(0.1, 0.5) * y)[..., None]  # light from above
    alpha = np.clip(0.5 - np.minimum(body, head) * length, 0, 1)
    return Sprite(species, fur, np.clip(rgb, 0, 1), alpha, head < 0, length)


def choose_fur(rng: Generator, ground: np.ndarray, neighbour: np.ndarray | None) -> np.ndarray:
    """A fur colour unlike the ground's mean and, mostly, of another shade than the touching neighbour's."""
    for _ in range(50):
        fur = fur_colour(rng)
        if neighbour is not None and rng.random() < 0.7:
            hue, saturation, value = colorsys.rgb_to_hsv(*neighbour.tolist())
            value += rng.choice((-1, 1)) * rng.uniform(0.12, 0.35)
            fur = colour(hue + rng.normal(0, 0.02), saturation + rng.normal(0, 0.1), np.clip(value, 0.25, 0.9))
        if np.abs(fur - ground).max() > 0.15:
            break
    return fur


def colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """(3,) RGB in [0, 1]; the hue wraps around, saturation and value are clipped to [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1))))


def fur_colour(rng: Generator) -> np.ndarray:
    """A colour of fur: reddish to yellowish brown, from dark to light."""
    return colour(rng.normal(0.07, 0.025), rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.9))


def _ellipse(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    """Distance to an ellipse, too small by up to the ratio of its radii, negative inside."""
    return (np.hypot((x - cx) / rx, (y - cy) / ry) - 1) * min(rx, ry)


def limb(
    x: np.ndarray, y: np.ndarray, start: tuple[float, float], end: tuple[float, float], r0: float, r1: float
) -> np.ndarray:
    """Distance to a stroke between two points (x, y) whose radius goes from `r0` to `r1`, negative inside."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - (r0 + (r1 - r0) * along)


def _join(a: np.ndarray, b: np.ndarray, soft: float) -> np.ndarray:
    """Union of two distances with the notch between them filled over about `soft`."""
    return np.minimum(a, b) - np.maximum(soft - np.abs(a - b), 0) ** 2 / (4 * soft)


def texture(rng: Generator, shape: tuple[int, ...], grain: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1 whose lumps measure about `grain` pixels."""
    noise = gaussian_filter(rng.normal(size=shape), grain)
    return (noise - noise.mean()) / (noise.std() + 1e-9)


def pattern(rng: Generator, x: np.ndarray, y: np.ndarray, unit: float) -> np.ndarray:
    """A coat or ground pattern in about -1..1 of lumps, stripes or blotches; `x`, `y` in units of `unit` pixels."""
    lumps = texture(rng, x.shape, unit * rng.uniform(0.05, 0.15))
    kind = rng.integers(3)
    if kind == 0:
        return np.tanh(lumps)
    if kind == 1:
        angle, waves = rng.uniform(0, np.pi), rng.uniform(2, 6)
        return np.sin(
            2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle))
            + rng.uniform(0.3, 1.2) * lumps
            + rng.uniform(0, 6)
        )
    return np.tanh(4 * (lumps - rng.uniform(0, 0.8)))
