"""Draw a small data set in the layout of PASCAL VOC: invented animals that differ in their heads only, on cluttered grounds."""

import colorsys
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter

from irn.drawing import voc_palette
from irn.errors import IrnError
from irn.parallel import available_cores, map_in_order
from irn.progress import progress

CLASSES = ("badger", "hare", "lynx", "panda", "ram")
HUES = (0.58, 0.95, 0.14, 0.36, 0.76)  # of the marks on each one's head
FOLDERS = ("JPEGImages", "SegmentationClass", "SegmentationObject", "Annotations", "ImageSets/Segmentation")
SMALLEST, LARGEST = 0.32, 0.98  # body length (rump to nose, roughly) in units of the image's long side
VISIBLE = 0.62  # share of an animal, and of its head, that those in front leave to be seen
INSIDE = 0.8  # share of an animal that lies inside the image


@dataclass(frozen=True)
class Sprite:
    """One drawn animal: `rgb` (n, n, 3) and `alpha` (n, n) in 0..1, `head` (n, n) bool, `length` in pixels."""

    species: int
    fur: np.ndarray
    rgb: np.ndarray
    alpha: np.ndarray
    head: np.ndarray
    length: float


@dataclass(frozen=True)
class Draw:
    """Draw one image, given its index; it does not depend on how many there are."""

    root: Path
    seed: int
    size: int

    def __call__(self, index: int) -> None:
        _write_image(self.root, f"demo_{index + 1:04d}", np.random.default_rng([self.seed, index]), self.size)


class Scene:
    """An image while animals are put into it: `rgb` (h, w, 3) in 0..1, `objects` (h, w) with object numbers from 1, 0 elsewhere."""

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
        """Whether the sprite at (y, x) lies well inside and leaves enough of every animal behind it, and of its head."""
        mask, head = self.paste(sprite.alpha, y, x) > 0.5, self.paste(sprite.head, y, x)
        if mask.sum() < INSIDE * (sprite.alpha > 0.5).sum() or head.sum() < INSIDE * sprite.head.sum():
            return False
        seen = self.objects * ~mask
        for number, other in enumerate(self.sprites, 1):
            mine = seen == number
            if mine.sum() < VISIBLE * (other.alpha > 0.5).sum() or (mine & self.heads).sum() < VISIBLE * other.head.sum():
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


def make_demo_data(out: Path, seed: int = 0, images: int = 360, size: int = 192, workers: int | None = None) -> None:
    """Write a data set of drawn animals in the layout of PASCAL VOC; every sixth image goes to val, the others to train.

    Parameters
    ----------
    out: folder that does not exist yet or is empty; it appears only when the data set is whole.
    seed: the same seed gives the same bytes; image k is the same whatever the number of images.
    images: how many, at least 2.
    size: long side of the images in pixels, 64 to 1024.

    Raises
    ------
    IrnError for a number out of range or a folder that holds something already.
    """
    out = Path(out).absolute()
    if seed < 0:
        raise IrnError(f"demo data: seed is {seed}, expected 0 or more; give another seed")
    if images < 2:
        raise IrnError(f"demo data: images is {images}, expected at least 2, one to train and one to validate; ask for more images")
    if not 64 <= size <= 1024:
        raise IrnError(f"demo data: size is {size} pixels, expected 64 to 1024; choose a size in between")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise IrnError(f"{out}: exists already and is not an empty folder; expected a new folder; name another or remove this one")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for folder in FOLDERS:
            (partial / folder).mkdir(parents=True)
        drawn = map_in_order(Draw(partial, seed, size), range(images), available_cores() if workers is None else workers, str)
        for _ in progress(drawn, images, "drawing"):
            pass
        _write_splits(partial / "ImageSets/Segmentation", images)
        (partial / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
        # The bytes must be on the disk before the name is: a reboot must not leave a whole-looking stub.
        os.sync()
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_splits(folder: Path, images: int) -> None:
    ids = [f"demo_{index + 1:04d}" for index in range(images)]
    val = ids[1::6]  # from the second on, so that two images are enough for one of each
    for name, members in (("train", [i for i in ids if i not in val]), ("val", val), ("trainval", ids)):
        (folder / f"{name}.txt").write_text("".join(f"{image_id}\n" for image_id in members), encoding="utf-8")


def _write_image(root: Path, image_id: str, rng: Generator, size: int) -> None:
    """Draw one image and write its picture, its two masks and its annotation."""
    scene = _draw_scene(rng, size)
    pixels = (scene.rgb * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(root / "JPEGImages" / f"{image_id}.jpg", quality=90)
    class_of = np.array([0] + [1 + sprite.species for sprite in scene.sprites], np.uint8)
    for folder, mask in (("SegmentationClass", class_of[scene.objects]), ("SegmentationObject", scene.objects)):
        picture = Image.fromarray(mask)
        picture.putpalette(voc_palette().ravel().tolist())
        picture.save(root / folder / f"{image_id}.png")
    height, width = scene.objects.shape
    lines = ["<annotation>", "  <folder>demo</folder>", f"  <filename>{image_id}.jpg</filename>"]
    lines += [f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>"]
    for number, sprite in enumerate(scene.sprites, 1):
        rows, columns = np.nonzero(scene.objects == number)
        # VOC counts pixels from 1 and its boxes hold both ends.
        box = {"xmin": columns.min() + 1, "ymin": rows.min() + 1, "xmax": columns.max() + 1, "ymax": rows.max() + 1}
        corners = "".join(f"<{name}>{value}</{name}>" for name, value in box.items())
        name = f"<name>{CLASSES[sprite.species]}</name>"
        lines += [f"  <object>{name}<difficult>0</difficult><bndbox>{corners}</bndbox></object>"]
    (root / "Annotations" / f"{image_id}.xml").write_text("\n".join([*lines, "</annotation>", ""]), encoding="utf-8")


def _draw_scene(rng: Generator, size: int) -> Scene:
    """One image: ground and clutter, 1 to 4 animals of which two of a class often touch, then light, blur and noise."""
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
        fur = _fur(rng, scene.rgb.mean((0, 1)), partner.fur if partner else None)
        sprite = _draw_animal(rng, species, fur, length)
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


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue % 1, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1))))


