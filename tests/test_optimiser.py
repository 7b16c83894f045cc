"""What the networks learn by."""

import pytest
import torch
from torch import nn

from irn.settings.checking import settings_of_options
from irn.settings.settings import Settings
from irn.training.schedule import make_optimiser


@pytest.fixture
def groups() -> list[dict[str, object]]:
    torch.manual_seed(0)
    first, last = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)), nn.Conv2d(4, 2, 1, bias=False)
    return [{"params": list(first.parameters()), "lr": 0.1}, {"params": list(last.parameters()), "lr": 1.0}]


def learned_by(settings: Settings) -> tuple[str, float, float]:
    return settings.optimiser, settings.momentum, settings.weight_decay


def test_sgd_is_the_papers(groups: list[dict[str, object]]) -> None:
    optimiser = make_optimiser(groups, *learned_by(settings_of_options({}, {}, "")))
    assert isinstance(optimiser, torch.optim.SGD)
    assert [(group["lr"], group["momentum"], group["weight_decay"]) for group in optimiser.param_groups] == [
        (0.1, 1e-4, 1e-4),
        (1.0, 1e-4, 1e-4),
    ]


def test_adamw_decays_neither_norms_nor_biases(groups: list[dict[str, object]]) -> None:
    optimiser = make_optimiser(groups, "adamw", 0.9, 0.5)
    assert isinstance(optimiser, torch.optim.AdamW)
    found = {
        (group["lr"], group["weight_decay"], parameter.ndim)
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert found == {(0.1, 0.5, 4), (0.1, 0.0, 1), (1.0, 0.5, 4)}
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 5
