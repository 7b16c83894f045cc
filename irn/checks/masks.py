"""Class masks beside the labels: scores against masks of another order or meaning would be nonsense."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.findings import Findings, some
from irn.data.masks import format_of, open_truth
from irn.data.tables import ImageClasses
from irn.data.truth import Truth
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord


class MaskContents(NamedTuple):
    """What a class mask holds: class indices, and the share of its pixels that are void."""

    classes: set[int]
    void: float


def check_masks(
    records: Sequence[ImageRecord],
    classes: ImageClasses,
    place: Path,
    findings: Findings,
    workers: int | None,
    left_out: Collection[str] = (),
    object_place: Path | None = None,
) -> None:
    """Compare the classes in masks with those in the labels: a problem where most differ, a notice where some do.

    place, object_place: where the masks of classes lie, and those of objects, if there are any; a file or folder of
        any format. Those of objects are only read. left_out: as of `open_truth`.
    """
    looked_at: dict[str, MaskContents | IrnError] = {}
    for split in dict.fromkeys(record.split for record in records):
        of_split = [record for record in records if record.split == split]
        truth = _opened(place, split, classes.names, findings, left_out)
        objects = _opened(object_place, split, classes.names, findings, left_out) if truth and object_place else None
        if truth:
            looked_at |= _look_at_split(split, of_split, truth, objects, place, findings, workers)
    for mask in looked_at.values():
        if isinstance(mask, IrnError):
            findings.mistake(mask)
    expected = format_of(place).expected
    if expected and not looked_at and place.is_dir():
        files = some([path.name for path in sorted(place.iterdir())]) or "no file"
        findings.notice(f"{place}: no mask of any image; expected {expected} (has {files})")
    masks = {image_id: mask for image_id, mask in looked_at.items() if isinstance(mask, MaskContents)}
    if masks:
        findings.note(f"{place}: masks of {len(looked_at)} of {len(records)} images")
        _compare(masks, classes, place, findings)
        _check_void(masks, classes, place, findings)


def _opened(
    place: Path, split: str, names: Sequence[str], findings: Findings, left_out: Collection[str]
) -> Truth | None:
    """The masks of a split; None, with a notice or a problem, where it has none that can be read."""
    missing = format_of(place).lacking_split(place, split)
    if missing:
        findings.notice(f"{place}: {missing}, so split {split!r} cannot be scored")
        return None
    with findings.collected():
        return open_truth(place, split, names, left_out)
    return None


def _look_at_split(
    split: str,
    records: Sequence[ImageRecord],
    truth: Truth,
    objects: Truth | None,
    place: Path,
    findings: Findings,
    workers: int | None,
) -> dict[str, MaskContents | IrnError]:
    """What the masks of a split hold, by image; a notice where some are missing."""
    masked = [record for record in records if truth.has(record)]
    looks = map_images(partial(_contents, truth, objects), masked, workers)
    contents = progress(looks, len(masked), f"check masks of {split}")
    looked_at = {record.image_id: mask for record, mask in zip(masked, contents, strict=True)}
    if 0 < len(masked) < len(records):
        without = [record.image_id for record in records if record.image_id not in looked_at]
        findings.notice(
            f"{place}: no mask of {len(without)} of the {len(records)} images of split {split!r} ({some(without)}),"
            " so it"
            " cannot be scored"
        )
    return looked_at


def _contents(truth: Truth, objects: Truth | None, record: ImageRecord) -> MaskContents | IrnError:
    try:
        truth.require([record])
        mask = truth.class_mask(record)
        if objects is not None and objects.has(record):
            objects.require([record])
            objects.check_objects(record, mask)
    except IrnError as error:
        return error
    values, counts = np.unique(mask, return_counts=True)
    classes = {int(value) - 1 for value in values if value not in (0, UNSURE)}
    return MaskContents(classes, float(counts[values == UNSURE].sum() / mask.size))


def _compare(masks: Mapping[str, MaskContents], classes: ImageClasses, place: Path, findings: Findings) -> None:
    """Say in how many images the mask holds a class that the labels do not give to the image."""
    present = {image_id: set(classes.present[image_id]) for image_id in masks}
    beyond = [image_id for image_id, mask in masks.items() if mask.classes - present[image_id]]
    if not beyond:
        return
    # Of classes counted from 0 the first is background, so its images hold none.
    filled = {image_id: mask.classes for image_id, mask in masks.items() if mask.classes}
    shifted = sum({index + 1 for index in indices} <= present[image_id] for image_id, indices in filled.items())
    hint = ""
    if shifted > len(masks) - len(beyond):
        hint = "; classes may be counted from 0 there, where 0 is the background: add 1"
    text = (
        f"in {len(beyond)} of {len(masks)} images the mask holds a class that the image's row in the labels lacks"
        f" ({some(beyond)}){hint}"
    )
    remedy = "0 is background, 1 + class index the classes, 255 void"
    _say(findings, place, text, remedy, is_problem=len(beyond) > len(filled) / 2)


def _check_void(masks: Mapping[str, MaskContents], classes: ImageClasses, place: Path, findings: Findings) -> None:
    """Say in how many images most of the mask is void, or that no mask holds a class."""
    holds_class = any(mask.classes for mask in masks.values())
    void = [image_id for image_id, mask in masks.items() if mask.void > 0.5]
    white = [image_id for image_id, mask in masks.items() if mask.void and classes.present[image_id]]
    if white and not holds_class:
        text = f"the masks hold 0 and {UNSURE} alone, and {UNSURE} is void, which is not scored ({some(white)})"
        findings.problem(place, text, "give 1 + class index to the pixels of objects, so 1 for an only class")
    elif void:
        share = f"in {len(void)} of {len(masks)} images"
        text = f"{share} most of the mask is {UNSURE}, which is void and not scored ({some(void)})"
        _say(findings, place, text, "give 1 + class index to the pixels of objects", is_problem=not holds_class)
    elif not holds_class:
        findings.notice(f"{place}: no mask holds any class but background and void")


def _say(findings: Findings, place: Path, text: str, remedy: str, is_problem: bool) -> None:
    if is_problem:
        findings.problem(place, text, remedy)
    else:
        findings.notice(f"{place}: {text}; {remedy}")
