"""How each stage of a configuration is made, and the key that names its folder in the store (docs/store.md).

A key is a digest of the settings of a stage, of the code that computes it, of files outside the workflow and of the
keys of the stages that it reads. An edit gives a new folder to what depends on it and to nothing else, and an edit that
is taken back finds the old one. A file gets its name only when it is complete, so a file with the right name is up to
date.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from irn.data.corrected.places import files_of
from irn.data.dataset import mask_folders
from irn.data.kinds import KINDS
from irn.data.listing import folders_within
from irn.io.cache_format import FORMATS
from irn.settings.lookup import all_settings, of_stage
from irn.settings.settings import Settings, value
from irn.workflow.command import Stage
from irn.workflow.digests import content_digest, digest, stat_digest
from irn.workflow.fingerprint import code_fingerprint
from irn.workflow.stages import BUILD_MANIFEST, MAKE_DEMO_DATA, READ_CORRECTIONS, REPORT, STAGES

RESULTS = Path("results")
STORE = RESULTS / "store"
# Paths of which the kind of data set knows what counts.
LAID_OUT = ("dataset.root", "dataset.class_masks", "dataset.object_masks", "dataset.corrected")
DATA = "data"  # a link to the data set, beside its manifest


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one stage is made in one configuration.

    reads: the recipes of what it reads, by name.
    record: all that the key depends on, ready for JSON; and `places`, which are as the user wrote them.
    """

    stage: Stage
    settings: Settings
    reads: "dict[str, Recipe]"
    record: dict[str, Any]

    @cached_property
    def key(self) -> str:
        """The name of its folder."""
        return digest({name: part for name, part in self.record.items() if name != "places"})

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return STORE / self.stage.name / self.key

    @property
    def splits(self) -> list[str]:
        """The splits that it works on; for per-image stages, all that labels are made for."""
        if self.stage.splits is None:
            return splits_of(self.settings)
        return self.stage.splits.of(self.settings).split("+")

    def files(self, splits: Iterable[str] | None = None) -> list[str]:
        """Its files; for per-image stages the caches of some splits, by default of all that labels are made for."""
        if not self.stage.per_image:
            return [str(self.folder / name) for name in self.stage.makes]
        count = self.settings.shards
        return [
            str(self.folder / split / f"{index}-of-{count}.h5")
            for split in (self.splits if splits is None else splits)
            for index in range(count)
        ]

    def exists(self, split: str | None = None, shard: str | None = None) -> bool:
        """Whether all its files exist, or the cache of a split and shard does."""
        files = self.files() if split is None else [self.folder / split / f"{shard}.h5"]
        return all(map(self.has_made, files))

    def has_made(self, file: str | Path) -> bool:
        """Whether a file of it exists; a folder that grows in its place, once its last file is there."""
        return Path(file, self.stage.last).exists()

    def inputs(self, name: str, split: str | None = None, shard: str | None = None) -> list[str]:
        """The files that it reads of a stage; none if the configuration does not have that stage.

        split, shard: of the file to make, for per-image stages.
        """
        if name not in self.reads:
            return []
        source = self.reads[name]
        if not source.stage.per_image:
            return source.files()
        if self.stage.per_image:
            return [str(source.folder / str(split) / f"{shard}.h5")]
        return source.files(self.splits)

    def first_inputs(self, sources: Iterable[str], split: str | None = None, shard: str | None = None) -> list[str]:
        """The files of the first of several sources that the configuration has; none without any.

        sources: stages, or files of stages as `stage/file`.
        """
        for source in sources:
            name, _, file = source.partition("/")
            if inputs := self.inputs(name, split, shard):
                return [path for path in inputs if path.endswith(file)]
        return []


def recipes_of(settings: Settings, known: dict[Any, dict[str, Any]]) -> dict[str, Recipe]:
    """The recipes of a configuration's stages, by name and in order.

    known: digests of code and of files outside, which several configurations share; new ones are added.
    """
    recipes: dict[str, Recipe] = {}
    for stage in STAGES:
        if stage.when(settings):
            read = [source.name for source in stage.reads if source not in stage.does_without(settings)]
            reads = {name: recipes[name] for name in read if name in recipes}
            told = (settings.refine.objectness, stage.uses_truth(settings))
            decided_by = (stage.name, settings.dataset, *told, str(_places(stage, settings)))
            if decided_by not in known:
                files = dict(_files_outside(stage, settings, known))
                known[decided_by] = {"code": code_of(stage, settings), "files": files}
            recipes[stage.name] = recipe_of(stage, settings, reads, **known[decided_by])
    return recipes


def recipe_of(stage: Stage, settings: Settings, reads: dict[str, Recipe], code: str = "", **more: Any) -> Recipe:
    """The recipe of a stage, whose key also depends on `more`; `code` is its fingerprint if that is known already."""
    keys = {name: source.key for name, source in reads.items()}
    record: dict[str, Any] = {"stage": stage.name, "settings": _settings_in_key(stage, settings), "reads": keys}
    record["code"] = code or code_of(stage, settings)
    if places := _places(stage, settings):
        record["places"] = places
    if stage.cache:
        # All but the meaning.
        record["format"] = {name: [list(spec.dims), *spec[1:-1]] for name, spec in FORMATS[stage.cache].items()}
    return Recipe(stage, settings, reads, record | more)


