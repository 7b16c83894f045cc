"""The page: what the template shows, put together."""

import base64
import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from irn import __version__
from irn.data.score_table import MEAN
from irn.data.tables import ImageClasses
from irn.ops.levels import PUBLISHED, PUBLISHED_BATCH, still_displacement
from irn.ops.metrics import columns
from irn.pictures.colours import voc_palette
from irn.records import ImageRecord
from irn.report import charts, tables
from irn.report.captions import KINDS
from irn.report.images import FOUND, Facts, Order, Picture
from irn.report.run_folder import RunFolder
from irn.report.warnings import PageWarning


class Shown(NamedTuple):
    """An image of the gallery: what is known of it, its place among all from the best, and its pictures."""

    facts: Facts
    rank: int
    pictures: list[Picture]


class Chart(NamedTuple):
    """A chart with its title and the note below it."""

    title: str
    note: str
    spec: charts.Spec


class Card(NamedTuple):
    """An image of the gallery in words and pictures; `above` numbers the picture that lies over the image at first."""

    image_id: str
    classes: list[tuple[int, str, str]]
    badge: str
    lines: list[str]
    rank: int
    pictures: list[tuple[Picture, str]]
    above: int


def render(
    run: RunFolder,
    records: Sequence[ImageRecord],
    classes: ImageClasses,
    facts: Sequence[Facts],
    order: Order,
    shown: Sequence[Shown],
    warnings: Sequence[PageWarning],
) -> str:
    """The report as one HTML file. Names from users are escaped wherever they appear."""
    environment = Environment(
        loader=PackageLoader("irn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scores = run.table("scores.csv")
    means = tables.one_run(scores) if scores is not None else None
    sections = {"Scores": score_charts(run, means), "Training": training_charts(run)}
    numbered = {
        title: [(f"chart-{title.lower()}-{number}", chart) for number, chart in enumerate(section)]
        for title, section in sections.items()
    }
    specs = {name: chart.spec for section in numbered.values() for name, chart in section}
    sweep = sweep_part(run)
    if sweep["spec"]:
        specs["chart-sweep"] = sweep["spec"]
    badge_of = badges([image.rank for image in shown], len(order.images))
    return environment.get_template("report.html.j2").render(
        run=run,
        version=__version__,
        today=date.today().isoformat(),
        library=_library() if specs else "",
        specs=specs,
        sections=numbered,
        settings=tables.settings_rows(run),
        stages=tables.stage_rows(run),
        versions=tables.versions(run),
        machine=tables.machine(),
        counts=tables.counts(records, classes, facts),
        score_tables=tables.score_tables(means) if means is not None else [],
        seeds=scores is not None and "seed" in scores,
        levels=published_rows(run),
        sweep=sweep,
        ablation=run.table("ablation.csv"),
        ablation_figure=_svg(run),
        order=order,
        cards=[card(image, badge_of.get(image.rank, ""), classes) for image in shown],
        filters=_filters(shown, classes),
        kinds=KINDS,
        says={kind: (caption.title, f"{caption.sees} Wrong: {caption.wrong}") for kind, caption in KINDS.items()},
        warnings=warnings,
        text_of=lambda value: "" if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value),
    )


def _library() -> str:
    """The JavaScript that draws charts."""
    import vl_convert  # 80 MB, only for this

    # A closing tag in it would end the element that holds it.
    return re.sub("</(?=script)", r"<\/", vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"), flags=re.I)


def _filters(shown: Sequence[Shown], classes: ImageClasses) -> list[tuple[int, str, int]]:
    """The classes in the gallery: index, name, and in how many of its images each is."""
    counts = Counter(index for image in shown for index in image.facts.present)
    return [(index, classes.names[index], counts[index]) for index in sorted(counts)]


def score_charts(run: RunFolder, scores: pd.DataFrame | None) -> list[Chart]:
    """Per-class bars of each split, and the CAMs' score over thresholds."""
    shown = []
    leading = [column.name for column in columns().values() if column.leads]
    for split, rows in scores.groupby("split", sort=False) if scores is not None else ():
        for metric in leading:
            if ((rows["metric"] == metric) & (rows["class"] != MEAN)).any():
                note = "Lines are the standard deviation over seeds." if "std" in rows else ""
                shown.append(Chart(f"{metric} of each class, {split}", note, charts.score_bars(rows, metric)))
    path = run.file("evaluate", "thresholds.csv")
    curve = pd.read_csv(path, dtype={"split": str}) if path else pd.DataFrame()
    if len(curve.dropna()):
        threshold = run.settings.evaluate.cam_threshold
        note = f"The dashed line is evaluate.cam_threshold, {threshold:g}; points are the best thresholds."
        shown.append(Chart("mIoU of CAMs over thresholds", note, charts.threshold_curve(curve, threshold)))
    return shown


def training_charts(run: RunFolder) -> list[Chart]:
    """The losses of every training."""
    shown = []
    for stage in run.stages:
        path = run.file(stage, "metrics.jsonl")
        if not path:
            continue
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        still = still_displacement(run.settings.irn.radius) if stage == "train_irn" else None
        for name, spec in charts.training_curves(stage, lines, still):
            notes = []
            if charts.published(stage, name, _seen(lines)):
                notes.append("Diamonds: the published log.")
            if still and name == "foreground_displacement":
                notes.append(
                    f"Dashed: a field of zeros, about {still:.1f} cells; a loss that stays there has learned no"
                    " instances."
                )
            shown.append(Chart(f"{stage}: {name.replace('_', ' ')}", " ".join(notes), spec))
    return shown


def _seen(lines: Sequence[dict[str, Any]]) -> int:
    """How many images a training saw."""
    return max((line["step"] for line in lines if line["event"] == "step"), default=0) * lines[0]["batch_size"]


def published_rows(run: RunFolder) -> list[tuple[str, str]]:
    """The levels of the published log, for each loss of the trainings of this run."""
    rows = []
    for stage, losses in PUBLISHED.items():
        if run.file(stage, "metrics.jsonl"):
            for name, levels in losses.items():
                words = ", ".join(f"{level:g} after {step * PUBLISHED_BATCH:,} images" for step, level in levels)
                rows.append((f"{stage}: {name.replace('_', ' ')}", words))
    return rows


def sweep_part(run: RunFolder) -> dict[str, Any]:
    """The table of a sweep, the chosen row, and its chart."""
    table = run.table("sweep.csv")
    names = [] if table is None else list(table.columns)
    keys = [key for key in names if key in run_keys(run)]
    leading = [column.mean for column in columns().values() if column.leads]
    scores = [name for name in names if name.rpartition(".")[2] in leading]
    if table is None or not keys or not scores:
        return {"table": None, "spec": None, "metric": "", "keys": []}
    # The first score that the settings change.
    changed = {name for name in scores if table[name].max() > table[name].min()}
    scores.sort(
        key=lambda name: (name not in changed, not name.startswith("semantic."), not name.startswith("instance."))
    )
    metric = scores[0]
    table = table.assign(chosen=table.index == table[metric].fillna(-1).argmax())
    spec = charts.sweep_chart(table, keys, metric, "chosen") if table[metric].notna().any() else None
    return {"table": table, "spec": spec, "metric": metric, "keys": keys}


def run_keys(run: RunFolder) -> set[str]:
    """The settings that a sweep of the run sets."""
    return {key for configuration in run.configurations for key in configuration["values"]}


def card(shown: Shown, badge: str, classes: ImageClasses) -> Card:
    """What the gallery says of an image."""
    facts = shown.facts
    lines = []
    if facts.iou is not None:
        lines.append(f"mIoU {facts.iou:.3f}")
    if facts.overlaps is not None:
        lines.append(f"objects found {facts.found} of {len(facts.overlaps)} (IoU {FOUND:g} or more)")
    if facts.unsure is not None:
        lines.append(f"unsure {facts.unsure:.0%}")
    if facts.foreground is not None:
        lines.append(f"foreground {facts.foreground:.0%}")
    colours = voc_palette()
    named = [
        (index, classes.names[index], "#{:02x}{:02x}{:02x}".format(*colours[index + 1])) for index in facts.present
    ]
    words = ", ".join(name for _, name, _ in named) or "no class"
    pictures = [(picture, f"{picture.caption}, of image {facts.image_id} with {words}") for picture in shown.pictures]
    kinds = [picture.kind for picture in shown.pictures]
    above = next((kinds.index(kind) for kind in ("semantic", "ir_label", "cam") if kind in kinds), 0)
    return Card(facts.image_id, named, badge, lines, shown.rank, pictures, above)


def badges(ranks: Sequence[int], count: int) -> dict[int, str]:
    """What to call some of the ranks among `count` images: the one nearest to the middle, the best and the worst."""
    if not ranks:
        return {}
    middle = min(ranks, key=lambda rank: abs(rank - (count + 1) / 2))
    return {middle: "median", count: "worst", 1: "best"}


def _svg(run: RunFolder) -> str:
    """The figure of the ablation as the address of an image in HTML."""
    path = run.folder / "ablation.svg"
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}" if path.exists() else ""
