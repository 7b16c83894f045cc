"""The losses on pairs of cells with their gradients, beside a gather of all paths."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import naive
import numpy as np
import torch
from inputs import cell_label, scene

from cases.common import Case, Finding, Measures, Sides, largest_error, must, speed
from irn.grid import STRIDE
from irn.ops.losses import pair_losses, total_loss


def loss_inputs(cells: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Boundary logits (2, 1, s, s) and displacement (2, 2, s, s) with gradients, and labels (2, s, s) of two scenes."""
    scenes = [scene(seed, STRIDE * cells, STRIDE * cells) for seed in (1, 2)]
    boundary = torch.from_numpy(np.stack([s.boundary for s in scenes]))[:, None].clamp(1e-3, 1 - 1e-3)
    displacement = torch.from_numpy(np.stack([s.displacement for s in scenes]))
    # No two logits are equal: which of equal maxima takes the gradient is not defined.
    logits = torch.logit(boundary) + 0.1 * torch.randn(boundary.shape, generator=torch.Generator().manual_seed(0))
    return logits.requires_grad_(), displacement.requires_grad_(), np.stack([cell_label(s) for s in scenes])


def losses_of(
    cells: int, radius: int, losses: Callable[..., dict[str, torch.Tensor]] = pair_losses
) -> Callable[[], dict[str, np.ndarray]]:
    """What computes the losses, by the project's function or its twin, and their gradients."""
    logits, displacement, labels = loss_inputs(cells)
    label: Any = torch.from_numpy(labels) if losses is pair_losses else labels

    def run() -> dict[str, np.ndarray]:
        logits.grad = displacement.grad = None
        found = losses(logits, displacement, label, radius)
        total_loss(found).backward()
        values = torch.stack(list(found.values())).detach().numpy()
        return {
            "losses": values,
            "logits": logits.grad.numpy().copy(),
            "displacement": displacement.grad.numpy().copy(),
        }

    return run


def _sides(quick: bool, folder: Path) -> Sides:
    size = (24, 4) if quick else (128, 10)
    return {"gather": losses_of(*size, naive.pair_losses), "pair losses": losses_of(*size)}


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    expected, found = m["gather"].result, m["pair losses"].result
    error = largest_error(found["losses"], expected["losses"])
    gradients = max(np.abs(found[name] - expected[name]).max() for name in ("logits", "displacement"))
    must(error <= 1e-4, f"losses differ by {error:.2g} of their size")
    must(gradients <= 1e-6, f"gradients differ by {gradients:.2g}")
    return f"losses within {error:.1g} of their size, gradients within {gradients:.1g}", [
        speed("pair losses, forward and backward", m["pair losses"], than=m["gather"])
    ]


CASES = {
    "pair_losses": Case(
        "Pair losses, batch 2, crop 512, radius 10", _sides, ("gather", "pair losses"), _judge, repeats=15
    )
}
