"""A run: the recipes of all its configurations, its tables and report, and the folder results/<run>/ with links."""

import json
import os
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from irn.checks.packages import check_packages
from irn.data.dataset import check_at_a_glance
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.io.progress import notices_in
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.settings import PACKAGED_OBJECTNESS, Settings, value
from irn.settings.sweeps import Variation, variations
from irn.workflow.recipes import RESULTS, STORE, Recipe, data_link, data_root, masks, recipe_of, recipes_of, with_reads
from irn.workflow.stages import (
    ABLATION,
    ALL_STAGES,
    BUILD_MANIFEST,
    EVALUATE,
    FIND_DOUBT,
    GATHER_SCORES,
    MAKE_LABELS,
    READ_CORRECTIONS,
    REFINE_CAMS,
    REPORT,
    TRAIN_IRN,
)

READ_AT_ONCE = 2**25  # bytes of instances files, in a second or two
# The settings' section of each training.
SECTIONS = {"train_cam": "cam", "train_irn": "irn"}
SECTIONS |= {f"train_{name}": network.name for name, network in TRAINED_NETWORKS.items()}


class Run:
    """All configurations of a run: its own, and those of `seeds` and `sweep`.

    variations: the settings of each configuration.
    configurations: the recipes of each, by the names of their stages.
    recipes: all recipes by their keys; what configurations have in common has the same key.
    gathering: the recipe of the table of several configurations' scores, if there is one.
    report: the recipe of the report.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = RESULTS / settings.run
        self.variations = variations(settings)
        known: dict[Any, dict[str, Any]] = {}
        self.configurations = [recipes_of(variation.settings, known) for variation in self.variations]
        # Of configurations other than its own, a run wants the scores or, without ground truth, the labels.
        for number, recipes in enumerate(self.configurations[1:], 1):
            self.configurations[number] = with_reads(recipes.get(EVALUATE.name, recipes[MAKE_LABELS.name]))
        self.gathering = self._gathering() if len(self.configurations) > 1 and self._is_scored else None
        self.report = self._report()
        of_run = [recipe for recipe in (self.gathering, self.report) if recipe]
        self.recipes = {
            recipe.key: recipe
            for recipe in (*(r for recipes in self.configurations for r in recipes.values()), *of_run)
        }

    @property
    def _is_scored(self) -> bool:
        return EVALUATE.name in self.configurations[0]

    def _gathering(self) -> Recipe:
        scores = [recipes[EVALUATE.name] for recipes in self.configurations]
        listed = [
            {**about, "scores": recipe.files()[0]} for about, recipe in zip(self._about_each(), scores, strict=True)
        ]
        reads = {f"{EVALUATE.name} of configuration {number}": recipe for number, recipe in enumerate(scores)}
        return recipe_of(GATHER_SCORES, self.settings, reads, configurations=listed)

    def _report(self) -> Recipe:
        """The report of all that the run makes; its key depends on all that it shows."""
        reads: dict[str, Recipe] = {}
        for number, recipes in enumerate(self.configurations):
            suffix = f" of configuration {number}" if number else ""
            reads |= {name + suffix: recipe for name, recipe in recipes.items() if not recipe.stage.on_request}
        if self.gathering:
            reads[GATHER_SCORES.name] = self.gathering
        return recipe_of(REPORT, self.settings, reads)

    @property
    def tables(self) -> list[str]:
        """`scores.csv`, `sweep.csv` after a sweep, and the ablation's table and chart; none without ground truth."""
        recipes = self.configurations[0]
        tables = []
        if self.gathering:
            tables += self.gathering.files()[: 2 if self.settings.sweep else 1]
        elif self._is_scored:
            tables += recipes[EVALUATE.name].files()[:1]
        return tables + (recipes[ABLATION.name].files() if ABLATION.name in recipes else [])

    @property
    def shown(self) -> list[Recipe]:
        """The recipes of all that results/<run>/ shows; of stages on request, those whose files exist."""
        return self.shown_with(())

    def shown_with(self, requested: Collection[str]) -> list[Recipe]:
        """The same with the stages that are requested now, by name."""
        return [recipe for recipe in self.recipes.values() if _is_shown(recipe, requested)]

    @property
    def reported(self) -> list[str]:
        """All files that the report shows."""
        made_once = [
            recipe
            for recipe in self.recipes.values()
            if not recipe.stage.on_request and recipe not in (self.gathering, self.report)
        ]
        return list(dict.fromkeys([*self.tables, *(file for recipe in made_once for file in recipe.files())]))

    def files(self) -> list[str]:
        """All files of the complete run, without those on request."""
        return [*self.reported, *self.report.files()]

    def show(self, requested: Collection[str] = ()) -> None:
        """Make the folders of all stages, each with the record of its key, and link them below results/<run>/.

        requested: the stages on request that are asked for now.
        """
        for recipe in self.shown_with(requested):
            _keep_record(recipe)
            if recipe.stage is BUILD_MANIFEST and (link := data_link(recipe)):
                _link(link, data_root(recipe).absolute(), relative=False)
        links = self._links(requested)
        _remove_others(self.folder, links)
        for path, target in links.items():
            _link(path, target)
        configurations = [
            {**about, "stages": {name: str(r.folder) for name, r in recipes.items() if _is_shown(r, requested)}}
            for about, recipes in zip(self._about_each(), self.configurations, strict=True)
        ]
        folders = [str(Path(file).parent) for file in self._top_files]
        _write_json(self.folder / "run.json", {"configurations": configurations, "tables": folders})

    def seen_as(self, file: Path) -> str:
        """The place in the run's folder in which a file of the store is seen."""
        link = self._places.get(str(file))
        folder = self._places.get(str(file.parent))
        return str(link or (folder / file.name if folder else file))

    @cached_property
    def _places(self) -> dict[str, Path]:
        return {str(target): path.relative_to(self.folder) for path, target in self._links(ALL_STAGES).items()}

    def notices(self) -> Iterator[tuple[Path, str]]:
        """What looks wrong in the results, each line once with its place."""
        if self.settings.sweep and not self.tables:
            yield (
                self.folder,
                "no masks to score against, so there is no sweep.csv; to compare by eye, give each value a run of its"
                " own (run: NAME)",
            )
        for recipe in self.recipes.values():
            said = set()
            for log in _logs(recipe):
                for line in notices_in(log):
                    if line not in said:
                        said.add(line)
                        yield log, line

    @property
    def _top_files(self) -> list[str]:
        """The files that are linked by their own names."""
        doubt = self.configurations[0][FIND_DOUBT.name]
        return [*self.tables, *doubt.files(), *self.report.files()]

    def _links(self, requested: Collection[str]) -> dict[Path, str | Path]:
        """The links below the run's folder, with what each leads to."""
        links: dict[Path, str | Path] = {self.folder / Path(file).name: file for file in self._top_files}
        for number, recipes in enumerate(self.configurations):
            top = self.folder / "configurations" / str(number) if number else self.folder
            for name, recipe in recipes.items():
                if not _is_shown(recipe, requested):
                    continue
                if recipe.stage.per_image:
                    files = recipe.files()
                    links |= {top / name / f"{index}-of-{len(files)}.h5": file for index, file in enumerate(files)}
                else:
                    links[top / name] = recipe.folder
        return links

    def _about_each(self) -> Iterator[dict[str, Any]]:
        for number, variation in enumerate(self.variations):
            yield _about(number, variation)


