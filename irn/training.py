"""The training loop that both networks share, and the crops that they see."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from irn.devices import autocast
from irn.errors import IrnError
from irn.files import whole_file
from irn.images import rescale
from irn.networks import Classifier, IRNet, normalise
from irn.parallel import map_in_order
from irn.progress import progress
from irn.weights import load_file, save_file

POLY_POWER = 0.9
REPORT_EVERY = 10  # steps

Sample = dict[str, np.ndarray]
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns: SGD, learning rates decaying as (1 - step / steps)^0.9."""

    epochs: int
    batch_size: int
    learning_rate: float
    head_factor: float
    momentum: float
    weight_decay: float
    seed: int


@dataclass(frozen=True)
class Place:
    """Which image of which epoch; with the seed it decides all that is random about a sample."""

    epoch: int
    index: int


def train(
    model: Classifier | IRNet,
    sample: Callable[[Place], Sample],
    names: list[str],
    losses_of: Callable[[Batch], dict[str, torch.Tensor]],
    schedule: Schedule,
    device: torch.device,
    precision: str,
    workers: int,
    metrics: Path | None,
    checkpoint: "Checkpoint",
) -> None:
    """Train `model` in place, from where `checkpoint` left it if it holds anything.

    Parameters
    ----------
    model: on `device` already.
    sample: what the network sees of an image in an epoch, as arrays; it runs in `workers` processes.
    names: the images' names; each epoch takes them in another order, and drops the last partial batch.
    losses_of: a batch on `device` to its losses, of which `loss` is minimised and the others reported.
    metrics: where JSON lines of the mean losses go, if anywhere.
    checkpoint: written after each epoch; for the caller to remove once the weights are written.

    Raises IrnError when there are fewer images than one batch holds, and when the loss is no finite number.
    """
    steps_per_epoch = len(names) // schedule.batch_size
    if steps_per_epoch == 0:
        raise IrnError(f"--batch-size {schedule.batch_size}: only {len(names)} images to train on; use a batch size of at most that")
    steps = schedule.epochs * steps_per_epoch
    optimiser = torch.optim.SGD(
        model.parameter_groups(schedule.learning_rate, schedule.head_factor), momentum=schedule.momentum, weight_decay=schedule.weight_decay
    )
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 - step / steps) ** POLY_POWER if step < steps else 0.0)
    report = Report(steps, schedule)
    # Convolutions on CPUs are about a fifth faster in this layout.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train()
    first = checkpoint.restore(model, optimiser, decay, report)
    batches = _batches(sample, names, schedule, workers, first)
    start = first * steps_per_epoch
    for step, samples in enumerate(progress(batches, steps, "training", "step", start), start):
        batch = {name: torch.from_numpy(np.stack([s[name] for s in samples])).to(device) for name in samples[0]}
        with autocast(device, precision):
            losses = losses_of(batch)
        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        optimiser.step()
        try:
            report.add(step, float(decay.get_last_lr()[0]), losses)
        except IrnError:
            checkpoint.remove()  # it may hold the numbers that went astray
            raise
        decay.step()
        if (step + 1) % steps_per_epoch == 0:
            checkpoint.save((step + 1) // steps_per_epoch, model, optimiser, decay, report)
    model.eval()
    if metrics is not None:
        report.write(metrics)


class Checkpoint:
    """The state of a training after its last whole epoch, in a file beside the weights to come; what was killed goes on from it.

    It holds for the same settings, code and input files alone; any other is left unread and written over.
    """

    def __init__(self, weights: Path, record: dict[str, Any], inputs: Iterable[Path | None]) -> None:
        self.path = Path(weights).with_name(Path(weights).name + ".checkpoint")
        found = [(str(path), path.stat()) for path in inputs if path is not None and path.exists()]
        files = [(name, status.st_size, status.st_mtime_ns) for name, status in found]
        self.made_by = json.dumps([record["settings"], record["code"], files], sort_keys=True)

    def save(
        self,
        epochs: int,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        decay: torch.optim.lr_scheduler.LRScheduler,
        report: "Report",
    ) -> None:
        """Write the state after so many epochs."""
        contents = {
            "made_by": self.made_by,
            "epochs": epochs,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "decay": decay.state_dict(),
            "lines": report.lines,
            "recent": [{name: float(value) for name, value in losses.items()} for losses in report.recent],
        }
        save_file(self.path, contents)

    def restore(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        decay: torch.optim.lr_scheduler.LRScheduler,
        report: "Report",
    ) -> int:
        """Put everything back as it was, and say after how many epochs; 0 where there is nothing that holds."""
        if not self.path.exists():
            return 0
        contents = load_file(self.path)
        if contents.get("made_by") != self.made_by:
            return 0
        model.load_state_dict(contents["model"])
        optimiser.load_state_dict(contents["optimiser"])
        decay.load_state_dict(contents["decay"])
        device = next(model.parameters()).device
        report.lines = contents["lines"]
        report.recent = [{name: torch.tensor(value, device=device) for name, value in losses.items()} for losses in contents["recent"]]
        print(f"going on after epoch {contents['epochs']}, from {self.path}", file=sys.stderr)
        return int(contents["epochs"])

    def remove(self) -> None:
        """Delete the file, now that the training's outcome is safe."""
        self.path.unlink(missing_ok=True)


class Report:
    """Mean losses of every few steps, as JSON lines."""

    def __init__(self, steps: int, schedule: Schedule) -> None:
        self.steps, self.schedule = steps, schedule
        self.lines: list[dict[str, Any]] = [{"event": "start", "steps": steps, **asdict(schedule)}]
        self.recent: list[dict[str, torch.Tensor]] = []
        self.since = time.monotonic()

    def add(self, step: int, learning_rate: float, losses: dict[str, torch.Tensor]) -> None:
        """Take the losses of a step; raise IrnError when their mean is no finite number."""
        self.recent.append({name: value.detach() for name, value in losses.items()})
        if len(self.recent) < REPORT_EVERY and step + 1 < self.steps:
            return
        means = {name: float(torch.stack([losses[name] for losses in self.recent]).mean()) for name in losses}
        if not np.isfinite(means["loss"]):
            raise IrnError(f"the loss is {means['loss']} by step {step + 1} of {self.steps}; lower the learning rate or the momentum")
        now = time.monotonic()
        speed = len(self.recent) * self.schedule.batch_size / max(now - self.since, 1e-9)
        epoch = (step * self.schedule.epochs) // self.steps
        line = {"event": "step", "epoch": epoch, "step": step + 1, "learning_rate": learning_rate, **means}
        self.lines.append(line | {"images_per_second": round(speed, 1)})
        self.recent, self.since = [], now

    def write(self, path: Path) -> None:
        """Write all lines so far."""
        with whole_file(path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")


def _batches(sample: Callable[[Place], Sample], names: list[str], schedule: Schedule, workers: int, first: int) -> Iterator[list[Sample]]:
    """Lists of samples, epoch after epoch from `first` on, each in an order of its own, without the last partial batch."""
    whole = len(names) // schedule.batch_size * schedule.batch_size
    places = (
        Place(epoch, int(index))
        for epoch in range(first, schedule.epochs)
        for index in np.random.default_rng([schedule.seed, epoch]).permutation(len(names))[:whole]
    )
    samples = map_in_order(sample, places, workers, lambda place: names[place.index])
    return iter(lambda: [s for _, s in zip(range(schedule.batch_size), samples, strict=False)], [])


def normalised(batch: Batch) -> torch.Tensor:
    """(B, S, S, 3) uint8 `pixels` to (B, 3, S, S) float32, exactly 0 outside the images, whose `box` is top, left, bottom, right."""
    images = normalise(batch["pixels"])
    side = torch.arange(images.shape[-1], device=images.device)
    top, left, bottom, right = (batch["box"][:, i, None] for i in range(4))
    rows, columns = (side >= top) & (side < bottom), (side >= left) & (side < right)
    return images * (rows[:, None, :, None] & columns[:, None, None, :])


def random_view(
    rng: np.random.Generator, pixels: np.ndarray, label: np.ndarray | None, scale: float, crop_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rescale an image, mirror it or not, and place it at random in a square crop, or the crop at random in it.

    Parameters
    ----------
    pixels: (H, W, 3) uint8.
    label: (H, W) uint8 or None; rescaled by the nearest pixel.
    scale: of the sides.
    crop_size: side of the crop in pixels.

    Returns
    -------
    The crop (S, S, 3) uint8, the box that the image fills in it as (4,) int64 top, left, bottom, right, and the
    label's crop (S, S) uint8, 255 outside the image.
    """
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    pixels = rescale(pixels, height, width)
    mirrored = rng.random() < 0.5
    (top, from_top, rows), (left, from_left, columns) = (_place(rng, side, crop_size) for side in (height, width))
    inside = (slice(top, top + rows), slice(left, left + columns))
    taken = (slice(from_top, from_top + rows), slice(from_left, from_left + columns))
    crop = np.zeros((crop_size, crop_size, 3), np.uint8)
    crop[inside] = (pixels[:, ::-1] if mirrored else pixels)[taken]
    box = np.array([top, left, top + rows, left + columns])
    if label is None:
        return crop, box, None
    label = rescale(label, height, width, nearest=True)
    label_crop = np.full((crop_size, crop_size), 255, np.uint8)
    label_crop[inside] = (label[:, ::-1] if mirrored else label)[taken]
    return crop, box, label_crop


def _place(rng: np.random.Generator, side: int, crop_size: int) -> tuple[int, int, int]:
    """Where a side starts in the crop, where the crop starts in the side, and the length that they share."""
    if side <= crop_size:
        return int(rng.integers(crop_size - side + 1)), 0, side
    return 0, int(rng.integers(side - crop_size + 1)), crop_size
