"""Charts of tables as Vega-Lite specifications for the page; text and lines take its colours, dark or light."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from irn.data.score_table import BACKGROUND, MEAN
from irn.ops.levels import PUBLISHED, PUBLISHED_BATCH
from irn.ops.metrics import columns
from irn.settings.final_networks import TRAINED_NETWORKS, FinalNetwork

Spec = dict[str, Any]
_BY_TRUTH = "#d99ac0"  # networks that learned from ground truth


def _entry(name: str, network: FinalNetwork) -> tuple[str, str]:
    """Title and colour of a final network, by the name of its scores."""
    if name == network.name:
        return network.title, network.colour
    return f"{network.title} (ground truth)", _BY_TRUTH


# Stages in their order, with title and colour. Colours differ in brightness too, for colour-blind readers.
LEGEND = {
    "cam": ("CAM", "#e69f00"),
    "semantic": ("semantic label", "#3a87c8"),
    "instance": ("instance label", "#3a87c8"),
    **{name: _entry(name, network) for name, network in TRAINED_NETWORKS.items()},
}
HEAT = "inferno"  # as in the pictures
_INK = "currentColor"


def _finished(chart: Any, description: str, height: int) -> Spec:
    axis = {
        "labelColor": _INK,
        "titleColor": _INK,
        "domainColor": _INK,
        "tickColor": _INK,
        "gridColor": _INK,
        "gridOpacity": 0.15,
    }
    return (
        chart.properties(width="container", height=height, description=description, background="transparent")
        # As the page has it: Vega makes room for names by their font.
        .configure(font="system-ui, sans-serif")
        .configure_axis(**axis, titleFontWeight="normal")
        .configure_legend(labelColor=_INK, titleColor=_INK, orient="top", labelLimit=400, columns=2)
        .configure_view(stroke=None)
        .configure_text(color=_INK)
        .to_dict()
    )


def score_bars(scores: pd.DataFrame, metric: str) -> Spec:
    """A bar for each class and stage of one metric, from the rows of one split, with the spread over seeds if any."""
    rows = scores[(scores["metric"] == metric) & (scores["class"] != MEAN)]
    rows = rows.assign(stage=[LEGEND[stage][0] for stage in rows["stage"]])
    stages = list(dict.fromkeys(rows["stage"]))
    colours = {name: colour for name, colour in LEGEND.values() if name in stages}
    rows = rows.assign(**{"class": rows["class"].replace(BACKGROUND, "background")})
    names = list(dict.fromkeys(rows["class"]))
    base = alt.Chart(rows).encode(
        y=alt.Y("class:N", sort=names, title=None, axis=alt.Axis(labelLimit=140)),
        yOffset=alt.YOffset("stage:N", sort=stages),
    )
    bars = base.mark_bar().encode(
        x=alt.X("value:Q", title=metric, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)),
        color=alt.Color(
            "stage:N", sort=stages, title=None, scale=alt.Scale(domain=stages, range=[colours[name] for name in stages])
        ),
        tooltip=["class:N", "stage:N", alt.Tooltip("value:Q", format=".3f")],
    )
    chart: Any = bars
    if "std" in rows:
        rows["low"], rows["high"] = rows["value"] - rows["std"], rows["value"] + rows["std"]
        chart = alt.layer(bars, base.mark_rule(color=_INK).encode(x="low:Q", x2="high:Q"))
    means = scores[(scores["metric"] == columns()[metric].mean) & (scores["class"] == MEAN)]
    words = ", ".join(
        f"{LEGEND[row.stage][0]} {row.value:.3f}" for row in means.itertuples() if not math.isnan(row.value)
    )
    return _finished(chart, f"{metric} of each class. Means: {words}.", len(names) * max(22, 10 * len(stages)))


def threshold_curve(rows: pd.DataFrame, cam_threshold: float) -> Spec:
    """mIoU of CAMs over the background threshold, a line for each split, and the threshold that is scored."""
    rows = rows.dropna()
    best = rows.loc[rows.groupby("split")["mIoU"].idxmax()]
    x = alt.X("threshold:Q", title="score of background")
    y = alt.Y("mIoU:Q", title="mIoU of CAMs", scale=alt.Scale(domainMin=0))
    tooltip = ["split:N", "threshold:Q", alt.Tooltip("mIoU:Q", format=".3f")]
    dash = alt.StrokeDash("split:N", title="split", legend=None if len(best) == 1 else alt.Legend())
    line = alt.Chart(rows).mark_line(color=LEGEND["cam"][1]).encode(x=x, y=y, strokeDash=dash, tooltip=tooltip)
    point = alt.Chart(best).mark_point(color=_INK, filled=True, size=60).encode(x=x, y=y, tooltip=tooltip)
    scored = (
        alt.Chart(pd.DataFrame({"threshold": [cam_threshold]})).mark_rule(color=_INK, strokeDash=[4, 4]).encode(x=x)
    )
    words = "; ".join(f"{row.split}: best at {row.threshold:g}, mIoU {row.mIoU:.3f}" for row in best.itertuples())
    return _finished(alt.layer(line, scored, point), f"mIoU of CAMs over thresholds. {words}.", 240)


def training_curves(stage: str, lines: Sequence[dict[str, Any]], still: float | None) -> list[tuple[str, Spec]]:
    """A curve for each loss of a training over the images seen, from the lines of `metrics.jsonl`, each with its name.

    Where the published log has a level within as many images, it is a point. `still` is the foreground displacement
    of a field of zeros.
    """
    batch = lines[0]["batch_size"]
    rows = pd.DataFrame([line for line in lines if line["event"] == "step"])
    not_losses = {"event", "epoch", "step", "learning_rate", "images_per_second"}
    names = [name for name in rows if name not in not_losses] if len(rows) else []
    return [(name, _curve(rows, name, batch, stage, still)) for name in names]


def _curve(rows: pd.DataFrame, name: str, batch: int, stage: str, still: float | None) -> Spec:
    seen = pd.DataFrame({"images seen": rows["step"] * batch, "loss": rows[name], "of": "this run"})
    levels = published(stage, name, int(seen["images seen"].max()))
    points = pd.DataFrame([{"images seen": step * PUBLISHED_BATCH, "loss": level} for step, level in levels])
    x = alt.X("images seen:Q", title="images seen", axis=alt.Axis(tickCount=4))
    y = alt.Y("loss:Q", title=None, scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=4))
    tooltip = [alt.Tooltip("images seen:Q"), alt.Tooltip("loss:Q", format=".4f")]
    layers = [
        alt.Chart(seen).mark_line(color=LEGEND["semantic"][1], point=len(seen) < 3).encode(x=x, y=y, tooltip=tooltip)
    ]
    words = f"{name.replace('_', ' ')} over images seen, finally {rows[name].iloc[-1]:.4g}"
    if len(points):
        layers.append(
            alt.Chart(points)
            .mark_point(color=_INK, shape="diamond", filled=True, size=80)
            .encode(x=x, y=y, tooltip=tooltip)
        )
        words += f"; published log: {', '.join(f'{level:g} after step {step}' for step, level in levels)}"
    if still and name == "foreground_displacement":
        layers.append(alt.Chart(pd.DataFrame({"loss": [still]})).mark_rule(color=_INK, strokeDash=[4, 4]).encode(y=y))
        words += f"; a field of zeros: about {still:.1f}"
    return _finished(alt.layer(*layers), f"{words}.", 150)


def published(stage: str, name: str, images: int) -> list[tuple[int, float]]:
    """Steps and levels of the published log, as far as it goes within a number of images seen."""
    return [(step, level) for step, level in PUBLISHED.get(stage, {}).get(name, ()) if step * PUBLISHED_BATCH <= images]


def sweep_chart(sweep: pd.DataFrame, keys: Sequence[str], metric: str, best: str) -> Spec:
    """Scores of a sweep: dots over its one key, or a heat map of its first two; `best` marks the row to choose."""
    rows = sweep.loc[sweep.groupby(list(keys[:2]), sort=False)[metric].idxmax().dropna()]
    rows = pd.DataFrame(
        {f"key {n}": rows[key].astype(str) for n, key in enumerate(keys[:2])}
        | {"score": rows[metric], "best": rows[best]}
    )
    tooltip = [alt.Tooltip(f"key {n}:N", title=key) for n, key in enumerate(keys[:2])] + [
        alt.Tooltip("score:Q", format=".4f")
    ]
    x = alt.X("key 0:N", sort=None, title=keys[0], axis=alt.Axis(labelAngle=0))
    best_rows = rows[rows["best"]]
    words = f"{metric} over {' and '.join(keys[:2])}, the best {rows['score'].max():.4f}"
    if len(keys) == 1:
        y = alt.Y("score:Q", title=metric, scale=alt.Scale(zero=False))
        dots = (
            alt.Chart(rows)
            .mark_point(filled=True, size=70, color=LEGEND["semantic"][1])
            .encode(x=x, y=y, tooltip=tooltip)
        )
        ring = alt.Chart(best_rows).mark_point(size=260, color=_INK, strokeWidth=2).encode(x=x, y=y)
        return _finished(alt.layer(dots, ring), f"{words}.", 220)
    y = alt.Y("key 1:N", sort=None, title=keys[1])
    base = alt.Chart(rows).encode(x=x, y=y)
    low, high = rows["score"].min(), rows["score"].max()
    colour = alt.Color("score:Q", title=metric, scale=alt.Scale(scheme=HEAT))
    cells = base.mark_rect().encode(color=colour, tooltip=tooltip)
    ring = alt.Chart(best_rows).mark_rect(fill=None, stroke=LEGEND["semantic"][1], strokeWidth=5).encode(x=x, y=y)
    dark = alt.condition(f"datum.score < {(low + high) / 2}", alt.value("white"), alt.value("black"))
    text = base.mark_text().encode(text=alt.Text("score:Q", format=".3f"), color=dark)
    return _finished(alt.layer(cells, ring, text), f"{words}.", 34 * rows["key 1"].nunique())
