"""Pictures of what the caches hold: for each image one strip of panels."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from irn import drawing
from irn.cache import STRIDE, CacheReader
from irn.errors import IrnError
from irn.files import whole_file
from irn.images import read_image, rescale
from irn.progress import progress
from irn.tables import MAX_CLASSES, ClassLabels, ImageRecord, read_labels, read_manifest

UNSURE = 255
LEAST_HEIGHT, MOST_HEIGHT, MOST_WIDTH = 192, 320, 560  # pixels of a tile
LEAST_COLUMN = 150  # pixels: a caption must stay legible above a narrow image
MOST_IN_A_ROW = 5
MOST_CAM_TILES = 3
GAP, MARGIN, CAPTION_HEIGHT, TITLE_HEIGHT = 6, 12, 23, 36
TITLE_SIZE, CAPTION_SIZE, NAME_SIZE = 20, 14, 13
INK, FAINT, GREY, FRAME, WHITE = (20, 20, 20), (110, 110, 110), (150, 150, 150), (225, 225, 225), (255, 255, 255)

# The arrays that are drawn of each kind of cache.
ARRAYS = {
    "cam": ("classes", "high_res"),
    "ir_label": ("label",),
    "field": ("boundary", "displacement"),
    "label": ("semantic", "instance_map", "instance_class", "instance_score"),
}


class Tile(NamedTuple):
    """One picture of a panel: (H, W, 3) uint8, the same size for all tiles of an image."""

    caption: str
    pixels: np.ndarray


class Scene(NamedTuple):
    """What there is to draw of one image: its pixels, and by kind of cache the arrays of `ARRAYS`, where given."""

    record: ImageRecord
    pixels: np.ndarray
    arrays: dict[str, dict[str, np.ndarray]]
    present: list[int] | None
    names: list[str] | None

    def name(self, index: int) -> str:
        """What to call a class."""
        return self.names[index] if self.names else f"class {index}"


def show(
    manifest: Path,
    images: Sequence[str],
    out: Path,
    cams: Sequence[Path] = (),
    ir_labels: Sequence[Path] = (),
    fields: Sequence[Path] = (),
    label_caches: Sequence[Path] = (),
    labels: Path | None = None,
    count: int = 12,
) -> None:
    """Draw `out/<image_id>.png` for each image: the image, and a tile for each thing that the caches hold of it.

    Parameters
    ----------
    images: ids from the manifest. When there are none, `count` images are drawn, evenly spaced among those that all caches
        hold and, with `labels`, that have a class.
    labels: the labels table, for the names of classes; without it a class goes by its index.

    Raises
    ------
    IrnError, before anything is written, for an id that the manifest or a cache lacks, an image that is missing or would be
    replaced by a panel, and caches that do not fit the manifest or the labels table.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise IrnError(f"{out}: is a file, expected a folder for the panels; give another name to --out")
    paths = {"cam": cams, "ir_label": ir_labels, "field": fields, "label": label_caches}
    caches = {kind: CacheReader(files, kind) for kind, files in paths.items() if files}
    table = read_labels(labels) if labels else None
    records = read_manifest(manifest)
    chosen = _named(records, images, manifest) if images else _spread(records, caches, table, count, manifest)
    older = [record for record in chosen if (out / f"{record.image_id}.png").exists()]
    # Every path of a long manifest is looked up only where there is something to replace.
    sources = {record.path.resolve() for record in records} if older else set()
    for record in older:
        if (out / f"{record.image_id}.png").resolve() in sources:
            raise IrnError(f"--out {out}: the panel of image {record.image_id!r} would replace that image; give another folder")
    for cache in caches.values():
        cache.require(record.image_id for record in chosen)

    def scenes() -> Iterator[Scene]:
        return (_read_scene(record, caches, table, labels) for record in chosen)

    # Read all twice rather than keep all: a mistake in the last image must leave no panel of the first.
    for _ in scenes():
        pass
    for scene in progress(scenes(), len(chosen), "show"):
        panel = draw_panel(scene)
        with whole_file(out / f"{scene.record.image_id}.png") as partial:
            panel.save(partial, format="PNG")


