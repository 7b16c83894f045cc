"""What is known of each image of a run in numbers, and their order from the best to the worst."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from irn.ops.image_scores import best_overlaps, flat_maps, image_iou
from irn.ops.shares import label_shares
from irn.pictures.panels import spread
from irn.records import ImageRecord
from irn.report.images import RunImages

FOUND = 0.5  # overlap from which on an object counts as found


class Facts(NamedTuple):
    """What is known of one image.

    present, flat: indices of its classes, and of those whose class map is flat; None without the cache.
    unsure, foreground: shares of its pixels in the IR label and the semantic label; None without the cache.
    pieces: instances with a score above 0.
    iou, overlaps: mean IoU of its semantic label, and the best overlap of each object; None without ground truth, and
        where the label was corrected by hand.
    corrected: whether it was.
    """

    image_id: str
    split: str
    present: list[int]
    flat: list[int] | None
    unsure: float | None
    foreground: float | None
    pieces: int
    iou: float | None
    overlaps: list[float] | None
    corrected: bool = False

    @property
    def objects_found(self) -> int:
        """How many of its objects were found."""
        return sum(overlap >= FOUND for overlap in self.overlaps or ())


def facts_of(record: ImageRecord, images: RunImages) -> Facts:
    """What the caches of a run hold of an image, and how good its labels are where there is ground truth."""
    caches = images.caches
    flat = unsure = foreground = iou = overlaps = None
    pieces = 0
    if "cam" in caches:
        maps = caches["cam"].image(record, ["classes", "cam"])
        flat = maps["classes"][flat_maps(maps["cam"])].tolist()
    if "ir_label" in caches:
        unsure = label_shares(caches["ir_label"].image(record, ["label"])["label"]).unsure
    if "label" in caches:
        label = caches["label"].image(record)
        foreground, pieces = label_shares(label["semantic"]).foreground, int((label["instance_score"] > 0).sum())
        iou, overlaps = _scores(record, label, images)
    present = images.classes.of(record.image_id)
    corrected = record.image_id in images.corrected
    return Facts(record.image_id, record.split, present, flat, unsure, foreground, pieces, iou, overlaps, corrected)


def _scores(
    record: ImageRecord, label: dict[str, np.ndarray], images: RunImages
) -> tuple[float | None, list[float] | None]:
    """The mean IoU of an image's labels, and the best overlap of each object, as far as there is ground truth."""
    truth = images.truth(record)
    if not truth or record.image_id in images.corrected:
        return None, None
    iou = image_iou(truth.class_mask, label["semantic"], len(images.classes.names))
    overlaps = None
    if truth.has_objects:
        pieces = (label["instance_class"], label["instance_score"], label["instance_map"])
        overlaps = best_overlaps(*pieces, *truth.objects).tolist()
    return None if np.isnan(iou) else iou, overlaps


class Ranking(NamedTuple):
    """Images that were corrected by hand, then the others from the best to the worst, and by what, in words."""

    images: list[Facts]
    words: str

    @property
    def corrected(self) -> int:
        """How many were corrected by hand."""
        return sum(image.corrected for image in self.images)

    def places(self, most: int) -> list[int]:
        """Indices of at most `most` images to show: all corrected ones or a half, and others, evenly spaced."""
        others = len(self.images) - self.corrected
        first = spread(self.corrected, max(most // 2, most - others))
        return first + [self.corrected + place for place in spread(others, most - len(first))]


def ranked(facts: Sequence[Facts], scored_splits: Sequence[str]) -> Ranking:
    """Images by their score or, without any, by how sure their labels are.

    Those that were not corrected are of the splits that are scored, if there are any of these, and have a class, if any
    has one.
    """
    corrected = [image for image in facts if image.corrected]
    compared = [image for image in facts if image.split in scored_splits] or facts
    others = [image for image in compared if not image.corrected]
    with_class = [image for image in others if image.present] or others
    scored = [image for image in with_class if image.iou is not None]
    if scored:
        best_first = sorted(scored, key=lambda image: -(image.iou or 0))
        return Ranking(corrected + best_first, "mIoU of the semantic label")
    surest_first = sorted(with_class, key=lambda image: image.unsure or 0)
    return Ranking(corrected + surest_first, "share of pixels that the IR label is sure of")
