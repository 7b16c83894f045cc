"""What a run made, by its folder results/<run>/."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from irn.data.dataset import mask_folders
from irn.data.score_table import read_scores
from irn.errors import IrnError
from irn.io.cache import provenance_of
from irn.io.progress import NOTICE, notices_in
from irn.settings.checking import settings_of_options
from irn.settings.lookup import all_settings
from irn.settings.settings import Settings
from irn.workflow.stages import ALL_STAGES

if TYPE_CHECKING:
    import pandas as pd


class Cost(NamedTuple):
    """What a stage cost: the time of all its jobs together, and the memory of the largest, NaN where not measured."""

    seconds: float
    megabytes: float


class StageFolder(NamedTuple):
    """A stage of the run's own configuration: folder in the store, what its key was made from, files that exist."""

    name: str
    folder: Path
    record: dict[str, Any]
    files: list[Path]

    def _beside(self, suffix: str) -> list[Path]:
        """The files of a stage that end in `suffix`: beside each cache, or in the folder of a stage without caches."""
        if ALL_STAGES[self.name].per_image:
            return [path for cache in self.files if (path := cache.with_suffix(f".{suffix}")).exists()]
        return sorted(self.folder.glob(f"*{suffix}"))

    @property
    def notices(self) -> list[str]:
        """The notices in the logs of its commands, each once."""
        lines = [line for log in self._beside("log") for line in notices_in(log)]
        return list(dict.fromkeys(line.removeprefix(NOTICE) for line in lines))

    def cost(self) -> Cost | None:
        """What its jobs cost by Snakemake's benchmarks; None where there are none."""
        import pandas as pd  # which only tables need

        tables = [pd.read_csv(path, sep="\t", na_values=["-", "NA"]) for path in self._beside("benchmark.tsv")]
        if not tables:
            return None
        rows = pd.concat(tables)
        return Cost(float(rows["s"].sum()), float(rows["max_rss"].max()))

    def provenance(self) -> dict[str, Any]:
        """The provenance in its first cache; empty where it has none."""
        if not ALL_STAGES[self.name].per_image or not self.files:
            return {}
        return provenance_of(self.files[0])


class RunFolder:
    """A run's folder. What was not made is missing in it.

    Raises IrnError for a folder that is not a run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.name = self.folder.name
        try:
            # Paths in run.json are relative to the folder that the workflow ran in.
            self.project = self.folder.parents[1]
            listed = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            self.configurations: list[dict[str, Any]] = listed["configurations"]
            folders = self.configurations[0]["stages"]
            self.tables = [self.project / path for path in listed["tables"]]
        except (OSError, ValueError, KeyError, IndexError):
            raise IrnError(
                f"{folder}: no run.json that a run wrote; expected results/<run>, which snakemake makes"
            ) from None
        self.stages = {
            name: self._stage(name, self.project / path) for name, path in folders.items() if name in ALL_STAGES
        }

    def _stage(self, name: str, folder: Path) -> StageFolder:
        key = folder / "key.json"
        record = json.loads(key.read_text(encoding="utf-8")) if key.exists() else {}
        if ALL_STAGES[name].per_image:
            links = sorted((self.folder / name).glob("*.h5"), key=lambda path: int(re.split(r"\D", path.name)[0]))
            return StageFolder(name, folder, record, [path.resolve() for path in links if path.exists()])
        files = [folder / file for file in ALL_STAGES[name].makes]
        return StageFolder(name, folder, record, [path for path in files if path.exists()])

    def shows(self, file: Path) -> bool:
        """Whether it links to a table or report."""
        return file.absolute().parent in self.tables

    def file(self, stage: str, name: str) -> Path | None:
        """A file in the folder of a stage, if both exist."""
        path = self.stages[stage].folder / name if stage in self.stages else None
        return path if path and path.exists() else None

    def caches(self, stage: str) -> list[Path]:
        """The caches of a per-image stage; none unless all exist."""
        links = list((self.folder / stage).glob("*.h5"))
        files = self.stages[stage].files if stage in self.stages else []
        return files if len(files) == len(links) else []

    def table(self, name: str) -> "pd.DataFrame | None":
        """A table of the run, such as `scores.csv`, if it exists."""
        path = self.folder / name
        return read_scores(path) if path.exists() else None

    @cached_property
    def setting_values(self) -> dict[str, Any]:
        """The settings of all stages, by key."""
        values: dict[str, Any] = {}
        for stage in self.stages.values():
            settings = stage.record.get("settings", {}) | stage.record.get("places", {})
            values |= {key: value for key, value in settings.items() if key in all_settings()}
        return values

    @cached_property
    def settings(self) -> Settings:
        """The same as settings; those that no stage has are the paper's."""
        return settings_of_options(self.setting_values, {}, f"see {self.folder}")

    @property
    def scored_splits(self) -> list[str]:
        """The splits that are scored."""
        return self.settings.dataset.eval_split.split("+")

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