def draw_panel(scene: Scene) -> Image.Image:
    """All tiles of one image in one row, in two when there are more than five, under a title with the classes present."""
    tiles = _tiles(scene)
    rows = 1 if len(tiles) <= MOST_IN_A_ROW else 2
    columns = -(-len(tiles) // rows)
    height, width = tiles[0].pixels.shape[:2]
    column = max(width, LEAST_COLUMN)
    size = (2 * MARGIN + columns * (column + GAP) - GAP, TITLE_HEIGHT + rows * (CAPTION_HEIGHT + height + GAP) - GAP + MARGIN)
    panel = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(panel)
    _draw_title(draw, scene, size[0] - MARGIN)
    for number, tile in enumerate(tiles):
        x = MARGIN + number % columns * (column + GAP)
        y = TITLE_HEIGHT + number // columns * (CAPTION_HEIGHT + height + GAP)
        draw.text((x, y + CAPTION_HEIGHT - 5), _shortened(tile.caption, CAPTION_SIZE, column), INK, _font(CAPTION_SIZE), anchor="ls")
        # A frame, for a displacement field is as white as the paper where nothing moves.
        draw.rectangle((x - 1, y + CAPTION_HEIGHT - 1, x + width, y + CAPTION_HEIGHT + height), outline=FRAME)
        panel.paste(Image.fromarray(tile.pixels), (x, y + CAPTION_HEIGHT))
    return panel


def _named(records: Sequence[ImageRecord], images: Sequence[str], manifest: Path) -> list[ImageRecord]:
    known = {record.image_id: record for record in records}
    for image_id in images:
        if image_id not in known:
            raise IrnError(f"{manifest}: no image {image_id!r}; expected an id of its first column, for example {records[0].image_id!r}")
    return [known[image_id] for image_id in dict.fromkeys(images)]


def _spread(
    records: Sequence[ImageRecord], caches: dict[str, CacheReader], table: ClassLabels | None, count: int, manifest: Path
) -> list[ImageRecord]:
    """So many images, evenly spaced among those that all caches hold, those with a class where there are any."""
    if count < 1:
        raise IrnError(f"show: the number of images is {count}, expected 1 or more; name images with --images to choose them yourself")
    held = [record for record in records if all(record.image_id in cache for cache in caches.values())]
    if not held:
        files = ", ".join(_paths(cache) for cache in caches.values())
        raise IrnError(f"{files}: no image of {manifest} is in all of these caches; give caches that were made from this manifest")
    held = [record for record in held if table is None or table.present.get(record.image_id)] or held
    steps = np.linspace(0, len(held) - 1, min(count, len(held))).round().astype(int)
    return [held[step] for step in steps]


def _read_scene(record: ImageRecord, caches: dict[str, CacheReader], table: ClassLabels | None, labels: Path | None) -> Scene:
    pixels = read_image(record.path, record.height, record.width)
    arrays = {kind: _read(cache, record, table) for kind, cache in caches.items()}
    if table and labels:
        return Scene(record, pixels, arrays, table.of(record.image_id, labels), table.names)
    return Scene(record, pixels, arrays, _classes_in(arrays), None)


def _read(cache: CacheReader, record: ImageRecord, table: ClassLabels | None) -> dict[str, np.ndarray]:
    """The arrays that are drawn; IrnError unless they fit the manifest, the labels table and each other."""
    where = f"{_paths(cache)}: image {record.image_id!r}"
    size = cache.size(record.image_id)
    if size != (record.height, record.width):
        raise IrnError(
            f"{where} is {size[0]} x {size[1]} pixels, the manifest says {record.height} x {record.width}; "
            "make the cache again from this manifest"
        )
    arrays = cache.read(record.image_id, ARRAYS[cache.kind])
    if cache.kind == "label":
        _check_range(where, "instance_map", arrays["instance_map"], len(arrays["instance_class"]))
    classes = len(table.names) if table else MAX_CLASSES
    for name, highest in (("classes", classes - 1), ("instance_class", classes - 1), ("semantic", classes), ("label", classes)):
        if name in arrays:
            values = arrays[name]
            _check_range(where, name, values[values != UNSURE] if name == "label" else values, highest)
    return arrays


def _check_range(where: str, name: str, values: np.ndarray, highest: int) -> None:
    if values.size and not 0 <= values.min() <= values.max() <= highest:
        found = values.max() if values.max() > highest else values.min()
        raise IrnError(f"{where}, array {name!r} holds {found}, expected 0 to {highest}; give caches and a labels table of one data set")


def _classes_in(arrays: dict[str, dict[str, np.ndarray]]) -> list[int] | None:
    """The class indices that the caches of an image name; None when there is no cache that could."""
    found = []
    if "cam" in arrays:
        found.append(arrays["cam"]["classes"])
    if "ir_label" in arrays:
        label = arrays["ir_label"]["label"]
        found.append(label[(label > 0) & (label != UNSURE)].astype(int) - 1)
    if "label" in arrays:
        found.append(arrays["label"]["instance_class"])
        found.append(arrays["label"]["semantic"][arrays["label"]["semantic"] > 0].astype(int) - 1)
    return np.unique(np.concatenate(found)).astype(int).tolist() if found else None


def _tile_size(height: int, width: int) -> tuple[int, int]:
    """Small images grow by halves to at least 192 rows, large ones shrink to at most 320 rows and 560 columns."""
    scale = min(max(np.ceil(2 * LEAST_HEIGHT / height) / 2, 1), MOST_HEIGHT / height, MOST_WIDTH / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _tiles(scene: Scene) -> list[Tile]:
    """The image, then the tiles of each cache that is given."""
    image = rescale(scene.pixels, *_tile_size(*scene.pixels.shape[:2]))
    drawn: dict[str, Callable[[Scene, np.ndarray], list[Tile]]] = {
        "cam": _cam_tiles,
        "ir_label": _ir_label_tiles,
        "field": _field_tiles,
        "label": _label_tiles,
    }
    tiles = [Tile("image", image)]
    for kind, draw in drawn.items():
        if kind in scene.arrays:
            tiles += draw(scene, image)
    return tiles


def _cam_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    classes, maps = scene.arrays["cam"]["classes"], scene.arrays["cam"]["high_res"]
    if not len(classes):
        return [Tile("CAM: no class", drawing.dimmed(image, 0.45))]
    tiles = []
    for index, values in zip(classes[:MOST_CAM_TILES], maps, strict=False):
        shown = np.asarray(Image.fromarray(values).resize(image.shape[1::-1], Image.Resampling.BILINEAR))
        tiles.append(Tile(f"CAM: {scene.name(int(index))}", drawing.heat_overlay(image, shown)))
    if len(classes) > MOST_CAM_TILES:
        tiles[-1] = tiles[-1]._replace(caption=f"{tiles[-1].caption} (+ {len(classes) - MOST_CAM_TILES} more)")
    return tiles


def _ir_label_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    label = _nearest(scene.arrays["ir_label"]["label"], image)
    unsure = label == UNSURE
    sure = np.where(unsure, 0, label)
    pixels = np.where((sure > 0)[..., None], image, drawing.dimmed(image, 0.3))
    pixels = drawing.overlay(pixels, sure, drawing.voc_palette(), 0.7)
    pixels = drawing.painted(pixels, unsure, GREY, 0.35)
    pixels = drawing.painted(pixels, unsure & drawing.stripes(*unsure.shape), WHITE, 0.6)
    return [Tile("IR label (striped: unsure)" if unsure.any() else "IR label", pixels)]


def _field_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    """The fields cell by cell: smooth pictures would promise more detail than there is."""
    boundary, displacement = scene.arrays["field"]["boundary"], scene.arrays["field"]["displacement"]
    grey = np.round(255 * np.clip(_nearest(boundary, image, scene.record), 0, 1)).astype(np.uint8)
    flow = _nearest(drawing.flow_colours(displacement).transpose(2, 0, 1), image, scene.record).transpose(1, 2, 0)
    caption = f"displacement, up to {drawing.flow_length(displacement):.1f} cells"
    return [Tile("boundary", np.repeat(grey[..., None], 3, axis=-1)), Tile(caption, _with_wheel(flow))]


def _label_tiles(scene: Scene, image: np.ndarray) -> list[Tile]:
    semantic = _nearest(scene.arrays["label"]["semantic"], image)
    pixels = drawing.overlay(drawing.dimmed(image, 0.85), semantic, drawing.voc_palette(), 0.7)
    pixels = drawing.painted(pixels, drawing.outlines(semantic), WHITE, 0.8)
    return [_instance_tile(scene, image), Tile("semantic label", pixels)]


def _instance_tile(scene: Scene, image: np.ndarray) -> Tile:
    arrays = scene.arrays["label"]
    pieces, scores = _nearest(arrays["instance_map"], image).astype(int), arrays["instance_score"]
    # New numbers for the pieces with a score, 0 for those without, which are outlined only.
    number = np.concatenate([[0], np.cumsum(scores > 0) * (scores > 0)]).astype(int)
    shown = number[pieces]
    dropped = np.where(shown > 0, 0, pieces)
    colours = np.concatenate([[(0, 0, 0)], drawing.distinct_colours(number.max())]).astype(np.uint8)
    pixels = drawing.overlay(drawing.dimmed(image, 0.85), shown, colours, 0.6)
    pixels = drawing.painted(pixels, drawing.outlines(dropped), GREY)
    pixels = drawing.painted(pixels, drawing.outlines(shown), WHITE)
    texts = [(scene.name(int(index)), f"{score:.2f}") for index, score in zip(arrays["instance_class"], scores, strict=True) if score > 0]
    note = " (grey: score 0)" if dropped.any() else ""
    return Tile(f"instances: {len(texts)}{note}", _with_names(pixels, shown, texts))


def _nearest(values: np.ndarray, image: np.ndarray, record: ImageRecord | None = None) -> np.ndarray:
    """Bring a map (..., H, W) to the size of a tile; with `record` it has cells of stride 4, some of them partly beyond the image."""
    extent = (record.height / STRIDE, record.width / STRIDE) if record else values.shape[-2:]
    rows, columns = (((np.arange(n) + 0.5) * size / n).astype(int) for n, size in zip(image.shape, extent, strict=False))
    return values[..., rows[:, None], columns]


def _with_wheel(flow: np.ndarray) -> np.ndarray:
    """Put the wheel of directions into the corner that shows least."""
    height, width = flow.shape[:2]
    diameter = max(min(44, height // 3, width // 3), 1)
    side = min(diameter + 12, height, width)
    corners = [(x, y) for y in (height - side, 0) for x in (width - side, 0)]
    x, y = max(corners, key=lambda corner: flow[corner[1] : corner[1] + side, corner[0] : corner[0] + side].min(axis=-1).mean())
    x, y = x + (side - diameter) // 2, y + (side - diameter) // 2
    panel = Image.fromarray(flow)
    ImageDraw.Draw(panel).ellipse((x - 3, y - 3, x + diameter + 2, y + diameter + 2), fill=WHITE, outline=GREY)
    colours, disc = drawing.flow_wheel(diameter)
    panel.paste(Image.fromarray(colours), (x, y), Image.fromarray(np.round(255 * disc).astype(np.uint8)))
    return np.asarray(panel)


def _with_names(pixels: np.ndarray, pieces: np.ndarray, texts: Sequence[tuple[str, str]]) -> np.ndarray:
    """Write name and score into each piece that is large enough; `texts` holds them for the pieces 1, 2, ... of the map."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for number, text in enumerate(texts, 1):
        for words in (" ".join(text), "\n".join(text), text[1]):
            box = draw.multiline_textbbox((0, 0), words, _font(NAME_SIZE), anchor="mm", align="center", spacing=2)
            spot = _spot(pieces == number, round(box[2] - box[0]) + 4, round(box[3] - box[1]) + 4)
            if spot:
                style: dict[str, Any] = {"anchor": "mm", "align": "center", "spacing": 2, "stroke_width": 1, "stroke_fill": INK}
                draw.multiline_text(spot, words, WHITE, _font(NAME_SIZE), **style)
                break
    return np.asarray(picture)


def _spot(piece: np.ndarray, width: int, height: int) -> tuple[int, int] | None:
    """The middle (x, y) of a box of this size that lies wholly in the piece, as near to the piece's centre as can be."""
    room = ndimage.minimum_filter(piece, size=(height, width), mode="constant")
    rows, columns = np.nonzero(room)
    if not len(rows):
        return None
    middle = [places.mean() for places in np.nonzero(piece)]
    best = np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)
    return int(columns[best]), int(rows[best])


def _draw_title(draw: ImageDraw.ImageDraw, scene: Scene, right: int) -> None:
    """The image's id, then the classes present, each beside its colour in the label maps, as many as there is room for."""
    baseline = TITLE_HEIGHT - 8
    title = _shortened(scene.record.image_id, TITLE_SIZE, right - MARGIN)
    draw.text((MARGIN, baseline), title, INK, _font(TITLE_SIZE), anchor="ls")
    x = MARGIN + _font(TITLE_SIZE).getlength(title) + 18
    if scene.present is None:
        return
    if not scene.present:
        draw.text((x, baseline), _shortened("no class", CAPTION_SIZE, right - x), FAINT, _font(CAPTION_SIZE), anchor="ls")
    palette, small = drawing.voc_palette(), _font(CAPTION_SIZE)
    for done, index in enumerate(scene.present):
        left = len(scene.present) - done
        needed = 16 + small.getlength(scene.name(index))
        # Unless it is the last, a name must leave room for telling how many follow.
        if x + needed + (14 + small.getlength(f"+ {left - 1} more") if left > 1 else 0) > right:
            draw.text(
                (x, baseline),
                _shortened(f"+ {left} more" if done else f"{left} classes", CAPTION_SIZE, right - x),
                FAINT,
                small,
                anchor="ls",
            )
            return
        draw.rectangle((x, baseline - 11, x + 11, baseline), tuple(palette[index + 1].tolist()))
        draw.text((x + 16, baseline), scene.name(index), INK, small, anchor="ls")
        x += needed + 14


def _shortened(text: str, size: int, width: float) -> str:
    """As much of the text as fits into so many pixels, with dots where something is missing."""
    if _font(size).getlength(text) <= width:
        return text
    kept = [text[:n].rstrip() + "..." for n in range(len(text), 0, -1)]
    return next((words for words in kept if _font(size).getlength(words) <= width), "")


@lru_cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _paths(cache: CacheReader) -> str:
    return ", ".join(str(path) for path in cache.paths)
