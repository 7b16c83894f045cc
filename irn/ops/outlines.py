"""Masks as polygons: the outlines of their parts, simplified, and joined where a format has one for each object."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from PIL import Image, ImageDraw

# A part that is simplified and the part itself, both drawn, agree at least this well.
LEAST_IOU = 0.98
FINEST = 0.1  # pixels; a smaller tolerance removes no corner of a pixel
SPECK = 10  # pixels
TINY = 1e-12  # for sides without a length
INSET = 0.05  # pixels; too little for pycocotools to notice


def outlines(mask: np.ndarray, tolerance: float, inside: bool = False) -> list[np.ndarray]:
    """The outlines of a mask's parts, the largest part first.

    Parameters
    ----------
    mask
        (H, W) bool.
    tolerance
        How far, in pixels, a simplified outline may be from the mask's edge. Where a part would differ from its mask
        by an IoU below 0.98, its outline is closer.
    inside
        Whether outlines lie 0.05 pixels within the edge. Programs that round coordinates down to pixels, and fill these
        too, then end with the outermost pixels of the mask and not with those beyond.

    Returns
    -------
    list
        For each part, (N, 2) float64 of x and y in pixels, the last point joined to the first. The pixel in row y
        and column x covers x to x + 1 and y to y + 1. Pixels that touch at a corner alone are two parts. A hole is
        joined to its outline by a line there and back, the shortest.
    """
    parts = [_simplified(part, tolerance, INSET if inside else 0) for part in shapely.get_parts(_covered(mask))]
    rings = [ring for part in parts for ring in part]
    return sorted(rings, key=lambda ring: -shapely.Polygon(ring).area)


def joined(rings: Sequence[np.ndarray]) -> np.ndarray:
    """The outlines of `outlines` as a single one, joined by lines there and back, each the shortest.

    A part of less than 10 pixels, and of fewer than the line to it has, is left out: programs that draw the lines too
    come closer to the mask without it.
    """
    first, *others = (shapely.LinearRing(ring) for ring in rings)
    return _points(_linked(first, others, skip_specks=True))


def _covered(mask: np.ndarray) -> shapely.Geometry:
    """The area of the pixels of a mask, from the runs of its rows."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return shapely.union_all(shapely.box(starts, rows, ends, rows + 1))


def _simplified(part: shapely.Polygon, tolerance: float, inset: float) -> list[np.ndarray]:
    """The outline of a part; the outlines of several, where it is so thin in places that `inset` divides it."""
    exact, corners = _rings(part, 0), shapely.points(shapely.get_coordinates(part))
    step = tolerance
    while step >= FINEST:
        # GEOS may move the edge by more than its tolerance where a ring begins.
        simple = part.simplify(step)
        if shapely.distance(corners, simple.boundary).max() <= tolerance:
            rings = _rings(simple, inset)
            if _agreement(rings, exact, rounded=inset > 0) >= LEAST_IOU:
                return rings
        step *= 0.7
    return _rings(part.simplify(0), inset)


def _rings(part: shapely.Polygon, inset: float) -> list[np.ndarray]:
    parts = shapely.get_parts(part.buffer(-inset, join_style="mitre")) if inset else [part]
    return [_points(_linked(part.exterior, part.interiors)) for part in parts]


def _agreement(rings: Sequence[np.ndarray], exact: Sequence[np.ndarray], rounded: bool) -> float:
    """The least IoU of outlines as programs draw them with the exact ones; `rounded`: also of those that round down."""
    from pycocotools import mask as drawing

    corner = np.floor(np.concatenate(exact).min(0))
    width, height = np.ceil(np.concatenate(exact).max(0) - corner).astype(int).tolist()

    def by_area(rings: Sequence[np.ndarray]) -> Any:
        polygons = [(ring - corner).ravel().tolist() for ring in rings]
        return drawing.merge(drawing.frPyObjects(polygons, height, width))

    drawings = [by_area(rings)]
    if rounded:
        picture = Image.new("L", (width, height))
        for ring in rings:
            ImageDraw.Draw(picture).polygon([tuple(point) for point in ring - corner], fill=1, outline=1)
        drawings.append(drawing.encode(np.asfortranarray(picture)))
    return float(drawing.iou(drawings, [by_area(exact)], [0]).min())


def _linked(
    ring: shapely.LinearRing, others: Sequence[shapely.LinearRing], skip_specks: bool = False
) -> shapely.LinearRing:
    """Rings joined to the first one, the nearest next."""
    rings = np.array(list(others), object)
    distances = shapely.distance(ring, rings)
    for _ in range(len(rings)):
        nearest = int(distances.argmin())
        other = rings[nearest]
        if not (skip_specks and shapely.Polygon(other).area < min(distances[nearest], SPECK)):
            here, there = shapely.get_coordinates(shapely.shortest_line(ring, other))
            ring = shapely.LinearRing(np.concatenate([_from(ring, here), _from(other, there)]))
            # Only what has been joined can be nearer than what was there.
            distances = np.fmin(distances, shapely.distance(other, rings))
        distances[nearest] = np.inf
        rings[nearest] = None  # has no distance
    return ring


def _from(ring: shapely.LinearRing, point: np.ndarray) -> np.ndarray:
    """The points of a ring that begins, and ends, at a point on it."""
    corners = shapely.get_coordinates(ring)[:-1]
    sides = np.roll(corners, -1, 0) - corners
    along = np.clip(((point - corners) * sides).sum(1) / np.maximum((sides**2).sum(1), TINY), 0, 1)
    side = int(((corners + along[:, None] * sides - point) ** 2).sum(1).argmin())
    return np.concatenate([[point], corners[side + 1 :], corners[: side + 1], [point]])


def _points(ring: shapely.LinearRing) -> np.ndarray:
    """The corners of a ring, none twice in a row."""
    points = shapely.get_coordinates(ring)
    return points[1:][(np.diff(points, axis=0) != 0).any(1)]
