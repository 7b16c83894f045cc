"""Losses on pairs of pixels that train IRNet."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from irn.grid import UNSURE
from irn.ops.paths import fill_path_maxima, pair_offsets

EPSILON = 1e-5
# Kinds of pairs; 0 is a pair with an unsure end.
BACKGROUND, FOREGROUND, DIFFERENT = 1, 2, 3
KINDS = 4
PLANES = 16  # that are computed at a time: fresh memory for all pairs would cost more than the arithmetic


def pair_losses(
    boundary_logits: torch.Tensor,
    displacement: torch.Tensor,
    label: torch.Tensor,
    radius: int,
    whole: Callable[[torch.Tensor], torch.Tensor] = lambda counts: counts,
) -> dict[str, torch.Tensor]:
    """The four losses of IRNet, each a scalar over the whole batch.

    Parameters
    ----------
    boundary_logits: (B, 1, H, W) float.
    displacement: (B, 2, H, W) float, (dy, dx) in cells.
    label: (B, H, W) uint8, 0 background, 1 + class index, 255 unsure, same device.
    radius: in cells; H >= radius and W >= 2 radius - 1, or there is no pair and every loss is 0.
    whole: for a part of a batch, a function of its counts (`pair_counts`) that gives those of the whole batch. Then the
        part's shares are returned, and those of all parts add up to the losses of the batch.

    Returns
    -------
    `positive_affinity`, `negative_affinity`, `foreground_displacement`, `background_displacement`. Only pairs with both
    ends sure count, from sources whose whole neighbourhood lies in the map.
    """
    kinds = _pair_kinds(label, radius)
    logits = boundary_logits.reshape(-1)
    # An affinity depends on one pixel, the path's maximum. It is enough to count, for pairs of each kind, how often
    # each pixel is that.
    order = logits.detach().argsort()
    rank = torch.empty_like(order, dtype=torch.int32)
    rank[order] = torch.arange(len(order), dtype=torch.int32, device=order.device)
    largest = path_maxima(rank.reshape(label.shape), radius)
    times = order.new_zeros(KINDS * len(order))
    for some_largest, some_kinds in zip(
        largest.split(PLANES), kinds.reshape(-1, *label.shape).split(PLANES), strict=True
    ):
        numbers = torch.add(some_largest, _sources(some_kinds, radius), alpha=len(order))
        times += torch.bincount(numbers.reshape(-1), minlength=len(times))
    times = times.reshape(KINDS, -1)
    pairs = whole(times.sum(1)).to(logits.dtype)
    times = times.to(logits.dtype)
    affinity = 1 - torch.sigmoid(logits[order])
    attract = -torch.log(affinity + EPSILON)
    repel = -torch.log(1 + EPSILON - affinity)

    def mean(values: torch.Tensor, kind: int) -> torch.Tensor:
        return (values * times[kind]).sum() / (pairs[kind] + EPSILON)

    background_error, foreground_error = _DisplacementErrors.apply(displacement, label > 0, kinds, radius)
    return {
        "positive_affinity": (mean(attract, BACKGROUND) + mean(attract, FOREGROUND)) / 2,
        "negative_affinity": mean(repel, DIFFERENT),
        "foreground_displacement": foreground_error / (2 * pairs[FOREGROUND] + EPSILON),
        "background_displacement": background_error / (2 * pairs[BACKGROUND] + EPSILON),
    }


def pair_counts(label: torch.Tensor, radius: int) -> torch.Tensor:
    """The pairs of each kind in labels (B, H, W), as in `pair_losses`: (4,) int64, 0 of those without a loss."""
    kinds = torch.bincount(_pair_kinds(label, radius).reshape(-1), minlength=KINDS)
    return torch.cat([torch.zeros_like(kinds[:1]), kinds[1:]])


def total_loss(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """The joint loss: half of all four, as released."""
    return sum(losses.values(), start=torch.zeros_like(losses["positive_affinity"])) / 2


def path_maxima(maps: torch.Tensor, radius: int) -> torch.Tensor:
    """The largest value on the path of every pair whose source has its whole neighbourhood in the map.

    maps: (B, H, W) of any number type. Returns (P, B, H - radius + 1, W - 2 radius + 2), pairs as in `pair_offsets`,
    sources from column radius - 1 on; no source at all where that leaves no row or column.
    """
    width = maps.shape[-1]
    front, count = radius - 1, maps.numel()
    line = functional.pad(maps.reshape(-1), (front, front * (width + 1)))
    planes = line.new_zeros((len(pair_offsets(radius)) + 1, len(line)))
    planes[-1] = line
    fill_path_maxima(planes, front, count, width, radius, torch.maximum)
    return _sources(planes[:-1, front : front + count].reshape(-1, *maps.shape), radius)


def _sources(maps: torch.Tensor, radius: int) -> torch.Tensor:
    """View (..., h, w) of those pixels of maps (..., H, W) whose whole neighbourhood lies in the map."""
    height, width = maps.shape[-2:]
    edge = radius - 1
    return maps[..., : max(0, height - edge), edge : max(edge, width - edge)]


def _pair_kinds(label: torch.Tensor, radius: int) -> torch.Tensor:
    """(B, H, W) uint8 labels to (P, B H W) uint8, what every pair is, 0 for those without a source.

    Maps are flattened, here and in the errors below, so a pixel's partner is at a fixed offset; contiguous slices are
    the fastest way to pair them.
    """
    sources = torch.full_like(label, UNSURE)
    _sources(sources, radius)[:] = _sources(label, radius)
    source, line = sources.reshape(-1), _line(label[None], radius, UNSURE)[0]
    # A pair of sure ends is `DIFFERENT`, less this where its ends are alike; one whose source is unsure stays 0.
    different = DIFFERENT * (source != UNSURE).byte()
    less_if_alike = torch.where(source == 0, DIFFERENT - BACKGROUND, DIFFERENT - FOREGROUND).byte() * (source != UNSURE)
    kinds = label.new_empty((len(pair_offsets(radius)), len(source)))
    shifts = torch.tensor(_shifts(label, radius), device=label.device)
    for some, shift in zip(kinds.split(PLANES), shifts.split(PLANES), strict=True):
        partners = line.unfold(0, len(source), 1)[shift]
        torch.mul(different, partners != UNSURE, out=some)
        some -= (partners == source) * less_if_alike
    return kinds


def _line(maps: torch.Tensor, radius: int, beyond: int = 0) -> torch.Tensor:
    """(C, B, H, W) to (C, B H W + what the farthest partner of the last pixel needs)."""
    return functional.pad(maps.reshape(len(maps), -1), (0, (radius - 1) * (maps.shape[-1] + 1)), value=beyond)


def _shifts(maps: torch.Tensor, radius: int) -> list[int]:
    """How far each partner is in that line; a map so narrow that this would be less than 0 has no pair at all."""
    return [max(0, dy * maps.shape[-1] + dx) for dy, dx in pair_offsets(radius)]


class _DisplacementErrors(torch.autograd.Function):
    """Sums of |difference of displacements - wanted difference| over background pairs and over foreground pairs.

    Their gradients are sums of signs, taken pair offset by pair offset: nothing is kept for each pair. All pairs of a
    pixel are of one of the two kinds, so one sum of signs has both gradients. The absolute value of an error u_i - u_j
    is its sign times it, so the sum over pairs is a sum over pixels too, of u times its gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, displacement: torch.Tensor, is_foreground: torch.Tensor, kinds: torch.Tensor, radius: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        channels = displacement.movedim(1, 0)
        line, count = _line(channels, radius), kinds.shape[1]
        source, gradients = line[:, :count].contiguous(), torch.zeros_like(line)
        at_source, foreground = torch.zeros_like(source), is_foreground.reshape(-1).to(line.dtype)
        offsets = line.new_tensor(pair_offsets(radius))[:, :, None]
        shifts = iter(_shifts(displacement, radius))
        for some_offsets, some_kinds in zip(offsets.split(PLANES), kinds.split(PLANES), strict=True):
            some_alike = ((some_kinds == BACKGROUND) | (some_kinds == FOREGROUND)).to(line.dtype)
            for offset, alike, shift in zip(some_offsets, some_alike, shifts, strict=False):
                partner = slice(shift, shift + count)
                # Both ends of a pair on an object point at one centroid, so their displacements differ by their offset.
                sign = (source - line[:, partner]).addcmul_(offset, foreground, value=-1).sign_().mul_(alike)
                at_source += sign
                gradients[:, partner] -= sign
        gradients = (gradients[:, :count] + at_source).reshape(channels.shape).movedim(0, 1)
        ctx.save_for_backward(gradients, is_foreground)
        # In foreground u is the centroid that is pointed at, in background the displacement; float64 keeps small
        # differences of both.
        places = [torch.arange(length, device=line.device) for length in displacement.shape[2:]]
        centroids = displacement.double() + torch.stack(torch.meshgrid(*places, indexing="ij"))
        background = (displacement.double() * gradients * ~is_foreground[:, None]).sum()
        return background.to(line.dtype), (centroids * gradients * is_foreground[:, None]).sum().to(line.dtype)

    @staticmethod
    def backward(ctx: Any, background: torch.Tensor, foreground: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        gradients, is_foreground = ctx.saved_tensors
        return gradients * torch.where(is_foreground, foreground, background)[:, None], None, None, None
