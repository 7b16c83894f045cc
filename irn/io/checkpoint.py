"""What a training leaves on the disk while it goes on: its state after each epoch, and its losses."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from irn.errors import IrnError
from irn.io.files import whole_file
from irn.io.processes import rank
from irn.io.tensors import load_file, save_file

REPORT_EVERY = 10  # steps


class Stateful(Protocol):
    """A part of a training whose state can be kept."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Go on from there."""


class Checkpoint:
    """The state of a training after its last whole epoch, in a file beside the weights to come; what was killed goes on from it.

    It holds for the same settings, code and input files alone; any other is left unread and written over.
    """

    def __init__(self, weights: Path, record: dict[str, Any], inputs: Iterable[Path | None]) -> None:
        self.path = Path(weights).with_name(Path(weights).name + ".checkpoint")
        found = [(str(path), path.stat()) for path in inputs if path is not None and path.exists()]
        files = [(name, status.st_size, status.st_mtime_ns) for name, status in found]
        self.made_by = json.dumps([record["settings"], record["code"], files], sort_keys=True)

    def save(self, epochs: int, parts: dict[str, Stateful]) -> None:
        """Write the state of all parts after so many epochs."""
        save_file(
            self.path,
            {"made_by": self.made_by, "epochs": epochs} | {name: part.state_dict() for name, part in parts.items()},
        )

    def restore(self, parts: dict[str, Stateful]) -> int:
        """Put all parts back as they were, and say after how many epochs; 0 where there is nothing that holds."""
        contents = load_file(self.path) if self.path.exists() else {}
        if contents.get("made_by") != self.made_by:
            return 0
        for name, part in parts.items():
            part.load_state_dict(contents[name])
        if rank() == 0:
            print(f"going on after epoch {contents['epochs']}, from {self.path}", file=sys.stderr)
        return int(contents["epochs"])

    def remove(self) -> None:
        """Delete the file, now that the training's outcome is safe."""
        self.path.unlink(missing_ok=True)


class Report:
    """Mean losses of every few steps, as JSON lines."""

    def __init__(
        self, steps: int, schedule: dict[str, Any], device: torch.device, images_of: Callable[[int], list[str]]
    ) -> None:
        self.steps, self.schedule, self.device, self.images_of = steps, schedule, device, images_of
        self.lines: list[dict[str, Any]] = [{"event": "start", "steps": steps, **schedule}]
        self.recent: list[dict[str, torch.Tensor]] = []
        self.since = time.monotonic()

    def add(self, step: int, learning_rate: float, losses: dict[str, torch.Tensor]) -> None:
        """Take the losses of a step; every few steps, raise IrnError with the images of the first one whose loss is not finite."""
        self.recent.append({name: value.detach() for name, value in losses.items()})
        if len(self.recent) < REPORT_EVERY and step + 1 < self.steps:
            return
        means = {name: float(torch.stack([losses[name] for losses in self.recent]).mean()) for name in losses}
        if not np.isfinite(means["loss"]):
            values = [float(losses["loss"]) for losses in self.recent]
            first = next((row for row, value in enumerate(values) if not np.isfinite(value)), len(values) - 1)
            at = step + 1 - len(values) + first
            where = f"at step {at + 1} of {self.steps}, of images {', '.join(self.images_of(at))}"
            raise IrnError(
                f"the loss is {values[first]} {where}; lower the learning rate or the momentum, or look at these images and their labels"
            )
        now = time.monotonic()
        speed = len(self.recent) * self.schedule["batch_size"] / max(now - self.since, 1e-9)
        epoch = (step * self.schedule["epochs"]) // self.steps
        line = {"event": "step", "epoch": epoch, "step": step + 1, "learning_rate": learning_rate, **means}
        self.lines.append(line | {"images_per_second": round(speed, 1)})
        self.recent, self.since = [], now

    def state_dict(self) -> dict[str, Any]:
        """The lines so far, and the losses of steps since."""
        return {
            "lines": self.lines,
            "recent": [{name: float(value) for name, value in losses.items()} for losses in self.recent],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.lines = state_dict["lines"]
        self.recent = [
            {name: torch.tensor(value, device=self.device) for name, value in one.items()}
            for one in state_dict["recent"]
        ]

    def write(self, path: Path) -> None:
        """Write all lines so far."""
        with whole_file(path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