def check_data(run: Run) -> None:
    """Raise IrnError for data that does not suit the run, as far as a glance at its lists and folders shows.

    And for what its configurations name and is not installed.
    """
    for variation in run.variations:
        check_packages(variation.settings.backbone, variation.settings.ir_labels.crf)
    datasets = dict.fromkeys(variation.settings.dataset for variation in run.variations)
    for dataset in datasets:
        batch_sizes: dict[str, int] = {}
        is_scored = False
        for recipe in run.recipes.values():
            if recipe.settings.dataset != dataset:
                continue
            key = SECTIONS.get(recipe.stage.name)
            section = value(recipe.settings, key).model_dump() if key else {}
            # An image of a rare class may count several times.
            if key and section["epochs"] and not section.get("repeat_threshold"):
                batch_sizes[key] = max(section["batch_size"], batch_sizes.get(key, 0))
            is_scored |= recipe.stage is EVALUATE and _has_truth_to_check(recipe)
        check_at_a_glance(dataset, batch_sizes, is_scored)
    for recipe in run.recipes.values():
        # Corrections that have been read are right.
        if recipe.stage is READ_CORRECTIONS and not recipe.exists():
            _check_corrected(recipe)
        if recipe.stage is TRAIN_IRN and recipe.settings.irn.start_file and not recipe.exists():
            _check_start(recipe)
        if recipe.stage is REFINE_CAMS and not recipe.exists():
            _check_objectness(recipe)


