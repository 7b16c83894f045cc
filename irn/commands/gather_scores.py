"""One table of the scores of several seeds and settings, and one of the combinations that were tried."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from irn.data.score_table import MEAN, read_scores
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.settings.writing import as_text

ROW = ["stage", "split", "metric", "class"]


def gather_scores(configurations: Path, out: Path, sweep_out: Path | None = None) -> None:
    """Write the scores of a run's own settings for each seed, with mean and spread, and those of a sweep.

    The tables are empty where no image was scored, as when all were corrected by hand.

    Parameters
    ----------
    configurations: JSON with `configurations`, each with its number `configuration`, its `seed`, `values` (what a
        sweep sets; none in the run's own settings) and `scores`, its table.
    sweep_out: where the means of each combination go, if anywhere, with the scores for which it is best.

    Raises
    ------
    IrnError for a file that is missing, or does not list configurations.
    """
    scores, combinations, seeds = _read(configurations)
    is_swept = scores["combination"].map(lambda number: bool(combinations[number])).astype(bool)
    with whole_file(out) as partial:
        _write(_with_spread(scores[~is_swept], seeds), partial)
    if sweep_out is not None:
        with whole_file(sweep_out) as partial:
            _write(_combination_rows(scores[is_swept] if is_swept.any() else scores, combinations, seeds), partial)


def _read(path: Path) -> tuple[pd.DataFrame, list[dict[str, Any]], int]:
    """The scores of all configurations, the combinations that its column `combination` counts, and how many seeds."""
    combinations: list[dict[str, Any]] = []
    seeds, tables = set(), []
    try:
        for configuration in json.loads(path.read_text(encoding="utf-8"))["configurations"]:
            values = configuration["values"]
            if values not in combinations:
                combinations.append(values)
            numbers = {name: configuration[name] for name in ("configuration", "seed")}
            seeds.add(numbers["seed"])
            table = read_scores(Path(configuration["scores"]))
            tables.append(table.assign(combination=combinations.index(values), **numbers))
    except (OSError, KeyError, ValueError) as error:
        raise IrnError(
            f"{path}: not a list of configurations with their scores ({error}); let the workflow write it"
        ) from None
    return pd.concat(tables, ignore_index=True), combinations, len(seeds)


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", float_format="%.6f")


def _with_spread(scores: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """The rows of each seed, then means and standard deviations (of a sample); with one seed its rows alone."""
    columns = [*ROW, "value", "images"]
    if seeds < 2:
        return scores[columns]
    grouped = scores.groupby([*ROW], sort=False, dropna=False)
    parts = [scores.assign(seed=scores["seed"].astype(str))]
    for name in ("mean", "std"):
        parts.append(grouped.agg({"value": name, "images": "first"}).reset_index().assign(seed=name))
    return pd.concat(parts, ignore_index=True)[["seed", *columns]]


def _combination_rows(scores: pd.DataFrame, combinations: list[dict[str, Any]], seeds: int) -> pd.DataFrame:
    """A row for each combination: its number, its values, its mean scores (with their spread), what it is best for."""
    means = scores[scores["class"] == MEAN]
    if means.empty:
        swept = dict.fromkeys(key for combination in combinations for key in combination)
        return pd.DataFrame(columns=["configuration", *swept, "best_for"])
    means = means.assign(name=means["stage"] + "." + means["split"] + "." + means["metric"])
    pivoted = {"index": "combination", "columns": "name", "values": "value", "sort": False, "dropna": False}
    table = means.pivot_table(aggfunc="mean", **pivoted)
    # A score that is the same everywhere does not say which combination to take.
    telling = [name for name in table if table[name].max() > table[name].min()]
    best = [" ".join(name for name in telling if row[name] == table[name].max()) for _, row in table.iterrows()]
    values = [{key: as_text(value) for key, value in combinations[number].items()} for number in table.index]
    parts = [
        scores.groupby("combination", sort=False)["configuration"].min(),
        pd.DataFrame(values, index=table.index),
        table,
    ]
    if seeds > 1:
        parts.append(means.pivot_table(aggfunc="std", **pivoted).add_suffix(".std"))
    return pd.concat(parts, axis="columns").assign(best_for=best)
