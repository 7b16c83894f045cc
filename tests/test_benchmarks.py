"""The benchmark runs at small sizes: both sides of each row agree, and the table is written."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_row_runs_and_agrees_with_its_twin(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks/bench.py"), "--quick", "--out", str(tmp_path), "--name", "small"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.json", "small.md", "small.png"]
    report = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    assert len(report["rows"]) == 11
    table = (tmp_path / "small.md").read_text(encoding="utf-8")
    for row in report["rows"].values():
        assert row["title"] in table
        assert row["goals"]
        assert all(side["seconds"] for side in row["sides"].values())
    assert set(report["scaling"]) == {"walk, pixels", "walk, classes", "walk, instances", "walk, radius", "pair losses, radius"}


def test_an_unknown_row_is_one_line() -> None:
    command = [sys.executable, str(ROOT / "benchmarks/bench.py"), "--only", "nothing"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "no row nothing; choose from walk, " in result.stderr
