"""What the final networks learn from: the labels that were made, or ground truth."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irn.data.masks import MaskFolder, format_of, open_truths
from irn.data.tables import ImageClasses
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.cache import CacheReader
from irn.ops.object_masks import told_apart
from irn.ops.stacking import smaller_on_top
from irn.records import ImageRecord


class CachedLabels:
    """Labels of label caches."""

    def __init__(self, caches: CacheReader) -> None:
        self.caches = caches

    def semantic(self, record: ImageRecord) -> np.ndarray:
        """(H, W) uint8, 0 background, 1 + class index."""
        return self.caches.image(record, ["semantic"])["semantic"]

    def instances(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(H, W) integers, 0 none, i = instance i - 1; (N,) class indices; and (N,) scores."""
        arrays = self.caches.image(record, ["instance_map", "instance_class", "instance_score"])
        return arrays["instance_map"], arrays["instance_class"], arrays["instance_score"]


class TrueLabels:
    """Ground truth, as `open_truth` opens it. Of objects that overlap, the smaller one lies on top."""

    def __init__(
        self,
        class_masks: Path,
        object_masks: Path | None,
        records: Sequence[ImageRecord],
        names: Sequence[str],
        left_out: Sequence[str] = (),
        needs_objects: bool = True,
    ) -> None:
        if needs_objects and object_masks is None and format_of(class_masks) is MaskFolder:
            raise IrnError(
                f"--class-masks {class_masks}: index PNGs of classes do not tell objects apart; give those of objects"
                " too (--object-masks)"
            )
        splits: dict[str, list[ImageRecord]] = {}
        for record in records:
            splits.setdefault(record.split, []).append(record)
        places = class_masks, object_masks or class_masks
        self.truths = {split: open_truths(*places, of_split, names, left_out) for split, of_split in splits.items()}

    def semantic(self, record: ImageRecord) -> np.ndarray:
        """(H, W) uint8, 0 background, 1 + class index, 255 void."""
        return self.truths[record.split].of(record).class_mask.astype(np.uint8)

    def instances(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(H, W) integers, 0 none, i = instance i - 1; (N,) class indices; and (N,) scores, all infinite."""
        masks, labels = self.truths[record.split].of(record).objects
        return smaller_on_top(masks), labels - 1, np.full(len(labels), np.inf)

    def told_apart(self, record: ImageRecord) -> np.ndarray:
        """(H, W) uint8, what IRNet's pairs compare: 0 background, 255 void, else one value an object."""
        return told_apart({"label": self.semantic(record), "instances": self.instances(record)[0]})


Targets = CachedLabels | TrueLabels


def open_targets(
    label_caches: Sequence[Path],
    class_masks: Path | None,
    object_masks: Path | None,
    records: Sequence[ImageRecord],
    names: Sequence[str],
    left_out: Sequence[str] = (),
    needs_objects: bool = True,
) -> Targets:
    """Labels of caches, or ground truth where none are given.

    left_out: as of `open_truth`. needs_objects: whether objects are learned from, and not classes alone.

    Raises IrnError unless one of the two is given and has all images.
    """
    if bool(label_caches) == (class_masks is not None):
        raise IrnError(
            "labels to learn from: expected those of caches (--label-caches) or ground truth (--class-masks), one of"
            " the two"
        )
    if class_masks is not None:
        return TrueLabels(class_masks, object_masks, records, names, left_out, needs_objects)
    caches = CacheReader(label_caches, "label", classes=len(names))
    caches.require(record.image_id for record in records)
    return CachedLabels(caches)


class LargeInstances:
    """The instances of an image with a score above one and at least an area in pixels, the 254 largest at most."""

    def __init__(self, targets: Targets, score: float, least_area: int) -> None:
        self.targets, self.score, self.least_area = targets, score, least_area

    def __call__(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
        """(H, W) uint8, 0 none, i = instance i - 1; and (N,) class indices, N at most 254."""
        instance_map, classes, scores = self.targets.instances(record)
        areas = np.bincount(instance_map.ravel(), minlength=len(classes) + 1)[1:]
        areas[scores <= self.score] = 0
        kept = np.argsort(-areas, kind="stable")[: UNSURE - 1]
        kept = np.sort(kept[areas[kept] >= max(self.least_area, 1)])
        number = np.zeros(len(classes) + 1, np.uint8)
        number[kept + 1] = np.arange(1, len(kept) + 1)
        return number[instance_map], classes[kept]


def repeated(records: Sequence[ImageRecord], table: ImageClasses, threshold: float) -> list[ImageRecord]:
    """The images, those of rare classes several times.

    Each is repeated sqrt(threshold / f) times, rounded, where f is the share of images with its rarest class.

    Reference: Gupta, Dollár, Girshick, "LVIS", CVPR 2019, section B.1: repeat factor sampling.
    """
    present = [table.of(record.image_id) for record in records]
    share = np.bincount([index for classes in present for index in classes], minlength=len(table.names)) / max(
        len(records), 1
    )
    images = []
    for record, classes in zip(records, present, strict=True):
        factor = max((math.sqrt(threshold / share[index]) for index in classes), default=1.0)
        images += [record] * max(1, round(factor))
    return images
