"""Class masks beside the labels: scores against masks of another order or meaning would be nonsense."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.findings import Findings, some
from irn.data.instances import InstancesFile, instances_file, with_year
from irn.data.masks import Truth, is_of_instances, open_truth
from irn.data.tables import ImageClasses
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord


class Held(NamedTuple):
    """What a class mask holds: class indices, and how much of it is void."""

    classes: set[int]
    void: float


def check_masks(
    records: Sequence[ImageRecord], classes: ImageClasses, place: Path, findings: Findings, workers: int | None
) -> None:
    """Compare the classes in masks with those in the labels: a problem where most differ, a notice where some do.

    place: where the masks lie, as in `open_truth`.
    """
    held: dict[str, Held | IrnError] = {}
    for split in dict.fromkeys(record.split for record in records):
        own = [record for record in records if record.split == split]
        if place.is_dir() and is_of_instances(place) and not with_year(place, split):
            findings.notices.append(f"{place}: no instances_{split}.json, so split {split!r} cannot be scored")
            continue
        truth = None
        with findings.collected():
            truth = open_truth(place, split, classes.names)
        if truth is None:
            continue
        masked = [record for record in own if truth.has(record)]
        found = progress(map_images(partial(_held, truth), masked, workers), len(masked), f"check masks of {split}")
        held |= {record.image_id: mask for record, mask in zip(masked, found, strict=True)}
        if 0 < len(masked) < len(own):
            without = [record.image_id for record in own if record.image_id not in held]
            findings.notices.append(
                f"{place}: no mask of {len(without)} of the {len(own)} images of split {split!r} ({some(without)}), so it cannot be scored"
            )
    for mask in held.values():
        if isinstance(mask, IrnError):
            findings.mistake(mask)
    masks = {image_id: mask for image_id, mask in held.items() if isinstance(mask, Held)}
    if place.is_dir() and not held and not is_of_instances(place):
        files = [path.name for path in sorted(place.iterdir())]
        findings.notices.append(
            f"{place}: no mask of any image; expected <image_id>.png (has {some(files) or 'no file'})"
        )
    if not masks:
        return
    findings.notes.append(f"{place}: masks of {len(held)} of {len(records)} images")
    present = {image_id: set(classes.present[image_id]) for image_id in masks}
    other = [image_id for image_id, mask in masks.items() if mask.classes - present[image_id]]
    # Of classes counted from 0 the first is background, so its images hold none.
    holding = sum(bool(mask.classes) for mask in masks.values())
    if other:
        shifted = sum({index + 1 for index in mask.classes} <= present[i] for i, mask in masks.items() if mask.classes)
        hint = (
            "; classes may be counted from 0 there, where 0 is the background: add 1"
            if shifted > len(masks) - len(other)
            else ""
        )
        said = f"in {len(other)} of {len(masks)} images the mask holds a class that the image's row in the labels lacks ({some(other)})"
        _say(
            findings,
            place,
            len(other) > holding / 2,
            f"{said}{hint}",
            "0 is background, 1 + class index the classes, 255 void",
        )
    void = [image_id for image_id, mask in masks.items() if mask.void > 0.5]
    if void:
        said = f"in {len(void)} of {len(masks)} images most of the mask is {UNSURE}, which is void and not scored ({some(void)})"
        _say(findings, place, not holding, said, "give 1 + class index to the pixels of objects")
    elif not holding:
        findings.notices.append(f"{place}: no mask holds any class but background and void")


def check_outlines(records: Sequence[ImageRecord], folder: Path, findings: Findings, workers: int | None) -> None:
    """Notices of images whose segmentations in COCO's instances files cannot be read: their classes can, but nothing is scored on them.

    folder: that of the instances files. Annotations without segmentation are not meant.
    """
    for split in dict.fromkeys(record.split for record in records):
        file = InstancesFile(instances_file(folder, split))
        own = [record for record in records if record.split == split and file.outlines(record.image_id).all()]
        found = progress(
            map_images(partial(_misdrawn, file), own, workers), len(own), f"check segmentations of {split}"
        )
        wrong = [error for error in found if error is not None]
        if wrong:
            findings.notices.append(
                f"{wrong[0]} ({len(wrong)} of {len(own)} images are so); split {split!r} cannot be scored"
            )


def _misdrawn(file: InstancesFile, record: ImageRecord) -> IrnError | None:
    try:
        file.masks(record.image_id, record.height, record.width)
    except IrnError as error:
        return error
    return None


def _say(findings: Findings, place: Path, is_problem: bool, said: str, remedy: str) -> None:
    if is_problem:
        findings.problem(place, said, remedy)
    else:
        findings.notices.append(f"{place}: {said}; {remedy}")


def _held(truth: Truth, record: ImageRecord) -> Held | IrnError:
    try:
        truth.require([record])
        mask = truth.class_mask(record)
    except IrnError as error:
        return error
    values, counts = np.unique(mask, return_counts=True)
    classes = {int(value) - 1 for value in values if value not in (0, UNSURE)}
    return Held(classes, float(counts[values == UNSURE].sum() / mask.size))
