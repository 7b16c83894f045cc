"""Compiled code is there before jobs start, and where it cannot be kept all still works."""

import json
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from golden_cases import GOLDEN

from irn.inference.precompile import precompile
from irn.ops.compiled import compiled

# The types of each function after `precompile` and after two stages; and what was compiled meanwhile.
STAGES = """
import gc, json, sys
from numba.core.dispatcher import Dispatcher
from irn.cli import main
from irn.inference.precompile import precompile

def types():
    found = [item for item in gc.get_objects() if isinstance(item, Dispatcher)]
    return {f"{item.py_func.__module__}.{item.py_func.__name__}": sorted(map(str, item.signatures)) for item in found}

precompile()
before = types()
for command in json.loads(sys.argv[1]):
    assert main(command) == 0
missed = {str(item.py_func): dict(item.stats.cache_misses) for item in gc.get_objects() if isinstance(item, Dispatcher)}
print(json.dumps({"before": before, "after": types(), "compiled": {name: m for name, m in missed.items() if m}}))
"""


def test_no_stage_compiles_what_make_env_compiled(tmp_path: Path) -> None:
    precompile()
    listed, cams = ["--manifest", GOLDEN / "manifest.csv"], ["--cams", GOLDEN / "cams.h5"]
    commands = [
        ["make-ir-labels", *listed, *cams, "--out", tmp_path / "ir_labels.h5", "--workers", 0],
        ["random-walk", *cams, "--fields", GOLDEN / "fields.h5", "--out", tmp_path / "walks.h5", "--workers", 0],
    ]
    words = json.dumps([[str(word) for word in command] for command in commands])
    result = subprocess.run([sys.executable, "-c", STAGES, words], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert seen["before"]
    assert seen["after"] == seen["before"]
    assert seen["compiled"] == {}


def test_where_nothing_can_be_kept_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    @compiled(fast=False)
    def doubled(number: int) -> int:
        return 2 * number

    assert doubled(21) == 42