def _fur_colour(rng: Generator) -> np.ndarray:
    """A colour of fur: reddish to yellowish brown, from dark to light."""
    return _colour(rng.normal(0.07, 0.025), rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.9))


def _stuff_colour(rng: Generator) -> np.ndarray:
    """A colour of ground and clutter: of any hue, not seldom one that fur has too."""
    return _fur_colour(rng) if rng.random() < 0.25 else _colour(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.9))


def _fur(rng: Generator, ground: np.ndarray, neighbour: np.ndarray | None) -> np.ndarray:
    """A fur colour that can be told from the ground's mean and, mostly, is another shade of the touching neighbour's."""
    for _ in range(50):
        fur = _fur_colour(rng)
        if neighbour is not None and rng.random() < 0.7:
            hue, saturation, value = colorsys.rgb_to_hsv(*neighbour.tolist())
            value += rng.choice((-1, 1)) * rng.uniform(0.12, 0.35)
            fur = _colour(hue + rng.normal(0, 0.02), saturation + rng.normal(0, 0.1), np.clip(value, 0.25, 0.9))
        if np.abs(fur - ground).max() > 0.15:
            break
    return fur


def _ellipse(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    """Distance to an ellipse, too small by up to the ratio of its radii, negative inside."""
    return (np.hypot((x - cx) / rx, (y - cy) / ry) - 1) * min(rx, ry)


def _limb(x: np.ndarray, y: np.ndarray, start: tuple[float, float], end: tuple[float, float], r0: float, r1: float) -> np.ndarray:
    """Distance to a stroke between two points (x, y) whose radius goes from `r0` to `r1`, negative inside."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - (r0 + (r1 - r0) * along)


def _join(a: np.ndarray, b: np.ndarray, soft: float) -> np.ndarray:
    """Union of two distances with the notch between them filled over about `soft`."""
    return np.minimum(a, b) - np.maximum(soft - np.abs(a - b), 0) ** 2 / (4 * soft)


def _texture(rng: Generator, shape: tuple[int, ...], grain: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1 whose lumps measure about `grain` pixels."""
    noise = gaussian_filter(rng.normal(size=shape), grain)
    return (noise - noise.mean()) / (noise.std() + 1e-9)


def _pattern(rng: Generator, x: np.ndarray, y: np.ndarray, unit: float) -> np.ndarray:
    """A coat or ground pattern in about -1..1 of lumps, stripes or blotches; `x`, `y` in units of `unit` pixels."""
    lumps = _texture(rng, x.shape, unit * rng.uniform(0.05, 0.15))
    kind = rng.integers(3)
    if kind == 0:
        return np.tanh(lumps)
    if kind == 1:
        angle, waves = rng.uniform(0, np.pi), rng.uniform(2, 6)
        return np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0.3, 1.2) * lumps + rng.uniform(0, 6))
    return np.tanh(4 * (lumps - rng.uniform(0, 0.8)))


