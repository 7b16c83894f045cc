"""List, and remove, what no run and no configuration refers to in the store."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from irn.errors import IrnError
from irn.settings.reading import read_config
from irn.workflow.store import RESULTS, STORE, Run, differences, locked, made, nearest


def free_store(configfile: Sequence[Path] = (), delete: bool = False) -> None:
    """Print the store's folders that nothing refers to, with sizes and what sets them apart; remove them if asked to.

    A folder is kept when the `run.json` of a run in results/ lists it, and when it belongs to the demonstration as it stands
    or to one of the files `configfile`, each a configuration by itself. Raises IrnError instead of removing while Snakemake's
    lock is on.
    """
    if delete and locked():
        raise IrnError(
            ".snakemake/locks: a run is at work here, or one was killed; wait for it, or add --unlock to the snakemake command once"
        )
    kept = _of_runs()
    for files in [(), *([file] for file in configfile)]:
        kept |= {recipe.folder for recipe in Run(read_config(files)).recipes.values()}
    free = [folder for folder in sorted(STORE.glob("*/*")) if folder.is_dir() and folder not in kept]
    total = 0
    for folder in free:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        total += size
        print(f"{folder}  {_megabytes(size)}  {_apart(folder, kept)}".rstrip())
        if delete:
            shutil.rmtree(folder)
    end = "" if delete or not free else "; --delete removes them"
    print(f"{'removed' if delete else 'free'}: {len(free)} folder{'s' * (len(free) != 1)}, {_megabytes(total)}{end}")


def _of_runs() -> set[Path]:
    """Folders in the store that the runs in results/ refer to."""
    lists = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*/run.json")]
    return {
        Path(folder)
        for run in lists
        for one in run["configurations"]
        for folder in [*one["stages"].values(), *run["tables"]]
    }


def _apart(folder: Path, kept: set[Path]) -> str:
    """What sets a folder apart from the nearest one that is kept."""
    folders = made(folder.parent.name)
    if folder not in folders:
        return "nothing whole in it"
    other = nearest(folders[folder], [record for path, record in folders.items() if path in kept])
    return ", ".join(differences(other, folders[folder])) if other else ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
