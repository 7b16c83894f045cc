"""What is found in each image of a run, which of them the report shows, and how they are drawn."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from irn.data.images import read_record
from irn.data.masks import open_truths
from irn.data.tables import ImageClasses
from irn.data.truth import ImageTruth, SplitTruth
from irn.io.cache import CacheReader
from irn.io.parallel import map_images
from irn.pictures.tiles import ARRAYS, Scene, tiles_of
from irn.records import ImageRecord

QUALITY = 78  # of WebP
FOUND = 0.5  # overlap from which on an object counts as found


class Facts(NamedTuple):
    """What is known of one image: its classes, those with flat maps, and how its labels look.

    Shares of pixels are None without the cache that they come from, scores without ground truth.
    """

    image_id: str
    split: str
    present: list[int]
    flat: list[int]
    unsure: float | None
    foreground: float | None
    pieces: int
    iou: float | None
    overlaps: list[float] | None

    @property
    def found(self) -> int:
        """How many of its objects were found."""
        return sum(overlap >= FOUND for overlap in self.overlaps or ())


@dataclass
class Sources:
    """What is known of the images: caches by kind, classes, ground truth by split, and what a centroid is."""

    caches: Mapping[str, CacheReader]
    classes: ImageClasses
    centroid_length: float
    truths: dict[str, SplitTruth] = field(default_factory=dict)

    def open_truth(
        self, masks: tuple[Path | None, Path | None], records: Sequence[ImageRecord], splits: Sequence[str]
    ) -> None:
        """Open the ground truth of some splits."""
        for split in splits:
            of_split = [record for record in records if record.split == split]
            if masks[0] and of_split:
                self.truths[split] = open_truths(masks[0], masks[1], of_split, self.classes.names)

    def truth(self, record: ImageRecord) -> ImageTruth | None:
        """Ground truth of an image, if its split has some."""
        return self.truths[record.split].of(record) if record.split in self.truths else None


class Order(NamedTuple):
    """Images from the best to the worst, and what that means."""

    images: list[Facts]
    words: str


def ordered(facts: Sequence[Facts]) -> Order:
    """Images by their score, or, without any, by how sure their labels are; only those with a class, if any has one."""
    candidates = [image for image in facts if image.present] or list(facts)
    scored = [image for image in candidates if image.iou is not None]
    if scored:
        return Order(sorted(scored, key=lambda image: -(image.iou or 0)), "mIoU of the semantic label")
    by_sureness = sorted(candidates, key=lambda image: image.unsure or 0)
    return Order(by_sureness, "share of pixels that the IR label is sure of")


class Picture(NamedTuple):
    """One tile of an image as a WebP in text, its kind, caption and size in pixels."""

    kind: str
    caption: str
    source: str
    width: int
    height: int


def draw(sources: Sources, records: Sequence[ImageRecord], workers: int | None) -> list[list[Picture]]:
    """The tiles of each image."""
    return list(map_images(partial(_draw, sources), records, workers))


def _draw(sources: Sources, record: ImageRecord) -> list[Picture]:
    arrays = {kind: cache.image(record, ARRAYS[kind]) for kind, cache in sources.caches.items()}
    truth = sources.truth(record)
    present = sources.classes.of(record.image_id)
    pixels = read_record(record)
    masks = (truth.class_mask, truth.objects[0]) if truth else None
    scene = Scene(record, pixels, arrays, present, sources.classes.names, sources.centroid_length, masks)
    return [
        Picture(t.kind, t.caption, _encoded(t.pixels), t.pixels.shape[1], t.pixels.shape[0]) for t in tiles_of(scene)
    ]


def _encoded(pixels: np.ndarray) -> str:
    """A picture as the address of an image in HTML."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