def _draw_ground(rng: Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) in about 0..1: a patterned ground of two colours, and clutter of such colours and patterns too."""
    size = max(height, width)
    y, x = np.mgrid[:height, :width] / size
    first, second = _stuff_colour(rng), _stuff_colour(rng)
    slope = rng.uniform(0, 2 * np.pi)
    ramp = np.tanh(rng.choice((2, 40)) * ((x - rng.uniform(0.3, 0.7)) * np.cos(slope) + (y - rng.uniform(0.3, 0.7)) * np.sin(slope)))
    blend = 0.5 + rng.uniform(0, 0.4) * ramp + rng.uniform(0.05, 0.3) * _pattern(rng, x, y, size)
    rgb = first + np.clip(blend, 0, 1)[..., None] * (second - first)
    rgb += 0.05 * rng.random() * _texture(rng, y.shape, 0.006 * size)[..., None]
    for _ in range(rng.integers(2, 11)):
        _add_clutter(rng, rgb, x, y)
    return np.clip(rgb, 0, 1)


def _add_clutter(rng: Generator, rgb: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Draw one stone, stick or leaf with its shadow into `rgb`; `x`, `y` in units of the image's long side."""
    size = max(x.shape)
    cx, cy, angle, length = rng.random() * x[0, -1], rng.random() * y[-1, 0], rng.uniform(0, 2 * np.pi), 0.4 * rng.uniform(0.2, 1) ** 2
    thick, taper = 0.1 * rng.uniform(0.3, 1) ** 2, rng.uniform(0.2, 1)
    distance = _limb(x, y, (cx, cy), (cx + length * np.cos(angle), cy + length * np.sin(angle)), thick, taper * thick)
    colour = _stuff_colour(rng) + (rng.uniform(0.05, 0.15) * _pattern(rng, x / 0.3, y / 0.3, 0.3 * size))[..., None]
    colour *= (0.75 + 0.25 * np.clip(-distance / thick, 0, 1))[..., None]
    rgb *= 1 - 0.35 * np.exp(-((np.maximum(distance, 0) * 60) ** 2))[..., None]
    rgb += (colour - rgb) * np.clip(0.5 - distance * size, 0, 1)[..., None]


