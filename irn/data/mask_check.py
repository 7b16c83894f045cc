"""Class masks beside the labels: scores against masks of another order or meaning would be nonsense."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.findings import Findings, some
from irn.data.masks import MaskFolder, open_truth
from irn.data.tables import ImageClasses, ImageRecord
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.parallel import map_images
from irn.io.progress import progress


class Held(NamedTuple):
    """What a class mask holds: class indices, and how much of it is void."""

    classes: set[int]
    void: float


def check_masks(records: Sequence[ImageRecord], classes: ImageClasses, folder: Path, findings: Findings, workers: int | None) -> None:
    """Compare the classes in masks with those in the labels: a problem where most differ, a notice where some do."""
    split = records[0].split if records else ""
    truth = None
    with findings.collected():
        truth = open_truth(folder, split, classes.names)
    # Instances files have their classes from the same place.
    if not isinstance(truth, MaskFolder):
        return
    masked = [record for record in records if truth.has(record)]
    found = progress(map_images(partial(_held, truth), masked, workers), len(masked), "check masks")
    held = {record.image_id: mask for record, mask in zip(masked, found, strict=True)}
    for mask in held.values():
        if isinstance(mask, IrnError):
            findings.mistake(mask)
    masks = {image_id: mask for image_id, mask in held.items() if isinstance(mask, Held)}
    if not masks:
        return
    findings.notes.append(f"{folder}: masks of {len(held)} of {len(records)} images")
    for name in dict.fromkeys(record.split for record in records):
        without = [record.image_id for record in records if record.split == name and record.image_id not in held]
        total = sum(record.split == name for record in records)
        if 0 < len(without) < total:
            findings.notices.append(
                f"{folder}: no mask of {len(without)} of the {total} images of split {name!r} ({some(without)}), so it cannot be scored"
            )
    present = {image_id: set(classes.present[image_id]) for image_id in masks}
    other = [image_id for image_id, mask in masks.items() if mask.classes - present[image_id]]
    # Of classes counted from 0 the first is background, so its images hold none.
    holding = sum(bool(mask.classes) for mask in masks.values())
    if other:
        shifted = sum({index + 1 for index in mask.classes} <= present[i] for i, mask in masks.items() if mask.classes)
        hint = "; classes may be counted from 0 there, where 0 is the background: add 1" if shifted > len(masks) - len(other) else ""
        said = f"in {len(other)} of {len(masks)} images the mask holds a class that the image's row in the labels lacks ({some(other)})"
        _say(findings, folder, len(other) > holding / 2, f"{said}{hint}", "0 is background, 1 + class index the classes, 255 void")
    void = [image_id for image_id, mask in masks.items() if mask.void > 0.5]
    if void:
        said = f"in {len(void)} of {len(masks)} images most of the mask is {UNSURE}, which is void and not scored ({some(void)})"
        _say(findings, folder, not holding, said, "give 1 + class index to the pixels of objects")
    elif not holding:
        findings.notices.append(f"{folder}: no mask holds any class but background and void")


def _say(findings: Findings, folder: Path, is_problem: bool, said: str, remedy: str) -> None:
    if is_problem:
        findings.problem(folder, said, remedy)
    else:
        findings.notices.append(f"{folder}: {said}; {remedy}")


def _held(truth: MaskFolder, record: ImageRecord) -> Held | IrnError:
    try:
        mask = truth.class_mask(record)
    except IrnError as error:
        return error
    values, counts = np.unique(mask, return_counts=True)
    classes = {int(value) - 1 for value in values if value not in (0, UNSURE)}
    return Held(classes, float(counts[values == UNSURE].sum() / mask.size))
