"""The benchmark at small sizes: both sides of each case agree, and the tables say what was measured and compared."""

import csv
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from helpers import SMALL

from irn.settings.final_networks import GROUND_TRUTH
from irn.workflow.stages import STAGES

ROOT = Path(__file__).parents[1]


def bench(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "benchmarks/bench.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_case_runs_and_agrees_with_its_twin(tmp_path: Path) -> None:
    result = bench("--quick", "--out", str(tmp_path), "--name", "small")
    assert result.returncode == 0, result.stdout + result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.json", "small.png"]
    report = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    listed = bench("--only", "nothing").stderr.rpartition("choose from ")[2].strip().split(", ")
    assert [*report["cases"], "scaling"] == listed
    for case in report["cases"].values():
        assert f"**{case['title']}**: {case['agreement']}" in result.stdout
        assert case["findings"]
        for finding in case["findings"]:
            assert finding["compared_with"] in ("", *case["sides"])
            assert f"| {finding['what']} | {finding['measured']} | {finding['compared_with']} |" in result.stdout
        for name, side in case["sides"].items():
            assert f"\n| {name} | " in result.stdout
            assert side["seconds"]
    assert {"pixels", "classes", "instances", "radius", "images"} == {what.split(", ")[1] for what in report["scaling"]}
    assert all(f"{name} {measured}" in result.stdout for name, measured in report["made_on"].items())


@pytest.mark.slow
def test_one_case_is_printed() -> None:
    result = bench("--only", "grouping", "--quick")
    assert result.returncode == 0, result.stderr
    assert "| centroid refinement and grouping | " in result.stdout
    assert "| 300 NumPy steps |\n" in result.stdout
    assert "random walk" not in result.stdout


def test_an_unknown_case_is_one_line() -> None:
    result = bench("--only", "nothing")
    assert result.returncode == 2
    assert "no case nothing; choose from " in result.stderr
    assert "walk, " in result.stderr


def test_the_stages_with_a_network_are_measured_without_a_gpu_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    words = ["--device", "cpu", "--small", "--workers", "0", "--backbones", "tf_efficientnet_lite0"]
    assert import_module("gpu").main([*words, "--precisions", "float32", "--out", str(tmp_path)]) == 0
    table = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == table
    report = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    of_a_run = [stage.name for stage in STAGES if stage.resources.gpu and not stage.on_request]
    for stage in (name for name in of_a_run if not name.endswith(GROUND_TRUTH)):
        rates = [rate for rate in report["rates"] if rate["stage"] == stage]
        assert [rate["images_a_second"] > 0 for rate in rates] == [True], stage
        assert table.count(f"| `{stage}`") == 2
    assert all(words in table for words in ("10,582", "Tiny images", "GPU none"))
    assert report["loading"][0]["training"] > 0


@pytest.mark.slow
def test_corrections_are_measured_by_doubt_and_at_random(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    words = [
        "--configfile",
        "small.yaml",
        "--counts",
        "2",
        "3",
        "--seeds",
        "0",
        "--out",
        "out.csv",
        "--chart",
        "out.svg",
    ]
    command = [sys.executable, str(ROOT / "benchmarks/corrections.py"), *words]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["score"] == "semantic mIoU"]
    assert [(row["chosen"], row["corrected"]) for row in rows] == [
        ("most doubtful", "0"), ("at random", "0"),
        ("most doubtful", "2"), ("most doubtful", "3"), ("at random", "2"), ("at random", "3"),
    ]  # fmt: skip
    assert all(0 <= float(row["value"]) <= 1 for row in rows)
    assert (tmp_path / "out.svg").read_text(encoding="utf-8").startswith("<svg")