def _body(rng: Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Distance to trunk, feet, tail and neck in units of the length, y upwards, looking to positive x; and where the head sits."""
    half, thick = rng.uniform(0.27, 0.36), rng.uniform(0.15, 0.22)
    body = _ellipse(x, y, 0, 0, half, thick)
    for side in (-1, 1):
        body = _join(body, _ellipse(x, y, side * rng.uniform(0.4, 0.6) * half, rng.uniform(-0.03, 0.03), 0.9 * thick, thick), 0.05)
    for hip in (-0.6, 0.6):
        start = (hip * half, -0.7 * thick)
        body = _join(body, _limb(x, y, start, (start[0] + rng.uniform(-0.08, 0.08), -thick - rng.uniform(0, 0.06)), 0.08, 0.06), 0.04)
    rise, tail = rng.uniform(-0.5, 1), rng.uniform(0.05, 0.12)
    rump = (-0.9 * half, 0.2 * thick)
    body = _join(body, _limb(x, y, rump, (rump[0] - tail * np.cos(rise), rump[1] + tail * np.sin(rise)), 0.06, 0.05), 0.04)
    lift, neck = rng.uniform(-0.1, 0.9), rng.uniform(0.1, 0.16)
    shoulder = (0.8 * half, 0.2 * thick)
    head = (shoulder[0] + neck * np.cos(lift), shoulder[1] + neck * np.sin(lift))
    return _join(body, _limb(x, y, shoulder, head, 0.6 * thick, 0.1), 0.05), head


def _head(species: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the head in units of its radius, and its marks: above 0 light, below 0 dark, the size being a distance to their rim."""
    if species == 0:  # badger: long snout, stripes along it
        shape = _join(_limb(x, y, (-0.3, 0.1), (1.1, -0.35), 0.85, 0.4), _ellipse(x, y, -0.6, 0.85, 0.28, 0.28), 0.2)
        return shape, abs(abs(0.95 * y + 0.31 * x) - 0.4) - 0.2
    if species == 1:  # hare: two long ears, the lower half light
        ears = np.minimum(_limb(x, y, (-0.3, 0.5), (-0.9, 1.7), 0.22, 0.2), _limb(x, y, (0.15, 0.5), (0.1, 1.9), 0.22, 0.2))
        return _join(_ellipse(x, y, 0, 0, 0.95, 0.8), ears, 0.1), -0.1 - y
    if species == 2:  # lynx: pointed ears and whiskers, bars across
        tips = np.minimum(_limb(abs(x), y, (0.5, 0.4), (0.85, 1.4), 0.45, 0.02), _limb(abs(x), y, (0, -0.1), (1.35, -0.6), 0.6, 0.02))
        return _join(_ellipse(x, y, 0, 0, 0.9, 0.85), tips, 0.1), abs(abs(x) - 0.5) - 0.22
    if species == 3:  # panda: a light disc with round dark ears and eye patches
        face, ears = _ellipse(x, y, 0, 0, 0.95, 0.9), _ellipse(abs(x), y, 0.75, 0.75, 0.4, 0.4)
        return np.minimum(face, ears), np.where(face < 0, _ellipse(abs(x), y, 0.42, 0.05, 0.27, 0.36), -0.3)
    # ram: a dark face, a light curled horn with a dark hole behind it
    curl = np.hypot(x + 0.55, y - 0.3)
    shape = np.minimum(_limb(x, y, (-0.1, 0), (0.8, -0.6), 0.75, 0.4), curl - 0.85)
    return shape, 0.24 - abs(curl - 0.61)


def _draw_animal(rng: Generator, species: int, fur: np.ndarray, length: float) -> Sprite:
    """Draw one animal of about `length` pixels; what is drawn at random does not depend on `species`, which chooses the head."""
    reach = int(0.9 * length)
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1] / length
    tilt, facing = np.clip(rng.normal(0, 0.2), -np.pi / 6, np.pi / 6), rng.choice((-1, 1))
    x, y = facing * (column * np.cos(tilt) + row * np.sin(tilt)), column * np.sin(tilt) - row * np.cos(tilt)
    body, (head_x, head_y) = _body(rng, x, y)
    coat = fur + (rng.uniform(0.02, 0.1) * _pattern(rng, x, y, length))[..., None]
    hair = _texture(rng, x.shape, 0.012 * length)
    coat += 0.05 * hair[..., None]
    coat += rng.uniform(0, 0.15) * np.tanh(-8 * (y + 0.05))[..., None]  # belly lighter than back
    radius, nod = rng.uniform(0.15, 0.17), rng.uniform(-0.3, 0.3)
    u, v = (x - head_x) / radius, (y - head_y) / radius
    head, marks = _head(species, u * np.cos(nod) + v * np.sin(nod), v * np.cos(nod) - u * np.sin(nod))
    head, marks = head * radius, marks * radius
    dark = fur * rng.uniform(0.3, 0.6) + 0.03 * hair[..., None]
    light = _colour(HUES[species] + rng.normal(0, 0.02), rng.uniform(0.35, 0.75), rng.uniform(0.75, 1))
    face = dark + np.clip(0.5 + marks * length, 0, 1)[..., None] * (light - dark)
    face += 0.03 * _texture(rng, x.shape, 0.02 * length)[..., None]
    coat *= (1 - 0.3 * np.exp(-((np.maximum(head, 0) / 0.04) ** 2)))[..., None]  # the head's shadow on the body
    rgb = coat + (face - coat) * np.clip(0.5 - head * length, 0, 1)[..., None]
    rgb *= (0.7 + 0.3 * np.clip(-np.where(head < 0, head, body) / 0.06, 0, 1) ** 0.7)[..., None]  # darker towards the rims
    rgb *= (1 + rng.uniform(0.1, 0.5) * y)[..., None]  # light from above
    alpha = np.clip(0.5 - np.minimum(body, head) * length, 0, 1)
    return Sprite(species, fur, np.clip(rgb, 0, 1), alpha, head < 0, length)
