"""One training, from the first values of the network to its weights file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from irn.errors import IrnError
from irn.io.checkpoint import Checkpoint
from irn.io.devices import choose_device, loading_workers
from irn.io.processes import join, rank
from irn.networks.imagenet import start_backbone
from irn.training.loop import train
from irn.training.schedule import Schedule
from irn.training.task import Task
from irn.weights.files import save_weights


@dataclass(frozen=True)
class TrainingOptions:
    """Where a training starts, computes and writes, as the options of its command say.

    made_by: its record for the weights file. inputs: the files that it reads beside `backbone_weights`.
    """

    out: Path
    made_by: dict[str, Any]
    inputs: Sequence[Path | None]
    backbone_weights: Path | None
    metrics: Path | None
    device: str
    workers: int | None
    from_scratch: bool = False

    def __post_init__(self) -> None:
        if self.from_scratch and self.backbone_weights is not None:
            raise IrnError(
                f"--from-scratch: random weights are no start from --backbone-weights {self.backbone_weights};"
                " leave one of the two out"
            )


def train_and_save(task: Task, schedule: Schedule, options: TrainingOptions) -> None:
    """Make the network, train it from where a killed training left it, and write its weights and losses.

    Raises IrnError as `train` and `start_backbone` do.
    """
    device = join(choose_device(options.device))
    # Sets the first values of the network, and of the backbone where it starts from scratch.
    torch.manual_seed(schedule.seed)
    network = task.make_network()
    if not (options.from_scratch or task.is_started):
        start_backbone(network.backbone, options.backbone_weights)
    network.to(device)
    checkpoint = Checkpoint(options.out, options.made_by, [*options.inputs, options.backbone_weights])
    losses = train(network, task, schedule, device, loading_workers(options.workers, device), checkpoint)
    if rank() > 0:
        return
    if options.metrics is not None:
        losses.write(options.metrics)
    more = task.measure(network, device)
    save_weights(options.out, task.kind, network, options.made_by, task.class_names, schedule.crop_size, **more)
    checkpoint.remove()
