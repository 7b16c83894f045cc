"""How long, how fast and by which optimiser a network is trained."""

from dataclasses import dataclass
from typing import Any

import torch

from irn.errors import IrnError
from irn.io.processes import count
from irn.settings.final_networks import FinalTraining
from irn.settings.settings import Cam, Settings
from irn.settings.training import HeadTraining, Training

POLY_POWER = 0.9
LOGGED = ("epochs", "batch_size", "learning_rate", "head_factor", "crop_size", "momentum", "weight_decay", "seed")


@dataclass(frozen=True)
class Schedule:
    """What decides a training beside the network and its data; values have the names of their settings.

    `epochs` are all of them; in the first `head_epochs` only the last layer learns.
    """

    head_epochs: int
    epochs: int
    batch_size: int
    crop_size: int
    learning_rate: float
    head_factor: float
    warmup: int
    optimiser: str
    momentum: float
    weight_decay: float
    seed: int
    accumulate: int
    precision: str

    @classmethod
    def of(cls, section: Training, settings: Settings) -> "Schedule":
        """The schedule of the network with this section of the settings.

        Raises IrnError where a batch has fewer images than its parts need.
        """
        if section.epochs and not section.can_split(count(), settings.accumulate):
            parts = "1 part" if settings.accumulate == 1 else f"{settings.accumulate} parts (--accumulate)"
            raise IrnError(
                f"--batch-size {section.batch_size}: too few images for {parts} in {count()} processes; raise it, or"
                " take fewer of them"
            )
        final = section if isinstance(section, FinalTraining) else None
        head_epochs = section.head_epochs if isinstance(section, Cam) else 0
        return cls(
            head_epochs=head_epochs,
            epochs=head_epochs + section.epochs,
            batch_size=section.batch_size,
            crop_size=section.crop_size,
            learning_rate=section.learning_rate,
            head_factor=section.head_factor if isinstance(section, HeadTraining) else 1.0,
            warmup=final.warmup if final else 0,
            optimiser=settings.optimiser,
            momentum=(final or settings).momentum,
            weight_decay=(final or settings).weight_decay,
            seed=settings.seed,
            accumulate=settings.accumulate,
            precision=settings.precision,
        )

    def steps_per_epoch(self, images: int) -> int:
        """How many whole batches an epoch of so many images has; IrnError where it has none."""
        if images < self.batch_size:
            raise IrnError(
                f"--batch-size {self.batch_size}: only {images} images to train on; use a batch size of at most that"
            )
        return images // self.batch_size

    def logged(self) -> dict[str, Any]:
        """The values that the log of losses begins with."""
        return {name: getattr(self, name) for name in LOGGED}

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, as a fraction of its maximum."""
        rising = min(1.0, (step + 1) / (self.warmup + 1))
        return rising * (1 - step / steps) ** POLY_POWER if step < steps else 0.0


def make_optimiser(
    groups: list[dict[str, Any]], name: str, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """SGD, or AdamW without weight decay of norms and biases, which are parameters of one dimension."""
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)
    split = []
    for group in groups:
        matrices = [parameter for parameter in group["params"] if parameter.ndim > 1]
        vectors = [parameter for parameter in group["params"] if parameter.ndim <= 1]
        for parameters, decay in ((matrices, weight_decay), (vectors, 0.0)):
            if parameters:
                split.append({**group, "params": parameters, "weight_decay": decay})
    return torch.optim.AdamW(split)
