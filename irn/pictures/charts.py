"""The chart of an ablation, as SVG that needs no other file."""

from pathlib import Path

import altair as alt
import pandas as pd

from irn.ops.metrics import leading

BLUE, PALE = "#2066a8", "#8ec1da"  # apart in print and to colour-blind readers
WIDTH, ROW = 420, 25  # pixels
ROOM = 0.25  # of the scale, for the words beside the longest bar


def draw_ablation(table: pd.DataFrame, path: Path) -> None:
    """Write an SVG with a bar for each row of `ablation.csv`, and its score beside it.

    What the CAMs alone reach is pale, what the row adds is dark.
    """
    import vl_convert  # 80 MB, only for this

    panels = [_panel(rows.reset_index(drop=True)) for _, rows in table.groupby(["split", "labels"], sort=False)]
    chart = alt.vconcat(*panels).configure(font="sans-serif").configure_view(stroke=None).configure_axis(grid=False)
    path.write_text(vl_convert.vegalite_to_svg(chart.to_dict()), encoding="utf-8")


def _panel(rows: pd.DataFrame) -> alt.LayerChart:
    """The bars of the labels of one kind in one split; the first row is that of the CAMs."""
    split, labels = rows["split"][0], rows["labels"][0]
    metric = leading(labels)
    scores = rows[metric].fillna(0)
    alone = scores.clip(upper=scores[0])
    words = [_words(score, None if row == 0 else rows["over_cam"][row]) for row, score in enumerate(rows[metric])]
    bars = pd.DataFrame({"variant": rows["variant"], "alone": alone, "score": scores, "words": words})
    x = alt.X("alone:Q", title=None, scale=alt.Scale(domain=[0, scores.max() + ROOM], nice=False))
    y = alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(labelLimit=0, domain=False, ticks=False))
    base = alt.Chart(bars).encode(y=y)
    pale = base.mark_bar(color=PALE).encode(x=x)
    dark = base.mark_bar(color=BLUE).encode(x=x, x2="score:Q")
    text = base.mark_text(align="left", dx=5).encode(x="score:Q", text="words:N")
    title = alt.Title(f"{labels} labels, split {split}: {metric}", anchor="middle")
    return alt.layer(pale, dark, text).properties(width=WIDTH, height=ROW * len(rows), title=title)


def _words(score: float, gain: float | None) -> str:
    """A score, and by how much it is above that of the CAMs."""
    if pd.isna(score):
        return "undefined"
    return f"{score:.3f}" if gain is None else f"{score:.3f}  ({gain:+.3f})"
