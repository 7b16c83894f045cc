"""The panels of an image: the image, and what each kind of cache holds of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from irn.grid import STRIDE, UNSURE
from irn.ops.resize import rescale
from irn.pictures import colours
from irn.pictures.class_colours import class_colours
from irn.pictures.marks import with_arrows, with_names, with_wheel
from irn.pictures.text import GREY, INK, WHITE, name_in_pictures
from irn.records import ImageRecord

LEAST_HEIGHT, MOST_HEIGHT, MOST_WIDTH = 192, 320, 560  # pixels of a panel
MOST_CAM_PANELS = 3

# The arrays that are drawn of each kind of cache.
ARRAYS = {
    "cam": ("classes", "high_res"),
    "refined": ("classes", "high_res", "objectness"),
    "ir_label": ("label",),
    "field": ("boundary", "displacement"),
    "walk": ("groups",),
    "label": ("semantic", "instance_map", "instance_class", "instance_score"),
}


class Panel(NamedTuple):
    """One picture of a strip: (H, W, 3) uint8, the same size for all panels of an image.

    `kind` is its key in `CAPTIONS` (captions.py), which says in the report what it shows and what would be wrong.
    """

    kind: str
    caption: str
    pixels: np.ndarray


class Scene(NamedTuple):
    """What there is to draw of one image.

    pixels: (H, W, 3) uint8. arrays: by kind of cache those of `ARRAYS`, as far as there are.
    present: the indices of its classes, if known. names: of all classes, if known.
    centroid_length: in cells, as in `instance_groups`.
    truth: ground truth, if any: (H, W) integers, 0 background, 1 + class index, 255 void; and (T, H, W) bool masks of
        objects.
    """

    record: ImageRecord
    pixels: np.ndarray
    arrays: dict[str, dict[str, np.ndarray]]
    present: list[int] | None
    names: list[str] | None
    centroid_length: float
    truth: tuple[np.ndarray, np.ndarray] | None = None

    def name(self, index: int) -> str:
        """What the pictures call a class."""
        return name_in_pictures(self.names[index], index) if self.names else f"class {index}"


def spread(count: int, places: int) -> list[int]:
    """So many `places` of 0 to `count` - 1, evenly spaced, with the first and the last; fewer where `count` is less."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(places, count)).round()})


