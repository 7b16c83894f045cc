"""What a network sees of an image in training: a random scale, mirror image and crop, and its label."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from irn.data.images import read_record
from irn.grid import UNSURE
from irn.networks.base import Backbone
from irn.ops.resize import rescale
from irn.records import ImageRecord

Sample = dict[str, np.ndarray]
Batch = dict[str, torch.Tensor]


class SampleId(NamedTuple):
    """Which epoch, and which image in it; with the seed it decides all that is random in a sample."""

    epoch: int
    image: int


def draw_seed(sample_id: SampleId, seed: int) -> np.ndarray:
    """() int64: the seed of what a network draws for a sample, whatever samples are in its batch."""
    return np.array(np.random.SeedSequence([seed, *sample_id, 1]).generate_state(1)[0], np.int64)


def normalised(batch: Batch, backbone: Backbone) -> torch.Tensor:
    """(B, S, S, 3) uint8 `pixels` to (B, 3, S, S) float32, 0 outside of `box` (B, 4), top, left, bottom, right."""
    images = backbone.normalise(batch["pixels"])
    side = torch.arange(images.shape[-1], device=images.device)
    top, left, bottom, right = (batch["box"][:, i, None] for i in range(4))
    rows, columns = (side >= top) & (side < bottom), (side >= left) & (side < right)
    return images * (rows[:, None, :, None] & columns[:, None, None, :])


def sized_view(
    sample_id: SampleId,
    record: ImageRecord,
    label: np.ndarray | None,
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The `random_view` of an image file, with its long side drawn from a range in pixels."""
    rng = np.random.default_rng([seed, *sample_id])
    scale = rng.integers(long_side[0], long_side[1] + 1) / max(record.height, record.width)
    return random_view(rng, read_record(record), label, scale, crop_size)


def labelled_view(
    sample_id: SampleId,
    records: Sequence[ImageRecord],
    semantic_of: Callable[[ImageRecord], np.ndarray],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """The `sized_view` of an image and its label: `pixels` (S, S, 3) uint8, `box` and `label` (S, S) uint8.

    semantic_of: of an image (H, W) uint8, 0 background, 255 not counted.
    """
    record = records[sample_id.image]
    crop, box, label = sized_view(sample_id, record, semantic_of(record), long_side, crop_size, seed)
    assert label is not None
    return {"pixels": crop, "box": box, "label": label}


def random_view(
    rng: np.random.Generator, pixels: np.ndarray, label: np.ndarray | None, scale: float, crop_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rescale an image, mirror it or not, and place it at random in a square crop, or the crop at random in it.

    Parameters
    ----------
    pixels: (H, W, 3) uint8.
    label: (H, W) uint8 or None; rescaled by the nearest pixel.
    scale: of the sides.
    crop_size: side of the crop in pixels.

    Returns
    -------
    The crop (S, S, 3) uint8, the box that the image fills in it as (4,) int64 top, left, bottom, right, and the crop of
    the label (S, S) uint8, 255 outside the image.
    """
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    pixels = rescale(pixels, height, width)
    mirrored = rng.random() < 0.5
    (top, from_top, rows), (left, from_left, columns) = (_overlap(rng, side, crop_size) for side in (height, width))
    inside = (slice(top, top + rows), slice(left, left + columns))
    source = (slice(from_top, from_top + rows), slice(from_left, from_left + columns))
    crop = np.zeros((crop_size, crop_size, 3), np.uint8)
    crop[inside] = (pixels[:, ::-1] if mirrored else pixels)[source]
    box = np.array([top, left, top + rows, left + columns])
    if label is None:
        return crop, box, None
    label = rescale(label, height, width, nearest=True)
    label_crop = np.full((crop_size, crop_size), UNSURE, np.uint8)
    label_crop[inside] = (label[:, ::-1] if mirrored else label)[source]
    return crop, box, label_crop


def _overlap(rng: np.random.Generator, side: int, crop_size: int) -> tuple[int, int, int]:
    """Where a side starts in the crop, where the crop starts in the side, and the length of their overlap."""
    if side <= crop_size:
        return int(rng.integers(crop_size - side + 1)), 0, side
    return 0, int(rng.integers(side - crop_size + 1)), crop_size
