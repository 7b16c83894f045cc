"""The workflow end to end on a smaller demonstration."""

import csv
import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from helpers import ROOT, SMALL, snakemake

from irn.config import read_config
from irn.store import Plan

STAGES = [
    "make_demo_data", "build_manifest", "train_cam", "make_cams", "make_ir_labels", "train_irn", "infer_fields",
    "random_walk", "make_labels", "evaluate", "show",
]  # fmt: skip


def test_results_are_seen_in_the_folder_of_the_run(finished: Path) -> None:
    run = finished / "results/small"
    with open(run / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["stage", "split", "metric", "class", "value", "images"]
    assert {(row["stage"], row["metric"]) for row in rows if row["class"] == "mean"} == {
        ("cam", "mIoU"), ("semantic", "mIoU"), *(("instance", metric) for metric in ("AP25", "AP50", "AP70", "AP75", "AP")),
    }  # fmt: skip
    assert {row["images"] for row in rows} == {"20"}
    assert sorted(json.loads((run / "run.json").read_text())) == sorted(STAGES)
    for stage in ("make_cams", "make_ir_labels", "infer_fields", "random_walk", "make_labels"):
        with h5py.File(run / stage / "0-of-1.h5") as file:
            assert file.attrs["format_version"] == 1
            assert len(file) == 20
            assert json.loads(file.attrs["provenance"])["settings"]
    for stage in ("train_cam", "train_irn"):
        lines = [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
        assert all(np.isfinite(line["loss"]) for line in lines if line["event"] == "step")
    assert len(list((run / "show/panels").glob("*.png"))) == 2


def test_nothing_is_left_to_do_and_nothing_half_written(finished: Path) -> None:
    result = snakemake(finished, "--dry-run")
    assert "Nothing to be done" in result.stdout + result.stderr
    assert not list(finished.rglob("*.partial"))


def test_the_files_of_each_stage_are_those_that_the_store_names(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    plan = Plan(read_config([finished / "small.yaml"]))
    for stage in STAGES:
        about = {"key.json", "metrics.jsonl", *(path.name for path in plan.folder(stage).glob("*.log"))}
        found = {str(path) for path in plan.folder(stage).iterdir() if path.name not in about and not path.name.endswith("benchmark.tsv")}
        assert found == set(plan.files(stage))


def test_logs_hold_no_progress_bars(finished: Path) -> None:
    logs = list((finished / "results/store").rglob("*.log"))
    assert len(logs) == len(STAGES)
    for log in logs:
        if log.name != "evaluate.log":
            assert log.read_text() == "", log


def test_the_same_seed_gives_the_same_labels_to_the_byte(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    # The data is the same by its own tests; what learns and labels is run again, in two shards.
    for stage in ("make_demo_data", "build_manifest"):
        shutil.copytree(finished / "results/store" / stage, tmp_path / "results/store" / stage)
    shutil.copytree(finished / ".snakemake/metadata", tmp_path / ".snakemake/metadata")
    manifest = next((tmp_path / "results/store/build_manifest").rglob("manifest.csv"))
    manifest.write_text(manifest.read_text().replace(str(finished), str(tmp_path)))
    result = snakemake(tmp_path, "--config", "shards=2")
    assert result.returncode == 0, result.stdout + result.stderr
    seen = 0
    with h5py.File(finished / "results/small/make_labels/0-of-1.h5") as first:
        for index in range(2):
            with h5py.File(tmp_path / f"results/small/make_labels/{index}-of-2.h5") as second:
                for image_id in second:
                    seen += 1
                    for name in second[image_id]:
                        np.testing.assert_array_equal(first[image_id][name][()], second[image_id][name][()])
    assert seen == 20


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("walk={beta: much}", "config: walk.beta is 'much'; expected a number of at least 0"),
        ("walk={betas: 1}", "config: walk.betas is no key of the configuration; did you mean 'beta'?"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(finished: Path, setting: str, message: str) -> None:
    result = snakemake(finished, "--dry-run", "--config", setting)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1] == message
    assert "Traceback" not in result.stdout + result.stderr


def rules() -> dict[str, str]:
    """The text of each rule, by its name."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    parts = re.split(r"^rule (\w+):\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", rules())
def test_every_rule_says_what_it_needs(name: str) -> None:
    text = rules()[name]
    for directive in ("output", "params", "log", "benchmark", "conda", "threads", "resources", "message", "shell"):
        assert re.search(rf"^    {directive}:", text, re.M), directive
    for resource in ("mem_mb", "runtime"):
        assert f"{resource}=" in text
    on_gpu = name in ("train_cam", "make_cams", "train_irn", "infer_fields")
    assert ("gpu=" in text) is on_gpu
    assert f'"irn {name.replace("_", "-")}"' in text


def test_the_table_of_contents_is_short() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50


def test_environments_hold_the_pinned_versions() -> None:
    pinned = dict(line.lower().split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    for name in ("cpu", "cuda"):
        environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
        pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
        entries = [entry for entry in environment["dependencies"] if isinstance(entry, str)] + pip
        versions = dict(re.split("==?", entry.split("::")[-1], maxsplit=1) for entry in entries)
        renamed = {"pytorch": "torch", "pytorch-cpu": "torch", "pytorch-gpu": "torch"}
        for package, version in versions.items():
            if package not in ("python", "pip", "cxx-compiler"):
                assert pinned[renamed.get(package, package)] == version, package
        assert {renamed.get(package, package) for package in versions} >= {"torch", "torchvision", "h5py", "numpy", "pydensecrf2", "numba"}
