"""A batch that is computed in parts, by several processes and one after the other, with the result of one part.

A loss that is a mean is a sum divided by a count. Each part divides its sums by the counts of the whole batch, so that
losses and gradients of the parts add up to those of the batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

from irn.io.processes import count, rank, total
from irn.networks.base import Trainable, beside_batch_norm
from irn.networks.precision import autocast
from irn.training.task import BatchCounts, Losses, Objective
from irn.training.views import Batch, Sample, normalised


def parts_of_process(batch: Sequence[Any], accumulate: int) -> list[list[Any]]:
    """The parts of a batch that this process computes, in order; they differ in length by one at most."""
    bounds = np.linspace(0, len(batch), count() * accumulate + 1).astype(int)
    parts = [list(batch[first:last]) for first, last in pairwise(bounds)]
    return parts[rank() * accumulate : (rank() + 1) * accumulate]


def to_batch(samples: Sequence[Sample], network: Trainable, device: torch.device) -> Batch:
    """The arrays of some samples as tensors on the device, and, where these have pixels, their `images`, normalised."""
    batch = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])).to(device) for name in samples[0]}
    return batch | {"images": normalised(batch, network.backbone)} if "pixels" in batch else batch


def distributed(network: Trainable) -> nn.Module:
    """The network as each process calls it: several processes add up their gradients."""
    if count() == 1:
        return network
    share_batch_statistics(network)
    # Epochs of the last layer alone, and some networks of timm, leave parameters without gradient.
    return DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=True)


def backward(
    parts: Sequence[Batch],
    network: Trainable,
    shared: nn.Module,
    objective: Objective,
    precision: str,
    head_alone: bool = False,
) -> Losses:
    """Add the gradients of a batch, of which this process has these parts, and return the losses of the whole batch.

    shared: `network` as `distributed` gives it. head_alone: whether the backbone gets no gradients, for a network whose
    `forward` can be told so.
    """
    device = next(iter(parts[0].values())).device
    forward = partial(shared, head_alone=True) if head_alone else shared
    batch_counts: BatchCounts = total
    if len(parts) > 1:
        with torch.no_grad(), autocast(device, precision), statistics_kept(network):
            counts = total(torch.stack([objective.counts(part, network) for part in parts]).sum(0))
        batch_counts = lambda _: counts  # noqa: E731
    shares: list[Losses] = []
    for part in parts:
        # Gradients are exchanged once, with those of the last part.
        waits = isinstance(shared, DistributedDataParallel) and part is not parts[-1]
        with cast(DistributedDataParallel, shared).no_sync() if waits else nullcontext():
            with autocast(device, precision):
                losses = objective.losses(part, forward, batch_counts)
            # Processes take the mean of gradients, where the sum is needed.
            (losses["loss"] * count()).backward()
        shares.append({name: loss.detach() for name, loss in losses.items()})
    return {name: total(torch.stack([share[name] for share in shares]).sum(0)) for name in shares[0]}


# ---- batch norm that learns


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Context in which no batch norm learns from what the network sees."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    buffers = [buffer for norm in norms if norm.training for buffer in norm.buffers()]
    before = [buffer.clone() for buffer in buffers]
    yield
    for buffer, value in zip(buffers, before, strict=True):
        buffer.copy_(value)


TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of the images of all processes; torch's needs GPUs."""

    rest: nn.Module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same."""
        return self.rest(self._normalised(x.float()).to(x.dtype) if self.training else super().forward(x))

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
    """Let every batch norm in a network share its statistics with all processes; tensors keep their names."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            for tensor in TENSORS:
                setattr(shared, tensor, getattr(child, tensor))
            shared.rest = nn.Sequential(*beside_batch_norm(child))
            setattr(module, name, shared.train(child.training))
        else:
            share_batch_statistics(child)
