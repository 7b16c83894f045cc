"""irn/report/charts.py: what the charts of the report hold."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from irn.report.charts import Spec, score_bars, sweep_chart, training_curves


def rows_of(spec: Spec, columns: set[str]) -> list[dict[str, Any]]:
    """The rows of the chart's data set that has these columns."""
    return next(rows for rows in spec["datasets"].values() if columns <= set(rows[0]))


def step(number: int, loss: float) -> dict[str, Any]:
    """A line of `metrics.jsonl`."""
    return {"event": "step", "epoch": 1, "step": number, "learning_rate": 0.1, "images_per_second": 1.0, "loss": loss}


def test_the_curve_of_a_long_training_is_drawn_by_means() -> None:
    start = {"event": "start", "batch_size": 2}
    lines = [start, *(step(10 * number, 6000 - number) for number in range(1, 6001))]
    ((name, spec),) = training_curves("train_mask_rcnn", lines, None)
    points = rows_of(spec, {"images seen", "loss"})
    assert name == "loss"
    assert len(json.dumps(spec)) < 100_000
    assert 100 < len(points) < 1000
    assert points[-1]["images seen"] == 120_000
    assert sum(point["loss"] for point in points) / len(points) == pytest.approx(2999.5, rel=0.001)
    assert [point["loss"] for point in points] == sorted((point["loss"] for point in points), reverse=True)


def test_the_curve_of_a_short_training_has_every_line() -> None:
    ((_, spec),) = training_curves(
        "train_mask_rcnn", [{"event": "start", "batch_size": 2}, step(10, 3), step(20, 1)], None
    )
    assert rows_of(spec, {"images seen"}) == [{"images seen": 20, "loss": 3}, {"images seen": 40, "loss": 1}]


@pytest.mark.parametrize(
    "keys", [["walk.beta"], ["walk.beta", "walk.steps"], ["walk.beta", "walk.steps", "irn.radius"]]
)
def test_combinations_of_a_sweep_without_a_score_are_left_out_of_its_chart(keys: list[str]) -> None:
    scores = [math.nan, 0.4, 0.5]
    table = pd.DataFrame({key: ["5", "10", "20"] for key in keys} | {"mIoU": scores, "chosen": [False, False, True]})
    drawn = rows_of(sweep_chart(table, keys, "mIoU"), {"key 0", "score"})
    assert {row["key 0"]: row["score"] for row in drawn} == {"10": 0.4, "20": 0.5}


@pytest.mark.parametrize("names", [["dog"], ["background", "dog"]])
def test_every_class_has_a_bar_of_its_own(names: list[str]) -> None:
    scores: Mapping[str, float] = {"mean": 0.5, "__background__": 0.9, **dict.fromkeys(names, 0.3)}
    rows = [("semantic", "mIoU" if name == "mean" else "IoU", name, value) for name, value in scores.items()]
    spec = score_bars(pd.DataFrame(rows, columns=["stage", "metric", "class", "value"]), "IoU")
    bars = [(row["class"], row["value"]) for row in rows_of(spec, {"class", "value"})]
    background = "__background__" if "background" in names else "background"
    assert bars == [(background, 0.9), *((name, 0.3) for name in names)]
