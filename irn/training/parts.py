"""A batch that is computed in parts, over processes and one after the other, as if it were computed in one.

A loss is a sum over what it is a mean of, divided by how many there are. Each part has its sums divided by the counts of the whole
batch, so that losses and gradients of the parts add up to the batch's.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

from irn.io.devices import autocast
from irn.io.processes import count, rank, total
from irn.networks.backbones import Trainable
from irn.training.views import Batch, Sample, normalised

Losses = dict[str, torch.Tensor]
# The counts of a part to those of the whole batch.
Whole = Callable[[torch.Tensor], torch.Tensor]
Forward = Callable[..., Any]


class Objective(NamedTuple):
    """What a network minimises.

    losses: of a part, what the network computes and the counts of the whole batch, its share of the batch's losses, of which `loss`
        is minimised and the others reported.
    counts: of a part and the network, the counts that `losses` asks for, before any part is computed.
    """

    losses: Callable[[Batch, Forward, Whole], Losses]
    counts: Callable[[Batch, Trainable], torch.Tensor]


def own_parts(batch: Sequence[Any], accumulate: int) -> list[list[Any]]:
    """Those of the parts of a batch that this process computes, in order; they differ in length by one at most."""
    bounds = np.linspace(0, len(batch), count() * accumulate + 1).astype(int)
    parts = [list(batch[first:last]) for first, last in pairwise(bounds)]
    return parts[rank() * accumulate : (rank() + 1) * accumulate]


def stacked(samples: Sequence[Sample], model: Trainable, device: torch.device) -> Batch:
    """The arrays of some samples as tensors on the device, and their `images`, normalised."""
    batch = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])).to(device) for name in samples[0]}
    return batch | {"images": normalised(batch, model.backbone)}


def over_processes(model: Trainable) -> nn.Module:
    """The network as each process calls it: gradients are brought together where there are several."""
    if count() == 1:
        return model
    share_batch_statistics(model)
    # A head that learns alone, and some networks of timm, leave parameters without gradient.
    return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)


def backward(
    parts: Sequence[Batch],
    model: Trainable,
    network: nn.Module,
    objective: Objective,
    device: torch.device,
    precision: str,
) -> Losses:
    """Add the gradients of a batch, of which this process has these parts, and return the losses of the whole batch.

    network: `model` as `over_processes` gives it.
    """
    whole: Whole = total
    if len(parts) > 1:
        with torch.no_grad(), autocast(device, precision):
            counts = total(torch.stack([objective.counts(part, model) for part in parts]).sum(0))
        whole = lambda _: counts  # noqa: E731
    shares: list[Losses] = []
    for part in parts:
        # Gradients are exchanged once, with those of the last part.
        waits = isinstance(network, DistributedDataParallel) and part is not parts[-1]
        with cast(DistributedDataParallel, network).no_sync() if waits else nullcontext():
            with autocast(device, precision):
                losses = objective.losses(part, network, whole)
            # The mean over processes is taken of gradients, where the sum is wanted.
            (losses["loss"] * count()).backward()
        shares.append({name: value.detach() for name, value in losses.items()})
    return {name: total(torch.stack([share[name] for share in shares]).sum(0)) for name in shares[0]}


# ---- batch norm that learns


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are those of the images of all processes; torch's own needs GPUs."""

    rest: nn.Module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same."""
        found = self._normalised(x.float()).to(x.dtype) if self.training else super().forward(x)
        return self.rest(found)

    def _normalised(self, x: torch.Tensor) -> torch.Tensor:
        values = total(torch.tensor(x.numel() / x.shape[1], device=x.device))
        mean = all_reduce(x.sum((0, 2, 3))) / values
        centred = x - mean[:, None, None]
        variance = all_reduce((centred**2).sum((0, 2, 3))) / values
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            share = self.momentum or 0.0
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(variance.detach() * values / (values - 1), share)
            self.num_batches_tracked.add_(1)
        return centred * ((variance + self.eps).rsqrt() * self.weight)[:, None, None] + self.bias[:, None, None]


def share_batch_statistics(module: nn.Module) -> None:
    """Let every batch norm in a network share its statistics over processes; names of tensors stay as they are."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared._parameters, shared._buffers = child._parameters, child._buffers
            # timm's batch norms hold the rectifier too.
            rest = [part for part_name, part in child.named_children() if part_name in ("drop", "act")]
            shared.rest = nn.Sequential(*rest)
            setattr(module, name, shared.train(child.training))
        else:
            share_batch_statistics(child)
