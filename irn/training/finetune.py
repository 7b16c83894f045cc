"""One training of a network whose backbone learns too, from its first values to its weights file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from irn.io.checkpoint import Checkpoint
from irn.io.devices import choose_device, loading_workers
from irn.io.processes import join, rank
from irn.io.progress import notice
from irn.networks.backbones import FineTuned
from irn.networks.imagenet import start_backbone
from irn.settings.final_networks import FinalTraining
from irn.settings.training import Training
from irn.settings.values import Settings
from irn.training.loop import Means, train
from irn.training.parts import Objective
from irn.training.views import Place, Sample
from irn.weights.files import save_weights


class Start(NamedTuple):
    """Where the backbone starts, what there is to compute with, and where losses go, as the options of the commands are."""

    backbone_weights: Path | None
    from_scratch: bool
    metrics: Path | None
    device: str
    workers: int | None


def train_and_save(
    kind: str,
    make_model: Callable[[], FineTuned],
    view: Callable[[Place], Sample],
    objective: Objective,
    names: list[str],
    own: Training,
    settings: Settings,
    start: Start,
    out: Path,
    made_by: dict[str, Any],
    inputs: Sequence[Path | None],
    class_names: list[str],
) -> None:
    """Make the network, train it as `train` does, from where a killed training left it, and write its weights of a kind.

    inputs: files that a killed training must have read too.
    """
    chosen = join(choose_device(start.device))
    # Sets the first values of the network, and of the backbone where it learns from scratch.
    torch.manual_seed(settings.seed)
    model = make_model()
    if start.backbone_weights is not None or not start.from_scratch:
        start_backbone(model.backbone, start.backbone_weights)
    model.to(chosen)
    means = Means(chosen, settings.precision, loading_workers(start.workers, chosen), start.metrics)
    checkpoint = Checkpoint(out, made_by, [*inputs, start.backbone_weights])
    train(model, view, names, objective, own, settings, means, checkpoint)
    if rank() == 0:
        _say_short(kind, own, own.passes[1] * (len(names) // own.batch_size))
        save_weights(out, kind, model, made_by, class_names, own.crop_size)
        checkpoint.remove()


def _say_short(kind: str, own: Training, steps: int) -> None:
    """Say so where the learning rate has hardly been at its height."""
    if isinstance(own, FinalTraining) and steps < 2 * own.warmup:
        notice(
            f"{steps} steps, and the learning rate rises for {own.warmup}: the network has hardly learned; raise {kind}.epochs"
        )
