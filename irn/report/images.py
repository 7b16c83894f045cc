"""What a run holds of its images: caches and ground truth, and pictures of both."""

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
from irn.pictures.panels import ARRAYS, Scene, panels_of
from irn.records import ImageRecord

QUALITY = 78  # of WebP


@dataclass
class RunImages:
    """The images of a run: caches by kind, classes, ground truth by split, and the settings' walk.centroid_length.

    corrected: the ids of those whose masks were corrected by hand.
    """

    caches: Mapping[str, CacheReader]
    classes: ImageClasses
    centroid_length: float
    corrected: frozenset[str] = frozenset()
    truths: dict[str, SplitTruth] = field(default_factory=dict)

    def open_truth(
        self,
        masks: tuple[Path | None, Path | None],
        records: Sequence[ImageRecord],
        splits: Sequence[str],
        left_out: Sequence[str] = (),
    ) -> None:
        """Open the ground truth of some splits; masks are those of classes and of objects, left_out as there."""
        class_masks, object_masks = masks
        for split in splits:
            of_split = [record for record in records if record.split == split]
            if class_masks and of_split:
                self.truths[split] = open_truths(class_masks, object_masks, of_split, self.classes.names, left_out)

    def truth(self, record: ImageRecord) -> ImageTruth | None:
        """Ground truth of an image, if its split has some."""
        return self.truths[record.split].of(record) if record.split in self.truths else None


class Picture(NamedTuple):
    """One panel of an image: its kind, caption, address in HTML (a WebP) and size in pixels."""

    kind: str
    caption: str
    source: str
    width: int
    height: int


def draw(images: RunImages, records: Sequence[ImageRecord], workers: int | None) -> list[list[Picture]]:
    """The panels of each image."""
    return list(map_images(partial(_draw, images), records, workers))


def draw_label(images: RunImages, record: ImageRecord) -> Picture:
    """The semantic label of an image over it."""
    arrays = {"label": images.caches["label"].image(record, ARRAYS["label"])}
    present, names = images.classes.of(record.image_id), images.classes.names
    panels = panels_of(Scene(record, read_record(record), arrays, present, names, images.centroid_length))
    return next(_picture(*panel) for panel in panels if panel.kind == "semantic")


def _draw(images: RunImages, record: ImageRecord) -> list[Picture]:
    arrays = {kind: cache.image(record, ARRAYS[kind]) for kind, cache in images.caches.items()}
    truth = images.truth(record)
    scene = Scene(
        record,
        read_record(record),
        arrays,
        images.classes.of(record.image_id),
        images.classes.names,
        images.centroid_length,
        (truth.class_mask, truth.objects[0]) if truth else None,
    )
    return [_picture(*panel) for panel in panels_of(scene)]


def _picture(kind: str, caption: str, pixels: np.ndarray) -> Picture:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=4)
    source = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
    return Picture(kind, caption, source, pixels.shape[1], pixels.shape[0])
