"""How the cell classifier learns: from class maps, in rounds in which its answers sharpen what it learns from.

This is expectation-maximisation with a class for each cell as what is hidden. Maps and the layer say which of the
image's classes a cell has (expectation), and the layer learns these shares (maximisation). Images of one class tell it
what the class looks like; where classes come together, it says which of them a cell has.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from irn.io.progress import progress
from irn.networks.base import seeded
from irn.networks.cell_classifier import CellClassifier
from irn.settings.settings import CellClassifierTraining

BATCH = 8  # images
DROPOUT = 0.5  # of features: the classifier has many of them, and few images
WEIGHT_DECAY = 0.01
MOST = 4.0  # the largest weight of a rare class


class Cells(NamedTuple):
    """Cells that show objects, as many of each image.

    features: (images, n, C) float16. scores: (images, n, classes) float32, the class maps there; 0 for classes that the
    image does not have, above 0 for the others.
    """

    features: torch.Tensor
    scores: torch.Tensor

    @property
    def shares(self) -> torch.Tensor:
        """(images, n, classes) float32: how likely each class is by the maps alone."""
        return _normalised(self.scores)


def drawn(objectness: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) indices of cells of an image, drawn by the square of their objectness (h, w), one several times."""
    weights = objectness.ravel().astype(np.float64) ** 2 + 1e-8
    return rng.choice(weights.size, count, p=weights / weights.sum())


def teach(network: CellClassifier, cells: Cells, section: CellClassifierTraining, seed: int) -> None:
    """Train the layer on cells of one device."""
    mean, deviation = _moments(cells.features)
    network.mean.copy_(mean)
    network.std.copy_(deviation + 1e-3)
    shares = cells.shares
    for number in progress(range(section.rounds), section.rounds, "cell classifier", unit="round"):
        with seeded(seed + number, cells.features.device):
            _learn(network, cells.features, shares, section)
        with torch.no_grad():
            logits = torch.stack([network(of_image) for of_image in cells.features])
        answers = logits.masked_fill(cells.scores == 0, -torch.inf).softmax(-1)
        shares = _normalised(cells.scores * answers)


def _moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(C,) means and standard deviations of (images, n, C) float16, without a wider copy of them all."""
    count = features.shape[0] * features.shape[1]
    mean = sum(of_image.double().sum(0) for of_image in features) / count
    variance = sum((of_image.double() - mean).square().sum(0) for of_image in features) / count
    return mean, variance.sqrt()


def _learn(
    network: CellClassifier, features: torch.Tensor, shares: torch.Tensor, section: CellClassifierTraining
) -> None:
    """Teach a fresh layer shares of classes."""
    network.layer.reset_parameters()
    optimiser = torch.optim.AdamW(network.layer.parameters(), section.learning_rate, weight_decay=WEIGHT_DECAY)
    weights = _class_weights(shares)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, section.steps)
    for batch in islice(_batches(len(features), features.device), section.steps):
        inputs = (features[batch].float() - network.mean) / network.std
        logits = network.layer(functional.dropout(inputs, DROPOUT))
        loss = -(shares[batch] * weights * logits.log_softmax(-1)).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _batches(images: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Indices of images, in a new order each time that all have been seen."""
    while True:
        yield from torch.randperm(images, device=device).split(BATCH)


def _class_weights(shares: torch.Tensor) -> torch.Tensor:
    """(classes,) float32 that let classes count more alike: the mean number of images over that of the class."""
    images = shares.mean(1).sum(0)
    return (images.mean() / images.clamp(min=0.5)).clamp(max=MOST)


def _normalised(scores: torch.Tensor) -> torch.Tensor:
    """Scores divided by their sum over the classes; 0 where all are 0."""
    return scores / scores.sum(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
