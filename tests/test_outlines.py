"""Outlines of masks: drawn again, they give the mask."""

import numpy as np
import pytest
import shapely
from exported_labels import ring
from PIL import Image, ImageDraw
from scipy import ndimage

from irn.data.segmentations import decoded
from irn.ops.outlines import joined, outlines


def blobs(seed: int) -> np.ndarray:
    """Smooth pieces with holes, some at the border, some of a few pixels, some that touch at corners."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((41, 53)), 0.6 + seed % 4)
    return smooth > np.quantile(smooth, 0.6)


def drawn(rings: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return decoded([points.ravel().tolist() for points in rings], *shape)


def rounded_down(rings: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """As labelme draws polygons: corners rounded down to pixels, which are filled too."""
    picture = Image.new("1", shape[::-1])
    for points in rings:
        ImageDraw.Draw(picture).polygon([tuple(point) for point in points], fill=1, outline=1)
    return np.array(picture)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


MASKS = [*map(blobs, (1, 2, 3)), ring() > 0, np.ones((1, 1), bool), np.eye(6, 9, dtype=bool), np.ones((7, 5), bool)]


@pytest.mark.parametrize("mask", [*MASKS, *map(blobs, (0, 4, 5))])
def test_every_pixel_comes_back_where_nothing_is_simplified(mask: np.ndarray) -> None:
    rings = outlines(mask, 0)
    assert len(rings) == ndimage.label(mask)[1]
    np.testing.assert_array_equal(drawn(rings, mask.shape), mask)
    assert iou(rounded_down(outlines(mask, 0, inside=True), mask.shape), mask) > 0.99


@pytest.mark.parametrize("tolerance", [0.5, 1, 3])
@pytest.mark.parametrize("mask", MASKS)
def test_simplified_outlines_agree_with_their_mask(mask: np.ndarray, tolerance: float) -> None:
    exact, simple = outlines(mask, 0), outlines(mask, tolerance)
    assert sum(map(len, simple)) <= sum(map(len, exact))
    assert iou(drawn(simple, mask.shape), mask) >= 0.98
    edge = shapely.unary_union([shapely.LinearRing(points) for points in exact])
    for points in simple:
        assert (shapely.distance(shapely.points(points), edge) <= tolerance).all()
    for points in exact:
        outline = shapely.unary_union([shapely.LinearRing(points) for points in simple])
        assert (shapely.distance(shapely.points(points), outline) <= tolerance + 1e-9).all()
    inside = outlines(mask, tolerance, inside=True)
    assert iou(drawn(inside, mask.shape), mask) >= 0.98
    assert iou(rounded_down(inside, mask.shape), mask) >= 0.98


def test_a_large_disc_has_few_corners_and_a_small_one_keeps_its_own() -> None:
    y, x = np.mgrid[:101, :101]
    large, small = np.hypot(y - 50, x - 50) < 45, np.hypot(y - 50, x - 50) < 3
    assert len(outlines(large, 1)[0]) < 40 < 100 < len(outlines(large, 0)[0])
    np.testing.assert_array_equal(drawn(outlines(small, 20), small.shape), small)


def test_parts_are_ordered_by_size_and_joined_by_lines_without_area() -> None:
    mask = np.zeros((20, 40), bool)
    mask[8:11, 1:5] = mask[2:18, 10:30] = mask[5:9, 33:37] = True
    mask[6:12, 15:20] = False
    rings = outlines(mask, 0)
    assert [shapely.Polygon(points).area for points in rings] == [290, 16, 12]
    whole = joined(rings)
    np.testing.assert_array_equal(drawn([whole], mask.shape), mask)
    # The lines: 5 pixels to the left part, 3 to the right one.
    assert rounded_down([joined(outlines(mask, 0, inside=True))], mask.shape).sum() - mask.sum() <= 5 + 3


def test_a_speck_smaller_than_the_line_to_it_is_left_out() -> None:
    mask = np.zeros((20, 40), bool)
    mask[5:15, 2:12] = mask[0:5, 37:40] = mask[9, 13] = True
    expected = mask.copy()
    mask[0:3, 0] = mask[17:20, 37:40] = True
    expected[0:3, 0] = True
    np.testing.assert_array_equal(drawn([joined(outlines(mask, 0))], mask.shape), expected)


def test_hundreds_of_holes_are_joined_to_their_outline() -> None:
    mask = np.ones((300, 300), bool)
    mask[tuple(np.random.default_rng(0).integers(1, 299, (2, 400)))] = False
    (points,) = outlines(mask, 0)
    # The lines to the holes pass between pixels, and drawing may take one with them.
    assert (drawn([points], mask.shape) != mask).sum() <= 4
