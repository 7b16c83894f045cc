"""The cell classifier: which class the object in a cell has, from the features of a frozen backbone."""

import torch
from torch import nn
from torch.nn import functional

from irn.networks.base import Backbone, Trainable

LEVELS = (3, 4)  # of the backbone's five, from 0: those of stride 16


class CellClassifier(Trainable):
    """One linear layer for all cells, on levels 4 and 5 of a backbone of another network, which does not learn."""

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        count = sum(backbone.channels[level] for level in LEVELS)
        # Of the features over the cells that it learned from.
        self.mean, self.std = nn.Buffer(torch.zeros(count)), nn.Buffer(torch.ones(count))
        self.layer = nn.Linear(count, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., C) features of cells to (..., classes) logits."""
        return self.layer((features.float() - self.mean) / self.std)

    def saved_tensors(self) -> dict[str, torch.Tensor]:
        """All but the backbone's."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("backbone.")}


def cell_features(levels: list[torch.Tensor]) -> torch.Tensor:
    """Five levels of one image to (h, w, C), the features of each cell of the last level."""
    grid = levels[-1].shape[-2:]
    parts = [levels[level].float() for level in LEVELS]
    same = [
        part
        if part.shape[-2:] == grid
        else functional.interpolate(part, grid, mode="bilinear", align_corners=False, antialias=True)
        for part in parts
    ]
    return torch.cat(same, 1)[0].movedim(0, -1)
