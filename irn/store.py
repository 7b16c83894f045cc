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
    "check_cams": ("cam.external",),
    "make_cams": ("precision", "cam.scales"),
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
    "check_cams": ("build_manifest",),
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
# The files of the others, without those that only tell of the making (log, benchmark, metrics).
FILES = {
    "make_demo_data": ("data",),
    "build_manifest": ("manifest.csv", "labels.csv"),
    "download_backbone": ("backbone.pt",),
    "check_cams": ("checked",),
    "train_cam": ("weights.pt",),
    "train_irn": ("weights.pt",),
    "evaluate": ("scores.csv", "thresholds.csv"),
    "show": ("panels",),
}


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

    def record(self, stage: str) -> dict[str, Any]:
        """What the name of the stage's folder stands for, as `key.json` has it.

        The images and the number of shards are in it and not in the key: which other images a cache holds changes
        nothing in what is made from one of them.
        """
        record = dict(self.ingredients[stage])
        if stage in (*PER_IMAGE, "check_cams", "show"):
            record["split"] = self.image_split
        if stage in PER_IMAGE:
            record["shards"] = self.config["shards"]
        return record

    def folder(self, stage: str) -> Path:
        """The stage's folder in the store; per-image stages have one for each choice of images and number of shards."""
        return STORE / stage / digest(self.record(stage))

    def files(self, stage: str) -> list[str]:
        """The files that a stage makes."""
        return self.shards(stage) if stage in PER_IMAGE else [str(self.folder(stage) / name) for name in FILES[stage]]

    def inputs(self, stage: str) -> list[str]:
        """The stages that make it run again when their files are newer than its own.

        Trained weights are what their key says, so newer IR labels do not train IRNet again; and it stands on the
        classifier's backbone only when that starts from scratch.
        """
        not_these = ("make_ir_labels", "train_cam" if self.config["pretrained"] else "") if stage == "train_irn" else ()
        return [other for other in READS[stage] if other in self.stages and other not in not_these]

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
        """Make the folders, say in each what its key stands for, and show them in results/<run>/ in the place of all others."""
        shown = Path("results") / self.config["run"]
        stale = [shown / stage for stage in READS if stage not in self.stages]
        scores = shown / "scores.csv"
        if "evaluate" not in self.stages or scores.resolve() != (self.folder("evaluate") / "scores.csv").resolve():
            stale.append(scores)
        for name in stale:
            if name.is_symlink():
                name.unlink()
        for stage in self.stages:
            folder = self.folder(stage)
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.record(stage), indent=1, sort_keys=True) + "\n"
            if not (folder / "key.json").exists():
                (folder / "key.json").write_text(text, encoding="utf-8")
            link(shown / stage, folder)

    def _absent(self) -> set[str]:
        """Stages that this configuration does without."""
        absent: set[str] = set()
        if self.config["dataset"]["kind"] != "demo":
            absent.add("make_demo_data")
        if self.config["pretrained"] != "imagenet":
            absent.add("download_backbone")
        if self.config["cam"]["external"]:
            absent |= {"train_cam", "make_cams"}
        else:
            absent.add("check_cams")
        # Without masks there is nothing to score; the demonstration data has them.
        if self.config["dataset"]["kind"] != "demo" and self.masks("class") is None:
            absent.add("evaluate")
        return absent

    def _ingredients(self, stage: str) -> dict[str, Any]:
        settings = flat(self.config)
        return {
            "stage": stage,
            "code": code_fingerprint(stage),
            "settings": {name: settings[name] for name in SETTINGS[stage]},
            "reads": {other: self._keys[other] for other in READS[stage] if other in self._keys},
            "files": dict(self._files(stage)),
        }

    def _files(self, stage: str) -> Iterator[tuple[str, str]]:
        """What the stage reads from outside the workflow, by what it is, with a digest of each."""
        dataset, pretrained, external = self.config["dataset"], self.config["pretrained"], self.config["cam"]["external"]
        if stage == "build_manifest" and dataset["kind"] != "demo":
            root = self.data_root
            yield "data set", stat_digest([*(root / name for name in IMAGE_FOLDERS), *(root / name for name in TABLES)])
            lists = [name for name in [*(dataset["splits"] or []), dataset["labels_csv"]] if name and Path(name).is_file()]
            if lists:
                yield "lists", stat_digest(Path(name) for name in lists)
        if stage in ("train_cam", "train_irn") and pretrained not in (None, "imagenet"):
            with open(pretrained, "rb") as file:
                yield "pretrained weights", hashlib.file_digest(file, "sha256").hexdigest()
        if external and (stage == "check_cams" or "make_cams" in READS[stage]):
            yield "external CAMs", stat_digest(Path(path) for path in external)
        if stage == "evaluate" and dataset["kind"] != "demo":
            masks = [folder for folder in (self.masks("class"), self.masks("object")) if folder]
            yield "masks", stat_digest(masks)


def made(stage: str) -> dict[Path, dict[str, Any]]:
    """The folders of a stage in which something was made, with what the name of each stands for."""
    # A benchmark is written when a job has succeeded.
    folders = [path for path in sorted((STORE / stage).glob("*")) if any(path.glob("*benchmark.tsv")) and (path / "key.json").exists()]
    return {folder: json.loads((folder / "key.json").read_text(encoding="utf-8")) for folder in folders}


def nearest(record: dict[str, Any], others: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Of other records of the same stage the one that differs least; None if there is none."""
    return min(others, key=lambda other: len(differences(other, record)), default=None)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """In what two records of one stage differ, in words: settings, code, files, and stages that it reads from."""
    found = []
    old, new = ({**record["settings"], "split": record.get("split"), "shards": record.get("shards")} for record in (before, after))
    found += [f"{name} {as_text(old.get(name))} -> {as_text(new.get(name))}" for name in {**new, **old} if old.get(name) != new.get(name)]
    if before["code"] != after["code"]:
        found.append("code edited")
    found += [f"{name} changed" for name in _apart(before["files"], after["files"])]
    return found + [f"reads another {stage}" for stage in _apart(before["reads"], after["reads"])]


def as_text(value: Any) -> str:
    """A setting as the configuration has it."""
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value)


def locked() -> bool:
    """Whether Snakemake's lock is on the folder: a run is at work, or one was killed."""
    folder = Path(".snakemake/locks")
    return folder.is_dir() and any(folder.iterdir())


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


def _apart(old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [name for name in {**new, **old} if old.get(name) != new.get(name)]


def _stat(path: str, status: os.stat_result) -> tuple[str, int, int]:
    return path, status.st_size, status.st_mtime_ns
