"""What `make env` says while it installs, by steps that take no time."""

import importlib.util
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers import ROOT


@pytest.fixture(scope="module")
def installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "envs/install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


GOOD = "print('Collecting numpy==2.4.6')"
BAD = "print('no wheel for this platform'); raise SystemExit(1)"


def test_a_line_a_step_and_what_they_print_in_the_log(
    installer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [installer.Step("first", [python(GOOD), python(GOOD)], ""), installer.Step("second", [python(GOOD)], "")]
    log = tmp_path / ".venv/install.log"
    assert installer.install(steps, log) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert lines == ["1 of 2: first", "2 of 2: second"]
    assert "to download" in first
    assert re.fullmatch(r"Installed in \d+:\d\d", last)
    assert log.read_text().count("Collecting numpy") == 3


def test_a_step_that_fails_shows_its_last_words_and_ends_unless_the_rest_does_without(
    installer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, touched = tmp_path / "install.log", tmp_path / "touched"
    after = installer.Step("after", [python(f"open({str(touched)!r}, 'w')")], "")
    assert installer.install([installer.Step("bad", [python(BAD), python(GOOD)], ""), after], log) == 1
    out = capsys.readouterr().out
    assert "no wheel for this platform" in out
    assert str(log) in out
    assert "Installed" not in out
    assert not touched.exists()
    assert installer.install([installer.Step("bad", [python(BAD)], "went on without it"), after], log) == 0
    assert f"went on without it ({log})" in capsys.readouterr().out
    pip = "print('ERROR: No matching distribution found for torch'); print('hint'); raise SystemExit(1)"
    assert installer.install([installer.Step("bad", [python(pip)], "")], log) == 1
    out = capsys.readouterr().out
    assert "No matching distribution" in out
    assert "package index" in out
    assert "hint" not in out
    assert touched.exists()


def test_on_a_terminal_a_line_lives_and_no_more_than_a_row(tmp_path: Path) -> None:
    slow = """import time; print("Downloading " + 90 * "x" + "-2.whl (5 MB)"); time.sleep(1.5)"""
    step = f"install.Step('slow', [[sys.executable, '-c', {slow!r}]], '')"
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'envs'); import install\n"
        f"sys.exit(install.install([{step}], Path({str(tmp_path / 'install.log')!r})))"
    )
    own, theirs = pty.openpty()
    process = subprocess.Popen(python(code), cwd=ROOT, stdout=theirs, env={**os.environ, "COLUMNS": "60"})
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(own, 4096):
            shown += part
    except OSError:  # all writers are gone
        pass
    assert process.wait() == 0
    states = [state.partition("\033[K")[0] for state in shown.decode().split("\r") if "1 of 1: slow" in state]
    assert any("downloading xxx" in state for state in states)
    assert max(map(len, states)) < 60
    assert re.fullmatch(r"✓ 1 of 1: slow  0:0\d", states[-1])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "  Downloading nvidia_cudnn_cu12-9.1-py3-none-manylinux.whl (571.0 MB)",
            "downloading nvidia_cudnn_cu12 (571.0 MB)",
        ),
        ("Collecting torch==2.11.0 (from -c requirements.txt)", "collecting torch"),
        ("Installing collected packages: a, b", "unpacking"),
        ("Requirement already satisfied: a", ""),
        ("", ""),
    ],
)
def test_what_pip_does_in_words(installer: ModuleType, line: str, words: str) -> None:
    assert installer.in_words([line] if line else []) == words
