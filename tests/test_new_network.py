"""A new final network is its row and its modules: two small convolutions (tests/tiny/), in a copy of the checkout."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import yaml
from helpers import ROOT, SMALL, rules_to_run, snakemake

TINY = Path(__file__).with_name("tiny")
SECTION = '''class TinySettings(FinalTraining, stages=("train_tiny",)):
    """Two convolutions, which learn a class for each pixel."""

    width: t.Count = setting(8, "Channels between the convolutions.")


'''
ROW = 'FINAL_NETWORKS = (\n    FinalNetwork("tiny", "Tiny network", "classes", "#444444", TinySettings),\n'


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with one more network."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("irn", "rules", "profiles", "envs"):
        shutil.copytree(ROOT / name, copy / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, copy / name)
    for room in ("networks", "training", "inference"):
        shutil.copy(TINY / f"{room}.py", copy / "irn" / room / "tiny.py")
    rows = copy / "irn/settings/final_networks.py"
    before, start, rest = rows.read_text(encoding="utf-8").partition("@dataclass(frozen=True)\nclass FinalNetwork")
    rest = rest.replace("FINAL_NETWORKS = (\n", ROW, 1)
    rows.write_text(f"{before}{SECTION}{start}{rest}", encoding="utf-8")
    return copy


def test_it_is_trained_predicts_is_scored_and_reported(checkout: Path, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    tiny = {"labels": "pseudo", "epochs": 1, "batch_size": 4, "crop_size": 96, "warmup": 0}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL, "tiny": tiny}), encoding="utf-8")
    behind_it = {"train_tiny", "predict_tiny", "evaluate", "report"}
    assert rules_to_run(tmp_path, checkout=checkout) == behind_it
    result = snakemake(tmp_path, checkout=checkout)
    assert result.returncode == 0, result.stdout + result.stderr
    results = tmp_path / "results/small"
    with open(results / "scores.csv", newline="") as file:
        means = [row for row in csv.DictReader(file) if row["stage"] == "tiny" and row["class"] == "mean"]
    assert [(row["split"], row["metric"], row["images"]) for row in means] == [("train", "mIoU", "20")]
    assert 0 <= float(means[0]["value"]) <= 1
    assert "Tiny network" in (results / "report.html").read_text(encoding="utf-8")
    assert rules_to_run(tmp_path, "--config", "tiny={width: 4}", checkout=checkout) == behind_it
    # By hand, as ONNX.
    weights, onnx = results / "train_tiny/weights.pt", tmp_path / "tiny.onnx"
    command = [sys.executable, "-m", "irn", "predict", "--weights", str(weights), "--onnx", str(onnx)]
    subprocess.run(command, cwd=checkout, check=True)
    (output,) = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"]).get_outputs()
    assert output.name == "probability"
