"""Every option of a command that names files, images or means; those for settings come from the table of settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from irn.data.kinds import KINDS
from irn.records import WHOLE
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.workflow.argument_types import (
    file_to_write,
    port,
    positive_number,
    predictions_of_a_network,
    shard,
    whole_number,
)


@dataclass(frozen=True)
class Option:
    """An option: its flag, and the keywords that argparse takes (`type`, `nargs`, `metavar`, `help` and others).

    It has to be given, unless it is `optional` or has a default.
    """

    flag: str
    keywords: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name in Python, and in rules."""
        return self.flag.removeprefix("--").replace("-", "_")


def optional(option: Option) -> Option:
    """The same option for a command that can do without it."""
    keywords = {name: value for name, value in option.keywords.items() if name != "required"}
    return replace(option, keywords=keywords | ({"default": ()} if keywords.get("nargs") == "+" else {}))


def _option(flag: str, meaning: str, **keywords: Any) -> Option:
    required = {} if "default" in keywords or "action" in keywords else {"required": True}
    return Option(flag, {"help": meaning, **keywords, **required})


def _path(flag: str, metavar: str, meaning: str, **keywords: Any) -> Option:
    """A file or folder that is read."""
    return _option(flag, meaning, type=Path, metavar=metavar, **keywords)


def _output(flag: str, metavar: str, meaning: str) -> Option:
    """A file that is written."""
    return _option(flag, meaning, type=file_to_write, metavar=metavar)


def _caches(flag: str, kind: str) -> Option:
    return _path(flag, "F", f"{kind} cache, in one or more files", nargs="+")


def _switch(flag: str, meaning: str) -> Option:
    return _option(flag, meaning, action="store_true")


# ---- what is read

_OR_COCO = "in a folder; or an instances file of COCO, or a folder of them"

CAM = _path("--cam", "P", "the release's checkpoint of the CAM network")
CAMS = _caches("--cams", "CAM")
CLASS_MASKS = _path("--class-masks", "PATH", f"ground truth, <image_id>.png of 1 + class index, 255 void, {_OR_COCO}")
CONFIGURATIONS = _path(
    "--configurations",
    "JSON",
    "object whose `configurations` list the number, seed, swept values and table of scores of each configuration",
)
CORRECTED = optional(_path("--corrected", "F", "cache of corrected masks, from irn read-corrections"))
CORRECTIONS = _path(
    "--corrected",
    "PATH",
    "corrected masks of some images: a folder of index PNGs as irn export-voc writes it, a folder of labelme's JSON"
    " files, an instances file of COCO, or Label Studio's JSON export",
)
DOUBT = optional(
    _path("--doubt", "CSV", "table whose images are exported, in its order, such as results/<run>/doubt.csv")
)
CELL_CLASSIFIER = optional(
    _path("--cell-classifier", "W", "weights of the cell classifier, from irn train-cell-classifier")
)
EXTERNAL = optional(_path("--external", "F", "external CAM caches to check and copy, instead of --weights", nargs="+"))
FIELDS = _caches("--fields", "field")
IR_LABELS = _caches("--ir-labels", "IR label")
IRN = _path("--irn", "P", "the release's checkpoint of IRNet")
REFINED_CAMS = optional(_caches("--refined-cams", "refined CAM"))
LABELS = _path("--labels", "L", "table of the classes in each image")
DATA_LINK = optional(
    _path(
        "--data-link",
        "LINK",
        "link to the data set's folder that the manifest's paths go through, so that the data set can be moved",
    )
)
LABELS_CSV = optional(_path("--labels-csv", "CSV", "classes of the images, instead of the data set's own"))
LABEL_CACHES = _caches("--label-caches", "label")
MANIFEST = _path("--manifest", "M", "table of the images; where it is optional, by default those of the first cache")
MANIFEST_OF_SHARED = optional(
    _path("--manifest", "M", "table of the images; by default those that are in the caches of every kind")
)
NPY = _path(
    "--npy",
    "DIR",
    "folder of <image_id>.npy, each a dictionary of numpy.save: keys and maps, or a map for each class index",
)
OBJECT_MASKS = _path("--object-masks", "PATH", f"ground truth, <image_id>.png of object numbers, 255 void, {_OR_COCO}")
PREDICTIONS = optional(
    _option(
        "--predictions",
        f"predictions of final networks to score; NAME is one of {', '.join(TRAINED_NETWORKS)}",
        type=predictions_of_a_network,
        nargs="+",
        metavar="NAME=DIR",
    )
)
ROOT = _path("--root", "DIR", "folder of the data set")
RUN = _path("--run", "DIR", "folder of a run, such as results/demo")
WALKS = _caches("--walks", "walk")
WEIGHTS = _path("--weights", "W", "weights file of the network that computes, trained or imported")
# `predict` takes several networks, and images by their paths.
PREDICTING_WEIGHTS = _path(
    "--weights",
    "W",
    "weights of a final network or of a classifier alone, or those of a classifier and of IRNet, and of a cell"
    " classifier where class maps are refined by one",
    nargs="+",
)
PREDICTED_IMAGES = optional(_path("--images", "PATH", "images to segment: files, and folders of them", nargs="+"))

