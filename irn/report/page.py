"""The page: what the template shows, put together."""

import base64
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from irn import __version__
from irn.data.tables import ImageClasses
from irn.pictures.captions import CAPTIONS
from irn.records import ImageRecord
from irn.report import tables
from irn.report.doubtful import Doubtful
from irn.report.facts import Facts, Ranking
from irn.report.gallery import Card, class_filters
from irn.report.run_folder import RunFolder
from irn.report.sections import Chart, published_rows, score_charts, sweep_section, training_charts
from irn.report.warnings import PageWarning, nothing_wrong

EMBED = "window.vegaEmbed = vegaEmbed;"  # JavaScript: how the page's own scripts call the chart library


def render(
    run: RunFolder,
    records: Sequence[ImageRecord],
    classes: ImageClasses,
    facts: Sequence[Facts],
    ranking: Ranking,
    gallery: Sequence[Card],
    doubtful: Sequence[Doubtful],
    warnings: Sequence[PageWarning],
) -> str:
    """The report as one HTML file. Names from users are escaped wherever they appear."""
    scores = run.table("scores.csv")
    means = None if scores is None else tables.over_seeds(scores)
    of_scores, of_training = _numbered("scores", score_charts(run, means)), _numbered("training", training_charts(run))
    sweep = sweep_section(run)
    specs = {name: chart.spec for name, chart in [*of_scores, *of_training]}
    if sweep and sweep.spec:
        specs["chart-sweep"] = sweep.spec
    return _template().render(
        run=run,
        version=__version__,
        today=date.today().isoformat(),
        library=_chart_library() if specs else "",
        specs=specs,
        score_charts=of_scores,
        training_charts=of_training,
        settings=tables.settings_rows(run),
        stages=tables.stage_rows(run),
        versions=tables.versions(run),
        counts=tables.counts(records, classes, facts),
        score_tables=[] if means is None else tables.score_tables(means),
        seeds=scores is not None and "seed" in scores,
        published=published_rows(run),
        sweep=sweep,
        ablation=run.table("ablation.csv"),
        ablation_figure=_figure(run),
        corrected=sum(image.corrected and image.split in run.scored_splits for image in facts),
        ranking=ranking,
        doubtful=doubtful,
        cards=gallery,
        filters=class_filters(gallery),
        captions=CAPTIONS,
        says={kind: (caption.title, f"{caption.sees} Wrong: {caption.wrong}") for kind, caption in CAPTIONS.items()},
        warnings=warnings,
        nothing_wrong=nothing_wrong(facts),
        text_of=_text_of,
    )


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("irn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _numbered(section: str, charts: Sequence[Chart]) -> list[tuple[str, Chart]]:
    """The charts of a section, each with the id of its element."""
    return [(f"chart-{section}-{number}", chart) for number, chart in enumerate(charts)]


def _chart_library() -> str:
    """The JavaScript that draws charts, for a script element."""
    import vl_convert  # 80 MB, only for this

    library = vl_convert.javascript_bundle(EMBED)
    # What would end the element.
    return re.sub("</(?=script)", r"<\/", library, flags=re.I)


def _figure(run: RunFolder) -> str:
    """The figure of the ablation as the address of an image in HTML; empty without one."""
    path = run.folder / "ablation.svg"
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}" if path.exists() else ""


def _text_of(value: Any) -> str:
    """A cell of a table."""
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