def _tile_size(height: int, width: int) -> tuple[int, int]:
    """Small images grow by halves to at least 192 rows, large ones shrink to at most 320 rows and 560 columns."""
    scale = min(max(np.ceil(2 * LEAST_HEIGHT / height) / 2, 1), MOST_HEIGHT / height, MOST_WIDTH / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def panels_of(scene: Scene) -> list[Panel]:
    """The image, then the panels of each cache that is given, and of ground truth."""
    image = rescale(scene.pixels, *_tile_size(*scene.pixels.shape[:2]))
    drawn: dict[str, Callable[[Scene, np.ndarray], list[Panel]]] = {
        "cam": _cam_panels,
        "refined": _refined_panels,
        "ir_label": _ir_label_panels,
        "field": _field_panels,
        "walk": _walk_panels,
        "label": _label_panels,
    }
    panels = [Panel("image", "image", image)]
    for kind, draw in drawn.items():
        if kind in scene.arrays:
            panels += draw(scene, image)
    return panels + _truth_panels(scene, image)


def _cam_panels(scene: Scene, image: np.ndarray, kind: str = "cam", title: str = "CAM") -> list[Panel]:
    classes, maps = scene.arrays[kind]["classes"], scene.arrays[kind]["high_res"]
    if not len(classes):
        return [Panel(kind, f"{title}: no class", colours.dimmed(image, 0.45))]
    panels = []
    for index, values in zip(classes[:MOST_CAM_PANELS], maps, strict=False):
        panels.append(Panel(kind, f"{title}: {scene.name(int(index))}", _heat(values, image)))
    if len(classes) > MOST_CAM_PANELS:
        panels[-1] = panels[-1]._replace(caption=f"{panels[-1].caption} (+ {len(classes) - MOST_CAM_PANELS} more)")
    return panels


def _refined_panels(scene: Scene, image: np.ndarray) -> list[Panel]:
    objectness = scene.arrays["refined"].get("objectness")
    panels = [] if objectness is None else [Panel("objectness", "objectness", _heat(objectness, image))]
    return panels + _cam_panels(scene, image, "refined", "refined CAM")


def _heat(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A map in [0, 1] as heat over the image."""
    shown = Image.fromarray(values).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
    return colours.heat_overlay(image, np.asarray(shown))


def _ir_label_panels(scene: Scene, image: np.ndarray) -> list[Panel]:
    label = _at_tile_size(scene.arrays["ir_label"]["label"], image)
    caption = "IR label (striped: unsure)" if (label == UNSURE).any() else "IR label"
    return [Panel("ir_label", caption, _with_unsure(image, label))]


def _with_unsure(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Classes in their colours, background dark, and what is unsure or void in stripes."""
    unsure = label == UNSURE
    sure = np.where(unsure, 0, label)
    pixels = np.where((sure > 0)[..., None], image, colours.dimmed(image, 0.3))
    pixels = colours.overlay(pixels, sure, class_colours(), 0.7)
    pixels = colours.painted(pixels, unsure, GREY, 0.35)
    return colours.painted(pixels, unsure & colours.stripes(*unsure.shape), WHITE, 0.6)


def _field_panels(scene: Scene, image: np.ndarray) -> list[Panel]:
    """The fields cell by cell: smooth pictures would promise more detail than there is."""
    boundary, displacement = scene.arrays["field"]["boundary"], scene.arrays["field"]["displacement"]
    grey = np.round(255 * np.clip(_at_tile_size(boundary, image, scene.record), 0, 1)).astype(np.uint8)
    flow = _at_tile_size(colours.flow_colours(displacement).transpose(2, 0, 1), image, scene.record).transpose(1, 2, 0)
    caption = f"displacement, up to {colours.flow_length(displacement):.1f} cells"
    arrows = with_wheel(with_arrows(flow, _at_tile_size(displacement, image, scene.record)))
    return [
        Panel("boundary", "boundary", np.repeat(grey[..., None], 3, axis=-1)),
        Panel("displacement", caption, arrows),
    ]


def _walk_panels(scene: Scene, image: np.ndarray) -> list[Panel]:
    """The instance groups cell by cell; no panel for a cache without them."""
    groups = scene.arrays["walk"].get("groups")
    if groups is None:
        return []
    # Numbered from 1: colours and outlines leave 0 out.
    numbers, dense = np.unique(groups, return_inverse=True)
    shown = _at_tile_size(1 + dense.reshape(groups.shape), image, scene.record)
    pixels = colours.painted(_coloured(image, shown, len(numbers)), colours.outlines(shown), WHITE)
    caption = f"groups: {len(numbers)}"
    if "field" not in scene.arrays:
        return [Panel("groups", caption, pixels)]
    length = np.hypot(*scene.arrays["field"]["displacement"])
    centroids = _at_tile_size((length < scene.centroid_length).astype(int), image, scene.record)
    pixels = colours.painted(pixels, colours.outlines(centroids), INK)
    return [Panel("groups", f"{caption} (black: centroids)", pixels)]


def _label_panels(scene: Scene, image: np.ndarray) -> list[Panel]:
    semantic = _at_tile_size(scene.arrays["label"]["semantic"], image)
    pixels = colours.overlay(colours.dimmed(image, 0.85), semantic, class_colours(), 0.7)
    pixels = colours.painted(pixels, colours.outlines(semantic), WHITE, 0.8)
    return [_instance_tile(scene, image), Panel("semantic", "semantic label", pixels)]


def _truth_panels(scene: Scene, image: np.ndarray) -> list[Panel]:
    if scene.truth is None:
        return []
    classes, objects = scene.truth
    label = _at_tile_size(classes, image)
    pixels = _with_unsure(image, label)
    for mask in objects:
        pixels = colours.painted(pixels, colours.outlines(_at_tile_size(mask.astype(int), image)), WHITE)
    count = f", {len(objects)} object{'s' * (len(objects) != 1)}" if len(objects) else ""
    return [Panel("truth", f"ground truth{count}{' (striped: void)' if (label == UNSURE).any() else ''}", pixels)]


def _instance_tile(scene: Scene, image: np.ndarray) -> Panel:
    arrays = scene.arrays["label"]
    pieces, scores = _at_tile_size(arrays["instance_map"], image).astype(int), arrays["instance_score"]
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
    return Panel("instances", f"instances: {len(texts)}{note}", with_names(pixels, shown, texts))


def _coloured(image: np.ndarray, regions: np.ndarray, count: int) -> np.ndarray:
    """The dimmed image with a colour of its own over each of the regions 1 to `count`."""
    palette = np.concatenate([[(0, 0, 0)], colours.distinct_colours(count)]).astype(np.uint8)
    return colours.overlay(colours.dimmed(image, 0.85), regions, palette, 0.6)


def _at_tile_size(values: np.ndarray, image: np.ndarray, record: ImageRecord | None = None) -> np.ndarray:
    """Bring a map (..., H, W) to the size of a panel, by the nearest value.

    With `record` the map has cells of stride 4, the last of which may reach beyond the image.
    """
    height, width = (record.height / STRIDE, record.width / STRIDE) if record else values.shape[-2:]
    rows = ((np.arange(image.shape[0]) + 0.5) * height / image.shape[0]).astype(int)
    columns = ((np.arange(image.shape[1]) + 0.5) * width / image.shape[1]).astype(int)
    return values[..., rows[:, None], columns]
