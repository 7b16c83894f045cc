"""Losses on pairs of pixels that train IRNet."""

from typing import Any

import torch

from irn.ops.paths import pair_offsets, path_maxima

EPSILON = 1e-5
UNSURE = 255
# What a pair is: none of both ends sure, or both background, or both on one class, or of different classes.
BACKGROUND, FOREGROUND, DIFFERENT = 1, 2, 3
KINDS = 4


def pair_losses(boundary_logits: torch.Tensor, displacement: torch.Tensor, label: torch.Tensor, radius: int) -> dict[str, torch.Tensor]:
    """The four losses of IRNet, each a scalar over the whole batch.

    Parameters
    ----------
    boundary_logits: (B, 1, H, W) float.
    displacement: (B, 2, H, W) float, (dy, dx) in cells.
    label: (B, H, W) uint8, 0 background, 1 + class index, 255 unsure, same device.
    radius: in cells; H >= radius and W >= 2 radius - 1, or there is no pair and every loss is 0.

    Returns
    -------
    `positive_affinity`, `negative_affinity`, `foreground_displacement`, `background_displacement`. Only pairs with both
    ends sure count, from sources whose whole neighbourhood lies in the map.
    """
    kinds = _pair_kinds(label, radius)
    logits = boundary_logits.reshape(-1)
    # An affinity depends on one pixel, the path's maximum: it is enough to count how often each pixel is that, for pairs of each kind.
    order = logits.detach().argsort()
    rank = torch.empty_like(order, dtype=torch.int32)
    rank[order] = torch.arange(len(order), dtype=torch.int32, device=order.device)
    largest = path_maxima(rank.reshape(label.shape), radius)
    times = torch.bincount((largest + len(order) * kinds.int()).reshape(-1), minlength=KINDS * len(order)).reshape(KINDS, -1)
    times = times.to(logits.dtype)
    pairs = times.sum(1)
    affinity = 1 - torch.sigmoid(logits[order])
    attract = -torch.log(affinity + EPSILON)
    repel = -torch.log(1 + EPSILON - affinity)

    def mean(values: torch.Tensor, kind: int) -> torch.Tensor:
        return (values * times[kind]).sum() / (pairs[kind] + EPSILON)

    background_error, foreground_error = _DisplacementErrors.apply(displacement, kinds, radius)
    return {
        "positive_affinity": (mean(attract, BACKGROUND) + mean(attract, FOREGROUND)) / 2,
        "negative_affinity": mean(repel, DIFFERENT),
        "foreground_displacement": foreground_error / (2 * pairs[FOREGROUND] + EPSILON),
        "background_displacement": background_error / (2 * pairs[BACKGROUND] + EPSILON),
    }


def total_loss(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """The joint loss: half of all four, as released."""
    return sum(losses.values(), start=torch.zeros_like(losses["positive_affinity"])) / 2


def _window(maps: torch.Tensor, radius: int, dy: int = 0, dx: int = 0) -> torch.Tensor:
    """View (..., h, w) of the sources in maps (..., H, W), or of their partners at (dy, dx)."""
    height, width = maps.shape[-2:]
    rows, columns = max(0, height - radius + 1), max(0, width - 2 * radius + 2)
    left = radius - 1 + dx
    return maps[..., dy : dy + rows, left : left + columns]


def _pair_kinds(label: torch.Tensor, radius: int) -> torch.Tensor:
    """(B, H, W) uint8 labels to (P, B, h, w) uint8, what every pair is."""
    source = _window(label, radius)
    alike = torch.where(source == 0, BACKGROUND, FOREGROUND).byte()
    different = torch.full_like(alike, DIFFERENT)
    kinds = label.new_empty((len(pair_offsets(radius)), *source.shape))
    for kind, offset in zip(kinds, pair_offsets(radius), strict=True):
        partner = _window(label, radius, *offset)
        kind[:] = torch.where(source == partner, alike, different)
        kind *= (source != UNSURE) & (partner != UNSURE)
    return kinds


class _DisplacementErrors(torch.autograd.Function):
    """Sums of |difference of displacements - wanted difference| over background pairs and over foreground pairs.

    Their gradients are sums of signs, taken pair offset by pair offset along with the values: nothing is kept for each pair.
    """

    @staticmethod
    def forward(ctx: Any, displacement: torch.Tensor, kinds: torch.Tensor, radius: int) -> tuple[torch.Tensor, torch.Tensor]:
        source = _window(displacement, radius).contiguous()
        sums = displacement.new_zeros(2)
        gradients = displacement.new_zeros((2, *displacement.shape))
        at_source = source.new_zeros((2, *source.shape))
        offsets = displacement.new_tensor(pair_offsets(radius))[:, :, None, None]
        for (dy, dx), offset, kind in zip(pair_offsets(radius), offsets, kinds, strict=True):
            difference = source - _window(displacement, radius, dy, dx)
            # Both ends of a pair on one object point at one centroid, so their displacements differ by their offset.
            for i, (which, error) in enumerate(((BACKGROUND, difference), (FOREGROUND, difference - offset))):
                error = error * (kind == which)[:, None]
                sign = error.sign()
                sums[i] += torch.dot(error.reshape(-1), sign.reshape(-1))
                at_source[i] += sign
                _window(gradients[i], radius, dy, dx).sub_(sign)
        _window(gradients, radius).add_(at_source)
        ctx.save_for_backward(gradients)
        return sums[0], sums[1]

    @staticmethod
    def backward(ctx: Any, background: torch.Tensor, foreground: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradients,) = ctx.saved_tensors
        return background * gradients[0] + foreground * gradients[1], None, None
