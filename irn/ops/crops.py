"""Masks of an image, each kept as no more than the box that holds it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from irn.ops.resize import rescale

Box = tuple[slice, slice]  # rows and columns
_NOWHERE = (slice(0, 0), slice(0, 0))


@dataclass(frozen=True)
class Crops:
    """N masks of an image of `height` x `width` pixels, which may overlap: their boxes, and in each a mask, bool."""

    height: int
    width: int
    boxes: Sequence[Box]
    masks: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[tuple[Box, np.ndarray]]:
        return zip(self.boxes, self.masks, strict=True)

    def whole(self) -> np.ndarray:
        """The masks as (N, height, width) bool."""
        masks = np.zeros((len(self), self.height, self.width), bool)
        for mask, (box, crop) in zip(masks, self, strict=True):
            mask[box] = crop
        return masks

    def ordered(self, rows: Iterable[int]) -> "Crops":
        """Some of the masks, in another order."""
        rows = list(rows)
        return Crops(self.height, self.width, [self.boxes[row] for row in rows], [self.masks[row] for row in rows])

    def first_on_top(self, shown: np.ndarray) -> np.ndarray:
        """(height, width) integers, 0 none, i = mask i - 1: those that are `shown`, (N,) bool, the first on top."""
        numbers = np.zeros((self.height, self.width), np.int64)
        for row in np.flatnonzero(shown)[::-1]:
            numbers[self.boxes[row]][self.masks[row]] = row + 1
        return numbers

    def enlarged(self, height: int, width: int) -> "Crops":
        """The masks in another size, each pixel that of the nearest one here; as `rescale` does it."""
        rows, columns = _nearest(self.height, height), _nearest(self.width, width)
        boxes, masks = [], []
        for (down, across), crop in self:
            top, bottom = np.searchsorted(rows, (down.start, down.stop))
            left, right = np.searchsorted(columns, (across.start, across.stop))
            boxes.append((slice(int(top), int(bottom)), slice(int(left), int(right))))
            masks.append(crop[rows[top:bottom, None] - down.start, columns[left:right] - across.start])
        return Crops(height, width, boxes, masks)


def _nearest(size: int, to: int) -> np.ndarray:
    """Which of `size` places each of `to` places shows, ascending."""
    wide = np.arange(size, dtype=np.int32)[None]
    return rescale(wide, 1, to, nearest=True)[0]


def crops_of_masks(masks: Iterable[np.ndarray], height: int, width: int) -> Crops:
    """Masks given as (height, width) bool each, one after the other."""
    boxes, parts = [], []
    for mask in masks:
        box = (ndimage.find_objects(mask.astype(np.uint8)) or [_NOWHERE])[0]
        boxes.append(box)
        parts.append(mask[box].copy())
    return Crops(height, width, boxes, parts)


def crops_of_numbers(numbers: np.ndarray, rows: Sequence[int]) -> Crops:
    """Masks given by their numbers, from 1, in an (H, W) map of integers."""
    boxes = dict(enumerate(ndimage.find_objects(numbers), 1))
    places = [boxes.get(row) or _NOWHERE for row in rows]
    parts = [numbers[place] == row for place, row in zip(places, rows, strict=True)]
    return Crops(numbers.shape[0], numbers.shape[1], places, parts)
