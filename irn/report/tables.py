"""The tables of the page: settings, stages with their cost, counts, and mean scores."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from irn.data.score_table import MEAN
from irn.data.tables import ImageClasses
from irn.ops.metrics import mean_names
from irn.records import ImageRecord
from irn.report.charts import LEGEND
from irn.report.images import Facts
from irn.report.run_folder import RunFolder
from irn.settings.table import all_settings
from irn.settings.writing import as_text
from irn.workflow.stages import ALL_STAGES


class StageRow(NamedTuple):
    """A stage: what it does, what made it, what it cost; `share` is its time in percent of the longest."""

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
    for key, value in run.settings_by_key.items():
        setting = all_settings()[key]
        text, paper = as_text(value), as_text(setting.default)
        if text != paper:
            rows.append((key, text, paper, setting.meaning.replace("`", "")))
    return rows


def stage_rows(run: RunFolder) -> list[StageRow]:
    """The stages of the run, in order."""
    costs = {name: stage.cost() for name, stage in run.stages.items()}
    longest = max((cost[0] for cost in costs.values() if cost), default=1.0) or 1.0
    rows = []
    for name, stage in run.stages.items():
        seconds, memory = costs[name] or (0.0, float("nan"))
        shown = "" if pd.isna(memory) else f"{memory:,.0f} MB"
        time = _duration(seconds) if costs[name] else "not made" if not stage.files else ""
        rows.append(
            StageRow(
                name,
                ALL_STAGES[name].help,
                stage.folder.name,
                stage.record.get("code", ""),
                time,
                shown,
                100 * seconds / longest,
            )
        )
    return rows


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def versions(run: RunFolder) -> list[tuple[str, str]]:
    """What made the caches: commits, and Python and library versions of the last one."""
    records = [record for stage in run.stages.values() if (record := stage.made_by())]
    if not records:
        return []
    commits = dict.fromkeys(str(record.get("git_commit") or "no checkout") for record in records)
    last = records[-1]
    return [
        ("commit", ", ".join(commits)),
        ("Python", str(last.get("python", ""))),
        *last.get("versions", {}).items(),
    ]


def machine() -> list[tuple[str, str]]:
    """The machine that makes the report."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{memory:.0f} GB"),
        ("GPU", _gpus() or "none"),
        ("system", platform.platform(terse=True)),
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    return ", ".join(names)


def counts(records: Sequence[ImageRecord], classes: ImageClasses, facts: Sequence[Facts]) -> list[tuple[str, str]]:
    """How many images, classes, instances and objects there are."""
    splits = pd.Series([record.split for record in records]).value_counts(sort=False)
    each = sum(len(classes.present.get(record.image_id, ())) for record in records) / len(records)
    rows = [("images", ", ".join(f"{count:,} {split}" for split, count in splits.items()))]
    rows += [("classes", f"{len(classes.names)}; {each:.1f} in an image")]
    rows += [("images with labels", f"{sum(image.foreground is not None for image in facts):,}")]
    rows += [("instances in labels", f"{sum(image.pieces for image in facts):,}")]
    known = [image for image in facts if image.overlaps is not None]
    if known:
        objects = sum(len(image.overlaps or ()) for image in known)
        hits = sum(image.found for image in known)
        rows += [("objects in ground truth", f"{objects:,}, found {hits:,}")]
    return rows


class ScoreTable(NamedTuple):
    """Mean scores of a split: metrics, then a row for each stage."""

    split: str
    images: int
    metrics: list[str]
    rows: list[tuple[str, list[str]]]


def one_run(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of a run's scores: of several seeds the means, with a column `std`."""
    if "seed" not in scores:
        return scores
    means, spread = (
        scores[scores["seed"] == name].drop(columns="seed").reset_index(drop=True) for name in ("mean", "std")
    )
    return means.assign(std=spread["value"])


def score_tables(scores: pd.DataFrame) -> list[ScoreTable]:
    """The mean scores of each split."""
    means = scores[scores["class"] == MEAN]
    tables = []
    for split, rows in means.groupby("split", sort=False):
        metrics = [name for name in mean_names() if name in set(rows["metric"])]
        lines = []
        for stage, of_stage in rows.groupby("stage", sort=False):
            cells = {row.metric: _score(row) for row in of_stage.itertuples()}
            lines.append((LEGEND[str(stage)][0], [cells.get(metric, "") for metric in metrics]))
        tables.append(ScoreTable(str(split), int(rows["images"].iloc[0]), metrics, lines))
    return tables


def _score(row: Any) -> str:
    if pd.isna(row.value):
        return "undefined"
    spread = getattr(row, "std", float("nan"))
    return f"{row.value:.3f}" + ("" if pd.isna(spread) else f" ± {spread:.3f}")
