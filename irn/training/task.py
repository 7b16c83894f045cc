"""What a network is taught: the images, what it sees of them, and what it minimises."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from irn.networks.base import Trainable
from irn.training.schedule import Schedule
from irn.training.views import Batch, Sample, SampleId

Losses = dict[str, torch.Tensor]
Forward = Callable[..., Any]
# From the counts of a part to those of the whole batch.
BatchCounts = Callable[[torch.Tensor], torch.Tensor]


class Objective(NamedTuple):
    """What a network minimises, told for a part of a batch (irn/training/parts.py).

    losses: from the part, what the network computes and the counts of the whole batch, the part's share of the batch's
        losses. `loss` is minimised, the others are logged.
    counts: from the part and the network, the counts that `losses` asks for, before any part is computed.
    """

    losses: Callable[[Batch, Forward, BatchCounts], Losses]
    counts: Callable[[Batch, Trainable], torch.Tensor]


def nothing_more(network: Any, device: torch.device) -> dict[str, Any]:
    """Of a task whose weights file holds no more than all do."""
    return {}


@dataclass(frozen=True)
class Task:
    """What is trained, on which images, to what end.

    kind: of the weights file.
    make_network: gives the network with random values; its backbone is filled afterwards.
    image_ids: of the images in an epoch; one that is seen several times is there several times.
    view: what the network sees of an image in an epoch, as arrays; it runs in other processes too.
    class_names: for the weights file.
    is_started: whether `make_network` gives the backbone's values as well.
    measure: what else the weights file holds, from the trained network, on its device.
    head_view: makes the view for the epochs in which the last layer learns alone, before the first of them, from the
        network, the task, its schedule, the device and a number of processes that load images. None: `view`.
    """

    kind: str
    make_network: Callable[[], Trainable]
    image_ids: list[str]
    view: Callable[[SampleId], Sample]
    objective: Objective
    class_names: list[str] | None = None
    is_started: bool = False
    measure: Callable[[Any, torch.device], dict[str, Any]] = nothing_more
    head_view: "MakeHeadView | None" = None


MakeHeadView = Callable[[Trainable, Task, Schedule, torch.device, int], Callable[[SampleId], Sample]]