def _has_truth_to_check(evaluate: Recipe) -> bool:
    """Whether a start looks at what scores are made with: until they are, and at large files only before any job."""
    manifest = evaluate.reads[BUILD_MANIFEST.name]
    if evaluate.exists():
        return False
    if not manifest.exists():
        return True
    files = [file for place in masks(manifest) if place for file in (place, *place.glob("*.json")) if file.is_file()]
    return sum(file.stat().st_size for file in files) <= READ_AT_ONCE


def _check_corrected(recipe: Recipe) -> None:
    from irn.checks.corrections import refuse_bad_corrections  # heavy, and seldom needed

    manifest = recipe.reads[BUILD_MANIFEST.name]
    images, classes = map(Path, manifest.files())
    refuse_bad_corrections(recipe.settings.dataset, (images, classes) if manifest.exists() else None)


def _check_start(recipe: Recipe) -> None:
    from irn.weights.files import load_irnet  # heavy, and seldom needed

    try:
        load_irnet(Path(recipe.settings.irn.start), backbone=recipe.settings.backbone)
    except IrnError as error:
        raise IrnError(f"config: irn.start names {error}") from None


def _check_objectness(recipe: Recipe) -> None:
    path = recipe.settings.refine.objectness_file
    if path is None or path == PACKAGED_OBJECTNESS:
        return
    from irn.weights.files import check_kind  # heavy, and seldom needed

    try:
        check_kind(path, "objectness")
    except IrnError as error:
        raise IrnError(f"config: refine.objectness names {error}") from None


def _about(number: int, variation: Variation) -> dict[str, Any]:
    return {"configuration": number, "seed": variation.seed, "values": variation.values}


def _is_shown(recipe: Recipe, requested: Collection[str]) -> bool:
    return not recipe.stage.on_request or recipe.stage.name in requested or recipe.exists()


def _logs(recipe: Recipe) -> list[Path]:
    """The logs of what it made; not those of another number of shards."""
    if recipe.stage.per_image:
        return [Path(file).with_suffix(".log") for file in recipe.files()]
    return sorted(recipe.folder.rglob("*.log"))


def _remove_others(folder: Path, links: dict[Path, str | Path]) -> None:
    """Remove links into the store that are not among `links`, and then empty folders."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_symlink():
            target = (path.parent / os.readlink(path)).resolve()
            if path not in links and STORE.absolute() in target.parents:
                path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _link(path: Path, target: str | Path, relative: bool = True) -> None:
    """Make `path` a symbolic link to `target`, in place of an older one. Raises IrnError for what is not a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    leads_to = os.path.relpath(target, path.parent) if relative else str(target)
    if path.is_symlink() and os.readlink(path) == leads_to:
        return
    if path.exists() and not path.is_symlink():
        raise IrnError(
            f"{path}: not a link, as all that a run shows is; move it elsewhere, since its link belongs there"
        )
    fresh = path.with_name(path.name + ".partial")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(leads_to)
    fresh.replace(path)


def _keep_record(recipe: Recipe) -> None:
    """Write `key.json`, where it is missing or names files in other places."""
    path = recipe.folder / "key.json"
    if "places" not in recipe.record and path.exists():
        return
    try:
        places = json.loads(path.read_text(encoding="utf-8")).get("places")
    except (OSError, ValueError):
        places = None
    if places is None or places != recipe.record.get("places"):
        _write_json(path, recipe.record)


def _write_json(path: Path, value: Any) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
