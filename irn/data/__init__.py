"""Kinds of data sets. Each is a module of this package, and all have one face:

`watched(root)`, the files and folders that say what the data set holds; `CLASS_MASKS` and `OBJECT_MASKS`, where below the
root its ground truth lies; and `read(root, splits, labels_csv, findings)`, which gives its images and their classes. It adds to
`findings` all mistakes that it can go on after, and raises IrnError for one that it cannot. Where images can be listed fast,
`listed(root, splits, findings)` gives them alone.
"""

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
        found.append(folder if given or dataset.kind == "demo" or folder.is_dir() else None)
    return found[0], found[1]


def has_ground_truth(dataset: Any) -> bool:
    """Whether there are class masks to score against; the demonstration's are drawn with it."""
    return dataset.kind == "demo" or mask_folders(dataset, Path(dataset.root))[0] is not None


def glanced_at(dataset: Any, splits: str) -> list[Any] | None:
    """The images of some splits joined by `+`, as `listed` gives them, where a glance at lists and folders says it; else None."""
    # Here, since most who import this package list nothing.
    from irn.data.findings import Findings

    reader = kind(dataset.kind)
    if dataset.kind == "demo" or not hasattr(reader, "listed"):
        return None
    try:
        images = reader.listed(Path(dataset.root).absolute(), dataset.splits, Findings())
    except (IrnError, OSError):
        return None  # which build_manifest will say
    return [image for image in images if image.split in splits.split("+")]


def missing_masks(dataset: Any) -> IrnError | None:
    """The mistake of images to score that have no mask where others do, if a glance shows one."""
    images = glanced_at(dataset, dataset.eval_split)
    if not images:
        return None
    from irn.data.findings import some
    from irn.data.listing import names_of

    for folder in mask_folders(dataset, Path(dataset.root).absolute()):
        if folder is None or not folder.is_dir() or any(folder.glob("instances_*.json")):
            continue
        missing = [i.name for i in images if not any((folder / f"{name}.png").is_file() for name in names_of(i.image_id, i.path))]
        if missing:
            return IrnError(
                f"{folder}: no mask of {len(missing)} of the {len(images)} images of dataset.eval_split {dataset.eval_split!r}"
                f" ({some(missing)}); add them, or set dataset.eval_split to a split that has masks"
            )
    return None
