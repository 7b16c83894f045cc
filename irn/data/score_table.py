"""The tables of scores: rows of `scores.csv` and `thresholds.csv`, and a summary of them in words."""

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from irn.data.csv_table import write_table
from irn.data.names import RESERVED_CLASSES
from irn.ops.metric import Metric, mean_of_defined
from irn.ops.metrics import columns, mean_names

if TYPE_CHECKING:
    import pandas as pd  # which takes a while, and `evaluate` does without

BACKGROUND, MEAN = RESERVED_CLASSES
# Columns of `ablation.csv`: which parts of the method a variant has.
PARTS = ["refined", "crf", "boundary", "displacement"]


class Score(NamedTuple):
    """One row of `scores.csv`; `value` is a fraction, NaN where undefined."""

    stage: str
    split: str
    metric: str
    class_name: str
    value: float
    images: int


class ThresholdScore(NamedTuple):
    """One row of `thresholds.csv`: the mean IoU of a split's CAMs at a background threshold, NaN where undefined.

    stage: `cam`, or `refined` for refined ones. scored: whether `scores.csv` has them at this threshold.
    """

    stage: str
    split: str
    threshold: float
    mean: float
    scored: bool


def score_rows(stage: str, split: str, metric: Metric, names: Sequence[str], images: int) -> list[Score]:
    """The rows of a metric: for each of its columns the mean, then every class; `names` are those of the classes."""
    rows = []
    for column in metric.columns:
        values = metric.scores(column)
        labels = [BACKGROUND, *names] if column.has_background else names
        rows.append(Score(stage, split, column.mean, MEAN, mean_of_defined(values), images))
        rows += [
            Score(stage, split, column.name, label, float(value), images)
            for label, value in zip(labels, values, strict=True)
        ]
    return rows


def write_scores(path: Path, scores: Sequence[Score]) -> None:
    """Write `scores.csv`."""
    rows = [(*score[:4], _cell(score.value), score.images) for score in scores]
    write_table(path, ["stage", "split", "metric", "class", "value", "images"], rows)


def read_scores(path: Path) -> "pd.DataFrame":
    """Any table of scores. Names are text, also such as `2014` and `NA`; undefined scores are NaN."""
    import pandas as pd

    names: dict[Hashable, type[str]] = dict.fromkeys(("stage", "split", "class", "seed"), str)
    return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])


def write_thresholds(path: Path, sweep: Sequence[ThresholdScore]) -> None:
    """Write `thresholds.csv`."""
    rows = [(*row[:3], _cell(row.mean)) for row in sweep]
    write_table(path, ["stage", "split", "threshold", "mIoU"], rows)


def summary(scores: Sequence[Score], sweep: Sequence[ThresholdScore]) -> str:
    """A table of the means, one line for each split and stage, and one for the best threshold of CAMs."""
    means: dict[tuple[str, str, int], dict[str, float]] = {}
    for score in scores:
        if score.class_name == MEAN:
            means.setdefault((score.split, score.stage, score.images), {})[score.metric] = score.value
    metrics = [name for name in mean_names() if any(name in row for row in means.values())]
    lines = [["split", "stage", "images", *metrics]]
    for (split, stage, images), row in means.items():
        lines.append([split, stage, str(images), *(_text(row[name]) if name in row else "" for name in metrics)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    for split, stage in dict.fromkeys((row.split, row.stage) for row in sweep):
        curve = [row for row in sweep if (row.split, row.stage) == (split, stage)]
        best = max(curve, key=lambda row: -1.0 if math.isnan(row.mean) else row.mean)
        scored = next(row for row in curve if row.scored)
        maps = "CAM" if stage == "cam" else "refined CAM"
        text.append(
            f"{split}: best {maps} threshold {best.threshold:g}, mIoU {_text(best.mean)}"
            f" (at {scored.threshold:g}: {_text(scored.mean)})"
        )
    return "\n".join(text)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _text(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def ablation_table(rows: Sequence[Mapping[str, object]]) -> "pd.DataFrame":
    """The rows of `ablation.csv`, with what each gains.

    `over_cam` is how much more it has, of the leading score of its labels, than the CAMs of the same labels;
    `over_row_before` how much more than the row before.
    """
    import pandas as pd

    table = pd.DataFrame(rows).rename(columns={"name": "variant"})
    leading = [column.mean for column in columns().values() if column.leads]
    # Each row has one of these.
    score = table.reindex(columns=leading).bfill(axis="columns")[leading[0]]
    groups = score.groupby([table["split"], table["labels"]], sort=False)
    table = table.assign(over_cam=score - groups.transform("first"), over_row_before=groups.diff())
    variant, gains = ["split", "labels", "variant", *PARTS, "threshold"], ["over_cam", "over_row_before"]
    order = [*variant, *mean_names(), *gains, "images"]
    return table.astype(dict.fromkeys(PARTS, int)).reindex(columns=order)
