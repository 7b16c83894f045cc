"""The tiles of a panel: the image, and what each kind of cache holds of it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from irn.grid import STRIDE, UNSURE
from irn.ops.resize import rescale
from irn.pictures import colours
from irn.pictures.colours import voc_palette
from irn.pictures.text import GREY, INK, WHITE, font
from irn.records import ImageRecord

LEAST_HEIGHT, MOST_HEIGHT, MOST_WIDTH = 192, 320, 560  # pixels of a tile
MOST_CAM_TILES = 3
NAME_SIZE = 13  # pixels
ARROW_STEP = 24  # pixels from one arrow to the next

# The arrays that are drawn of each kind of cache.
ARRAYS = {
    "cam": ("classes", "high_res"),
    "ir_label": ("label",),
    "field": ("boundary", "displacement"),
    "walk": ("groups",),
    "label": ("semantic", "instance_map", "instance_class", "instance_score"),
}


class Tile(NamedTuple):
    """One picture of a panel: (H, W, 3) uint8, the same size for all tiles of an image; `kind` says what it shows."""

    kind: str
    caption: str
    pixels: np.ndarray


class Scene(NamedTuple):
    """What there is to draw of one image: its pixels, and by kind of cache the arrays of `ARRAYS`, where given.

    centroid_length: in cells, as in `instance_groups`.
    truth: ground truth, where given: (H, W) integers, 0 background, 1 + class index, 255 void; and (T, H, W) bool masks of objects.
    """

    record: ImageRecord
    pixels: np.ndarray
    arrays: dict[str, dict[str, np.ndarray]]
    present: list[int] | None
    names: list[str] | None
    centroid_length: float
    truth: tuple[np.ndarray, np.ndarray] | None = None

    def name(self, index: int) -> str:
        """What to call a class."""
        return self.names[index] if self.names else f"class {index}"


def spread(count: int, chosen: int) -> list[int]:
    """`chosen` places among `count`, evenly spaced, the first and the last among them."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(chosen, count)).round()})


