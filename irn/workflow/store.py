"""Where each stage's files lie: in folders named by all that they depend on, which runs share (docs/store.md).

The key of a stage is a digest of its settings, of the code that computes it and of the keys of the stages that it reads.
So an edit gives a new folder to what depends on it and to nothing else, an edit that is taken back finds the old one, and
a file whose name is right is right: it appears under it when it is whole.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from irn.data.dataset import check_scored, check_splits, glanced_at, mask_folders, of_splits
from irn.data.kinds import KINDS
from irn.errors import IrnError
from irn.io.cache_format import FORMATS
from irn.io.files import whole_file
from irn.settings.sweeps import Variation, variations
from irn.settings.table import of_stage
from irn.settings.values import Settings, value
from irn.settings.writing import as_text
from irn.workflow.command import Stage
from irn.workflow.fingerprint import code_fingerprint
from irn.workflow.options import BACKBONE_WEIGHTS
from irn.workflow.stages import GATHER_SCORES, REPORT, STAGES

RESULTS = Path("results")
STORE = RESULTS / "store"


class Recipe(NamedTuple):
    """How one stage is made in one configuration; `record` is what its key stands for."""

    stage: Stage
    settings: Settings
    reads: "dict[str, Recipe]"
    record: dict[str, Any]

    @property
    def key(self) -> str:
        """The name of its folder."""
        return digest(self.record)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return STORE / self.stage.name / self.key

    @property
    def splits(self) -> list[str]:
        """The splits that it works on: of per-image stages all that labels are made for."""
        if self.stage.splits is None:
            return splits_of(self.settings)
        return self.stage.splits.of(self.settings).split("+")

    def files(self, splits: Iterable[str] | None = None) -> list[str]:
        """What it makes: of per-image stages the caches of some splits, by default of all that labels are made for."""
        if not self.stage.per_image:
            return [str(self.folder / name) for name in self.stage.makes]
        count = self.settings.shards
        chosen = splits_of(self.settings) if splits is None else splits
        return [str(self.folder / split / f"{index}-of-{count}.h5") for split in chosen for index in range(count)]

    def inputs(self, name: str, split: str | None = None, shard: str | None = None) -> list[str]:
        """The files of a stage that it reads, for a split and shard of its own if it is per image; none if there is no such stage."""
        if name not in self.reads:
            return []
        other = self.reads[name]
        if not other.stage.per_image:
            return other.files()
        if self.stage.per_image:
            return [str(other.folder / str(split) / f"{shard}.h5")]
        return other.files(self.splits)


def recipes(settings: Settings, looked_at: dict[Any, dict[str, Any]]) -> dict[str, Recipe]:
    """The stages that a configuration has, in order, by name; `looked_at` saves several of them to look at the same code and files."""
    found: dict[str, Recipe] = {}
    for stage in STAGES:
        if stage.when(settings):
            reads = {before.name: found[before.name] for before in stage.reads if before.name in found}
            place = (stage.name, settings.dataset, settings.pretrained, settings.cam.external)
            if place not in looked_at:
                looked_at[place] = {"code": _code(stage, settings), "files": dict(_outside(stage, settings))}
            found[stage.name] = _recipe(stage, settings, reads, **looked_at[place])
    return found


def _recipe(stage: Stage, settings: Settings, reads: dict[str, Recipe], **more: Any) -> Recipe:
    """A recipe whose key stands for the stage, its settings, the keys of what it reads, and `more`."""
    keys = {name: other.key for name, other in reads.items()}
    given = {"stage": stage.name, "settings": _given(stage, settings), "reads": keys}
    if stage.cache:
        # All but the meaning.
        given["format"] = {name: [list(spec.dims), *spec[1:-1]] for name, spec in FORMATS[stage.cache].items()}
    return Recipe(stage, settings, reads, given | more)


def _code(stage: Stage, settings: Settings) -> str:
    """The fingerprint of the code that makes a stage."""
    return code_fingerprint(f"irn.commands.{stage.command}", *stage.loads(settings))


def with_reads(recipe: Recipe) -> dict[str, Recipe]:
    """A stage and all that it is made from, by name."""
    found: dict[str, Recipe] = {}
    for other in recipe.reads.values():
        found |= with_reads(other)
    return found | {recipe.stage.name: recipe}


def splits_of(settings: Settings) -> list[str]:
    """The splits that labels are made for, each once."""
    return list(dict.fromkeys(f"{settings.dataset.train_split}+{settings.dataset.eval_split}".split("+")))


def data_root(manifest: Recipe) -> Path:
    """The folder of the data set that a manifest lists."""
    return Path(manifest.settings.dataset.root or manifest.inputs("make_demo_data")[0])


def masks(manifest: Recipe) -> tuple[Path | None, Path | None]:
    """Where ground truth of classes and of objects lies, if there is any."""
    return mask_folders(manifest.settings.dataset, data_root(manifest))


class Run:
    """All configurations of a run: its own, and those of `seeds` and `sweep`; what they have in common has the same key."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = RESULTS / settings.run
        self.variations = variations(settings)
        looked_at: dict[Any, dict[str, Any]] = {}
        self.each = [recipes(variation.settings, looked_at) for variation in self.variations]
        # Of other configurations than its own a run wants the scores, or else the labels.
        self.each[1:] = [with_reads(one.get("evaluate", one["make_labels"])) for one in self.each[1:]]
        self.recipes = {recipe.key: recipe for one in self.each for recipe in one.values()}
        self.asked: set[str] = set()  # stages that are made by name, and were asked for
        self.gathering = None
        if len(self.each) > 1 and "evaluate" in self.each[0]:
            scored = [
                {**_listed(number, variation), "scores": one["evaluate"].files()[0]}
                for number, (variation, one) in self._numbered()
            ]
            reads = {one["evaluate"].key: one["evaluate"] for one in self.each}
            self.gathering = _recipe(GATHER_SCORES, settings, reads, configurations=scored)
            self.recipes[self.gathering.key] = self.gathering
        self.report = self._report()
        self.recipes[self.report.key] = self.report

    def _report(self) -> Recipe:
        """The report, of all that the run makes; its key is that of all that it shows."""
        own, *others = (
            {name: recipe for name, recipe in one.items() if not recipe.stage.on_request} for one in self.each
        )
        reads = own | {
            f"{name} of configuration {number}": one[name] for number, one in enumerate(others, 1) for name in one
        }
        if self.gathering:
            reads[GATHER_SCORES.name] = self.gathering
        return _recipe(REPORT, self.settings, reads, code=_code(REPORT, self.settings))

    @property
    def tables(self) -> list[str]:
        """`scores.csv`, and `sweep.csv` and the ablation's table and figure where there are such; none without ground truth."""
        own = self.each[0]
        ablation = own["ablation"].files() if "ablation" in own else []
        if self.gathering:
            return [*self.gathering.files()[: 2 if self.settings.sweep else 1], *ablation]
        return [*own["evaluate"].files()[:1], *ablation] if "evaluate" in own else []

    @property
    def shown(self) -> list[Recipe]:
        """The stages of all configurations; of those that are made by name the ones that were asked for, now or before."""
        return [recipe for recipe in self.recipes.values() if self._is_shown(recipe)]

    def files(self) -> list[str]:
        """All that the run has made when it is complete, without what is made by name."""
        return [*self.reported, *self.report.files()]

    @property
    def reported(self) -> list[str]:
        """All of that except the report, which comes last."""
        recipes = [
            recipe
            for recipe in self.recipes.values()
            if not recipe.stage.on_request and recipe.stage not in (GATHER_SCORES, REPORT)
        ]
        return list(dict.fromkeys([*self.tables, *(file for recipe in recipes for file in recipe.files())]))

    def show(self) -> None:
        """Make the folders of all stages, say in each what its key stands for, and link them below results/<run>/."""
        for recipe in self.shown:
            if not (recipe.folder / "key.json").exists():
                with whole_file(recipe.folder / "key.json") as partial:
                    partial.write_text(json.dumps(recipe.record, indent=1) + "\n", encoding="utf-8")
        alone = [*self.tables, *self.report.files()]
        links: dict[Path, str | Path] = {self.folder / Path(file).name: file for file in alone}
        for number, (_, one) in self._numbered():
            top = self.folder / "configurations" / str(number) if number else self.folder
            for name, recipe in one.items():
                if not self._is_shown(recipe):
                    continue
                if recipe.stage.per_image:
                    files = recipe.files()
                    links |= {top / name / f"{index}-of-{len(files)}.h5": file for index, file in enumerate(files)}
                else:
                    links[top / name] = recipe.folder
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if (
                path.is_symlink()
                and path not in links
                and STORE.absolute() in (path.parent / os.readlink(path)).resolve().parents
            ):
                path.unlink()
            elif path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
        for path, target in links.items():
            link(path, target)
        with whole_file(self.folder / "run.json") as partial:
            each = [
                {**_listed(n, v), "stages": {name: str(r.folder) for name, r in one.items() if self._is_shown(r)}}
                for n, (v, one) in self._numbered()
            ]
            folders = [str(Path(file).parent) for file in alone]
            partial.write_text(
                json.dumps({"configurations": each, "tables": folders}, indent=1) + "\n", encoding="utf-8"
            )

    def _is_shown(self, recipe: Recipe) -> bool:
        stage = recipe.stage
        return not stage.on_request or stage.name in self.asked or all(Path(file).exists() for file in recipe.files())

    def _numbered(self) -> list[tuple[int, tuple[Variation, dict[str, Recipe]]]]:
        return list(enumerate(zip(self.variations, self.each, strict=True)))


