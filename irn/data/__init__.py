"""Kinds of data sets. Each is a module of this package, and all have one face:

`watched(root)`, the files and folders that say what the data set holds; `CLASS_MASKS` and `OBJECT_MASKS`, where below the
root its ground truth lies; and `read(root, splits, labels_csv)`, which gives its images and their classes.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

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
