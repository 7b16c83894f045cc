"""A training step of IRNet, beside gathered paths and a backbone in the graph; and class attention maps."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import naive
import numpy as np
import torch
from inputs import VOC, cell_label, scene
from torch import nn

from cases.common import Case, Finding, Measures, Sides, largest_error, memory, must, speed
from irn.inference.cams import class_attention_maps
from irn.io.processor import multiplies_bfloat16
from irn.networks.classifier import Classifier
from irn.networks.folding import for_inference
from irn.networks.irnet import IRNet
from irn.networks.precision import autocast
from irn.ops.losses import total_loss
from irn.ops.resize import at_scale
from irn.settings.settings import Settings
from irn.training.irnet import irnet_losses
from irn.training.views import normalised


def calibrate(model: Classifier | IRNet, images: torch.Tensor) -> None:
    """Give a random backbone the batch norm statistics of images, so that features are as large as trained ones."""
    model.backbone.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.backbone(images)
    model.eval()


def _step_sides(quick: bool, folder: Path) -> Sides:
    side, radius = (96, 4) if quick else (512, 10)
    scenes = [scene(seed, side, side) for seed in (1, 2)]
    labels = np.stack([cell_label(s) for s in scenes])
    pixels = torch.from_numpy(np.stack([s.pixels for s in scenes]))
    batch = {"pixels": pixels, "box": torch.tensor([[0, 0, side, side]] * 2), "label": torch.from_numpy(labels)}
    torch.manual_seed(0)
    model = IRNet("resnet18" if quick else "resnet50")
    calibrate(model, normalised(batch, model.backbone))

    def step(losses_of: Callable[[], dict[str, torch.Tensor]]) -> Callable[[], np.ndarray]:
        model.train()
        settings = Settings()
        groups = model.parameter_groups(settings.irn.learning_rate, settings.irn.head_factor)
        optimiser = torch.optim.SGD(groups, momentum=settings.momentum, weight_decay=settings.weight_decay)
        seen: list[np.ndarray] = []

        def run() -> np.ndarray:
            losses = losses_of()
            model.zero_grad(set_to_none=True)
            losses["loss"].backward()
            optimiser.step()
            seen.append(torch.stack(list(losses.values())).detach().numpy())
            # Of the first step: after it both have other weights by a rounding error.
            return seen[0]

        return run

    # Both sides change one model, so a process prepares only that which it measures.
    @cache
    def gather() -> Callable[[], np.ndarray]:
        model.backbone.requires_grad_(True)

        def losses() -> dict[str, torch.Tensor]:
            parts = naive.pair_losses(
                *naive.irnet_with_gradient(model, normalised(batch, model.backbone)), labels, radius
            )
            return {"loss": total_loss(parts), **parts}

        return step(losses)

    @cache
    def real() -> Callable[[], np.ndarray]:
        # As irn.training.loop.train has it.
        model.to(memory_format=torch.channels_last)
        return step(
            lambda: irnet_losses(
                batch | {"images": normalised(batch, model.backbone)}, model, lambda counts: counts, radius
            )
        )

    return {"gather": lambda: gather()(), "training step": lambda: real()()}


def _step_judge(m: Measures) -> tuple[str, list[Finding]]:
    slow, fast = m["gather"], m["training step"]
    error = largest_error(fast.result, slow.result)
    must(error <= 1e-3, f"losses differ by {error:.2g} of their size")
    return f"losses of the first step within {error:.1g} of their size", [
        speed("IRNet training step", fast, than=slow),
        memory("IRNet training step", fast, than=slow),
    ]


def _cam_sides(quick: bool, folder: Path) -> Sides:
    size = (48, 64) if quick else VOC
    drawn = scene(3, *size)
    scaled = [at_scale(drawn.pixels, scale) for scale in Settings().cam.scales]
    torch.manual_seed(0)
    model = Classifier("resnet18" if quick else "resnet50", 20)
    calibrate(model, model.backbone.normalise(torch.from_numpy(drawn.pixels))[None])

    def maps(model: Classifier, precision: str) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            with torch.inference_mode(), autocast(torch.device("cpu"), precision):
                return class_attention_maps(model, scaled, drawn.classes.tolist(), *size)["high_res"]

        return run

    folded = for_inference(copy.deepcopy(model), torch.device("cpu"))
    sides = {"as trained": maps(model, "float32"), "float32": maps(folded, "float32")}
    if multiplies_bfloat16():
        sides["bf16"] = maps(folded, "bf16")
    return sides


def _cam_judge(m: Measures) -> tuple[str, list[Finding]]:
    errors = {name: np.abs(side.result - m["as trained"].result) for name, side in m.items() if name != "as trained"}
    error = errors["float32"].max()
    must(error <= 1e-4, f"class maps differ by {error:.2g}")
    agreement = f"float32 within {error:.1g}"
    if "bf16" in errors:
        agreement += f"; bf16 within {errors['bf16'].max():.2g}, {errors['bf16'].mean():.1g} in the mean"
    return agreement, [speed(f"CAM inference, {name}", m[name], than=m["as trained"]) for name in errors]


CASES = {
    "irnet_step": Case(
        "IRNet training step, batch 2, crop 512, ResNet-50", _step_sides, ("gather", "training step"), _step_judge
    ),
    "cams": Case(
        "CAM inference, one image, 4 scales and mirror, ResNet-50",
        _cam_sides,
        ("as trained", "float32", "bf16"),
        _cam_judge,
    ),
}