def glance_at_data(run: Run) -> None:
    """IrnError where no image is of a split that is asked for, a training has fewer images than one of its batches, or an image to
    score has no mask, as far as a glance at the data set's lists and folders says."""
    seen: dict[Any, list[Any]] = {}  # combinations of a sweep mostly have one data set
    for recipe in run.recipes.values():
        dataset, stage = recipe.settings.dataset, recipe.stage.name
        if dataset not in seen:
            seen[dataset] = glanced_at(dataset) or []
            if seen[dataset]:
                check_splits(dataset, seen[dataset])
        if not seen[dataset]:
            continue
        if stage in ("train_cam", "train_irn"):
            section = stage.removeprefix("train_")
            size, count = (
                value(recipe.settings, f"{section}.batch_size"),
                len(of_splits(seen[dataset], dataset.train_split)),
            )
            if count < size:
                raise IrnError(
                    f"config: {section}.batch_size is {size}, but dataset.train_split {dataset.train_split!r} has {count} images;"
                    f" set it to {count} or less"
                )
        if stage == "evaluate":
            check_scored(dataset, seen[dataset])


def _listed(number: int, variation: Variation) -> dict[str, Any]:
    return {"configuration": number, "seed": variation.seed, "values": variation.values}


def _given(stage: Stage, settings: Settings) -> dict[str, Any]:
    """The settings that decide what a stage makes."""
    rows = of_stage(stage.name)
    if stage.name == "make_cams":
        # External CAMs are what they are; without them nothing is said of them.
        rows = [row for row in rows if (row.key == "cam.external") == bool(settings.cam.external)]
    keys = [row.key for row in rows]
    if stage == REPORT:
        keys = ["run", *keys]  # whose name its page shows
    given = {key: value(settings, key) for key in keys}
    if stage.splits:
        given[stage.splits.name] = stage.splits.of(settings)
    # As JSON gives them back.
    return {key: list(one) if isinstance(one, tuple) else one for key, one in given.items()}


