"""Every option of a command that names files, images or means; options for settings are made from irn/settings/values.py."""

import argparse
import os
from pathlib import Path, PosixPath
from typing import Any, NamedTuple

from irn.data.kinds import KINDS
from irn.records import WHOLE, Shard
from irn.settings.final_networks import TRAINED_NETWORKS


class FileToWrite(PosixPath):
    """The path of a file that a command makes."""


def file_to_write(text: str) -> FileToWrite:
    """Type of a file that can be written: found out before the work, not after it."""
    path = FileToWrite(text)
    try:
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r} is a folder; give the name of a file")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written ({error.strerror}); give another name") from None
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written, since {parent} is not a folder that one may write to; choose another place"
        )
    return path


def shard(text: str) -> Shard:
    """Type of a shard I/N."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shard I/N with 0 <= I < N, such as 0/4")
    return Shard(int(index), int(count))


def count(text: str) -> int:
    """Type of a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def processes(text: str) -> int:
    """Type of a number of processes."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def named_folder(text: str) -> tuple[str, Path]:
    """Type of a folder NAME=DIR of a final network's predictions."""
    name, _, folder = text.partition("=")
    if not (folder and name in TRAINED_NETWORKS):
        names = ", ".join(TRAINED_NETWORKS)
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR with a NAME of {names}, such as mask_rcnn=DIR")
    return name, Path(folder)


class Option(NamedTuple):
    """A flag and what argparse is told of it."""

    flag: str
    told: dict[str, Any]


def _read(metavar: str, meaning: str) -> dict[str, Any]:
    return {"type": Path, "metavar": metavar, "help": meaning}


def _written(metavar: str, meaning: str) -> dict[str, Any]:
    return {"type": file_to_write, "metavar": metavar, "help": meaning}


def _caches(kind: str) -> dict[str, Any]:
    return {**_read("F", f"{kind} cache, in one or more files"), "nargs": "+"}


_OR_COCO = "in a folder; or an instances file of COCO, or a folder of them"
_OPTIONS: dict[str, dict[str, Any]] = {
    "manifest": _read(
        "M", "table of the images; for a command that can do without, those of its first cache if not given"
    ),
    "labels": _read("L", "table of the classes in each image"),
    "weights": _read("W", "weights file of the network that computes, trained or imported"),
    "trained": {
        "flag": "weights",
        "type": Path,
        "nargs": "+",
        "metavar": "W",
        "help": "weights of Mask R-CNN, of DeepLab or of a classifier alone, or those of a classifier and of IRNet",
    },
    "new-images": {
        "flag": "images",
        "type": Path,
        "nargs": "+",
        "metavar": "PATH",
        "help": "images to segment: files, and folders of them",
    },
    "onnx": _written(
        "FILE", "write the network as ONNX, Mask R-CNN or DeepLab; then --images and --out may be left out"
    ),
    "least-score": {
        "flag": "score",
        "type": float,
        "metavar": "S",
        "help": "least score of an instance, 0 to 1; by default 0.05 in predictions.json and 0.5 in masks and overlays",
    },
    "backbone-weights": _read(
        "W", "where the backbone starts: a torchvision state dict or a classifier's file; ImageNet's if not given"
    ),
    "from-scratch": {
        "action": "store_true",
        "help": "start from random weights, not --backbone-weights, and train every layer",
    },
    "cams": _caches("CAM"),
    "ir-labels": _caches("IR label"),
    "fields": _caches("field"),
    "walks": _caches("walk"),
    "label-caches": _caches("label"),
    "predictions": {
        "type": named_folder,
        "nargs": "+",
        "metavar": "NAME=DIR",
        "help": f"predictions to score of final networks; NAME is one of {', '.join(TRAINED_NETWORKS)}",
    },
    "external": {**_caches("external CAM"), "help": "external CAM caches to check and take over, instead of --weights"},
    "out": _written("FILE", "file to write"),
    "out-manifest": _written("M", "table of the images to write"),
    "out-labels": _written("L", "table of the classes in each image to write"),
    "out-cam": _written("W", "classifier weights to write"),
    "out-irn": _written("W", "IRNet weights to write"),
    "out-folder": {"flag": "out", **_read("DIR", "folder to make")},
    "metrics": _written("JSONL", "where to write the losses as JSON lines"),
    "thresholds-out": _written("CSV", "table to write of the mIoU of the CAMs at each threshold"),
    "sweep-out": _written("CSV", "table to write with a row for each combination of swept values"),
    "figure": _written("SVG", "picture to draw of the table"),
    "npy": _read(
        "DIR", "folder of <image_id>.npy, each a dictionary of numpy.save with keys and cam, high_res or attn_highres"
    ),
    "kind": {"choices": tuple(KINDS), "help": "layout of the data set"},
    "root": _read("DIR", "folder of the data set"),
    "json": _written("FILE", "where to write the same as JSON"),
    "labels-csv": _read("CSV", "classes of the images, instead of the data set's own"),
    "class-masks": _read("PATH", f"ground truth, <image_id>.png of 1 + class index, 255 void, {_OR_COCO}"),
    "object-masks": _read("PATH", f"ground truth, <image_id>.png of object numbers, 255 void, {_OR_COCO}"),
    "run": _read("DIR", "folder of a run, such as results/demo"),
    "images": {"nargs": "+", "metavar": "ID", "help": "images to draw; some evenly spaced ones if not given"},
    "configurations": _read(
        "JSON", "a list: for each configuration its number, seed, swept values and table of scores"
    ),
    "cam": _read("P", "the release's checkpoint of the CAM network"),
    "irn": _read("P", "the release's checkpoint of IRNet"),
    "split": {"metavar": "NAME", "help": "only images of this split, or of several joined by '+'"},
    "shard": {"type": shard, "default": WHOLE, "metavar": "I/N", "help": "only rows I, I + N, ..., counted from 0"},
    "walk-device": {
        "flag": "device",
        "choices": ("auto", "cpu", "cuda"),
        "default": "auto",
        "help": "changes nothing here, where no GPU helps",
    },
    "device": {"choices": ("auto", "cpu", "cuda"), "default": "auto", "help": "where torch computes"},
    "processes": {
        "type": processes,
        "default": 1,
        "metavar": "N",
        "help": "processes that compute each batch together, each on a GPU of its own; torchrun starts them",
    },
    "precision": {
        "choices": ("float32", "bf16"),
        "default": "float32",
        "help": "changes nothing here, where no network computes",
    },
    "workers": {
        "type": count,
        "metavar": "N",
        "help": f"processes beside this one; by default what it can use of {os.cpu_count()} cores",
    },
    "configfile": {**_read("FILE", "YAML files of settings; the demonstration's if not given"), "nargs": "+"},
    "config": {"nargs": "+", "metavar": "KEY=VALUE", "help": "settings laid over them, as Snakemake takes them"},
    "json-schema": {"action": "store_true", "help": "print the JSON schema that editors use instead"},
    "delete": {"action": "store_true", "help": "remove what is listed"},
}


def options(names: str) -> list[Option]:
    """Options by their names, in one line; those with a question mark need not be given."""
    found = []
    for name in names.split():
        told = dict(_OPTIONS[name.rstrip("?")])
        optional = name.endswith("?") or "default" in told or told.get("action") == "store_true"
        if not optional:
            told["required"] = True
        elif told.get("nargs") == "+":
            told["default"] = ()
        found.append(Option(f"--{told.pop('flag', name.rstrip('?'))}", told))
    return found
