"""Drawn scenes that the benchmarks work on: no photographs, and the same for the same seed."""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from irn.grid import STEP, STRIDE, UNSURE, cells, padded

VOC, FULL_HD = (375, 500), (1080, 1920)  # height and width
CENTRES = np.index_exp[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]  # of cells


class Scene(NamedTuple):
    """An image of several objects, its ground truth, and what the stages before would have made of it."""

    pixels: np.ndarray  # (H, W, 3) uint8
    class_mask: np.ndarray  # (H, W) uint8, 0 background, 1 + class index
    object_mask: np.ndarray  # (H, W) uint8, 0 background, object numbers from 1
    classes: np.ndarray  # (K,) int64
    cam: np.ndarray  # (K, h, w) float32 in [0, 1]
    high_res: np.ndarray  # (K, H, W) float32 in [0, 1]
    boundary: np.ndarray  # (h, w) float32 in [0, 1]
    displacement: np.ndarray  # (2, h, w) float32, in cells
    groups: np.ndarray  # (h, w) int32, number of the nearest object, from 0

    def cams(self) -> dict[str, np.ndarray]:
        """The arrays of a CAM cache."""
        return {"classes": self.classes, "cam": self.cam, "high_res": self.high_res}


def scene(seed: int, height: int, width: int, classes: int = 2, objects: int = 5) -> Scene:
    """Draw ellipses on a coloured ground, as many as `objects`, their classes in turn."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    # One place a column, so that objects touch but do not hide each other.
    centre_x = (np.arange(objects) + 0.5 + rng.uniform(-0.15, 0.15, objects)) * width / objects
    centre_y = rng.uniform(0.3, 0.7, objects) * height
    radius_x = rng.uniform(0.35, 0.55, objects) * width / objects
    radius_y = rng.uniform(0.2, 0.38, objects) * height
    distance = np.stack(
        [((y - centre_y[i]) / radius_y[i]) ** 2 + ((x - centre_x[i]) / radius_x[i]) ** 2 for i in range(objects)]
    )
    nearest = distance.argmin(0)
    object_mask = np.where(distance.min(0) < 1, nearest + 1, 0).astype(np.uint8)
    class_mask = np.where(object_mask > 0, nearest % classes + 1, 0).astype(np.uint8)

    colours = rng.uniform(40, 215, (objects + 1, 3))
    # A pixel has 0.7 vertices of the CRF's lattice, the median of 45 of VOC's photographs: colours change slowly,
    # brightness fast.
    fields = ((17, 30, 3), (30, 12, 1), (15, 2, 1))
    texture = sum(strength * _smooth(rng, (height, width, channels), (s, s, 0)) for strength, s, channels in fields)
    pixels = np.clip(colours[object_mask] + texture, 0, 255).astype(np.uint8)

    h, w = cells(height), cells(width)
    objects_small, groups = (_fit(a[CENTRES], h, w).astype(np.int32) for a in (object_mask, nearest))
    edges = ndimage.morphological_gradient(objects_small, 3) > 0
    far = ndimage.distance_transform_edt(~edges)
    strength = np.clip(0.8 + 0.2 * _smooth(rng, (h, w), 6), 0.3, 1)
    boundary = np.clip(strength * np.exp(-(far**2) / 2) + 0.04 * np.abs(_smooth(rng, (h, w), 1)), 0, 1).astype(
        np.float32
    )
    rows, columns = np.mgrid[:h, :w]
    towards = np.stack([centre_y[groups] / STRIDE - rows, centre_x[groups] / STRIDE - columns])
    displacement = towards * (objects_small > 0) + np.stack([_smooth(rng, (h, w), 3) for _ in range(2)])

    cam, high_res = _class_maps(rng, height, width, classes, centre_y, centre_x, radius_y, radius_x)
    displacement = displacement.astype(np.float32)
    return Scene(
        pixels, class_mask, object_mask, np.arange(classes), cam, high_res, boundary, displacement, groups
    )  # fmt: skip


def cell_label(drawn: Scene) -> np.ndarray:
    """(h, w) uint8: the class of each cell, unsure along outlines: 8 pixels to each side in a scene 512 pixels high."""
    outline = ndimage.morphological_gradient(drawn.object_mask.astype(np.int16), 3) > 0
    label = np.where(ndimage.distance_transform_edt(~outline) < len(outline) / 64, UNSURE, drawn.class_mask)
    return label[CENTRES].astype(np.uint8)


def _class_maps(
    rng: np.random.Generator,
    height: int,
    width: int,
    classes: int,
    centre_y: np.ndarray,
    centre_x: np.ndarray,
    radius_y: np.ndarray,
    radius_x: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """`cam` and `high_res` as the stage makes them: rectified maps of stride 16 at four scales, resized and added."""
    sizes = ((cells(height), cells(width)), (padded(height), padded(width)))
    sums = [torch.zeros(classes, *size) for size in sizes]
    for scale in (1.0, 0.5, 1.5, 2.0):
        h, w = (padded(round(side * scale)) // STEP for side in (height, width))
        y, x = (np.mgrid[:h, :w] + 0.5) * STEP / scale
        maps = np.zeros((classes, h, w))
        for i in range(len(centre_y)):
            # The part that tells the class apart, above the middle of the object.
            away = ((y - centre_y[i] + radius_y[i] / 3) / radius_y[i]) ** 2 + ((x - centre_x[i]) / radius_x[i]) ** 2
            maps[i % classes] += np.exp(-away)
        # As noisy as the maps of a ResNet-18 on photographs, and with as many zeros: they compress as well.
        maps = np.maximum(maps + 0.07 * _smooth(rng, maps.shape, (0, 0.7, 0.7)) - 0.1, 0)
        for total, size in zip(sums, sizes, strict=True):
            tensor = torch.from_numpy(maps.astype(np.float32))[None]
            total += functional.interpolate(tensor, size, mode="bilinear", align_corners=False)[0]
    cam, high_res = sums[0], sums[1][:, :height, :width]
    divided = [total / (total.amax((1, 2), keepdim=True) + 1e-5) for total in (cam, high_res)]
    return divided[0].numpy(), divided[1].numpy()


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, ...]) -> np.ndarray:
    """Smooth noise of deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    return noise / noise.std()


def _fit(small: np.ndarray, h: int, w: int) -> np.ndarray:
    """Repeat the last row or column where the image ends before the middle of a cell."""
    return np.pad(small, ((0, h - small.shape[0]), (0, w - small.shape[1])), mode="edge")
