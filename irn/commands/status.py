"""What exists of every stage of a run, and how the rest differs from earlier results."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from irn.settings.reading import read_config
from irn.settings.writing import as_text
from irn.workflow.history import differences, earlier_results, is_locked, most_similar
from irn.workflow.recipes import Recipe
from irn.workflow.run import Run

WIDTH = 100  # columns


def status(configfile: Sequence[Path] = (), config: Sequence[str] = ()) -> None:
    """Print for each stage of a run, in all its configurations, what is done, its folder, its settings and what is new.

    Paths are relative to the folder that the workflow runs in.
    """
    run = Run(read_config(configfile, config))
    recipes = run.shown
    print(f"run {run.settings.run}: {sum(recipe.exists() for recipe in recipes)} of {len(recipes)} stages are done")
    column = 2 + max(len(recipe.stage.name) for recipe in recipes)
    for recipe in recipes:
        print(f"{recipe.stage.name:{column}}{_state(recipe)}")
        for text in (str(recipe.folder), _settings(recipe)):
            print(textwrap.indent(textwrap.fill(text, WIDTH), "    "))
    if is_locked():
        print(
            "The folder is locked: a run is at work here, or one was killed. If none is at work, add --unlock to your"
            " snakemake command once, then run it again; complete files are kept."
        )


def _state(recipe: Recipe) -> str:
    exist = [Path(file).exists() for file in recipe.files()]
    if all(exist):
        return "done"
    if any(exist):
        return f"{sum(exist)} of {len(exist)}"
    return f"{'to do':9}{_what_is_new(recipe)}"


def _settings(recipe: Recipe) -> str:
    """The code and the settings that a stage is made with."""
    words = [f"code {recipe.record.get('code', '-')}"]
    words += [f"{key} {as_text(value)}" for key, value in recipe.record.get("settings", {}).items()]
    if recipe.stage.per_image:
        words += [f"splits {'+'.join(recipe.splits)}", f"shards {recipe.settings.shards}"]
    return ", ".join(words)


def _what_is_new(recipe: Recipe) -> str:
    """Why a stage has no file yet."""
    earlier = earlier_results(recipe.stage.name)
    if recipe.folder in earlier:
        return "its files were removed, or only files of other splits or shards exist"
    logs = sorted(map(str, recipe.folder.rglob("*.log")))
    if logs:
        return f"begun and not finished; see {logs[0]}"
    before = most_similar(recipe.record, earlier.values())
    return ", ".join(differences(before, recipe.record)) if before else "never made"
