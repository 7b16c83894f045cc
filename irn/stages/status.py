"""What there is of every stage, and what the workflow would make again and why."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irn.config import read_config
from irn.store import PER_IMAGE, Plan, as_text, differences, locked, made, nearest

WIDTH = 100


@dataclass
class State:
    """Why each part of a stage (a shard, or all its files as one) is to be made, empty where it stands; and why in short."""

    parts: list[str]
    reason: str

    @property
    def done(self) -> bool:
        return not any(self.parts)

    def __str__(self) -> str:
        standing = self.parts.count("")
        return "done" if self.done else f"{standing} of {len(self.parts)}" if standing else "to do"


def status(configfile: Sequence[Path] = (), config: Sequence[str] = (), brief: bool = False) -> None:
    """Print for each stage of a configuration what there is, where, made how, and why it would be made again.

    Paths are taken from the folder that the workflow runs in. Edits of the rules themselves are seen by Snakemake alone.
    """
    plan = Plan(read_config(configfile, config))
    states: dict[str, State] = {}
    for stage in plan.stages:
        states[stage] = _state(plan, stage, states)
    done = sum(state.done for state in states.values())
    print(f"run {plan.config['run']}: {done} of {len(states)} stages are done")
    for stage, state in states.items():
        print(f"{stage:16}{state!s:9}{state.reason}".rstrip())
        if not brief:
            record = plan.record(stage)
            settings = [f"{name} {as_text(value)}" for name, value in record["settings"].items()]
            settings += [f"{name} {record[name]}" for name in ("split", "shards") if name in record]
            for text in (str(plan.folder(stage)), ", ".join([f"code {record['code']}", *settings])):
                print(textwrap.indent(textwrap.fill(text, WIDTH), "    "))
    if done == len(states) and not _shown(plan):
        print(f"results/{plan.config['run']}/ does not show these files yet: run the workflow, which computes nothing again")
    if locked():
        print(
            "The folder is locked: a run is at work here, or one was killed. If none is at work, add --unlock to your snakemake"
            " command once, then run it again; what was whole is kept."
        )


def _state(plan: Plan, stage: str, states: dict[str, State]) -> State:
    files = [Path(name) for name in plan.files(stage)]
    parts = [[file] for file in files] if stage in PER_IMAGE else [files]
    reasons = [_stale(plan, stage, index, part, states) for index, part in enumerate(parts)]
    if any(file.exists() for file in files):
        return State(reasons, next(filter(None, reasons), ""))
    # What differs from what was made before says more than that it is missing.
    return State(reasons, _why_new(plan, stage, states))


def _stale(plan: Plan, stage: str, index: int, part: Sequence[Path], states: dict[str, State]) -> str:
    """Why one part is to be made again; empty where it stands."""
    missing = [file for file in part if not file.exists()]
    if missing:
        return f"{missing[0].name} is missing"
    oldest = min(map(_time, part))
    for other in plan.inputs(stage):
        sources, theirs = plan.files(other), states[other].parts
        if stage in PER_IMAGE and other in PER_IMAGE:
            sources, theirs = [sources[index]], [theirs[index]]
        if any(theirs):
            return f"waits for {other}"
        if any(_time(Path(source)) > oldest for source in sources):
            return f"older than {other}, which it reads"
    return ""


def _why_new(plan: Plan, stage: str, states: dict[str, State]) -> str:
    """Why a stage has no file where its folder is to be."""
    folder, record = plan.folder(stage), plan.record(stage)
    if folder in made(stage):
        return "its files were removed"
    logs = [str(path) for path in sorted(folder.glob("*.log"))]
    if logs:
        return f"begun and not finished; see {logs[0]}"
    before = nearest(record, made(stage).values())
    if before is None:
        return "never made"
    waits = [other for other in record["reads"] if not states[other].done]
    said = [text for text in differences(before, record) if text not in [f"reads another {other}" for other in waits]]
    return ", ".join(said + ([f"waits for {', '.join(waits)}"] if waits else []))


def _shown(plan: Plan) -> bool:
    """Whether the run's folder lists the files of this configuration."""
    shown = Path("results") / plan.config["run"] / "run.json"
    return shown.is_file() and json.loads(shown.read_text(encoding="utf-8")) == {s: str(plan.folder(s)) for s in plan.stages}


def _time(path: Path) -> int:
    # Snakemake dates a folder by this file in it.
    stamp = path / ".snakemake_timestamp"
    return (stamp if stamp.exists() else path).stat().st_mtime_ns
