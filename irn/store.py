"""Where each stage's files lie: in folders named by all that they depend on, which runs share (docs/caches.md).

The key of a stage is a digest of its settings, its source code and the keys of the stages that it reads. So an edit
gives a new folder to what depends on it and to nothing else, and an edit that is taken back finds the old one.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from irn.config import Config, flat
from irn.provenance import code_fingerprint

STORE = Path("results/store")
IMAGE_FOLDERS = ("JPEGImages", "Annotations", "ImageSets/Segmentation", "images")
TABLES = ("classes.txt", "labels.csv", "splits.csv")

# The settings that each stage is given.
SETTINGS = {
    "make_demo_data": ("dataset.demo.images", "dataset.demo.size", "dataset.demo.seed"),
    "build_manifest": ("dataset.kind", "dataset.root", "dataset.splits", "dataset.labels_csv"),
    "download_backbone": ("backbone",),
    "train_cam": (
        "backbone", "pretrained", "precision", "seed", "momentum", "weight_decay", "dataset.train_split", "cam.epochs",
        "cam.batch_size", "cam.learning_rate", "cam.head_factor", "cam.crop_size", "cam.long_side",
    ),
    "make_cams": ("precision", "cam.scales", "cam.external"),
    "make_ir_labels": ("ir_labels.foreground_threshold", "ir_labels.background_threshold"),
    "train_irn": (
        "backbone", "pretrained", "precision", "seed", "momentum", "weight_decay", "dataset.train_split", "irn.epochs",
        "irn.batch_size", "irn.learning_rate", "irn.head_factor", "irn.crop_size", "irn.scale", "irn.radius", "irn.mean_split",
    ),
    "infer_fields": ("precision",),
    "random_walk": ("walk.beta", "walk.steps", "walk.radius"),
    "make_labels": ("labels.semantic_threshold", "labels.instance_threshold"),
    "evaluate": ("evaluate.cam_threshold", "dataset.eval_split", "dataset.class_masks", "dataset.object_masks"),
    "show": ("show.images",),
}  # fmt: skip

# The stages that each reads from; those of other configurations are left out.
READS = {
    "make_demo_data": (),
    "build_manifest": ("make_demo_data",),
    "download_backbone": (),
    "train_cam": ("build_manifest", "download_backbone"),
    "make_cams": ("build_manifest", "train_cam"),
    "make_ir_labels": ("build_manifest", "make_cams"),
    "train_irn": ("build_manifest", "make_ir_labels", "download_backbone", "train_cam"),
    "infer_fields": ("build_manifest", "train_irn"),
    "random_walk": ("build_manifest", "make_cams", "infer_fields"),
    "make_labels": ("random_walk",),
    "evaluate": ("build_manifest", "make_cams", "make_labels"),
    "show": ("build_manifest", "make_cams", "make_ir_labels", "infer_fields", "make_labels"),
}
PER_IMAGE = ("make_cams", "make_ir_labels", "infer_fields", "random_walk", "make_labels")


class Plan:
    """Which stages a configuration has, and where the files of each lie."""

    def __init__(self, config: Config) -> None:
        self.config = config
        absent = self._absent()
        self.stages = [stage for stage in READS if stage not in absent]
        self.ingredients: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        for stage in self.stages:
            self.ingredients[stage] = self._ingredients(stage)
            self._keys[stage] = digest(self.ingredients[stage])

    def folder(self, stage: str) -> Path:
        """The stage's folder in the store; per-image stages have one for each choice of images and number of shards."""
        key = self._keys[stage]
        if stage in PER_IMAGE:
            # Which other images a cache holds changes nothing in what is made from one of them.
            key = digest([key, self.image_split, self.config["shards"]])
        return STORE / stage / key

    def shards(self, stage: str) -> list[str]:
        """The cache files of a per-image stage, or the caches from elsewhere that stand in its place."""
        external = self.config["cam"]["external"]
        if stage == "make_cams" and external:
            return list(external)
        count = self.config["shards"]
        return [str(self.folder(stage) / f"{index}-of-{count}.h5") for index in range(count)]

    @property
    def data_root(self) -> Path:
        """The folder of the data set."""
        return Path(self.config["dataset"]["root"] or self.folder("make_demo_data") / "data")

    @property
    def image_split(self) -> str:
        """All splits that labels are made for."""
        dataset = self.config["dataset"]
        return "+".join(dict.fromkeys(f"{dataset['train_split']}+{dataset['eval_split']}".split("+")))

    def masks(self, kind: str) -> Path | None:
        """The folder of ground truth of kind "class" or "object", if there is any."""
        given = self.config["dataset"][f"{kind}_masks"]
        if given:
            return Path(given)
        own = self.data_root / ("SegmentationClass" if kind == "class" else "SegmentationObject")
        return own if self.config["dataset"]["kind"] == "demo" or own.is_dir() else None

    def open(self) -> None:
        """Make the folders, say in each what its key stands for, and show them in results/<run>/."""
        for stage in self.stages:
            folder = self.folder(stage)
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.ingredients[stage], indent=1, sort_keys=True) + "\n"
            if not (folder / "key.json").exists():
                (folder / "key.json").write_text(text, encoding="utf-8")
            link(Path("results") / self.config["run"] / stage, folder)

    def _absent(self) -> set[str]:
        """Stages that this configuration does without."""
        absent: set[str] = set()
        if self.config["dataset"]["kind"] != "demo":
            absent.add("make_demo_data")
        if self.config["pretrained"] != "imagenet":
            absent.add("download_backbone")
        if self.config["cam"]["external"]:
            absent |= {"train_cam", "make_cams"}
        # Without masks there is nothing to score; the demonstration data has them.
        if self.config["dataset"]["kind"] != "demo" and self.masks("class") is None:
            absent.add("evaluate")
        return absent

    def _ingredients(self, stage: str) -> dict[str, Any]:
        settings = flat(self.config)
        chosen = {name: settings[name] for name in SETTINGS[stage]}
        if stage == "show":
            chosen["split"] = self.image_split
        return {
            "stage": stage,
            "code": code_fingerprint(stage),
            "settings": chosen,
            "reads": {other: self._keys[other] for other in READS[stage] if other in self._keys},
            "files": dict(self._files(stage)),
        }

    def _files(self, stage: str) -> Iterator[tuple[str, str]]:
        """Files from outside that the stage reads, with a digest of each."""
        dataset, pretrained = self.config["dataset"], self.config["pretrained"]
        if stage == "build_manifest" and dataset["kind"] != "demo":
            root = self.data_root
            yield str(root), stat_digest([*(root / name for name in IMAGE_FOLDERS), *(root / name for name in TABLES)])
            lists = [Path(name) for name in dataset["splits"] or [] if Path(name).is_file()]
            if dataset["labels_csv"] or lists:
                yield "lists", stat_digest([*lists, *([Path(dataset["labels_csv"])] if dataset["labels_csv"] else [])])
        if stage in ("train_cam", "train_irn") and pretrained not in (None, "imagenet"):
            with open(pretrained, "rb") as file:
                yield pretrained, hashlib.file_digest(file, "sha256").hexdigest()
        if self.config["cam"]["external"] and "make_cams" in READS[stage]:
            yield "external CAMs", stat_digest(Path(path) for path in self.config["cam"]["external"])
        if stage == "evaluate" and dataset["kind"] != "demo":
            masks = [folder for folder in (self.masks("class"), self.masks("object")) if folder]
            yield "masks", stat_digest(masks)


def digest(value: Any) -> str:
    """Twelve hexadecimal digits of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def stat_digest(paths: Iterable[Path]) -> str:
    """Digest of the names, sizes and times of files, those of folders included, without reading them."""
    found: list[tuple[str, int, int]] = []
    for path in paths:
        if path.is_dir():
            with os.scandir(path) as entries:
                found += [_stat(entry.path, entry.stat()) for entry in entries if entry.is_file()]
        elif path.exists():
            found.append(_stat(str(path), path.stat()))
    return digest(sorted(found))


def link(name: Path, target: Path) -> None:
    """Make `name` a relative symbolic link to `target`, in place of an older one."""
    name.parent.mkdir(parents=True, exist_ok=True)
    wanted = os.path.relpath(target, name.parent)
    if name.is_symlink() and os.readlink(name) == wanted:
        return
    fresh = name.with_name(name.name + ".partial")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(wanted)
    fresh.replace(name)


def _stat(path: str, status: os.stat_result) -> tuple[str, int, int]:
    return path, status.st_size, status.st_mtime_ns
