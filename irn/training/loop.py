"""The training loop that both networks share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irn.errors import IrnError
from irn.io.checkpoint import Checkpoint, Report, Stateful
from irn.io.parallel import map_in_order
from irn.io.processes import count, leave, rank
from irn.io.progress import progress
from irn.networks.backbones import Trainable
from irn.settings.final_networks import FinalTraining
from irn.settings.training import Training
from irn.settings.values import Settings
from irn.training.parts import Objective, backward, over_processes, own_parts, stacked
from irn.training.views import Place, Sample

POLY_POWER = 0.9


@dataclass(frozen=True)
class Means:
    """What a training has to compute with, and where JSON lines of its mean losses go, if anywhere."""

    device: torch.device
    precision: str
    workers: int
    metrics: Path | None


def train(
    model: Trainable,
    view: Callable[[Place], Sample],
    names: list[str],
    objective: Objective,
    own: Training,
    settings: Settings,
    means: Means,
    checkpoint: Checkpoint,
) -> None:
    """Train `model`, learning rates decaying as (1 - step / steps)^0.9, from where `checkpoint` left it if it holds anything.

    Parameters
    ----------
    model: on the device already.
    view: what the network sees of an image in an epoch, as arrays; it runs in other processes.
    names: the images' names; each epoch takes them in another order, and drops the last partial batch.
    own: the settings of this network.
    checkpoint: written after each epoch; for the caller to remove once the weights are written.

    Of several processes (irn/io/processes.py) each computes its part of every batch, and the first alone writes; it alone is to go on
    afterwards.

    Raises IrnError when there are fewer images than one batch holds or in a batch than parts, and, naming the images, when the loss is
    not finite.
    """
    steps_per_epoch = len(names) // own.batch_size
    if steps_per_epoch == 0:
        raise IrnError(
            f"--batch-size {own.batch_size}: only {len(names)} images to train on; use a batch size of at most that"
        )
    if not own.can_split(count(), settings.accumulate):
        parts = "1 part" if settings.accumulate == 1 else f"{settings.accumulate} parts (--accumulate)"
        raise IrnError(
            f"--batch-size {own.batch_size}: too few images for {parts} in {count()} processes; raise it, or take fewer of them"
        )
    head_epochs, epochs = own.passes
    steps = epochs * steps_per_epoch
    groups = model.parameter_groups(own.learning_rate, own.head_factor)
    final = own if isinstance(own, FinalTraining) else None
    sgd = final or settings
    optimiser = make_optimiser(groups, settings.optimiser, sgd.momentum, sgd.weight_decay)
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimiser, partial(_rate, steps=steps, warmup=final.warmup if final else 0)
    )
    schedule = (
        own.model_dump(include=set(Training.model_fields))
        | {"epochs": epochs}
        | sgd.model_dump(include={"momentum", "weight_decay"})
        | {"seed": settings.seed}
    )
    report = Report(
        steps, schedule, means.device, partial(_batch_names, names=names, size=own.batch_size, seed=settings.seed)
    )
    # Convolutions on CPUs are about a fifth faster in this layout.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network = over_processes(model)
    model.train()
    states: dict[str, Stateful] = {"model": model, "optimiser": optimiser, "decay": decay, "report": report}
    first = checkpoint.restore(states)
    batches = _batches(view, names, own, settings, means.workers, first)
    start = first * steps_per_epoch
    for step, own_samples in enumerate(progress(batches, steps, "training", "step", start), start):
        if step % steps_per_epoch == 0:
            # What a network draws by itself is the same after a kill.
            torch.manual_seed(settings.seed + step // steps_per_epoch)
        model.head_alone = step < head_epochs * steps_per_epoch
        optimiser.zero_grad(set_to_none=True)
        batch = [stacked(part, model, means.device) for part in own_samples]
        losses = backward(batch, model, network, objective, means.device, means.precision)
        optimiser.step()
        try:
            report.add(step, float(decay.get_last_lr()[0]), losses)
        except IrnError:
            if rank() == 0:
                checkpoint.remove()  # it may already contain the diverged weights
            raise
        decay.step()
        if (step + 1) % steps_per_epoch == 0 and rank() == 0:
            checkpoint.save((step + 1) // steps_per_epoch, states)
    del network  # what the processes exchange by goes with `leave`, and hangs where a network still holds it
    leave()
    model.eval()
    if means.metrics is not None and rank() == 0:
        report.write(means.metrics)


def make_optimiser(
    groups: list[dict[str, Any]], name: str, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """SGD, or AdamW, whose weight decay is not on norms and biases: parameters of one dimension."""
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)
    parts = []
    for group in groups:
        vectors = [parameter.ndim <= 1 for parameter in group["params"]]
        for decay, vector in ((weight_decay, False), (0.0, True)):
            chosen = [parameter for parameter, one in zip(group["params"], vectors, strict=True) if one is vector]
            parts += [{**group, "params": chosen, "weight_decay": decay}] if chosen else []
    return torch.optim.AdamW(parts)


def _rate(step: int, steps: int, warmup: int) -> float:
    """The learning rate of a step, as a share of its height."""
    rising = min(1.0, (step + 1) / (warmup + 1))
    return rising * (1 - step / steps) ** POLY_POWER if step < steps else 0.0


def _batches(
    view: Callable[[Place], Sample], names: list[str], own: Training, settings: Settings, workers: int, first: int
) -> Iterator[list[list[Sample]]]:
    """This process's parts of each batch; epochs from `first` on, each in an order of its own, without the last partial batch."""
    whole = len(names) // own.batch_size * own.batch_size
    orders = (
        [Place(epoch, int(index)) for index in _order(settings.seed, epoch, len(names))]
        for epoch in range(first, own.passes[1])
    )
    batches = (
        own_parts(order[at : at + own.batch_size], settings.accumulate)
        for order in orders
        for at in range(0, whole, own.batch_size)
    )
    told, shapes = tee(batches)
    places = (place for parts in told for part in parts for place in part)
    samples = map_in_order(view, places, workers, lambda place: names[place.image])
    return ([[next(samples) for _ in part] for part in parts] for parts in shapes)


def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of the images in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def _batch_names(step: int, names: list[str], size: int, seed: int) -> list[str]:
    """The images of a step's batch."""
    epoch, place = divmod(step, len(names) // size)
    return [names[index] for index in _order(seed, epoch, len(names))[place * size : (place + 1) * size]]
