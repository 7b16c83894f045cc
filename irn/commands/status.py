"""What exists of every stage of a run, and how the rest differs from earlier results."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from irn.settings.reading import read_config
from irn.settings.writing import as_text
from irn.workflow.history import is_locked, what_is_new
from irn.workflow.recipes import Recipe
from irn.workflow.run import Run

WIDTH = 80  # columns


def status(configfile: Sequence[Path] = (), config: Sequence[str] = ()) -> None:
    """Print for each stage of a run, in all its configurations, what is done, its folder, its settings and what is new.

    Paths are relative to the folder that the workflow runs in.
    """
    run = Run(read_config(configfile, config))
    recipes = run.shown
    print(f"run {run.settings.run}: {sum(recipe.exists() for recipe in recipes)} of {len(recipes)} stages are done")
    column = 2 + max(len(recipe.stage.name) for recipe in recipes)
    for recipe in recipes:
        print(_filled(f"{recipe.stage.name:{column}}{_state(recipe)}", "      "))
        for text in (str(recipe.folder), _settings(recipe)):
            print(_filled("    " + text, "    "))
    if is_locked():
        print(
            _filled(
                "The folder is locked: a run is at work here, or one was killed. If none is at work, add --unlock to"
                " your snakemake command once, then run it again; complete files are kept."
            )
        )


def _filled(text: str, indent: str = "") -> str:
    """The text in lines; `indent` comes before each but the first."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _state(recipe: Recipe) -> str:
    exist = [recipe.has_made(file) for file in recipe.files()]
    if all(exist):
        return "done"
    if any(exist):
        return f"{sum(exist)} of {len(exist)}"
    return f"{'to do':9}{what_is_new(recipe)}"


def _settings(recipe: Recipe) -> str:
    """The code and the settings that a stage is made with."""
    words = [f"code {recipe.record.get('code', '-')}"]
    words += [f"{key} {as_text(value)}" for key, value in recipe.record.get("settings", {}).items()]
    if recipe.stage.per_image:
        words += [f"splits {'+'.join(recipe.splits)}", f"shards {recipe.settings.shards}"]
    return ", ".join(words)
