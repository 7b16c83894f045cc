"""The tables of scores: rows of `scores.csv` and `thresholds.csv`, and a summary of them in words."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from irn.data.csv_table import write_table
from irn.data.names import RESERVED_CLASSES
from irn.ops.metrics import AP_THRESHOLDS, mean_of_defined

if TYPE_CHECKING:
    import pandas as pd  # which takes a while, and `evaluate` does without

BACKGROUND, MEAN = RESERVED_CLASSES
# Overlap thresholds behind each metric; their average precisions are averaged.
AP_METRICS = {"AP25": (0.25,), "AP50": (0.5,), "AP70": (0.7,), "AP75": (0.75,), "AP": AP_THRESHOLDS}


class Score(NamedTuple):
    """One row of `scores.csv`; `value` is a fraction, NaN where undefined."""

    stage: str
    split: str
    metric: str
    class_name: str
    value: float
    images: int


class ThresholdScore(NamedTuple):
    """One row of `thresholds.csv`: the mean IoU of a split's CAMs at a background threshold, NaN where undefined."""

    split: str
    threshold: float
    mean: float


def score_rows(
    stage: str, split: str, metric: str, names: Sequence[str], values: np.ndarray, images: int
) -> list[Score]:
    """The rows of one metric: the mean, then every class of `names` by its value in `values` (L,)."""
    mean = Score(stage, split, "mIoU" if metric == "IoU" else metric, MEAN, mean_of_defined(values), images)
    return [
        mean,
        *(Score(stage, split, metric, name, float(value), images) for name, value in zip(names, values, strict=True)),
    ]


def write_scores(path: Path, scores: Sequence[Score]) -> None:
    """Write `scores.csv`."""
    rows = [(*score[:4], _cell(score.value), score.images) for score in scores]
    write_table(path, ["stage", "split", "metric", "class", "value", "images"], rows)


def write_thresholds(path: Path, sweep: Sequence[ThresholdScore]) -> None:
    """Write `thresholds.csv`."""
    write_table(path, ["split", "threshold", "mIoU"], [(*row[:2], _cell(row.mean)) for row in sweep])


def summary(scores: Sequence[Score], sweep: Sequence[ThresholdScore], cam_threshold: float) -> str:
    """A table of the means, one line for each split and stage, and a line for the best CAM threshold of each split."""
    means: dict[tuple[str, str, int], dict[str, float]] = {}
    for score in scores:
        if score.class_name == MEAN:
            means.setdefault((score.split, score.stage, score.images), {})[score.metric] = score.value
    metrics = [name for name in ("mIoU", *AP_METRICS) if any(name in row for row in means.values())]
    lines = [["split", "stage", "images", *metrics]]
    for (split, stage, images), row in means.items():
        lines.append([split, stage, str(images), *(_text(row[name]) if name in row else "" for name in metrics)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    for split in dict.fromkeys(row.split for row in sweep):
        curve = {row.threshold: row.mean for row in sweep if row.split == split}
        best = max(curve, key=lambda threshold: -1.0 if math.isnan(curve[threshold]) else curve[threshold])
        text.append(
            f"{split}: best CAM threshold {best:g}, mIoU {_text(curve[best])} (at {cam_threshold:g}:"
            f" {_text(curve[cam_threshold])})"
        )
    return "\n".join(text)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _text(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def ablation_table(rows: Sequence[Mapping[str, object]]) -> "pd.DataFrame":
    """The rows of `ablation.csv`, with how much mIoU or AP50 each has more than the CAMs of its kind of labels, and than the row before."""
    import pandas as pd

    parts, metrics = ["crf", "boundary", "displacement"], ["mIoU", *AP_METRICS]
    columns = ["split", "labels", "variant", *parts, "threshold", *metrics, "over_cam", "over_row_before", "images"]
    table = pd.DataFrame(rows).rename(columns={"name": "variant"})
    score = table["AP50"].fillna(table["mIoU"]) if "AP50" in table else table["mIoU"]
    groups = score.groupby([table["split"], table["labels"]], sort=False)
    table = table.assign(over_cam=score - groups.transform("first"), over_row_before=groups.diff())
    return table.astype(dict.fromkeys(parts, int)).reindex(columns=columns)
