"""List, and remove, what no run and no configuration refers to in the store."""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from irn.errors import IrnError
from irn.settings.reading import read_config
from irn.workflow.history import differences, earlier_results, is_locked, most_similar
from irn.workflow.recipes import RESULTS, STORE
from irn.workflow.run import Run


def free_store(configfile: Sequence[Path] = (), delete: bool = False) -> None:
    """Print the store's folders that nothing refers to, with sizes and how they differ from those in use.

    configfile: files of settings, each a configuration by itself, whose results are kept. Those of the demonstration,
        and those that the `run.json` of a run in results/ lists, are kept as well.
    delete: whether to remove the folders. Raises IrnError while Snakemake's lock is on.
    """
    if delete and is_locked():
        raise IrnError(
            ".snakemake/locks: a run is at work here, or one was killed; wait for it, or add --unlock to the snakemake"
            " command once"
        )
    kept = _of_runs()
    records = [json.loads(key.read_text(encoding="utf-8")) for key in (f / "key.json" for f in kept) if key.exists()]
    for files in [(), *([file] for file in configfile)]:
        recipes = Run(read_config(files)).recipes.values()
        kept |= {recipe.folder for recipe in recipes}
        records += [recipe.record for recipe in recipes]
    kept |= _named_in(records)
    free = [folder for folder in sorted(STORE.glob("*/*")) if folder.is_dir() and folder not in kept]
    total = 0
    for folder in free:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        total += size
        print(f"{folder}  {_megabytes(size)}  {_difference(folder, kept)}".rstrip())
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
        for configuration in run["configurations"]
        for folder in [*configuration["stages"].values(), *run["tables"]]
    }


def _named_in(records: Iterable[dict[str, Any]]) -> set[Path]:
    """Folders in the store with what settings name, such as the weights in `irn.start`."""
    store = STORE.resolve()
    values = [value for record in records for value in record.get("places", {}).values()]
    files = [Path(path).resolve() for value in values for path in (value if isinstance(value, list) else [value])]
    inside = [file.relative_to(store) for file in files if file.is_relative_to(store)]
    return {STORE.joinpath(*file.parts[:2]) for file in inside}


def _difference(folder: Path, kept: set[Path]) -> str:
    """How a folder differs from the most similar one that is kept."""
    records = earlier_results(folder.parent.name)
    if folder not in records:
        return "without complete results"
    similar = most_similar(records[folder], [record for path, record in records.items() if path in kept])
    return differences(similar, records[folder]) if similar else ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
