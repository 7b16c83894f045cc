"""The data set of a configuration: where its ground truth lies, and what a glance at it shows before a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irn.data.kinds import KINDS
from irn.errors import IrnError

if TYPE_CHECKING:
    from irn.data.listing import Listed


def mask_folders(dataset: Any, root: Path) -> tuple[Path | None, Path | None]:
    """Where ground truth of classes and of objects lies, folders or files; None where there is none.

    dataset: the section of the settings; the places that it names are taken as they are, and otherwise those of its
        kind below `root`, where they hold ground truth or will do so.
    """
    kind = KINDS[dataset.kind]
    layout, places = kind.layout, []
    for named, below in zip((dataset.class_masks, dataset.object_masks), layout.truth_places(root), strict=True):
        place = Path(named) if named else below
        places.append(place if named or kind.is_drawn or layout.has_truth(place) else None)
    return places[0], places[1]


def has_ground_truth(dataset: Any) -> bool:
    """Whether there are class masks to score against; those of a data set that is drawn are drawn with it."""
    return KINDS[dataset.kind].is_drawn or mask_folders(dataset, Path(dataset.root))[0] is not None


def glanced_at(dataset: Any) -> "list[Listed] | None":
    """The images of a data set at a glance, as its layout lists them.

    None where that shows nothing: the data has to be drawn first, or its lists have a mistake, for which `irn
    build-manifest` refuses it with all that is wrong.
    """
    # Here, since most who import this module list nothing.
    from irn.data.findings import Findings

    kind = KINDS[dataset.kind]
    if kind.is_drawn:
        return None
    try:
        labels_csv = Path(dataset.labels_csv) if dataset.labels_csv else None
        return kind.layout.listed(Path(dataset.root).absolute(), dataset.splits, Findings(), labels_csv)
    except (IrnError, OSError):
        return None


def of_splits(images: "Sequence[Listed]", splits: str) -> "list[Listed]":
    """The images of some splits, which are joined by `+`."""
    return [image for image in images if image.split in splits.split("+")]


def check_splits(dataset: Any, images: "Sequence[Listed]") -> None:
    """IrnError for a split to learn from or to score that none of the data set's images has."""
    known = sorted({image.split for image in images})
    for key in ("train_split", "eval_split"):
        unknown = [split for split in getattr(dataset, key).split("+") if split not in known]
        if unknown:
            raise IrnError(
                f"config: dataset.{key} names {unknown[0]!r}, but no image is of that split; name one that is listed"
                f" ({', '.join(known)}), or list it too in dataset.splits"
            )


def check_scored(dataset: Any, images: "Sequence[Listed]") -> None:
    """IrnError for images to score that have no ground truth where it should be, as far as a glance shows."""
    from irn.data.findings import some
    from irn.data.masks import format_of

    scored = of_splits(images, dataset.eval_split)
    for place in dict.fromkeys(mask_folders(dataset, Path(dataset.root).absolute())):
        missing = format_of(place).lacking(place, scored) if place else []
        if missing:
            raise IrnError(
                f"{place}: no mask of {len(missing)} of the {len(scored)} images of dataset.eval_split"
                f" {dataset.eval_split!r} ({some(missing)}); add them, or set dataset.eval_split to a split that has"
                " masks"
            )


def check_at_a_glance(dataset: Any, batch_sizes: Mapping[str, int], is_scored: bool) -> None:
    """Check a data set against what a run does with it, as far as a glance at its lists and folders shows.

    dataset: the section of the settings.
    batch_sizes: the largest batch of each training of the paper, by its section.
    is_scored: whether labels are scored against ground truth.

    Raises IrnError if a split that is asked for has no image, a training has fewer images than one of its batches, or
    an image to score has no mask.
    """
    images = glanced_at(dataset)
    if not images:
        return
    check_splits(dataset, images)
    count = len(of_splits(images, dataset.train_split))
    for section, size in batch_sizes.items():
        if count < size:
            raise IrnError(
                f"config: {section}.batch_size is {size}, but dataset.train_split {dataset.train_split!r} has {count}"
                f" images; set it to {count} or less"
            )
    if is_scored:
        check_scored(dataset, images)