def _tile_size(height: int, width: int) -> tuple[int, int]:
    """Small images grow by halves to at least 192 rows, large ones shrink to at most 320 rows and 560 columns."""
    scale = min(max(np.ceil(2 * LEAST_HEIGHT / height) / 2, 1), MOST_HEIGHT / height, MOST_WIDTH / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def tiles_of(scene: Scene) -> list[Tile]:
    """The image, then the tiles of each cache that is given, and of ground truth."""
    image = rescale(scene.pixels, *_tile_size(*scene.pixels.shape[:2]))
    drawn: dict[str, Callable[[Scene, np.ndarray], list[Tile]]] = {
        "cam": _cam_tiles,
        "ir_label": _ir_label_tiles,
        "field": _field_tiles,
        "walk": _walk_tiles,
        "label": _label_tiles,
    }
    tiles = [Tile("image", "image", image)]
    for kind, draw in drawn.items():
        if kind in scene.arrays:
            tiles += draw(scene, image)
    return tiles + _truth_tiles(scene, image)


def _cam_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    classes, maps = scene.arrays["cam"]["classes"], scene.arrays["cam"]["high_res"]
    if not len(classes):
        return [Tile("cam", "CAM: no class", colours.dimmed(image, 0.45))]
    tiles = []
    for index, values in zip(classes[:MOST_CAM_TILES], maps, strict=False):
        shown = np.asarray(Image.fromarray(values).resize(image.shape[1::-1], Image.Resampling.BILINEAR))
        tiles.append(Tile("cam", f"CAM: {scene.name(int(index))}", colours.heat_overlay(image, shown)))
    if len(classes) > MOST_CAM_TILES:
        tiles[-1] = tiles[-1]._replace(caption=f"{tiles[-1].caption} (+ {len(classes) - MOST_CAM_TILES} more)")
    return tiles


def _ir_label_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    label = _nearest(scene.arrays["ir_label"]["label"], image)
    return [
        Tile(
            "ir_label",
            "IR label (striped: unsure)" if (label == UNSURE).any() else "IR label",
            _with_unsure(image, label),
        )
    ]


def _with_unsure(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Classes in their colours, background dark, and what is unsure or void in stripes."""
    unsure = label == UNSURE
    sure = np.where(unsure, 0, label)
    pixels = np.where((sure > 0)[..., None], image, colours.dimmed(image, 0.3))
    pixels = colours.overlay(pixels, sure, voc_palette(), 0.7)
    pixels = colours.painted(pixels, unsure, GREY, 0.35)
    return colours.painted(pixels, unsure & colours.stripes(*unsure.shape), WHITE, 0.6)


def _field_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    """The fields cell by cell: smooth pictures would promise more detail than there is."""
    boundary, displacement = scene.arrays["field"]["boundary"], scene.arrays["field"]["displacement"]
    grey = np.round(255 * np.clip(_nearest(boundary, image, scene.record), 0, 1)).astype(np.uint8)
    flow = _nearest(colours.flow_colours(displacement).transpose(2, 0, 1), image, scene.record).transpose(1, 2, 0)
    caption = f"displacement, up to {colours.flow_length(displacement):.1f} cells"
    arrows = _with_wheel(_with_arrows(flow, _nearest(displacement, image, scene.record)))
    return [Tile("boundary", "boundary", np.repeat(grey[..., None], 3, axis=-1)), Tile("displacement", caption, arrows)]


def _walk_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    """The instance groups cell by cell; none for a cache that lacks them, as older ones do."""
    if "groups" not in scene.arrays["walk"]:
        return []
    found, groups = np.unique(scene.arrays["walk"]["groups"], return_inverse=True)
    # From 1: colours and outlines leave 0 out.
    shown = _nearest(1 + groups.reshape(scene.arrays["walk"]["groups"].shape), image, scene.record)
    pixels = colours.painted(_coloured(image, shown, len(found)), colours.outlines(shown), WHITE)
    if "field" not in scene.arrays:
        return [Tile("groups", f"groups: {len(found)}", pixels)]
    length = np.hypot(*scene.arrays["field"]["displacement"])
    centroids = _nearest((length < scene.centroid_length).astype(int), image, scene.record)
    return [
        Tile(
            "groups",
            f"groups: {len(found)} (black: centroids)",
            colours.painted(pixels, colours.outlines(centroids), INK),
        )
    ]


def _label_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    semantic = _nearest(scene.arrays["label"]["semantic"], image)
    pixels = colours.overlay(colours.dimmed(image, 0.85), semantic, voc_palette(), 0.7)
    pixels = colours.painted(pixels, colours.outlines(semantic), WHITE, 0.8)
    return [_instance_tile(scene, image), Tile("semantic", "semantic label", pixels)]


def _truth_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    if scene.truth is None:
        return []
    classes, objects = scene.truth
    label = _nearest(classes, image)
    pixels = _with_unsure(image, label)
    for mask in objects:
        pixels = colours.painted(pixels, colours.outlines(_nearest(mask.astype(int), image)), WHITE)
    count = f", {len(objects)} object{'s' * (len(objects) != 1)}" if len(objects) else ""
    return [Tile("truth", f"ground truth{count}{' (striped: void)' if (label == UNSURE).any() else ''}", pixels)]


def _instance_tile(scene: Scene, image: np.ndarray) -> Tile:
    arrays = scene.arrays["label"]
    pieces, scores = _nearest(arrays["instance_map"], image).astype(int), arrays["instance_score"]
    # New numbers for the pieces with a score, 0 for those without, which are outlined only.
    number = np.concatenate([[0], np.cumsum(scores > 0) * (scores > 0)]).astype(int)
    shown = number[pieces]
    dropped = np.where(shown > 0, 0, pieces)
    pixels = colours.painted(_coloured(image, shown, number.max()), colours.outlines(dropped), GREY)
    pixels = colours.painted(pixels, colours.outlines(shown), WHITE)
    texts = [
        (scene.name(int(index)), f"{score:.2f}")
        for index, score in zip(arrays["instance_class"], scores, strict=True)
        if score > 0
    ]
    note = " (grey: too small)" if dropped.any() else ""
    return Tile("instances", f"instances: {len(texts)}{note}", _with_names(pixels, shown, texts))


def _coloured(image: np.ndarray, regions: np.ndarray, count: int) -> np.ndarray:
    """The dimmed image with a colour of its own over each of the regions 1 to `count`."""
    palette = np.concatenate([[(0, 0, 0)], colours.distinct_colours(count)]).astype(np.uint8)
    return colours.overlay(colours.dimmed(image, 0.85), regions, palette, 0.6)


def _nearest(values: np.ndarray, image: np.ndarray, record: ImageRecord | None = None) -> np.ndarray:
    """Bring a map (..., H, W) to the size of a tile; with `record` it has cells of stride 4, some of them partly beyond the image."""
    extent = (record.height / STRIDE, record.width / STRIDE) if record else values.shape[-2:]
    rows, columns = (
        ((np.arange(n) + 0.5) * size / n).astype(int) for n, size in zip(image.shape, extent, strict=False)
    )
    return values[..., rows[:, None], columns]


def _with_wheel(flow: np.ndarray) -> np.ndarray:
    """Put the wheel of directions into the corner that shows least."""
    height, width = flow.shape[:2]
    diameter = max(min(44, height // 3, width // 3), 1)
    side = min(diameter + 12, height, width)
    corners = [(x, y) for y in (height - side, 0) for x in (width - side, 0)]
    x, y = max(
        corners, key=lambda corner: flow[corner[1] : corner[1] + side, corner[0] : corner[0] + side].min(axis=-1).mean()
    )
    x, y = x + (side - diameter) // 2, y + (side - diameter) // 2
    panel = Image.fromarray(flow)
    ImageDraw.Draw(panel).ellipse((x - 3, y - 3, x + diameter + 2, y + diameter + 2), fill=WHITE, outline=GREY)
    wheel, disc = colours.flow_wheel(diameter)
    panel.paste(Image.fromarray(wheel), (x, y), Image.fromarray(np.round(255 * disc).astype(np.uint8)))
    return np.asarray(panel)


def _with_arrows(picture: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Draw an arrow every few pixels: the direction and, to scale, the length of the displacement (2, H, W) there."""
    longest = colours.flow_length(displacement)
    panel = Image.fromarray(picture)
    draw = ImageDraw.Draw(panel)
    half = ARROW_STEP // 2
    for y in range(half, picture.shape[0], ARROW_STEP):
        for x in range(half, picture.shape[1], ARROW_STEP):
            vector = displacement[::-1, y, x].astype(float)
            length = np.hypot(*vector) / longest if longest > 0 else 0.0
            # Shorter ones would be dots.
            if length < 0.2:
                continue
            reach = vector / longest / max(length, 1) * (half - 1)
            start, end = np.array((x, y)) - reach, np.array((x, y)) + reach
            side = reach[::-1] * (-1, 1)
            draw.line((*start, *end), fill=INK)
            draw.polygon(
                [tuple(end), tuple(end - 0.6 * reach + 0.3 * side), tuple(end - 0.6 * reach - 0.3 * side)], fill=INK
            )
    return np.asarray(panel)


def _with_names(pixels: np.ndarray, pieces: np.ndarray, texts: Sequence[tuple[str, str]]) -> np.ndarray:
    """Write name and score into each piece that is large enough; `texts` holds them for the pieces 1, 2, ... of the map."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for number, text in enumerate(texts, 1):
        for words in (" ".join(text), "\n".join(text), text[1]):
            box = draw.multiline_textbbox((0, 0), words, font(NAME_SIZE), anchor="mm", align="center", spacing=2)
            spot = _spot(pieces == number, round(box[2] - box[0]) + 4, round(box[3] - box[1]) + 4)
            if spot:
                style: dict[str, Any] = {
                    "anchor": "mm",
                    "align": "center",
                    "spacing": 2,
                    "stroke_width": 1,
                    "stroke_fill": INK,
                }
                draw.multiline_text(spot, words, WHITE, font(NAME_SIZE), **style)
                break
    return np.asarray(picture)


def _spot(piece: np.ndarray, width: int, height: int) -> tuple[int, int] | None:
    """The middle (x, y) of a box of this size that lies wholly in the piece, as near to the piece's centre as can be."""
    if piece.shape[0] < height or piece.shape[1] < width:
        return None
    # The pixels of the piece above and to the left of each corner, of which four give those within a box.
    before = np.pad(piece, ((1, 0), (1, 0))).cumsum(0, np.int32).cumsum(1, np.int32)
    within = before[height:, width:] - before[:-height, width:] - before[height:, :-width] + before[:-height, :-width]
    rows, columns = np.nonzero(within == height * width)
    if not len(rows):
        return None
    rows, columns = rows + height // 2, columns + width // 2
    middle = [places.mean() for places in np.nonzero(piece)]
    best = np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)
    return int(columns[best]), int(rows[best])
