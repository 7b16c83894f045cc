"""irn/commands/gather_scores.py on tables of scores that are written here."""

import json
from pathlib import Path

import pandas as pd
from helpers import run

HEADER = "stage,split,metric,class,value,images\n"


def gather(folder: Path, scores: dict[tuple[float, float], tuple[float, float]]) -> pd.DataFrame:
    """The table of a sweep over two keys, from the mIoU of semantic labels and the AP50 of each combination."""
    listed = []
    for number, ((beta, threshold), (semantic, instance)) in enumerate(scores.items()):
        path = folder / f"{number}.csv"
        rows = [
            f"cam,train,mIoU,mean,0.4,9\nsemantic,train,mIoU,mean,{semantic},9\ninstance,train,AP50,mean,{instance},9\n"
        ]
        path.write_text(HEADER + "".join(rows))
        values = {"walk.beta": beta, "labels.semantic_threshold": threshold} if number else {}
        listed.append({"configuration": number, "seed": 0, "values": values, "scores": str(path)})
    (folder / "key.json").write_text(json.dumps({"configurations": listed}))
    run(
        "gather-scores",
        "--configurations",
        folder / "key.json",
        "--out",
        folder / "scores.csv",
        "--sweep-out",
        folder / "sweep.csv",
    )
    return pd.read_csv(folder / "sweep.csv", keep_default_na=False)


def test_a_sweep_of_two_keys_marks_the_best_combination_for_each_score_that_it_changes(tmp_path: Path) -> None:
    own, grid = (
        {(0.0, 0.0): (0.9, 0.9)},
        {(5, 0.3): (0.5, 0.2), (5, 0.4): (0.6, 0.2), (10, 0.3): (0.55, 0.3), (10, 0.4): (0.52, 0.3)},
    )
    table = gather(tmp_path, own | grid)
    assert list(zip(table["walk.beta"], table["labels.semantic_threshold"], strict=True)) == list(grid)
    assert table["configuration"].tolist() == [1, 2, 3, 4]
    assert table["semantic.train.mIoU"].tolist() == [0.5, 0.6, 0.55, 0.52]
    # The CAMs have the same score everywhere, so no combination is best for it.
    assert table["best_for"].tolist() == ["", "semantic.train.mIoU", "instance.train.AP50", "instance.train.AP50"]


def test_tables_are_empty_where_no_image_was_scored(tmp_path: Path) -> None:
    listed = []
    for number, values in enumerate(({}, {}, {"walk.beta": 5}, {"walk.beta": 5})):
        path = tmp_path / f"{number}.csv"
        path.write_text(HEADER)
        listed.append({"configuration": number, "seed": number % 2, "values": values, "scores": str(path)})
    key, scores, sweep = (tmp_path / name for name in ("key.json", "scores.csv", "sweep.csv"))
    for configurations, header in ((listed, f"seed,{HEADER}"), (listed[::2], HEADER)):
        key.write_text(json.dumps({"configurations": configurations}))
        run("gather-scores", "--configurations", key, "--out", scores, "--sweep-out", sweep)
        assert scores.read_text() == header
        assert sweep.read_text() == "configuration,walk.beta,best_for\n"


def test_splits_and_classes_keep_names_that_look_like_numbers_or_like_nothing(tmp_path: Path) -> None:
    listed = []
    for seed in (0, 1):
        path = tmp_path / f"{seed}.csv"
        path.write_text(f"{HEADER}cam,01,mIoU,mean,0.{seed},9\ncam,01,IoU,NA,0.{seed},9\ncam,01,IoU,null,,9\n")
        listed += [
            {"configuration": 2 * number + seed, "seed": seed, "values": values, "scores": str(path)}
            for number, values in enumerate(({}, {"walk.beta": 5}))
        ]
    (tmp_path / "key.json").write_text(json.dumps({"configurations": listed}))
    scores, sweep = tmp_path / "scores.csv", tmp_path / "sweep.csv"
    run("gather-scores", "--configurations", tmp_path / "key.json", "--out", scores, "--sweep-out", sweep)
    rows = [line.split(",") for line in scores.read_text().splitlines()[1:]]
    assert {row[2] for row in rows} == {"01"}
    assert [row[4] for row in rows] == ["mean", "NA", "null"] * 4  # two seeds, means and deviations
    assert sweep.read_text().splitlines()[0] == "configuration,walk.beta,cam.01.mIoU,cam.01.mIoU.std,best_for"
