"""The tables of the page: settings, stages with their cost, counts, and mean scores."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from irn.data.score_table import MEAN
from irn.data.tables import ImageClasses
from irn.ops.metrics import mean_names
from irn.records import ImageRecord
from irn.report.charts import LEGEND
from irn.report.facts import Facts
from irn.report.run_folder import RunFolder
from irn.settings.lookup import all_settings
from irn.settings.writing import as_text
from irn.workflow.stages import ALL_STAGES


class StageRow(NamedTuple):
    """A stage: what it does, what made it and what it cost; `share` is its time as a percentage of the longest."""

    name: str
    help: str
    key: str
    code: str
    time: str
    memory: str
    share: float


def settings_rows(run: RunFolder) -> list[tuple[str, str, str, str]]:
    """Settings that differ from the paper's: key, value, the paper's value, meaning."""
    rows = []
    for key, value in run.setting_values.items():
        setting = all_settings()[key]
        here, paper = as_text(value), as_text(setting.default)
        if here != paper:
            rows.append((key, here, paper, setting.meaning.replace("`", "")))
    return rows


def stage_rows(run: RunFolder) -> list[StageRow]:
    """The stages of the run, in order."""
    costs = {name: stage.cost() for name, stage in run.stages.items()}
    longest = max((cost.seconds for cost in costs.values() if cost), default=1.0) or 1.0
    rows = []
    for name, stage in run.stages.items():
        cost = costs[name]
        time = "" if stage.files else "not made"
        memory, share = "", 0.0
        if cost:
            time, share = _duration(cost.seconds), 100 * cost.seconds / longest
            memory = "" if pd.isna(cost.megabytes) else f"{cost.megabytes:,.0f} MB"
        code = stage.record.get("code", "")
        rows.append(StageRow(name, ALL_STAGES[name].help, stage.folder.name, code, time, memory, share))
    return rows


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def versions(run: RunFolder) -> list[tuple[str, str]]:
    """What made the caches: all commits, and Python and library versions of the last one."""
    records = [record for stage in run.stages.values() if (record := stage.provenance())]
    if not records:
        return []
    commits = dict.fromkeys(str(record.get("git_commit") or "no checkout") for record in records)
    last = records[-1]
    rows = [("commit", ", ".join(commits)), ("Python", str(last.get("python", "")))]
    return [*rows, *last.get("versions", {}).items()]


def counts(records: Sequence[ImageRecord], classes: ImageClasses, facts: Sequence[Facts]) -> list[tuple[str, str]]:
    """How many images, classes, instances and objects there are."""
    splits = pd.Series([record.split for record in records]).value_counts(sort=False)
    each = sum(len(classes.present.get(record.image_id, ())) for record in records) / len(records)
    rows = [
        ("images", ", ".join(f"{count:,} {split}" for split, count in splits.items())),
        ("classes", f"{len(classes.names)}; {each:.1f} in an image"),
        ("images with labels", f"{sum(image.foreground is not None for image in facts):,}"),
        ("instances in labels", f"{sum(image.pieces for image in facts):,}"),
    ]
    if corrected := sum(image.corrected for image in facts):
        rows.append(("images corrected by hand", f"{corrected:,}, which are not scored"))
    with_objects = [image for image in facts if image.overlaps is not None]
    if with_objects:
        objects = sum(len(image.overlaps or ()) for image in with_objects)
        objects_found = sum(image.objects_found for image in with_objects)
        rows.append(("objects in ground truth", f"{objects:,}, found {objects_found:,}"))
    return rows


class ScoreTable(NamedTuple):
    """Mean scores of a split, what they are of, and the metrics; then a row for each stage."""

    split: str
    about: str
    metrics: list[str]
    rows: list[tuple[str, list[str]]]


def over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of `scores.csv` of one seed; of several the means, with a column `std`."""
    if "seed" not in scores:
        return scores
    means, deviations = (
        scores[scores["seed"] == name].drop(columns="seed").reset_index(drop=True) for name in ("mean", "std")
    )
    return means.assign(std=deviations["value"])


def score_tables(scores: pd.DataFrame) -> list[ScoreTable]:
    """The mean scores of each split, and then those by the size of objects where there are such."""
    tables = []
    for split, rows in scores[scores["class"] == MEAN].groupby("split", sort=False):
        for by_size in (False, True):
            about = ", by size of objects" if by_size else f", {int(rows['images'].iloc[0]):,} images"
            shown = rows[rows["metric"].isin(mean_names(by_size))]
            metrics = [name for name in mean_names(by_size) if name in set(shown["metric"])]
            lines = []
            for stage, stage_scores in shown.groupby("stage", sort=False):
                cells = {row.metric: _cell(row) for row in stage_scores.itertuples()}
                lines.append((LEGEND[str(stage)].title, [cells.get(metric, "") for metric in metrics]))
            if lines:
                tables.append(ScoreTable(str(split), about, metrics, lines))
    return tables


def _cell(row: Any) -> str:
    """A score, with its standard deviation over seeds where there are several."""
    if pd.isna(row.value):
        return "undefined"
    deviation = getattr(row, "std", float("nan"))
    return f"{row.value:.3f}" + ("" if pd.isna(deviation) else f" ± {deviation:.3f}")
