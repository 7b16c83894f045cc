"""What a rule says of a job: its paths in the store, the options of its command, and its resources."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.lookup import of_stage
from irn.settings.settings import Settings
from irn.workflow.command import Stage
from irn.workflow.options import (
    CLASS_MASKS,
    DATA_LINK,
    EXTERNAL,
    KIND,
    LABEL_CACHES,
    LABELS_CSV,
    OBJECT_MASKS,
    PREDICTIONS,
    ROOT,
    WEIGHTS,
    WORKERS,
    Option,
)
from irn.workflow.recipes import STORE, Recipe, data_link, data_root, masks


class Paths:
    """Paths of a stage's jobs in the store, with Snakemake's wildcards `{key}`, `{split}` and `{shard}`.

    folder: of its files, where that has no wildcards.
    """

    def __init__(self, stage: Stage, folder: str = "") -> None:
        self._stage = stage
        self._folder = (folder or f"{STORE}/{stage.name}/{{key}}") + ("/{split}" if stage.per_image else "")

    def output(self, name: str = "") -> str:
        """A file that the stage makes; for per-image stages, the cache."""
        return f"{self._folder}/{{shard}}.h5" if self._stage.per_image else f"{self._folder}/{name}"

    @property
    def log(self) -> str:
        """What the command prints."""
        return f"{self._folder}/{'{shard}' if self._stage.per_image else self._stage.name}.log"

    @property
    def benchmark(self) -> str:
        """Snakemake's table of time and memory."""
        return f"{self._folder}/{'{shard}.' if self._stage.per_image else ''}benchmark.tsv"


def place_of_export(outputs: Sequence[str]) -> Path:
    """What an export gets as `--out`: its only output, the file that others lie beside, or the folder of them all."""
    first = Path(outputs[0])
    return first if len(outputs) == 1 or first.suffix else first.parent


def resources(stage: Stage, gpus: int) -> dict[str, Callable[..., int] | int]:
    """Resources of a stage's jobs; memory and time grow each time a job is tried again."""
    base, each = stage.resources.memory
    needs: dict[str, Callable[..., int] | int] = {
        "mem_mb": lambda wildcards, threads, attempt: (base + each * threads) * attempt,
        "runtime": lambda wildcards, attempt: stage.resources.minutes * attempt,
    }
    if stage.resources.gpu:
        needs["gpu"] = gpus if stage.shares_batches else min(gpus, 1)
    return needs


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


def job_options(recipe: Recipe, split: str | None, shard: str | None, threads: int) -> str:
    """Options for settings, images, device and processes.

    split, shard: of the file to make, for per-image stages; a shard is written I-of-N.
    """
    stage, settings = recipe.stage, recipe.settings
    words: list[Any] = []
    for setting in of_stage(stage.name):
        value = (recipe.record["settings"] | recipe.record.get("places", {})).get(setting.key)
        if setting.flag and value is not None:
            words += [setting.flag, *(value if isinstance(value, list) else [value])]
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


def data_options(recipe: Recipe) -> str:
    """The data set that build_manifest lists."""
    dataset = recipe.settings.dataset
    told = [
        (KIND, dataset.kind),
        (ROOT, data_root(recipe)),
        (LABELS_CSV, dataset.labels_csv),
        (CLASS_MASKS, dataset.class_masks),
        (DATA_LINK, data_link(recipe)),
    ]
    return " ".join(filter(None, (with_flag(option, [value]) for option, value in told)))


def source_options(weights: Iterable[str], external: Iterable[str]) -> str:
    """Where class attention maps come from: a classifier, or external caches."""
    return with_flag(WEIGHTS, weights) or with_flag(EXTERNAL, external)


def ground_truth_options(recipe: Recipe) -> str:
    """The masks that a stage takes, as far as the data set has them."""
    class_masks, object_masks = masks(recipe.reads["build_manifest"])
    taken = [(CLASS_MASKS, class_masks), (OBJECT_MASKS, object_masks)]
    return " ".join(with_flag(option, [place]) for option, place in taken if recipe.stage.has(option))


def teacher_options(recipe: Recipe, label_caches: Iterable[str]) -> str:
    """What a final network learns from: the labels, or ground truth."""
    return ground_truth_options(recipe) if recipe.stage.uses_truth else with_flag(LABEL_CACHES, label_caches)


def predictions_option(recipe: Recipe) -> str:
    """The predictions of final networks, each as NAME=DIR."""
    names = [name for name in TRAINED_NETWORKS if f"predict_{name}" in recipe.reads]
    return with_flag(PREDICTIONS, [f"{name}={recipe.reads[f'predict_{name}'].files()[0]}" for name in names])
