"""Earlier results in the store, and how recipes differ from them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from irn.settings.writing import as_text
from irn.workflow.recipes import STORE, Recipe

NAMED = 4  # stages that are read; the report of a sweep reads dozens


def what_is_new(recipe: Recipe) -> str:
    """Why a stage has no file yet, in words."""
    earlier = earlier_results(recipe.stage.name)
    if recipe.folder in earlier:
        return "its files were removed, or only files of other splits or shards exist"
    logs = sorted(map(str, recipe.folder.rglob("*.log")))
    if logs:
        return f"begun and not finished; see {logs[0]}"
    before = most_similar(recipe.record, earlier.values())
    return differences(before, recipe.record) if before else "never made"


def earlier_results(stage: str) -> dict[Path, dict[str, Any]]:
    """The folders of a stage in which a job has finished, with the records of their keys."""
    # Snakemake writes a benchmark when a job has succeeded.
    folders = [
        path
        for path in sorted((STORE / stage).glob("*"))
        if any(path.rglob("*benchmark.tsv")) and (path / "key.json").exists()
    ]
    return {folder: json.loads((folder / "key.json").read_text(encoding="utf-8")) for folder in folders}


def most_similar(record: dict[str, Any], candidates: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Among records of the same stage, the one with the fewest differences; None if there is none."""
    return min(candidates, key=lambda it: len(_own(it, record)) + len(_changed("reads", it, record)), default=None)


def differences(before: dict[str, Any], after: dict[str, Any]) -> str:
    """How two records of one stage differ, in words: settings, code, format, files, and stages that it reads."""
    read = _changed("reads", before, after)
    words = ", ".join([*_own(before, after), *(f"reads another {stage}" for stage in read[:NAMED])])
    return f"{words}, and {len(read) - NAMED} more" if len(read) > NAMED else words


def _own(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """How two records differ, but for the stages that are read."""
    old, new = before.get("settings", {}), after.get("settings", {})
    words = [f"{key} {as_text(old.get(key))} -> {as_text(new.get(key))}" for key in _changed("settings", before, after)]
    words += ["code edited"] * (before.get("code") != after.get("code"))
    words += ["another cache format"] * (before.get("format") != after.get("format"))
    words += ["other configurations"] * (before.get("configurations") != after.get("configurations"))
    return words + [f"{name} changed" for name in _changed("files", before, after)]


def _changed(part: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names in a part of two records whose values differ."""
    old, new = before.get(part, {}), after.get(part, {})
    return [name for name in {**new, **old} if old.get(name) != new.get(name)]


def is_locked() -> bool:
    """Whether Snakemake's lock is on the folder: a run is at work, or one was killed."""
    folder = Path(".snakemake/locks")
    return folder.is_dir() and any(folder.iterdir())
