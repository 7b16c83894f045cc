"""The parts of the page with charts: scores, training curves and a sweep."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from irn.data.score_table import MEAN, read_scores
from irn.ops.metrics import columns
from irn.ops.reference_losses import PUBLISHED, PUBLISHED_BATCH, published_losses, zero_field_loss
from irn.report import charts
from irn.report.run_folder import RunFolder


class Chart(NamedTuple):
    """A chart with its title and the note below it."""

    title: str
    note: str
    spec: charts.Spec


class Sweep(NamedTuple):
    """A sweep: its keys, its table with a column `chosen`, the metric by which one row is chosen, and its chart."""

    keys: list[str]
    table: pd.DataFrame
    metric: str
    spec: charts.Spec | None


def leading_columns() -> list[str]:
    """The names of the scores by which labels are compared, of the rows of classes."""
    return [column.name for column in columns().values() if column.leads]


def score_charts(run: RunFolder, scores: pd.DataFrame | None) -> list[Chart]:
    """Bars for the classes of each split, and the CAMs' score over thresholds."""
    shown = []
    for split, rows in scores.groupby("split", sort=False) if scores is not None else ():
        for metric in leading_columns():
            if ((rows["metric"] == metric) & (rows["class"] != MEAN)).any():
                note = "Lines are the standard deviation over seeds." if "std" in rows else ""
                shown.append(Chart(f"{metric} of each class, {split}", note, charts.score_bars(rows, metric)))
    path = run.file("evaluate", "thresholds.csv")
    curve = read_scores(path) if path else pd.DataFrame()
    if len(curve.dropna()):
        section = run.settings.evaluate
        scored = {"cam": section.cam_threshold, "refined": section.refined_threshold}
        for stage, threshold in scored.items():
            rows, title = curve[curve["stage"] == stage], charts.LEGEND[stage].title
            if not len(rows.dropna()):
                continue
            key = f"evaluate.{stage}_threshold"
            note = f"The dashed line is {key}, {threshold:g}; points are the best thresholds."
            shown.append(Chart(f"mIoU of {title}s over thresholds", note, charts.threshold_curve(rows, threshold)))
    return shown


def training_charts(run: RunFolder) -> list[Chart]:
    """The losses of every training."""
    shown = []
    for stage in run.stages:
        path = run.file(stage, "metrics.jsonl")
        if not path:
            continue
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        zero_field = zero_field_loss(run.settings.irn.radius) if stage == "train_irn" else None
        for loss, spec in charts.training_curves(stage, lines, zero_field):
            notes = []
            if published_losses(stage, loss, _images_seen(lines)):
                notes.append("Diamonds: the published log.")
            if zero_field and loss == "foreground_displacement":
                meaning = "a loss that stays there has learned no instances"
                notes.append(f"Dashed: a field of zeros, about {zero_field:.1f} cells; {meaning}.")
            shown.append(Chart(f"{stage}: {loss.replace('_', ' ')}", " ".join(notes), spec))
    return shown


def _images_seen(lines: Sequence[dict[str, Any]]) -> int:
    """How many images a training has seen, by the lines of `metrics.jsonl`."""
    return max((line["step"] for line in lines if line["event"] == "step"), default=0) * lines[0]["batch_size"]


def published_rows(run: RunFolder) -> list[tuple[str, str]]:
    """The losses of the published log, for each loss of the trainings of this run."""
    rows = []
    for stage, losses in PUBLISHED.items():
        if run.file(stage, "metrics.jsonl"):
            for name, steps in losses.items():
                words = ", ".join(f"{value:g} after {step * PUBLISHED_BATCH:,} images" for step, value in steps)
                rows.append((f"{stage}: {name.replace('_', ' ')}", words))
    return rows


def sweep_section(run: RunFolder) -> Sweep | None:
    """The sweep of a run, if it has one that was scored."""
    table = run.table("sweep.csv")
    if table is None:
        return None
    swept = {key for configuration in run.configurations for key in configuration["values"]}
    keys = [name for name in table.columns if name in swept]
    metric = _deciding(table)
    if not keys or metric is None:
        return None
    table = table.assign(chosen=table.index == table[metric].fillna(-1).argmax())
    # After the keys, since there are often more scores than fit beside each other.
    first = [name for name in ("configuration", *keys, "best_for") if name in table]
    table = table[[*first, *table.columns.drop(first)]]
    spec = charts.sweep_chart(table, keys, metric) if table[metric].notna().any() else None
    return Sweep(keys, table, metric, spec)


def _deciding(table: pd.DataFrame) -> str | None:
    """The score that chooses a row: the first that the settings change, of semantic labels before instances."""
    leading = [columns()[name].mean for name in leading_columns()]
    scores = [name for name in table.columns if name.rpartition(".")[2] in leading]
    stages = ("semantic.", "instance.")

    def order(name: str) -> tuple[bool, ...]:
        unchanged = not table[name].max() > table[name].min()
        return unchanged, *(not name.startswith(stage) for stage in stages)

    return min(scores, key=order, default=None)
