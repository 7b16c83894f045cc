"""Charts of tables as Vega-Lite specifications, which the page draws in its own colours, dark or light."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from irn.data.score_table import BACKGROUND, MEAN
from irn.ops.metrics import columns
from irn.ops.reference_losses import PUBLISHED_BATCH, published_losses
from irn.settings.final_networks import TRAINED_NETWORKS, FinalNetwork

Spec = dict[str, Any]


class LegendEntry(NamedTuple):
    """What a stage is called in charts and tables, and its colour."""

    title: str
    colour: str


def _entry(name: str, network: FinalNetwork) -> LegendEntry:
    """That of a final network, by the name of its scores."""
    if name == network.name:
        return LegendEntry(network.title, network.colour)
    return LegendEntry(f"{network.title} (ground truth)", PINK)


PINK = "#d99ac0"  # networks that learned from ground truth
# In the order of legends. The colours differ in brightness too, for colour-blind readers.
LEGEND = {
    "cam": LegendEntry("CAM", "#e69f00"),
    "refined": LegendEntry("refined CAM", "#c4741a"),
    "semantic": LegendEntry("semantic label", "#3a87c8"),
    "instance": LegendEntry("instance label", "#3a87c8"),
    **{name: _entry(name, network) for name, network in TRAINED_NETWORKS.items()},
}
BLUE = LEGEND["semantic"].colour
HEAT = "inferno"  # as in the pictures
INK = "currentColor"
DASHES = [4, 4]
MOST_POINTS = 500  # of a curve: more cannot be seen, and Altair refuses more than 5,000


def _spec(chart: Any, description: str, height: int) -> Spec:
    """The specification of a chart as wide as its place in the page, `height` pixels high."""
    axis = dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor", "gridColor"), INK)
    return (
        chart.properties(width="container", height=height, description=description, background="transparent")
        # As the page has it: Vega makes room for names by their font.
        .configure(font="system-ui, sans-serif")
        .configure_axis(**axis, gridOpacity=0.15, titleFontWeight="normal")
        .configure_legend(labelColor=INK, titleColor=INK, orient="top", labelLimit=400, columns=2)
        .configure_view(stroke=None)
        .configure_text(color=INK)
        .to_dict()
    )


def score_bars(scores: pd.DataFrame, metric: str) -> Spec:
    """A bar for each class and stage, with the spread over seeds where there are several.

    scores: rows of `scores.csv` of one split. metric: the name of its rows of classes.
    """
    rows = scores[(scores["metric"] == metric) & (scores["class"] != MEAN)]
    titles = [LEGEND[stage].title for stage in rows["stage"]]
    background = BACKGROUND if "background" in set(rows["class"]) else "background"
    rows = rows.assign(stage=titles, **{"class": rows["class"].replace(BACKGROUND, background)})
    stages, classes = list(dict.fromkeys(rows["stage"])), list(dict.fromkeys(rows["class"]))
    colours = {entry.title: entry.colour for entry in LEGEND.values()}
    scale = alt.Scale(domain=stages, range=[colours[stage] for stage in stages])
    base = alt.Chart(rows).encode(
        y=alt.Y("class:N", sort=classes, title=None, axis=alt.Axis(labelLimit=140)),
        yOffset=alt.YOffset("stage:N", sort=stages),
    )
    bars = base.mark_bar().encode(
        x=alt.X("value:Q", title=metric, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)),
        color=alt.Color("stage:N", sort=stages, title=None, scale=scale),
        tooltip=["class:N", "stage:N", alt.Tooltip("value:Q", format=".3f")],
    )
    chart: Any = bars
    if "std" in rows:
        rows["low"], rows["high"] = rows["value"] - rows["std"], rows["value"] + rows["std"]
        chart = alt.layer(bars, base.mark_rule(color=INK).encode(x="low:Q", x2="high:Q"))
    height = len(classes) * max(22, 10 * len(stages))
    return _spec(chart, f"{metric} of each class. Means: {_means_in_words(scores, metric)}.", height)


def _means_in_words(scores: pd.DataFrame, metric: str) -> str:
    rows = scores[(scores["metric"] == columns()[metric].mean) & (scores["class"] == MEAN)]
    return ", ".join(
        f"{LEGEND[row.stage].title} {row.value:.3f}" for row in rows.itertuples() if not math.isnan(row.value)
    )


def threshold_curve(rows: pd.DataFrame, threshold: float) -> Spec:
    """mIoU of CAMs, refined or not, over the background threshold, a line for each split, with the best points.

    rows: those of `thresholds.csv` of one stage. threshold: the one that is scored, a dashed line.
    """
    rows = rows.dropna()
    legend = LEGEND[rows["stage"].iloc[0]]
    best = rows.loc[rows.groupby("split")["mIoU"].idxmax()]
    x = alt.X("threshold:Q", title="score of background")
    y = alt.Y("mIoU:Q", title=f"mIoU of {legend.title}s", scale=alt.Scale(domainMin=0))
    tooltip = ["split:N", "threshold:Q", alt.Tooltip("mIoU:Q", format=".3f")]
    dash = alt.StrokeDash("split:N", title="split", legend=None if len(best) == 1 else alt.Legend())
    lines = alt.Chart(rows).mark_line(color=legend.colour).encode(x=x, y=y, strokeDash=dash, tooltip=tooltip)
    points = alt.Chart(best).mark_point(color=INK, filled=True, size=60).encode(x=x, y=y, tooltip=tooltip)
    scored = alt.Chart(pd.DataFrame({"threshold": [threshold]})).mark_rule(color=INK, strokeDash=DASHES).encode(x=x)
    words = "; ".join(f"{row.split}: best at {row.threshold:g}, mIoU {row.mIoU:.3f}" for row in best.itertuples())
    return _spec(alt.layer(lines, scored, points), f"mIoU of {legend.title}s over thresholds. {words}.", 240)


def training_curves(stage: str, lines: Sequence[dict[str, Any]], zero_field: float | None) -> list[tuple[str, Spec]]:
    """Name and curve of each loss of a training over the images seen.

    lines: those of `metrics.jsonl`. zero_field: for IRNet, the foreground displacement loss of a field of zeros.
    Losses of the published log are points, as far as the training has seen as many images.
    """
    batch = lines[0]["batch_size"]
    rows = pd.DataFrame([line for line in lines if line["event"] == "step"])
    others = {"event", "epoch", "step", "learning_rate", "images_per_second"}
    losses = [name for name in rows if name not in others] if len(rows) else []
    return [
        (loss, _curve(rows, loss, batch, stage, zero_field if loss == "foreground_displacement" else None))
        for loss in losses
    ]


def _curve(rows: pd.DataFrame, loss: str, batch: int, stage: str, dashed: float | None) -> Spec:
    """The curve of one loss, and a dashed line at `dashed`, if any."""
    curve = _thinned(pd.DataFrame({"images seen": rows["step"] * batch, "loss": rows[loss]}))
    published = published_losses(stage, loss, int(curve["images seen"].max()))
    points = pd.DataFrame([{"images seen": step * PUBLISHED_BATCH, "loss": value} for step, value in published])
    x = alt.X("images seen:Q", title="images seen", axis=alt.Axis(tickCount=4))
    y = alt.Y("loss:Q", title=None, scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=4))
    tooltip = [alt.Tooltip("images seen:Q"), alt.Tooltip("loss:Q", format=".4f")]
    layers = [alt.Chart(curve).mark_line(color=BLUE, point=len(curve) < 3).encode(x=x, y=y, tooltip=tooltip)]
    words = f"{loss.replace('_', ' ')} over images seen, finally {rows[loss].iloc[-1]:.4g}"
    if published:
        diamonds = alt.Chart(points).mark_point(color=INK, shape="diamond", filled=True, size=80)
        layers.append(diamonds.encode(x=x, y=y, tooltip=tooltip))
        words += f"; published log: {', '.join(f'{value:g} after step {step}' for step, value in published)}"
    if dashed:
        rule = alt.Chart(pd.DataFrame({"loss": [dashed]})).mark_rule(color=INK, strokeDash=DASHES)
        layers.append(rule.encode(y=y))
        words += f"; a field of zeros: about {dashed:.1f}"
    return _spec(alt.layer(*layers), f"{words}.", 150)


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """The same curve by at most `MOST_POINTS` means of neighbours, each at the last of them."""
    if len(curve) <= MOST_POINTS:
        return curve
    groups = np.arange(len(curve)) * MOST_POINTS // len(curve)
    return curve.groupby(groups).agg({"images seen": "last", "loss": "mean"})


def sweep_chart(sweep: pd.DataFrame, keys: Sequence[str], metric: str) -> Spec:
    """Scores of a sweep: a heat map of its first two keys, at the best of the others, or dots over its only key.

    sweep: rows of `sweep.csv`, those without the score are left out; the column `chosen` marks the best one, which gets
        a frame or a ring.
    """
    rows = sweep.dropna(subset=[metric])
    rows = rows.loc[rows.groupby(list(keys[:2]), sort=False)[metric].idxmax()]
    values = {f"key {n}": rows[key].astype(str) for n, key in enumerate(keys[:2])}
    rows = pd.DataFrame(values | {"score": rows[metric], "chosen": rows["chosen"]})
    tooltip = [alt.Tooltip(f"key {n}:N", title=key) for n, key in enumerate(keys[:2])]
    tooltip.append(alt.Tooltip("score:Q", format=".4f"))
    x = alt.X("key 0:N", sort=None, title=keys[0], axis=alt.Axis(labelAngle=0))
    words = f"{metric} over {' and '.join(keys[:2])}, the best {rows['score'].max():.4f}."
    if len(keys) == 1:
        y = alt.Y("score:Q", title=metric, scale=alt.Scale(zero=False))
        return _spec(_dots(rows, x, y, tooltip), words, 220)
    y = alt.Y("key 1:N", sort=None, title=keys[1])
    return _spec(_heat_map(rows, x, y, tooltip, metric), words, 34 * rows["key 1"].nunique())


def _dots(rows: pd.DataFrame, x: alt.X, y: alt.Y, tooltip: list[alt.Tooltip]) -> alt.LayerChart:
    dots = alt.Chart(rows).mark_point(filled=True, size=70, color=BLUE).encode(x=x, y=y, tooltip=tooltip)
    ring = alt.Chart(rows[rows["chosen"]]).mark_point(size=260, color=INK, strokeWidth=2).encode(x=x, y=y)
    return alt.layer(dots, ring)


def _heat_map(rows: pd.DataFrame, x: alt.X, y: alt.Y, tooltip: list[alt.Tooltip], metric: str) -> alt.LayerChart:
    base = alt.Chart(rows).encode(x=x, y=y)
    colour = alt.Color("score:Q", title=metric, scale=alt.Scale(scheme=HEAT))
    cells = base.mark_rect().encode(color=colour, tooltip=tooltip)
    frame = alt.Chart(rows[rows["chosen"]]).mark_rect(fill=None, stroke=BLUE, strokeWidth=5).encode(x=x, y=y)
    # White on the darker half of the scale.
    middle = (rows["score"].min() + rows["score"].max()) / 2
    text_colour = alt.condition(f"datum.score < {middle}", alt.value("white"), alt.value("black"))
    numbers = base.mark_text().encode(text=alt.Text("score:Q", format=".3f"), color=text_colour)
    return alt.layer(cells, frame, numbers)
