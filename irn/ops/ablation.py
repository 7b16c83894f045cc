"""Labels of one image with and without each part of the method, at many thresholds.

Reference: Ahn, Cho, Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations", CVPR
2019, section 5: what boundary and displacement add to CAMs.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from irn.ops.crf import argmax_with_background, refine
from irn.ops.instances import instance_scores
from irn.ops.labels import class_walks, instance_label, leading_maps, semantic_label
from irn.ops.resize import bounded, rescale, resized

# Scores of background at which every variant is scored. A CRF is run for each, so they are few.
THRESHOLDS = tuple(hundredths / 100 for hundredths in range(5, 85, 5))


class Variant(NamedTuple):
    """Labels of a kind, semantic or instance, and which parts make them from CAMs."""

    labels: str
    name: str
    refined: bool
    crf: bool
    boundary: bool
    displacement: bool


Maps = dict[str, np.ndarray]


def variants(refined: bool) -> list[Variant]:
    """All variants, semantic ones first; where CAMs were refined, all but the first of a kind use the refined ones."""
    more = [("refined CAM", False, False, False)] if refined else []
    parts = {
        "semantic": (*more, ("CAM + CRF", True, False, False), ("full", False, True, False)),
        "instance": (
            *more,
            ("CAM + displacement", False, False, True),
            ("CAM + boundary", False, True, False),
            ("full", False, True, True),
        ),
    }
    return [
        variant
        for labels, rows in parts.items()
        for variant in (
            Variant(labels, "CAM", False, False, False, False),
            *(Variant(labels, name, refined, *of_row) for name, *of_row in rows),
        )
    ]


def semantic_variants(
    pixels: np.ndarray, cams: Sequence[Maps], walks: Maps, max_side: int | None = None
) -> Iterator[list[np.ndarray]]:
    """The semantic labels of each of `variants` that makes such, in their order: (H, W) uint8 for each of `THRESHOLDS`.

    Parameters
    ----------
    pixels: (H, W, 3) uint8, RGB.
    cams: plain maps and, where there are any, refined ones: `classes` (K,) and `high_res` (K, H, W) float32 in [0, 1].
    walks: `walk` (M, h, w) float32 and `walk_class` (M,).
    max_side: the largest working size of the CRF, in pixels, as in `irn make-ir-labels`; None for no limit.
    """
    classes = cams[0]["classes"]
    values = np.concatenate([[0], classes.astype(np.int64) + 1]).astype(np.uint8)
    height, width = pixels.shape[:2]
    if len(classes):
        for maps_of_image in cams:
            yield [values[argmax_with_background(maps_of_image["high_res"], threshold)] for threshold in THRESHOLDS]
        small = bounded(pixels, max_side)
        maps = resized(cams[-1]["high_res"], *small.shape[:2])
        refined = refine(small, [argmax_with_background(maps, threshold) for threshold in THRESHOLDS], len(values))
        yield [rescale(values[label], height, width, nearest=True) for label in refined]
    else:
        nothing = [np.zeros((height, width), np.uint8) for _ in THRESHOLDS]
        yield from (nothing for _ in (*cams, "CRF"))
    by_class, names = class_walks(walks["walk"], walks["walk_class"])
    leading = leading_maps(by_class, height, width)
    yield [semantic_label(leading, names, threshold) for threshold in THRESHOLDS]


def instance_variants(
    cams: Sequence[Maps], walks: Maps, height: int, width: int, smallest_piece: float = 0.01, own_maximum: bool = False
) -> Iterator[list[Maps]]:
    """The instance labels of each such variant in `variants`: the arrays of a label cache for each of `THRESHOLDS`.

    Parameters
    ----------
    cams: plain maps and, where there are any, refined ones: `classes` (K,) and `cam` (K, h, w) float32 in [0, 1].
    walks: `walk` (M, h, w) float32, `walk_class` (M,), and `groups` (h, w), the instance of each cell.
    height, width: pixels of the image.
    smallest_piece, own_maximum: as of `synthesise_labels`.

    Notes
    -----
    Without displacement an object is a connected piece of a class. The walk without instances is the sum of
    their walks, since the walk is linear.
    """
    cut, cut_class, _ = instance_scores(cams[-1]["cam"], cams[-1]["classes"], walks["groups"])
    parts = (
        *((maps["cam"], maps["classes"]) for maps in cams),
        (cut, cut_class),
        class_walks(walks["walk"], walks["walk_class"]),
        (walks["walk"], walks["walk_class"]),
    )
    for maps, map_class in parts:
        leading = leading_maps(maps, height, width)
        yield [instance_label(leading, map_class, threshold, smallest_piece, own_maximum) for threshold in THRESHOLDS]
