"""The training loop of all networks."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, tee

import numpy as np
import torch

from irn.errors import IrnError
from irn.io.checkpoint import Checkpoint, Stateful
from irn.io.parallel import map_in_order
from irn.io.processes import leave, rank
from irn.io.progress import progress
from irn.networks.base import Trainable
from irn.training.loss_log import LossLog
from irn.training.parts import backward, distributed, parts_of_process, to_batch
from irn.training.schedule import Schedule, make_optimiser
from irn.training.task import Task
from irn.training.views import Sample, SampleId


def train(
    network: Trainable, task: Task, schedule: Schedule, device: torch.device, workers: int, checkpoint: Checkpoint
) -> LossLog:
    """Train a network and return its losses; it goes on where `checkpoint` left it, if that holds anything.

    Parameters
    ----------
    network: on the device already; in evaluation mode afterwards.
    workers: processes that load images.
    checkpoint: written after each epoch; for the caller to remove once the weights are written.

    Of several processes (irn/io/processes.py) each computes its part of every batch. Only the first writes, and only it
    goes on afterwards.

    Raises IrnError when there are fewer images than one batch has, and when the loss is not finite, naming the images.
    """
    steps_per_epoch = schedule.steps_per_epoch(len(task.image_ids))
    steps = schedule.epochs * steps_per_epoch
    groups = network.parameter_groups(schedule.learning_rate, schedule.head_factor)
    optimiser = make_optimiser(groups, schedule.optimiser, schedule.momentum, schedule.weight_decay)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(schedule.rate, steps=steps))
    losses = LossLog(steps, schedule, device, partial(_batch_ids, ids=task.image_ids, schedule=schedule))
    # Convolutions on CPUs are about a fifth faster in this layout.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    states: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "rates": rates, "losses": losses}
    first_epoch = checkpoint.restore(states)
    batches = _all_batches(network, task, schedule, device, workers, first_epoch)
    shared = distributed(network)
    network.train()
    for step, samples in enumerate(batches, first_epoch * steps_per_epoch):
        epoch = step // steps_per_epoch
        if step % steps_per_epoch == 0:
            # What a network draws without a seed of its own is the same after a kill.
            torch.manual_seed(schedule.seed + epoch)
        optimiser.zero_grad(set_to_none=True)
        parts = [to_batch(part, network, device) for part in samples]
        head_alone = epoch < schedule.head_epochs
        try:
            step_losses = backward(parts, network, shared, task.objective, schedule.precision, head_alone)
        except ValueError as error:
            raise _in_words(error, schedule) from None
        optimiser.step()
        try:
            losses.add(step, float(rates.get_last_lr()[0]), step_losses)
        except IrnError:
            if rank() == 0:
                checkpoint.remove()  # it may already contain the diverged weights
            raise
        rates.step()
        if (step + 1) % steps_per_epoch == 0 and rank() == 0:
            checkpoint.save(epoch + 1, states)
    # `leave` ends what processes exchange gradients by, and hangs where a network still holds it.
    del shared
    leave()
    network.eval()
    return losses


def _all_batches(
    network: Trainable, task: Task, schedule: Schedule, device: torch.device, workers: int, first_epoch: int
) -> Iterator[list[list[Sample]]]:
    """The batches from an epoch on, with their progress; the view of the last layer is made before the first."""

    def of_epochs(first: int, end: int, task: Task, workers: int, what: str) -> Iterator[list[list[Sample]]]:
        batches = _batches(task, schedule, workers, range(first, end))
        return progress(batches, end * steps_per_epoch, what, "step", first * steps_per_epoch)

    steps_per_epoch = schedule.steps_per_epoch(len(task.image_ids))
    if task.head_view is None or first_epoch >= schedule.head_epochs:
        return of_epochs(first_epoch, schedule.epochs, task, workers, "training")
    head_view = task.head_view(network, task, schedule, device, workers)
    return chain(
        of_epochs(first_epoch, schedule.head_epochs, replace(task, view=head_view), 0, "last layer"),
        of_epochs(schedule.head_epochs, schedule.epochs, task, workers, "all layers"),
    )


def _batches(task: Task, schedule: Schedule, workers: int, epochs: Iterable[int]) -> Iterator[list[list[Sample]]]:
    """This process's parts of each batch of some epochs; the last partial batch of an epoch is left out."""
    count, size = len(task.image_ids), schedule.batch_size
    orders = ([SampleId(epoch, int(index)) for index in _order(schedule.seed, epoch, count)] for epoch in epochs)
    batches = (
        parts_of_process(order[at : at + size], schedule.accumulate)
        for order in orders
        for at in range(0, count // size * size, size)
    )
    loaded, shapes = tee(batches)
    wanted = (sample_id for parts in loaded for part in parts for sample_id in part)
    samples = map_in_order(task.view, wanted, workers, lambda sample_id: task.image_ids[sample_id.image])
    return ([[next(samples) for _ in part] for part in parts] for parts in shapes)


def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of the images in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def _batch_ids(step: int, ids: list[str], schedule: Schedule) -> list[str]:
    """The images in the batch of a step."""
    size = schedule.batch_size
    epoch, place = divmod(step, len(ids) // size)
    return [ids[index] for index in _order(schedule.seed, epoch, len(ids))[place * size : (place + 1) * size]]


def _in_words(error: ValueError, schedule: Schedule) -> ValueError:
    """What to say where batch norm, which learns, has one value to learn from; any other error as it is."""
    if "Expected more than 1 value per channel" not in str(error):
        return error
    return IrnError(
        f"--batch-size {schedule.batch_size}, --accumulate {schedule.accumulate}: batch norm sees one value at a time;"
        " take 2 images or more in each part, a larger --crop-size, or a backbone with weights"
    )
