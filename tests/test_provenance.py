"""The code fingerprint, which says when results are stale, and what is recorded beside them."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import irn.provenance
from irn.cli import STAGES
from irn.provenance import code_fingerprint, git_commit, provenance
from irn.shards import Shard

PACKAGE = irn.provenance.PACKAGE

Edit = Callable[[str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Put text at the end of a module of a copy of the package; each edit makes a fresh copy of the last."""
    copies = [PACKAGE]

    def append(module: str, text: str) -> None:
        copy = tmp_path / str(len(copies)) / "irn"
        shutil.copytree(copies[-1], copy, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / module
        path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + text, encoding="utf-8")
        copies.append(copy)
        monkeypatch.setattr(irn.provenance, "PACKAGE", copy)

    append("errors.py", "")
    return append


def rewrite(module: str, old: str, new: str) -> None:
    """Replace text in the copy in use, before its fingerprint is first asked for."""
    path = irn.provenance.PACKAGE / module
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_copy_has_the_same_fingerprint(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = {stage: code_fingerprint(stage) for stage in STAGES}
    monkeypatch.setattr(irn.provenance, "PACKAGE", PACKAGE)
    assert {stage: code_fingerprint(stage) for stage in STAGES} == copied
    assert len(set(copied.values())) == len(STAGES)
    assert all(len(digits) == 12 and int(digits, 16) >= 0 for digits in copied.values())


@pytest.mark.parametrize(
    "text",
    ["\n# A comment.\n", "\n\n\n\n", '\n\ndef name() -> None:\n    """What it does."""\n', "\n\nclass Name:\n    value = (1, 2)\n"],
    ids=["comment", "blank lines", "docstring of a function", "layout"],
)
@pytest.mark.parametrize("module", ["stages/random_walk.py", "ops/walk.py", "cache.py"])
def test_comments_docstrings_and_layout_do_not_count(edit: Edit, module: str, text: str) -> None:
    edit(module, text)
    before = code_fingerprint("random_walk")
    other = {
        "\n# A comment.\n": "\n# Another comment, and a longer one.\n# Of two lines.\n",
        "\n\n\n\n": "\n",
    }.get(text, text.replace("What it does.", "What it\n    really does.").replace("(1, 2)", "(\n        1,  # one\n        2,\n    )"))
    assert other != text
    edit("errors.py", "")
    rewrite(module, text, other)
    assert code_fingerprint("random_walk") == before


def test_the_docstring_of_a_module_does_not_count(edit: Edit) -> None:
    before = code_fingerprint("random_walk")
    edit("errors.py", "")
    rewrite("stages/random_walk.py", '"""Spread', '"""Surely spread')
    assert code_fingerprint("random_walk") == before


@pytest.mark.parametrize("module", ["stages/random_walk.py", "ops/walk.py", "ops/paths.py", "cache.py", "files.py", "errors.py"])
def test_code_of_the_stage_and_of_all_that_it_imports_counts(edit: Edit, module: str) -> None:
    before = code_fingerprint("random_walk")
    edit(module, "\nNUMBER = 1\n")
    first = code_fingerprint("random_walk")
    assert first != before
    edit("errors.py", "")
    rewrite(module, "\nNUMBER = 1\n", "\nNUMBER = 2\n")
    assert code_fingerprint("random_walk") not in (before, first)


@pytest.mark.parametrize("module", ["stages/make_labels.py", "ops/crf.py", "ops/losses.py", "networks.py", "cli.py", "new_module.py"])
def test_other_modules_do_not_count(edit: Edit, module: str) -> None:
    before = code_fingerprint("random_walk")
    edit(module, "\nNUMBER = 1\n")
    assert code_fingerprint("random_walk") == before


@pytest.mark.parametrize(
    "statement",
    ["import irn.new_module", "from irn.new_module import NUMBER", "from irn import new_module", "import irn.new_module as new"],
)
def test_every_form_of_import_is_followed(edit: Edit, statement: str) -> None:
    edit("new_module.py", "NUMBER = 1\n")
    # Inside a function too.
    edit("ops/paths.py", f"\n\ndef name() -> None:\n    {statement}\n")
    before = code_fingerprint("random_walk")
    edit("new_module.py", "OTHER = 2\n")
    assert code_fingerprint("random_walk") != before


def test_modules_that_import_each_other(edit: Edit) -> None:
    edit("one.py", "import irn.other\n")
    edit("other.py", "import irn.one\n")
    edit("ops/paths.py", "\nimport irn.one\n")
    before = code_fingerprint("random_walk")
    edit("other.py", "NUMBER = 2\n")
    assert code_fingerprint("random_walk") != before


def test_the_record_holds_settings_and_no_places(tmp_path: Path) -> None:
    places = {"cams": [tmp_path / "a.h5"], "out": tmp_path, "shard": Shard(1, 4), "device": "cpu", "workers": 3}
    settings = {"beta": 10.0, "steps": 256, "split": None, "scales": (1.0, 0.5)}
    record = provenance("random_walk", places | settings)
    assert record["settings"] == settings
    assert record["stage"] == "random_walk"
    assert record["code"] == code_fingerprint("random_walk")
    assert record["versions"]["torch"]
    assert str(tmp_path) not in json.dumps(record)


def test_the_commit_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irn.provenance, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
        command = ["git", *identity, "-C", str(tmp_path), *arguments]
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


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() is None
