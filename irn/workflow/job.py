"""What a rule says of a job: its paths in the store, its command, and its resources."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.lookup import of_stage
from irn.settings.settings import Settings
from irn.workflow.command import Stage
from irn.workflow.options import (
    CLASS_MASKS,
    CONFIGURATIONS,
    CORRECTIONS,
    DATA_LINK,
    FROM_SCRATCH,
    KIND,
    LABELS_CSV,
    OBJECT_MASKS,
    PREDICTIONS,
    ROOT,
    RUN,
    WORKERS,
    Option,
)
from irn.workflow.recipes import RESULTS, STORE, Recipe, data_link, data_root, masks
from irn.workflow.stages import ALL_STAGES, BUILD_MANIFEST, GATHER_SCORES, READ_CORRECTIONS, REPORT, TRAIN_CAM


def places(stage: Stage, folder: Path | None = None) -> dict[str, str]:
    """Where a stage's jobs write, with Snakemake's wildcards `{key}`, `{split}` and `{shard}`.

    folder: of its files, where that has no wildcards.
    Returns the `folder` of outputs, the `log` of the command, and the `benchmark`, Snakemake's table of its costs.
    """
    if stage.per_image:
        place = f"{STORE}/{stage.name}/{{key}}/{{split}}"
        return {"folder": place, "log": f"{place}/{{shard}}.log", "benchmark": f"{place}/{{shard}}.benchmark.tsv"}
    place = str(folder or f"{STORE}/{stage.name}/{{key}}")
    return {"folder": place, "log": f"{place}/{stage.name}.log", "benchmark": f"{place}/benchmark.tsv"}


def place_of_export(outputs: Sequence[str]) -> Path:
    """What an export gets as `--out`: its only output, the file that others lie beside, or the folder of them all."""
    first = Path(outputs[0])
    return first if len(outputs) == 1 or first.suffix else first.parent


def gpus(stage: Stage, at_most: int) -> int:
    """The GPUs that a job of a stage takes."""
    if not stage.resources.gpu:
        return 0
    return at_most if stage.shares_batches else min(at_most, 1)


def arrays_within(recipes: Iterable[Recipe], asked: str, limit: int) -> tuple[list[str], list[str]]:
    """The rules whose jobs fit into one job array, and those that have more.

    asked: the rules that are to be arrays, by commas, or `all`. limit: the most jobs of an array.
    """
    jobs: Counter[str] = Counter()
    for recipe in recipes:
        jobs[recipe.stage.name] += len(recipe.files()) if recipe.stage.per_image else 1
    names = [name.strip() for name in asked.replace(";", ",").split(",")]
    chosen = [name for name in jobs if name in names or "all" in names]
    return [name for name in chosen if jobs[name] <= limit], [name for name in chosen if jobs[name] > limit]


def command(
    recipe: Recipe, files: Mapping[str, str | Iterable[str]], split: str | None, shard: str | None, threads: int
) -> str:
    """The command of a job, without `irn`: its files, its settings, images, device and processes.

    files: inputs and outputs, each by the name of its option; a stage without that option does not get them.
    split, shard: of the file to make, for per-image stages; a shard is written I-of-N.

    Raises ValueError for a name that no stage has an option for.
    """
    stage = recipe.stage
    if wrong := files.keys() - {option.name for any_stage in ALL_STAGES.values() for option in any_stage.takes}:
        raise ValueError(f"rule {stage.name}: {', '.join(wrong)} is the name of no option")
    told = [stage.words]
    for option in stage.takes:
        values = files.get(option.name, ())
        told.append(with_flag(option, [values] if isinstance(values, str | Path) else values))
    if stage.has(FROM_SCRATCH) and not files.get("backbone_weights"):
        told.append(FROM_SCRATCH.flag)
    told += [with_flag(option, values) for option, values in _outside(recipe)]
    return " ".join(filter(None, [*told, _settings(recipe), _means(recipe, split, shard, threads)]))


def _settings(recipe: Recipe) -> str:
    """Options for the settings of a stage."""
    words: list[Any] = []
    for setting in of_stage(recipe.stage.name):
        value = (recipe.record["settings"] | recipe.record.get("places", {})).get(setting.key)
        if setting.flag and value is not None:
            words += [setting.flag, *(value if isinstance(value, list) else [value])]
    return " ".join(quote(str(word)) for word in words)


def _means(recipe: Recipe, split: str | None, shard: str | None, threads: int) -> str:
    """Options for images, device and processes."""
    stage, settings = recipe.stage, recipe.settings
    words: list[Any] = []
    if stage.per_image:
        words += ["--split", split, "--shard", str(shard).replace("-of-", "/")]
    elif stage.splits:
        words += ["--split", stage.splits.of(settings)]
    if stage.resources.gpu:
        words += ["--device", "cuda" if settings.gpus else "cpu"]
        if settings.gpus > 1 and stage.shares_batches:
            words += ["--processes", settings.gpus]
    elif stage.has(WORKERS):
        words += ["--workers", threads]
    return " ".join(quote(str(word)) for word in words)


def with_flag(option: Option, values: Iterable[object]) -> str:
    """An option with its values, or nothing if there are none."""
    words = [quote(str(value)) for value in values if value is not None]
    return " ".join([option.flag, *words]) if words else ""


def given_backbone(settings: Settings) -> list[str]:
    """The backbone weights that the configuration names, if any."""
    return [settings.pretrained] if settings.pretrained not in (None, "imagenet") else []


def trained_backbone(recipe: Recipe) -> list[str]:
    """The classifier's weights, where its training's backbone serves a stage that cannot start from scratch."""
    return [] if recipe.stage.has(FROM_SCRATCH) else [f"{TRAIN_CAM.name}/weights.pt"]


def _outside(recipe: Recipe) -> list[tuple[Option, Iterable[object]]]:
    """What a stage takes beside its rule's files and its settings, an option each with its values."""
    stage, settings = recipe.stage, recipe.settings
    if stage is BUILD_MANIFEST:
        return data_options(recipe)
    if stage is READ_CORRECTIONS:
        return [(CORRECTIONS, [settings.dataset.corrected])]
    if stage is GATHER_SCORES:
        return [(CONFIGURATIONS, [recipe.folder / "key.json"])]
    if stage is REPORT:
        return [(RUN, [RESULTS / settings.run])]
    told: list[tuple[Option, Iterable[object]]] = []
    if stage.uses_truth(settings):
        places = zip((CLASS_MASKS, OBJECT_MASKS), masks(recipe.reads[BUILD_MANIFEST.name]), strict=True)
        told += [(option, [place]) for option, place in places if stage.has(option)]
    if stage.has(PREDICTIONS):
        folders = {name: recipe.inputs(f"predict_{name}") for name in TRAINED_NETWORKS}
        told.append((PREDICTIONS, [f"{name}={folder}" for name, held in folders.items() for folder in held]))
    return told


def data_options(recipe: Recipe) -> list[tuple[Option, Iterable[object]]]:
    """The data set that build_manifest lists."""
    dataset = recipe.settings.dataset
    return [
        (KIND, [dataset.kind]),
        (ROOT, [data_root(recipe)]),
        (LABELS_CSV, [dataset.labels_csv]),
        (CLASS_MASKS, [dataset.class_masks]),
        (OBJECT_MASKS, [dataset.object_masks]),
        (DATA_LINK, [data_link(recipe)]),
    ]
