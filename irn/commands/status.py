"""What there is of every stage of a run, and what sets the rest apart from what was made before."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from irn.settings.reading import read_config
from irn.settings.writing import as_text
from irn.workflow.store import Recipe, Run, differences, locked, made, nearest, splits_of

WIDTH = 100


def status(configfile: Sequence[Path] = (), config: Sequence[str] = ()) -> None:
    """Print for each stage of a run, in all its configurations, what is done, where it lies, how it is made and what is new.

    Paths are taken from the folder that the workflow runs in.
    """
    run = Run(read_config(configfile, config))
    states = [(recipe, [Path(file).exists() for file in recipe.files()]) for recipe in run.shown]
    print(f"run {run.settings.run}: {sum(all(exist) for _, exist in states)} of {len(states)} stages are done")
    column = 2 + max(len(recipe.stage.name) for recipe in run.shown)
    for recipe, exist in states:
        there = sum(exist)
        state = "done" if all(exist) else f"{there} of {len(exist)}" if there else "to do"
        print(f"{recipe.stage.name:{column}}{state:9}{'' if there else _what_is_new(recipe)}".rstrip())
        given = [f"{key} {as_text(given)}" for key, given in recipe.record.get("settings", {}).items()]
        given += (
            [f"splits {'+'.join(splits_of(recipe.settings))}", f"shards {recipe.settings.shards}"]
            if recipe.stage.per_image
            else []
        )
        for text in (str(recipe.folder), ", ".join([f"code {recipe.record.get('code', '-')}", *given])):
            print(textwrap.indent(textwrap.fill(text, WIDTH), "    "))
    if locked():
        print(
            "The folder is locked: a run is at work here, or one was killed. If none is at work, add --unlock to your snakemake"
            " command once, then run it again; what was whole is kept."
        )


def _what_is_new(recipe: Recipe) -> str:
    """Why a stage has no file where its folder is to be."""
    earlier = made(recipe.stage.name)
    if recipe.folder in earlier:
        return "its files were removed, or those of other splits or shards are there"
    logs = sorted(map(str, recipe.folder.rglob("*.log")))
    if logs:
        return f"begun and not finished; see {logs[0]}"
    before = nearest(recipe.record, earlier.values())
    return ", ".join(differences(before, recipe.record)) if before else "never made"
