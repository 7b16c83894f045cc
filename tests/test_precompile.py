"""Compiled code is there before jobs start, and where it cannot be kept all still works."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from golden_cases import GOLDEN

from irn.ops.compiled import compiled


def test_no_stage_compiles_what_make_env_compiled(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}

    def python(*arguments: object) -> None:
        subprocess.run([sys.executable, "-m", *map(str, arguments)], env=environment, check=True, capture_output=True)

    python("irn.inference.precompile")
    kept = sorted((tmp_path / "compiled").rglob("*.nbc"))
    assert kept
    cams = ["--cams", GOLDEN / "cams.h5"]
    python("irn", "make-ir-labels", "--manifest", GOLDEN / "manifest.csv", *cams, "--out", tmp_path / "ir_labels.h5")
    python("irn", "random-walk", *cams, "--fields", GOLDEN / "fields.h5", "--out", tmp_path / "walks.h5")
    assert sorted((tmp_path / "compiled").rglob("*.nbc")) == kept


def test_where_nothing_can_be_kept_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    @compiled(fast=False)
    def doubled(number: int) -> int:
        return 2 * number

    assert doubled(21) == 42
