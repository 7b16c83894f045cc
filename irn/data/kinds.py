"""Kinds of data sets. Each is a module of this package, and all have one face:

`watched(root)`, the files and folders that say what the data set holds; `CLASS_MASKS` and `OBJECT_MASKS`, where below the
root its ground truth lies; `read(root, splits, labels_csv, findings)`, which gives its images and their classes; and
`listed(root, splits, findings)`, which gives the images alone, at a glance. Both add to `findings` all mistakes that they can go
on after, and raise IrnError for one that they cannot.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from irn.errors import IrnError

# By the name of the kind, the module that reads it. It is imported only when it is needed.
KINDS = {"demo": "voc", "voc": "voc", "coco": "coco", "folder": "folder"}


def kind(name: str) -> ModuleType:
    """The module that reads data sets of a kind."""
    return import_module(f"irn.data.{KINDS[name]}")


def mask_folders(dataset: Any, root: Path) -> tuple[Path | None, Path | None]:
    """Where ground truth of classes and of objects lies, folders or files, as the configuration names it or the data set has it."""
    own = kind(dataset.kind)
    found = []
    for given, name in ((dataset.class_masks, own.CLASS_MASKS), (dataset.object_masks, own.OBJECT_MASKS)):
        folder = Path(given) if given else root / name
        there = (
            given or dataset.kind == "demo" or (folder.is_dir() and (dataset.kind != "coco" or own.has_masks(folder)))
        )
        found.append(folder if there else None)
    return found[0], found[1]


def has_ground_truth(dataset: Any) -> bool:
    """Whether there are class masks to score against; the demonstration's are drawn with it."""
    return dataset.kind == "demo" or mask_folders(dataset, Path(dataset.root))[0] is not None


def glanced_at(dataset: Any) -> list[Any] | None:
    """The images of a data set, as `listed` gives them, where a glance at lists and folders says it; else None."""
    # Here, since most who import this package list nothing.
    from irn.data.findings import Findings

    if dataset.kind == "demo":
        return None
    try:
        return kind(dataset.kind).listed(Path(dataset.root).absolute(), dataset.splits, Findings())
    except (IrnError, OSError):
        return None  # which build_manifest will say


def of_splits(images: Sequence[Any], splits: str) -> list[Any]:
    """The images of some splits, which are joined by `+`."""
    return [image for image in images if image.split in splits.split("+")]


def check_splits(dataset: Any, images: Sequence[Any]) -> None:
    """IrnError for a split to learn from or to score that none of the data set's images has."""
    known = sorted({image.split for image in images})
    for key in ("train_split", "eval_split"):
        unknown = [split for split in getattr(dataset, key).split("+") if split not in known]
        if unknown:
            raise IrnError(
                f"config: dataset.{key} names {unknown[0]!r}, but no image is of that split; name one that is listed"
                f" ({', '.join(known)}), or list it too in dataset.splits"
            )


def check_scored(dataset: Any, images: Sequence[Any]) -> None:
    """IrnError for images to score that have no ground truth where it is to be, if a glance shows some."""
    from irn.data.findings import some
    from irn.data.masks import lacking

    scored = of_splits(images, dataset.eval_split)
    for place in dict.fromkeys(mask_folders(dataset, Path(dataset.root).absolute())):
        missing = lacking(place, scored) if place else []
        if missing:
            raise IrnError(
                f"{place}: no mask of {len(missing)} of the {len(scored)} images of dataset.eval_split {dataset.eval_split!r}"
                f" ({some(missing)}); add them, or set dataset.eval_split to a split that has masks"
            )
