"""The losses of a training, as JSON lines."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irn.errors import IrnError
from irn.io.files import whole_file
from irn.training.schedule import Schedule

LOGGED_EVERY = 10  # steps


class LossLog:
    """Mean losses of every few steps, as JSON lines.

    steps: of the whole training. images_of: the names of the images in the batch of a step.
    """

    def __init__(
        self, steps: int, schedule: Schedule, device: torch.device, images_of: Callable[[int], list[str]]
    ) -> None:
        self.steps, self.schedule, self.device, self.images_of = steps, schedule, device, images_of
        self.lines: list[dict[str, Any]] = [{"event": "start", "steps": steps, **schedule.logged()}]
        self.recent: list[dict[str, torch.Tensor]] = []
        self.since = time.monotonic()

    def add(self, step: int, learning_rate: float, losses: dict[str, torch.Tensor]) -> None:
        """Take the losses of a step, counted from 0.

        Raises IrnError every few steps where a loss was not finite, with the images of the first such step.
        """
        self.recent.append({name: loss.detach() for name, loss in losses.items()})
        if len(self.recent) < LOGGED_EVERY and step + 1 < self.steps:
            return
        means = {name: float(torch.stack([losses[name] for losses in self.recent]).mean()) for name in losses}
        if not np.isfinite(means["loss"]):
            raise self._not_finite(step)
        now = time.monotonic()
        speed = len(self.recent) * self.schedule.batch_size / max(now - self.since, 1e-9)
        epoch = (step * self.schedule.epochs) // self.steps
        line = {"event": "step", "epoch": epoch, "step": step + 1, "learning_rate": learning_rate, **means}
        self.lines.append(line | {"images_per_second": round(speed, 1)})
        self.recent, self.since = [], now

    def _not_finite(self, step: int) -> IrnError:
        values = [float(losses["loss"]) for losses in self.recent]
        first = next((index for index, loss in enumerate(values) if not np.isfinite(loss)), len(values) - 1)
        at = step + 1 - len(values) + first
        return IrnError(
            f"the loss is {values[first]} at step {at + 1} of {self.steps}, of images {', '.join(self.images_of(at))};"
            " lower the learning rate or the momentum, or look at these images and their labels"
        )

    def state_dict(self) -> dict[str, Any]:
        """The lines so far, and the losses of steps since."""
        recent = [{name: float(loss) for name, loss in losses.items()} for losses in self.recent]
        return {"lines": self.lines, "recent": recent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.lines = state_dict["lines"]
        self.recent = [
            {name: torch.tensor(loss, device=self.device) for name, loss in losses.items()}
            for losses in state_dict["recent"]
        ]

    def write(self, path: Path) -> None:
        """Write all lines so far."""
        with whole_file(path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
