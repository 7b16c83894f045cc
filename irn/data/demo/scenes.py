"""The scenes of the demonstration: a ground with clutter, and animals put into it one in front of the other."""

import numpy as np
from numpy.random import Generator
from scipy.ndimage import binary_dilation, gaussian_filter

from irn.data.demo.animals import CLASSES, Sprite, choose_fur, colour, draw_animal, fur_colour, limb, pattern, texture

SMALLEST, LARGEST = 0.25, 1.0  # body length (rump to nose, roughly) in units of the image's long side
VISIBLE = 0.62  # share of an animal, and of its head, that those in front leave to be seen
INSIDE = 0.8  # share of an animal that lies inside the image


class Scene:
    """An image in the making: `rgb` (h, w, 3) in [0, 1], and `objects` (h, w), numbers from 1, 0 elsewhere."""

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = rgb
        self.objects: np.ndarray = np.zeros(rgb.shape[:2], np.uint8)
        self.heads: np.ndarray = np.zeros(rgb.shape[:2], bool)
        self.sprites: list[Sprite] = []
        self.centres: list[tuple[float, float]] = []

    def paste(self, array: np.ndarray, y: float, x: float) -> np.ndarray:
        """The (n, n, ...) array of a sprite on an empty canvas of the scene's size, its middle at (y, x)."""
        canvas = np.zeros(self.objects.shape + array.shape[2:], array.dtype)
        top, left = round(y) - array.shape[0] // 2, round(x) - array.shape[1] // 2
        rows = slice(max(top, 0), max(top + array.shape[0], 0))
        columns = slice(max(left, 0), max(left + array.shape[1], 0))
        part = canvas[rows, columns]
        y0, x0 = rows.start - top, columns.start - left
        part[:] = array[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
        return canvas

    def fits(self, sprite: Sprite, y: float, x: float) -> bool:
        """Whether the sprite at (y, x) lies well inside and hides little of any animal behind it, and of its head."""
        mask, head = self.paste(sprite.alpha, y, x) > 0.5, self.paste(sprite.head, y, x)
        if mask.sum() < INSIDE * (sprite.alpha > 0.5).sum() or head.sum() < INSIDE * sprite.head.sum():
            return False
        seen = self.objects * ~mask
        for number, other in enumerate(self.sprites, 1):
            mine = seen == number
            if (
                mine.sum() < VISIBLE * (other.alpha > 0.5).sum()
                or (mine & self.heads).sum() < VISIBLE * other.head.sum()
            ):
                return False
        return True

    def add(self, sprite: Sprite, y: float, x: float) -> None:
        """Draw the sprite in front of all others, with the shadow that it casts around itself."""
        alpha, head = self.paste(sprite.alpha, y, x), self.paste(sprite.head, y, x)
        shadow = gaussian_filter(self.paste(sprite.alpha, y + max(1, 0.02 * sprite.length), x), 0.04 * sprite.length)
        self.rgb = self.rgb * (1 - 0.55 * shadow[..., None])
        self.rgb += (self.paste(sprite.rgb, y, x) - self.rgb) * alpha[..., None]
        self.objects[alpha > 0.5] = len(self.sprites) + 1
        self.heads = (self.heads & (alpha <= 0.5)) | head
        self.sprites.append(sprite)
        self.centres.append((y, x))


def draw_scene(rng: Generator, size: int) -> Scene:
    """An image: ground and clutter, 1 to 4 animals (often a touching pair of one class), then light, blur and noise."""
    sides = [size, round(size * rng.uniform(0.75, 1))]
    height, width = sides if rng.random() < 0.4 else sides[::-1]
    scene = Scene(_draw_ground(rng, height, width))
    count = int(rng.choice(4, p=(0.45, 0.35, 0.13, 0.07))) + 1
    pair = count > 1 and rng.random() < 0.75
    typical = rng.uniform(SMALLEST, (LARGEST, 0.85, 0.7, 0.6)[count - 1])
    for number in range(count):
        length = size * np.clip(typical * rng.uniform(0.8, 1.25), SMALLEST, LARGEST)
        partner = scene.sprites[0] if pair and number == 1 else None
        species = partner.species if partner else int(rng.integers(len(CLASSES)))
        fur = choose_fur(rng, scene.rgb.mean((0, 1)), partner.fur if partner else None)
        sprite = draw_animal(rng, species, fur, length)
        place = _place_touching(rng, scene, sprite) if partner else _place_anywhere(rng, scene, sprite)
        if place is not None:
            scene.add(sprite, *place)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 + rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y
    blurred = gaussian_filter(scene.rgb * light[..., None], (*2 * [rng.uniform(0.3, 0.7) * size / 128], 0))
    scene.rgb = np.clip(blurred + rng.normal(0, rng.uniform(0.01, 0.03), blurred.shape), 0, 1)
    return scene


def _place_anywhere(rng: Generator, scene: Scene, sprite: Sprite) -> tuple[float, float] | None:
    """A position that fits, or None; tries come nearer to the middle, so that the first animal always finds one."""
    height, width = scene.objects.shape
    for reach in np.linspace(0.5, 0, 60):
        y, x = height * (0.5 + reach * rng.uniform(-1, 1)), width * (0.5 + reach * rng.uniform(-1, 1))
        if scene.fits(sprite, y, x):
            return y, x
    return None


def _place_touching(rng: Generator, scene: Scene, sprite: Sprite) -> tuple[float, float] | None:
    """A position where the sprite meets the first animal, side by side or overlapping it a little, or None."""
    y0, x0 = scene.centres[0]
    rim = binary_dilation(scene.objects == 1)
    for angle in rng.uniform(0, 2 * np.pi, 16):
        places = []
        for distance in np.arange(sprite.length + scene.sprites[0].length, 0, -0.02 * sprite.length):
            y, x = y0 + distance * np.sin(angle), x0 + distance * np.cos(angle)
            contact = (rim & (scene.paste(sprite.alpha, y, x) > 0.5)).sum()
            if contact > 0.15 * sprite.length and scene.fits(sprite, y, x):
                places.append((y, x))
        if places:
            return places[int(rng.integers(min(len(places), 1 + round(0.15 * sprite.length))))]
    return None


def _draw_ground(rng: Generator, height: int, width: int) -> np.ndarray:
    """A ground (height, width, 3) in about [0, 1]: a pattern of two colours, and clutter painted likewise."""
    size = max(height, width)
    y, x = np.mgrid[:height, :width] / size
    first, second = _stuff_colour(rng), _stuff_colour(rng)
    slope = rng.uniform(0, 2 * np.pi)
    ramp = np.tanh(
        rng.choice((2, 40))
        * ((x - rng.uniform(0.3, 0.7)) * np.cos(slope) + (y - rng.uniform(0.3, 0.7)) * np.sin(slope))
    )
    blend = 0.5 + rng.uniform(0, 0.4) * ramp + rng.uniform(0.05, 0.3) * pattern(rng, x, y, size)
    rgb = first + np.clip(blend, 0, 1)[..., None] * (second - first)
    rgb += 0.06 * rng.random() * texture(rng, y.shape, 0.006 * size)[..., None]
    for _ in range(rng.integers(3, 12)):
        _add_clutter(rng, rgb, x, y)
    return np.clip(rgb, 0, 1)


def _add_clutter(rng: Generator, rgb: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Draw one stone, stick or leaf with its shadow into `rgb`; `x`, `y` in units of the image's long side."""
    size = max(x.shape)
    cx, cy, angle, length = (
        rng.random() * x[0, -1],
        rng.random() * y[-1, 0],
        rng.uniform(0, 2 * np.pi),
        0.4 * rng.uniform(0.2, 1) ** 2,
    )
    thick, taper = 0.1 * rng.uniform(0.3, 1) ** 2, rng.uniform(0.2, 1)
    end = (cx + length * np.cos(angle), cy + length * np.sin(angle))
    # Beyond three hundredths of the image from it its shadow cannot be seen.
    reach = thick + 0.03
    rows = slice(max(0, int((min(cy, end[1]) - reach) * size)), int((max(cy, end[1]) + reach) * size) + 1)
    columns = slice(max(0, int((min(cx, end[0]) - reach) * size)), int((max(cx, end[0]) + reach) * size) + 1)
    part, x, y = rgb[rows, columns], x[rows, columns], y[rows, columns]
    if not part.size:
        return
    distance = limb(x, y, (cx, cy), end, thick, taper * thick)
    paint = _stuff_colour(rng) + (rng.uniform(0.05, 0.2) * pattern(rng, x / 0.3, y / 0.3, 0.3 * size))[..., None]
    paint *= (0.75 + 0.25 * np.clip(-distance / thick, 0, 1))[..., None]
    part *= 1 - 0.35 * np.exp(-((np.maximum(distance, 0) * 60) ** 2))[..., None]
    part += (paint - part) * np.clip(0.5 - distance * size, 0, 1)[..., None]


def _stuff_colour(rng: Generator) -> np.ndarray:
    """A colour of ground and clutter: of any hue, and often one that fur has too."""
    return (
        fur_colour(rng) if rng.random() < 0.25 else colour(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.9))
    )
