"""Losses on pairs of pixels that train IRNet."""

from typing import Any

import torch

from irn.ops.paths import pair_offsets, path_offsets

EPSILON = 1e-5
UNSURE = 255


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
    source, partner = _pair_views(label, radius)
    sure = (source != UNSURE) & (partner != UNSURE)
    same = sure & (source == partner)
    background, foreground, different = same & (source == 0), same & (source != 0), sure & (source != partner)

    affinity = 1 - torch.sigmoid(_PathMaximum.apply(boundary_logits[:, 0], radius))
    attract = -torch.log(affinity + EPSILON)
    repel = -torch.log(1 + EPSILON - affinity)

    start, end = _pair_views(displacement, radius)
    offsets = displacement.new_tensor(pair_offsets(radius)).reshape(-1, 1, 2, 1, 1)
    difference = start - end
    # Both ends of a pair on one object point at one centroid, so their displacements differ by their offset.
    foreground_error = (difference - offsets).abs().sum(2)
    background_error = difference.abs().sum(2)
    return {
        "positive_affinity": (_mean(attract, background) + _mean(attract, foreground)) / 2,
        "negative_affinity": _mean(repel, different),
        "foreground_displacement": _mean(foreground_error, foreground, coordinates=2),
        "background_displacement": _mean(background_error, background, coordinates=2),
    }


def total_loss(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """The joint loss: half of all four, as released."""
    return sum(losses.values(), start=torch.zeros_like(losses["positive_affinity"])) / 2


def _mean(values: torch.Tensor, chosen: torch.Tensor, coordinates: int = 1) -> torch.Tensor:
    """Mean of the chosen values, each of which is the sum over so many coordinates."""
    return (values * chosen).sum() / (coordinates * chosen.sum().to(values.dtype) + EPSILON)


def _pair_views(maps: torch.Tensor, radius: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values at the sources, (1, ..., h, w), and at all their partners, (P, ..., h, w), of maps (..., H, W)."""
    h, w, left = _source_window(maps, radius)
    source = maps[..., :h, left : left + w]
    partners = [maps[..., dy : dy + h, left + dx : left + dx + w] for dy, dx in pair_offsets(radius)]
    return source[None], torch.stack(partners)


def _source_window(maps: torch.Tensor, radius: int) -> tuple[int, int, int]:
    """Height and width of the window of sources, and its first column."""
    height, width = maps.shape[-2:]
    return max(0, height - radius + 1), max(0, width - 2 * radius + 2), radius - 1


class _PathMaximum(torch.autograd.Function):
    """(B, H, W) to (P, B, h, w): the maximum on the path of every pair; its gradient goes to the pixel that has it."""

    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, radius: int) -> torch.Tensor:
        h, w, left = _source_window(maps, radius)
        width = maps.shape[-1]
        rows = torch.arange(h, device=maps.device)[:, None] * width
        pixel = rows + torch.arange(left, left + w, device=maps.device)
        offsets = pair_offsets(radius)
        maxima = maps.new_empty((len(offsets), len(maps), h, w))
        where = torch.empty(maxima.shape, dtype=torch.int32, device=maps.device)
        for k, offset in enumerate(offsets):
            path = path_offsets(*offset)
            views = torch.stack([maps[:, y : y + h, left + x : left + x + w] for y, x in path])
            maxima[k], index = views.max(0)
            steps = torch.tensor([y * width + x for y, x in path], device=maps.device)
            where[k] = pixel + steps[index]
        ctx.save_for_backward(where)
        ctx.shape = maps.shape
        return maxima

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (where,) = ctx.saved_tensors
        batch, height, width = ctx.shape
        result = gradient.new_zeros((batch, height * width))
        for k in range(len(where)):
            result.scatter_add_(1, where[k].reshape(batch, -1).long(), gradient[k].reshape(batch, -1))
        return result.reshape(ctx.shape), None
