"""What is recorded beside results."""

import subprocess
from pathlib import Path

import pytest

import irn.workflow.provenance
from irn.settings.checking import settings_of_options
from irn.workflow.fingerprint import code_fingerprint
from irn.workflow.provenance import git_commit, provenance


def test_the_record_holds_the_settings_of_the_stage_and_no_others() -> None:
    settings = settings_of_options({"walk.beta": 5, "cam.epochs": 7}, {}, "")
    record = provenance("random_walk", settings, split="train")
    walk = {"walk.beta": 5.0, "walk.steps": 256, "walk.radius": 5, "walk.centroid_length": 2.5}
    assert record["settings"] == {"dataset.max_side": None, **walk, "split": "train"}
    assert record["stage"] == "random_walk"
    assert record["code"] == code_fingerprint("irn.commands.random_walk")
    assert record["versions"]["torch"]


def test_the_commit_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irn.workflow.provenance, "__file__", str(tmp_path / "irn/workflow/provenance.py"))
    assert git_commit() is None

    def git(*arguments: str) -> str:
        identity = ("user.name=n", "user.email=e@example.org", "commit.gpgsign=false", "core.hooksPath=/dev/null")
        options = [word for setting in identity for word in ("-c", setting)]
        command = ["git", *options, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    (tmp_path / "file").write_text("1", encoding="utf-8")
    git("add", "file")
    git("commit", "--quiet", "--message", "first")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    assert git_commit() == commit
    (tmp_path / "file").write_text("2", encoding="utf-8")
    assert git_commit() == f"{commit}+"
    installed = tmp_path / ".venv/lib/site-packages/irn/workflow/provenance.py"
    monkeypatch.setattr(irn.workflow.provenance, "__file__", str(installed))
    assert git_commit() is None


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() is None