def _outside(stage: Stage, settings: Settings) -> Iterator[tuple[str, str]]:
    """What the stage reads from outside the workflow, by what it is, with a digest of each."""
    dataset, pretrained = settings.dataset, settings.pretrained
    kind = KINDS[dataset.kind]
    if stage.name == "build_manifest" and not kind.is_drawn:
        yield "data set", stat_digest(kind.layout.watched(Path(str(dataset.root))))
        lists = [name for name in [*(dataset.splits or ()), dataset.labels_csv] if name and Path(name).is_file()]
        if lists:
            yield "lists", stat_digest(map(Path, lists))
    if stage.has(BACKBONE_WEIGHTS) and pretrained not in (None, "imagenet"):
        yield "pretrained weights", _content_digest(pretrained)
    if stage.name == "make_cams" and settings.cam.external:
        yield "external CAMs", stat_digest(map(Path, settings.cam.external))
    if stage.uses_truth:
        named = (dataset.class_masks, dataset.object_masks)
        masks = named if kind.is_drawn else mask_folders(dataset, Path(str(dataset.root)))
        if any(masks):
            yield "masks", stat_digest(Path(place) for place in masks if place)


# ---- what was made before


def made(stage: str) -> dict[Path, dict[str, Any]]:
    """The folders of a stage in which something was made, with what the name of each stands for."""
    # A benchmark is written when a job has succeeded.
    folders = [
        path
        for path in sorted((STORE / stage).glob("*"))
        if any(path.rglob("*benchmark.tsv")) and (path / "key.json").exists()
    ]
    return {folder: json.loads((folder / "key.json").read_text(encoding="utf-8")) for folder in folders}


def nearest(record: dict[str, Any], others: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Of other records of the same stage the one that differs least; None if there is none."""
    return min(others, key=lambda other: len(differences(other, record)), default=None)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """In what two records of one stage differ, in words: settings, code, files, and stages that it reads from."""
    parts = {part: (before.get(part, {}), after.get(part, {})) for part in ("settings", "files", "reads")}
    changed = {
        part: [name for name in {**new, **old} if old.get(name) != new.get(name)] for part, (old, new) in parts.items()
    }
    old, new = parts["settings"]
    found = [f"{name} {as_text(old.get(name))} -> {as_text(new.get(name))}" for name in changed["settings"]]
    found += [
        words
        for part, words in (("code", "code edited"), ("format", "another cache format"))
        if before.get(part) != after.get(part)
    ]
    return [
        *found,
        *(f"{name} changed" for name in changed["files"]),
        *(f"reads another {stage}" for stage in changed["reads"]),
    ]


def locked() -> bool:
    """Whether Snakemake's lock is on the folder: a run is at work, or one was killed."""
    folder = Path(".snakemake/locks")
    return folder.is_dir() and any(folder.iterdir())


def digest(record: Any) -> str:
    """Twelve hexadecimal digits of a JSON value."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:12]


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


@cache
def _content_digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(name: Path, target: str | Path) -> None:
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
