"""What is said when a run is complete: the scores, what looks wrong, where the report is, and what to do next."""

import csv
from collections.abc import Iterator
from pathlib import Path

from irn.data.kinds import KINDS
from irn.io.processor import multiplies_bfloat16, networks_run_on_cpus
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.settings import Settings, value
from irn.workflow.recipes import STORE
from irn.workflow.run import Run

BFLOAT16 = "compute networks faster with precision: bf16, for which this processor is built"
METRICS = ("mIoU", "AP50", "AP")
MEAN = "mean"
OF_STAGES = "cam: class attention maps; semantic and instance: the labels made of them"
# What to do next, and the page on it.
OF_DRAWN_DATA = (
    ("read what the pictures and scores mean", "docs/tutorial.md"),
    ("run it on your own photographs", "docs/photographs.md"),
)
WITH_NETWORK = (("segment new photographs by the network", "docs/how-to/networks.md"),)
WITHOUT_NETWORK = (("train a network on the labels, which segments new photographs", "docs/how-to/networks.md"),)
OF_ALL = (
    ("look at each image, stage by stage", "docs/report.md"),
    ("change a threshold; labels follow in seconds", "docs/thresholds.md"),
    ("correct masks by hand, the most doubtful first", "docs/how-to/correct.md"),
)


def ending(run: Run) -> list[str]:
    """The lines at the end of a run: those of what it made."""
    lines = []
    scores = run.folder / "scores.csv"
    if scores.exists():
        lines += ["", f"Scores from 0 to 1, higher is better ({scores})", *score_table(scores), f"  {OF_STAGES}"]
    notices = list(notices_of(run))
    if notices:
        lines += ["", *notices]
    report = run.folder / "report.html"
    if report.exists():
        lines += ["", f"Open {report} in a browser. Then you can"]
        lines += [f"  - {what}: {page}" for what, page in next_steps(run.settings)]
    return lines


def next_steps(settings: Settings) -> list[tuple[str, str]]:
    """What to do next, and the page on it."""
    has_network = any(value(settings, f"{network.name}.labels") != "none" for network in FINAL_NETWORKS)
    return [
        *(OF_DRAWN_DATA if KINDS[settings.dataset.kind].is_drawn else ()),
        *OF_ALL,
        *(WITH_NETWORK if has_network else WITHOUT_NETWORK),
        *faster(settings),
    ]


def faster(settings: Settings) -> list[tuple[str, str]]:
    """A number format that is faster on this machine, if there is one: what it does, and the page on it."""
    on_cpus = networks_run_on_cpus(settings.gpus)
    offered = on_cpus and settings.precision == "float32" and multiplies_bfloat16()
    return [(BFLOAT16, "docs/performance.md")] if offered else []


def score_table(path: Path) -> list[str]:
    """The means in `scores.csv`, a line for each split and stage; over several seeds their mean."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] == MEAN and row.get("seed", MEAN) == MEAN]
    metrics = [name for name in METRICS if any(row["metric"] == name for row in rows)]
    of_each: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        text = f"{float(row['value']):.3f}" if row["value"] else "undefined"
        of_each.setdefault((row["split"], row["stage"]), {})[row["metric"]] = text
    table = [("split", "stage", *metrics)]
    table += [(*names, *(values.get(name, "") for name in metrics)) for names, values in of_each.items()]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def notices_of(run: Run) -> Iterator[str]:
    """What looks wrong, each with the stage that says so, or with its log where several have its name."""
    names = [recipe.stage.name for recipe in run.recipes.values()]
    for path, line in run.notices():
        stage = path.relative_to(STORE).parts[0] if STORE in path.parents else ""
        place = stage if names.count(stage) == 1 else str(path)
        yield f"notice: {place}: {line.removeprefix('notice: ')}"
