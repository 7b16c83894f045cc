"""What a run made, by its folder results/<run>/."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from irn.data.dataset import mask_folders
from irn.errors import IrnError
from irn.io.cache import provenance_of
from irn.io.progress import NOTICE, notices_in
from irn.settings.checking import settings_of_options
from irn.settings.table import all_settings
from irn.settings.values import Settings
from irn.workflow.stages import ALL_STAGES


class StageFolder(NamedTuple):
    """A stage of the run's own configuration: its folder in the store, the record behind its key, and its files."""

    name: str
    folder: Path
    record: dict[str, Any]
    files: list[Path]

    def _beside(self, name: str) -> list[Path]:
        """What lies beside each cache, or in the folder of a stage that has one for itself, by the end of its name."""
        if ALL_STAGES[self.name].per_image:
            return [path for cache in self.files if (path := cache.with_suffix(f".{name}")).exists()]
        return sorted(self.folder.glob(f"*{name}"))

    @property
    def notices(self) -> list[str]:
        """What its commands found wrong, each line once."""
        lines = [line for log in self._beside("log") for line in notices_in(log)]
        return list(dict.fromkeys(line.removeprefix(NOTICE) for line in lines))

    def cost(self) -> tuple[float, float] | None:
        """Seconds of all its jobs together, and MB of the largest; None without Snakemake's benchmarks."""
        tables = [pd.read_csv(path, sep="\t", na_values=["-", "NA"]) for path in self._beside("benchmark.tsv")]
        if not tables:
            return None
        rows = pd.concat(tables)
        return float(rows["s"].sum()), float(rows["max_rss"].max())

    def made_by(self) -> dict[str, Any]:
        """The provenance in its first cache; empty where it makes none."""
        if not ALL_STAGES[self.name].per_image or not self.files:
            return {}
        return provenance_of(self.files[0])


class RunFolder:
    """A run's folder. What was not made is missing in it.

    Raises IrnError for a folder that no run has made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.name = self.folder.name
        try:
            listed = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            self.configurations: list[dict[str, Any]] = listed["configurations"]
            named = self.configurations[0]["stages"]
        except (OSError, ValueError, KeyError, IndexError):
            raise IrnError(
                f"{folder}: no run.json that a run wrote; expected results/<run>, which snakemake makes"
            ) from None
        # Paths in it are those of the folder that the workflow ran in.
        self.project = self.folder.parents[1]
        self.stages = {
            name: self._stage(name, self.project / path) for name, path in named.items() if name in ALL_STAGES
        }

    def _stage(self, name: str, folder: Path) -> StageFolder:
        key = folder / "key.json"
        record = json.loads(key.read_text(encoding="utf-8")) if key.exists() else {}
        if ALL_STAGES[name].per_image:
            links = sorted((self.folder / name).glob("*.h5"), key=lambda path: int(re.split(r"\D", path.name)[0]))
            return StageFolder(name, folder, record, [path.resolve() for path in links if path.exists()])
        return StageFolder(
            name, folder, record, [path for file in ALL_STAGES[name].makes if (path := folder / file).exists()]
        )

    def file(self, stage: str, name: str) -> Path | None:
        """A file in the folder of a stage, if both are there."""
        path = self.stages[stage].folder / name if stage in self.stages else None
        return path if path and path.exists() else None

    def caches(self, stage: str) -> list[Path]:
        """The caches of a per-image stage; none unless all are there."""
        links = list((self.folder / stage).glob("*.h5"))
        files = self.stages[stage].files if stage in self.stages else []
        return files if len(files) == len(links) else []

    def table(self, name: str) -> pd.DataFrame | None:
        """A table of the run, such as `scores.csv`, if it is there."""
        path = self.folder / name
        return (
            pd.read_csv(path, dtype={"class": str, "seed": str, "split": str}, keep_default_na=False, na_values=[""])
            if path.exists()
            else None
        )

    @cached_property
    def settings_by_key(self) -> dict[str, Any]:
        """The settings of all stages, by key."""
        values: dict[str, Any] = {}
        for stage in self.stages.values():
            values |= {key: value for key, value in stage.record.get("settings", {}).items() if key in all_settings()}
        return values

    @cached_property
    def settings(self) -> Settings:
        """The same as settings; what no stage got is the paper's."""
        return settings_of_options(self.settings_by_key, {}, f"see {self.folder}")

    def masks(self) -> tuple[Path | None, Path | None]:
        """Where ground truth of classes and of objects lies; none where nothing was scored."""
        if "evaluate" not in self.stages:
            return None, None
        dataset = self.settings.dataset
        root = (
            self.stages["make_demo_data"].folder / "data"
            if "make_demo_data" in self.stages
            else self.project / str(dataset.root)
        )
        classes, objects = mask_folders(dataset, root)
        return (self.project / classes if classes else None), (self.project / objects if objects else None)