def code_of(stage: Stage, settings: Settings) -> str:
    """The fingerprint of the code that makes a stage."""
    return code_fingerprint(*stage.modules(settings))


def with_reads(recipe: Recipe) -> dict[str, Recipe]:
    """A recipe and those of all that it is made from, by name."""
    recipes: dict[str, Recipe] = {}
    for source in recipe.reads.values():
        recipes |= with_reads(source)
    return recipes | {recipe.stage.name: recipe}


def splits_of(settings: Settings) -> list[str]:
    """The splits that labels are made for, each once."""
    return list(dict.fromkeys(f"{settings.dataset.train_split}+{settings.dataset.eval_split}".split("+")))


def data_root(manifest: Recipe) -> Path:
    """The folder of the data set that a manifest lists."""
    return Path(manifest.settings.dataset.root or manifest.inputs(MAKE_DEMO_DATA.name)[0])


def data_link(manifest: Recipe) -> Path | None:
    """The link to the data set that a manifest's paths go through; none to data that is drawn in the store.

    So a data set that was moved, which keeps its key, is found again once the link leads there.
    """
    return manifest.folder / DATA if manifest.settings.dataset.root else None


def masks(manifest: Recipe) -> tuple[Path | None, Path | None]:
    """The ground truth of classes and of objects, a folder or file each; None where there is none."""
    return mask_folders(manifest.settings.dataset, data_root(manifest))


def _settings_in_key(stage: Stage, settings: Settings) -> dict[str, Any]:
    """The settings that decide what a stage makes, by key and ready for JSON."""
    keys = [setting.key for setting in of_stage(stage.name)]
    if stage.name == "make_cams":
        # External maps are copied as they are, and without any the setting does not count.
        keys = [key for key in keys if (key == "cam.external") == bool(settings.cam.external)]
    if stage is REPORT:
        keys = ["run", *keys]  # its page shows the name
    values = {key: value(settings, key) for key in keys if key not in _places(stage, settings)}
    if "dataset.splits" in values:
        values["dataset.splits"] = [
            Path(name).name if Path(name).is_file() else name for name in settings.dataset.splits or ()
        ] or None
    if stage.splits:
        values[stage.splits.name] = stage.splits.of(settings)
    return {key: list(held) if isinstance(held, tuple) else held for key, held in values.items()}


def _places(stage: Stage, settings: Settings) -> dict[str, Any]:
    """The settings of a stage that are paths, by key. What lies there is in its key, not how they are written."""
    places = {
        setting.key: value(settings, setting.key)
        for setting in of_stage(stage.name)
        if setting.place and setting.place.paths_in(value(settings, setting.key))
    }
    return {key: list(held) if isinstance(held, tuple) else held for key, held in places.items()}


def _files_outside(stage: Stage, settings: Settings, known: dict[Any, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What a stage reads from outside the workflow: what it is, and a digest; `known` is as in `recipes_of`."""
    dataset = settings.dataset
    kind = KINDS[dataset.kind]
    for key, held in _places(stage, settings).items():
        place = all_settings()[key].place
        if place and key not in LAID_OUT:
            paths = place.paths_in(held)
            yield key, digest(list(map(content_digest, paths))) if place.by_content else stat_digest(map(Path, paths))
    if stage is BUILD_MANIFEST and not kind.is_drawn:
        root = Path(str(dataset.root))
        yield "data set", stat_digest(kind.layout.watched(root), root)
        lists = [Path(name) for name in dataset.splits or () if Path(name).is_file()]
        if lists:
            yield "lists", stat_digest(lists)
    if stage is READ_CORRECTIONS:
        corrected = Path(str(dataset.corrected))
        files = [(str(path.relative_to(corrected)), content_digest(str(path))) for path in files_of(corrected)]
        yield "corrected masks", digest(files)
    reads_objectness = any(setting.key == "refine.objectness" for setting in of_stage(stage.name))
    if reads_objectness and settings.refine.objectness == "packaged":
        yield "packaged objectness", content_digest(str(settings.refine.objectness_file))
    if stage.uses_truth(settings):
        # Masks that are drawn with the data have the key of the data.
        root = Path(str(dataset.root))
        named = (dataset.class_masks, dataset.object_masks)
        places = named if kind.is_drawn else mask_folders(dataset, root)
        if any(places):
            # Several stages read them, and there may be a file for each image.
            if ("masks", places) not in known:
                digests = [_truth_digest(Path(place), root) if place else None for place in places]
                known["masks", places] = {"digest": digest(digests)}
            yield "masks", known["masks", places]["digest"]


def _truth_digest(place: Path, root: Path) -> str:
    """Digest of ground truth: of a file, or of a folder with those within, and of a labelmap beside it.

    root: that of the data set; what lies within it is in the key of the manifest.
    """
    from irn.data.labelmap import labelmap_of  # with NumPy, which a start without ground truth does not need

    if not place.is_dir():
        return stat_digest([place])
    folders = [place]
    if place.resolve() != root.resolve():
        # What a run writes must not change its keys.
        around, results = place.resolve(), RESULTS.absolute()
        skipped = place / results.relative_to(around) if around in results.parents else None
        folders = [folder for folder, _ in folders_within(place) if skipped not in (folder, *folder.parents)]
    labelmap = labelmap_of(place)
    return stat_digest([*folders, *([labelmap] if labelmap else [])], place)
