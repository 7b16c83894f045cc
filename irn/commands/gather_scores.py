"""One table of the scores of several seeds and settings, and one of the combinations that were tried."""

import json
from pathlib import Path

import pandas as pd

from irn.data.score_table import MEAN
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.settings.writing import as_text

ROW = ["stage", "split", "metric", "class"]


def gather_scores(configurations: Path, out: Path, sweep_out: Path | None = None) -> None:
    """Write the scores of a run's own settings, for each seed with mean and spread, and a row for each combination of a sweep.

    Parameters
    ----------
    configurations: JSON with `configurations`, each with `seed`, `values` (what a sweep sets; none in the run's own settings) and
        `scores`, its table.
    sweep_out: where the means of each combination go, if anywhere, with the metrics for which it is best.

    Raises
    ------
    IrnError for a file that is missing or not such a list.
    """
    try:
        listed = json.loads(configurations.read_text(encoding="utf-8"))["configurations"]
        tables = [
            pd.read_csv(one["scores"]).assign(
                seed=one["seed"], **{"values": json.dumps(one["values"]), "number": one["configuration"]}
            )
            for one in listed
        ]
    except (OSError, KeyError, ValueError) as error:
        raise IrnError(
            f"{configurations}: not a list of configurations with their scores ({error}); let the workflow write it"
        ) from None
    scores = pd.concat(tables, ignore_index=True)
    with whole_file(out) as partial:
        _with_spread(scores[scores["values"] == "{}"]).to_csv(
            partial, index=False, lineterminator="\n", float_format="%.6f"
        )
    if sweep_out is not None:
        swept = scores[scores["values"] != "{}"]
        with whole_file(sweep_out) as partial:
            _combinations(swept if len(swept) else scores).to_csv(
                partial, index=False, lineterminator="\n", float_format="%.6f"
            )


def _with_spread(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of each seed, then their means and standard deviations (of a sample); with one seed its rows as they are."""
    columns = [*ROW, "value", "images"]
    if len(scores["seed"].unique()) < 2:
        return scores[columns]
    grouped = scores.groupby([*ROW], sort=False, dropna=False)
    parts = [scores.assign(seed=scores["seed"].astype(str))]
    for name in ("mean", "std"):
        parts.append(grouped.agg({"value": name, "images": "first"}).reset_index().assign(seed=name))
    return pd.concat(parts, ignore_index=True)[["seed", *columns]]


def _combinations(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each combination: its number, its values, all mean scores (over its seeds, with their spread), and what it is best for."""
    means = scores[scores["class"] == MEAN]
    means = means.assign(name=means["stage"] + "." + means["split"] + "." + means["metric"])
    pivoted = {"index": "values", "columns": "name", "values": "value", "sort": False, "dropna": False}
    table = means.pivot_table(aggfunc="mean", **pivoted)
    # A score that is the same everywhere does not say which combination to take.
    telling = [name for name in table if table[name].max() > table[name].min()]
    best = [" ".join(name for name in telling if row[name] == table[name].max()) for _, row in table.iterrows()]
    given = [{key: as_text(one) for key, one in json.loads(values).items()} for values in table.index]
    parts = [
        scores.groupby("values", sort=False)["number"].min().rename("configuration"),
        pd.DataFrame(given, index=table.index),
        table,
    ]
    if len(scores["seed"].unique()) > 1:
        parts.append(means.pivot_table(aggfunc="std", **pivoted).add_suffix(".std"))
    return pd.concat(parts, axis="columns").assign(best_for=best)
