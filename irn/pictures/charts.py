"""Charts of scores, as SVG that needs no other file."""

from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irn.ops.metrics import leading

BLUE, PALE = "#2066a8", "#8ec1da"  # apart in print and to colour-blind readers


def draw_ablation(table: pd.DataFrame, path: Path) -> None:
    """A bar for each row of `ablation.csv`, its score beside it: pale as far as CAMs alone reach, dark beyond."""
    panels = [rows.reset_index(drop=True) for _, rows in table.groupby(["split", "labels"], sort=False)]
    heights = [len(rows) for rows in panels]
    # Text stays text, so that it can be searched and read out, and two drawings of the same are equal.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "irn", "font.size": 10}):
        figure = Figure(figsize=(7, 0.38 * sum(heights) + 0.9 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
        for axis, rows in zip(axes, panels, strict=True):
            _draw_panel(axis, rows)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_panel(axis: Axes, rows: pd.DataFrame) -> None:
    split, labels = rows["split"][0], rows["labels"][0]
    metric = leading(labels)
    scores = rows[metric].fillna(0)
    alone = scores.clip(upper=scores[0])
    axis.barh(rows.index, alone, color=PALE)
    axis.barh(rows.index, scores - alone, left=alone, color=BLUE)
    for place, (score, gain) in enumerate(zip(rows[metric], rows["over_cam"], strict=True)):
        words = "undefined" if pd.isna(score) else f"{score:.3f}" + (f"  ({gain:+.3f})" if place else "")
        axis.text(scores[place] + 0.01, place, words, va="center")
    axis.set_yticks(rows.index, rows["variant"])
    # Room for the words beside the longest bar.
    axis.set(xlim=(0, scores.max() + 0.25), title=f"{labels} labels, split {split}: {metric}")
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