# ---- what is written

FIGURE = _output("--figure", "SVG", "chart of the table to draw")
COPY = _switch("--copy", "copy the images instead of linking to them")
JSON = optional(_output("--json", "FILE", "where to write the same as JSON"))
METRICS = optional(_output("--metrics", "JSONL", "where to write the losses as JSON lines"))
ONNX = optional(_output("--onnx", "FILE", "write the final network as ONNX; then --images and --out may be left out"))
OUT = _output("--out", "FILE", "file to write")
OUT_CAM = _output("--out-cam", "W", "classifier weights to write")
OUT_FOLDER = _path("--out", "DIR", "folder to make")
OUT_IRN = _output("--out-irn", "W", "IRNet weights to write")
OUT_LABELS = _output("--out-labels", "L", "table of the classes in each image to write")
OUT_MANIFEST = _output("--out-manifest", "M", "table of the images to write")
OUT_CORRECTIONS = optional(
    _path(
        "--out",
        "DIR",
        "folder of the corrections, which may exist; by default where the run has taken some from, else"
        " corrected/<run>/ beside results/",
    )
)
SWEEP_OUT = optional(_output("--sweep-out", "CSV", "table to write with a row for each combination of swept values"))
THRESHOLDS_OUT = optional(
    _output("--thresholds-out", "CSV", "table to write of the mIoU of the CAMs at each threshold")
)

# ---- which images, and how they are computed

BACKBONE_WEIGHTS = optional(
    _path(
        "--backbone-weights",
        "W",
        "initial weights of the backbone: a torchvision state dict or a classifier's file; by default ImageNet's",
    )
)
DEVICE = _option("--device", "where torch computes", choices=("auto", "cpu", "cuda"), default="auto")
FROM_SCRATCH = _switch("--from-scratch", "start from random weights, not --backbone-weights, and train every layer")
IMAGES = optional(_option("--images", "images to draw; by default some, evenly spaced", nargs="+", metavar="ID"))
KIND = _option("--kind", "layout of the data set", choices=tuple(KINDS))
NO_BROWSER = _switch("--no-browser", "print the address of the page only")
PORT = _option("--port", "port of 127.0.0.1 to listen on, 0 for any free one", type=port, default=8765, metavar="N")
PROCESSES = _option(
    "--processes",
    "processes that compute each batch together, each on a GPU of its own; torchrun starts them",
    type=positive_number,
    default=1,
    metavar="N",
)
SCORE = optional(
    _option(
        "--score",
        "least score of an instance, 0 to 1; by default 0.05 in predictions.json and 0.5 in masks and overlays",
        type=float,
        metavar="S",
    )
)
SHARD = _option("--shard", "only rows I, I + N, ..., counted from 0", type=shard, default=WHOLE, metavar="I/N")
SPLIT = optional(_option("--split", "only images of this split, or of several joined by '+'", metavar="NAME"))
WORKERS = optional(
    _option(
        "--workers",
        f"worker processes besides this one; by default as many as it can use of {os.cpu_count()} cores",
        type=whole_number,
        metavar="N",
    )
)

# ---- settings and runs

CONFIG = optional(
    _option("--config", "settings laid over them, as Snakemake takes them", nargs="+", metavar="KEY=VALUE")
)
CONFIGFILE = optional(
    _path("--configfile", "FILE", "YAML files of settings; by default the demonstration's", nargs="+")
)
DELETE = _switch("--delete", "remove what is listed")
JSON_SCHEMA = _switch("--json-schema", "print the JSON schema that editors use instead")
