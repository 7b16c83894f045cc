"""The rows of the benchmark: each sets two or more ways to one result side by side, and says whether they agree and what is reached."""

import copy
import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import h5py
import naive
import numpy as np
import torch
from inputs import Scene, ir_label, scene
from PIL import Image
from torch import nn
from twins import slow_follow

from irn.cache import CacheReader, CacheWriter
from irn.memory import keep_freed_memory
from irn.networks import Classifier, IRNet, for_inference, normalise
from irn.ops import crf
from irn.ops.cams import at_scale, class_attention_maps
from irn.ops.instances import instance_groups
from irn.ops.labels import synthesise_labels
from irn.ops.losses import pair_losses, total_loss
from irn.ops.walk import random_walk
from irn.stages.evaluate import evaluate
from irn.stages.make_ir_labels import make_ir_labels
from irn.training import normalised

ROOT = Path(__file__).parents[1]
VOC, FULL_HD = (375, 500), (1080, 1920)
WALK = {"beta": 10, "steps": 256, "radius": 5}
MB = 1e6

Sides = dict[str, Callable[[], Any]]


class Measure(NamedTuple):
    """One side: seconds of each repeat and of the first call before them, bytes that it added to its process, and what it returned."""

    seconds: list[float]
    first: float
    memory: int
    result: Any

    @property
    def median(self) -> float:
        return median(self.seconds)


class Goal(NamedTuple):
    """What was compared, what came out, what was aimed at, and whether that was reached."""

    what: str
    found: str
    wanted: str
    reached: bool


class Row(NamedTuple):
    """`sides` makes the inputs and returns what is measured, by name; `judge` raises Disagreement unless the results are equal.

    `names` lists the sides in the order in which they take turns. Those in `once` are too slow to repeat.
    """

    title: str
    sides: Callable[[bool, Path], Sides]
    names: tuple[str, ...]
    judge: Callable[[dict[str, Measure]], tuple[str, list[Goal]]]
    repeats: int = 5
    once: tuple[str, ...] = ()


class Disagreement(Exception):
    """Two sides gave different results."""


def must(agree: bool, what: str) -> None:
    if not agree:
        raise Disagreement(what)


def faster(what: str, slow: Measure, fast: Measure, wanted: float) -> Goal:
    ratio = slow.median / fast.median
    return Goal(what, f"{ratio:,.0f} times" if ratio >= 100 else f"{ratio:.3g} times", f"at least {wanted:g} times", ratio >= wanted)


def below(what: str, measure: Measure, seconds: float) -> Goal:
    return Goal(what, f"{measure.median:.3g} s", f"under {seconds:g} s", measure.median < seconds)


def lighter(what: str, measure: Measure, megabytes: float) -> Goal:
    found = measure.memory / MB
    return Goal(f"{what}, memory", f"{found:.0f} MB", f"under {megabytes:g} MB", found < megabytes)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error, as a share of the value."""
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1e-9)).max())


def walk_case(size: tuple[int, int], classes: int = 2, objects: int = 5) -> tuple[Scene, np.ndarray, torch.Tensor, torch.Tensor]:
    """A scene, its class maps cut to its groups (classes x objects, h, w), and these and the boundary as tensors."""
    drawn = scene(0, *size, classes, objects)
    scores = (drawn.cam[:, None] * (drawn.groups == np.arange(objects)[:, None, None])).reshape(-1, *drawn.groups.shape)
    return drawn, scores, torch.from_numpy(scores), torch.from_numpy(drawn.boundary)


def walk_sides(quick: bool, folder: Path) -> Sides:
    size = (64, 88) if quick else VOC
    drawn, scores, start, boundary = walk_case(size)
    names = np.repeat(drawn.classes, len(scores) // len(drawn.classes)).astype(np.uint16)

    def dense() -> dict[str, np.ndarray]:
        # As released: a walk for semantic labels, and another for instances.
        by_class, walked = (naive.dense_walk(maps, drawn.boundary, 10, 8, 5) for maps in (drawn.cam, scores))
        semantic, winner = (naive.labels_at_once(maps, *size, 0.25) for maps in (by_class, walked))
        return {"walk": walked, "semantic": semantic, "instances": np.concatenate([[0], names + 1])[winner]}

    def walk() -> np.ndarray:
        return random_walk(start, boundary, **WALK).numpy()

    def labels() -> dict[str, np.ndarray]:
        found = synthesise_labels(walk(), names, *size, 0.25, 0.25)
        by_piece = np.concatenate([[0], found["instance_class"] + 1])
        return {"semantic": found["semantic"], "instances": by_piece[found["instance_map"]]}

    return {"dense": dense, "walk": walk, "walk and labels": labels}


def walk_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    expected, labels = m["dense"].result, m["walk and labels"].result
    error = np.abs(m["walk"].result - expected["walk"]).max() / expected["walk"].max()
    shares = {name: float((labels[name] == expected[name]).mean()) for name in labels}
    must(error <= 5e-4, f"walk differs by {error:.2g} of its maximum")
    must(min(shares.values()) >= 0.999, f"labels agree in {shares}")
    agreement = f"walk within {error:.1g} of its maximum; labels equal in {min(shares.values()):.2%} of pixels"
    return agreement, [
        below("random walk", m["walk"], 0.15),
        lighter("random walk", m["walk"], 100),
        below("random walk and labels", m["walk and labels"], 0.4),
        faster("random walk and labels against the dense matrix", m["dense"], m["walk and labels"], 100),
    ]


def large_walk_sides(quick: bool, folder: Path) -> Sides:
    small, large = ((48, 64), (96, 128)) if quick else (VOC, FULL_HD)
    _, _, small_start, small_boundary = walk_case(small)
    drawn, scores, start, boundary = walk_case(large)
    return {
        "375 x 500": lambda: (small[0] * small[1], random_walk(small_start, small_boundary, **WALK).numpy()),
        "1080 x 1920": lambda: (large[0] * large[1], random_walk(start, boundary, **WALK).numpy()),
        "1080 x 1920, 256 sparse products": lambda: naive.sparse_walk(scores, drawn.boundary, **WALK),
    }


def large_walk_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    (small_pixels, _), (pixels, found) = m["375 x 500"].result, m["1080 x 1920"].result
    expected = m["1080 x 1920, 256 sparse products"].result
    error = np.abs(found - expected).max() / expected.max()
    must(error <= 5e-4, f"walk differs by {error:.2g} of its maximum")
    growth = m["1080 x 1920"].median / m["375 x 500"].median / (pixels / small_pixels)
    return f"within {error:.1g} of the maximum, against 256 sparse products; the dense matrix would take 67 GB", [
        below("random walk at 1080 x 1920", m["1080 x 1920"], 3),
        lighter("random walk at 1080 x 1920", m["1080 x 1920"], 1000),
        Goal("time a pixel, 1080 x 1920 against 375 x 500", f"{growth:.2f} times", "at most 1 times", growth <= 1),
        faster("random walk against 256 sparse products", m["1080 x 1920, 256 sparse products"], m["1080 x 1920"], 1),
    ]


def ir_label_sides(quick: bool, folder: Path) -> Sides:
    size, count = ((60, 80), 2) if quick else (VOC, 16)
    scenes = [scene(seed, *size) for seed in range(count)]
    manifest, caches, out = folder / "manifest.csv", folder / "cams.h5", folder / "ir_labels.h5"
    if not manifest.exists():
        with CacheWriter(caches, "cam", {"stage": "bench"}) as cache:
            for seed, s in enumerate(scenes):
                Image.fromarray(s.pixels).save(folder / f"{seed}.png")
                cache.write(str(seed), *size, {"classes": s.classes, "cam": s.cam, "high_res": s.high_res})
        rows = "".join(f"{seed},{seed}.png,{size[0]},{size[1]},train\n" for seed in range(count))
        manifest.write_text(f"image_id,path,height,width,split\n{rows}")

    def one_lattice() -> list[np.ndarray]:
        # As the command line does, here and below.
        keep_freed_memory()
        return [crf.ir_label(s.pixels, s.high_res, s.classes, 0.30, 0.05) for s in scenes]

    def stage(workers: int) -> list[np.ndarray]:
        keep_freed_memory()
        make_ir_labels(manifest, [caches], out, workers=workers)
        reader = CacheReader([out], "ir_label")
        return [reader.read(image_id)["label"] for image_id in reader.ids]

    return {
        "two lattices": lambda: [naive.ir_label(s.pixels, s.high_res, s.classes, 0.30, 0.05) for s in scenes],
        "one lattice": one_lattice,
        "stage, one process": lambda: stage(1),
        "stage, two processes": lambda: stage(2),
    }


def ir_label_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    # The stage reads rounded class maps, which can tip a pixel.
    for one, other in (("two lattices", "one lattice"), ("stage, one process", "stage, two processes")):
        must(all(np.array_equal(a, b) for a, b in zip(m[one].result, m[other].result, strict=True)), f"labels differ: {one}, {other}")
    return f"labels of {len(m['one lattice'].result)} images identical", [
        faster("IR labels on one core", m["two lattices"], m["one lattice"], 1.4),
        faster("IR labels on two cores against one", m["stage, one process"], m["stage, two processes"], 1.7),
    ]


def loss_case(cells: int, radius: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Boundary logits (2, 1, s, s) and displacement (2, 2, s, s) that take a gradient, and labels (2, s, s) of two scenes."""
    scenes = [scene(seed, 4 * cells, 4 * cells) for seed in (1, 2)]
    boundary = torch.from_numpy(np.stack([s.boundary for s in scenes]))[:, None].clamp(1e-3, 1 - 1e-3)
    displacement = torch.from_numpy(np.stack([s.displacement for s in scenes]))
    labels = np.stack([ir_label(s)[2::4, 2::4] for s in scenes])
    # No two logits are equal: which of equal maxima takes the gradient is not defined.
    logits = torch.logit(boundary) + 0.1 * torch.randn(boundary.shape, generator=torch.Generator().manual_seed(0))
    return logits.requires_grad_(), displacement.requires_grad_(), labels


def pair_loss_sides(quick: bool, folder: Path) -> Sides:
    radius = 4 if quick else 10
    logits, displacement, labels = loss_case(24 if quick else 128, radius)

    def run(losses_of: Callable[..., dict[str, torch.Tensor]], label: Any) -> dict[str, np.ndarray]:
        logits.grad = displacement.grad = None
        losses = losses_of(logits, displacement, label, radius)
        total_loss(losses).backward()
        values = torch.stack(list(losses.values())).detach().numpy()
        return {"losses": values, "logits": logits.grad.numpy().copy(), "displacement": displacement.grad.numpy().copy()}

    return {"gather": lambda: run(naive.pair_losses, labels), "pair losses": lambda: run(pair_losses, torch.from_numpy(labels))}


def pair_loss_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    expected, found = m["gather"].result, m["pair losses"].result
    relative = difference(found["losses"], expected["losses"])
    gradients = max(np.abs(found[name] - expected[name]).max() for name in ("logits", "displacement"))
    must(relative <= 1e-4, f"losses differ by {relative:.2g} of their size")
    must(gradients <= 1e-6, f"gradients differ by {gradients:.2g}")
    return f"losses within {relative:.1g} of their size, gradients within {gradients:.1g}", [
        faster("pair losses, forward and backward", m["gather"], m["pair losses"], 10)
    ]


def calibrated(model: Any, images: torch.Tensor) -> Any:
    """Give a random backbone the batch norm statistics of some images, so that its features have the sizes of trained ones."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.backbone.train()
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.backbone(images)
    model.eval()
    return model


def irnet_step_sides(quick: bool, folder: Path) -> Sides:
    side, radius = (96, 4) if quick else (512, 10)
    scenes = [scene(seed, side, side) for seed in (1, 2)]
    labels = np.stack([ir_label(s)[2::4, 2::4] for s in scenes])
    pixels = torch.from_numpy(np.stack([s.pixels for s in scenes]))
    batch = {"pixels": pixels, "box": torch.tensor([[0, 0, side, side]] * 2), "label": torch.from_numpy(labels)}
    torch.manual_seed(0)
    model = calibrated(IRNet("resnet18" if quick else "resnet50"), normalised(batch))

    def step(model: IRNet, losses_of: Callable[[IRNet], dict[str, torch.Tensor]]) -> Callable[[], np.ndarray]:
        model.train()
        optimiser = torch.optim.SGD(model.parameter_groups(0.1, 10), momentum=1e-4, weight_decay=1e-4)
        seen: list[np.ndarray] = []

        def run() -> np.ndarray:
            losses = losses_of(model)
            model.zero_grad(set_to_none=True)
            total_loss(losses).backward()
            optimiser.step()
            seen.append(torch.stack(list(losses.values())).detach().numpy())
            # Of the first step: after it both have other weights by a rounding error.
            return seen[0]

        return run

    def gather() -> Callable[[], np.ndarray]:
        model.backbone.requires_grad_(True)
        return step(model, lambda m: naive.pair_losses(*naive.irnet_with_gradient(m, normalised(batch)), labels, radius))

    def real() -> Callable[[], np.ndarray]:
        # As irn.training.train has it.
        laid_out = model.to(memory_format=torch.channels_last)
        return step(laid_out, lambda m: pair_losses(*m(normalised(batch)), batch["label"], radius))

    return {"gather": _at_first_call(gather), "training step": _at_first_call(real)}


def _at_first_call(make: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
    """Both sides change one model, so a process makes only that which it measures."""
    made: list[Callable[[], Any]] = []

    def run() -> Any:
        if not made:
            made.append(make())
        return made[0]()

    return run


def irnet_step_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    slow, fast = m["gather"], m["training step"]
    relative = difference(fast.result, slow.result)
    must(relative <= 1e-3, f"losses differ by {relative:.2g} of their size")
    share = fast.memory / max(slow.memory, 1)
    return f"losses of the first step within {relative:.1g} of their size", [
        faster("IRNet training step", slow, fast, 2),
        Goal("IRNet training step, memory", f"{share:.2f} times ({fast.memory / MB:.0f} MB)", "at most 0.5 times", share <= 0.5),
    ]


def cam_sides(quick: bool, folder: Path) -> Sides:
    size = (48, 64) if quick else VOC
    drawn = scene(3, *size)
    scaled = [torch.from_numpy(at_scale(drawn.pixels, scale)) for scale in (1.0, 0.5, 1.5, 2.0)]
    torch.manual_seed(0)
    model = calibrated(Classifier("resnet18" if quick else "resnet50", 20), normalise(torch.from_numpy(drawn.pixels))[None])

    def maps(model: Classifier, precision: str) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                return class_attention_maps(model, scaled, drawn.classes.tolist(), *size)[1].numpy()

        return run

    folded = for_inference(copy.deepcopy(model), torch.device("cpu"))
    sides = {"as trained": maps(model, "float32"), "float32": maps(folded, "float32")}
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        sides["bf16"] = maps(folded, "bf16")
    return sides


def cam_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    error = np.abs(m["float32"].result - m["as trained"].result).max()
    must(error <= 1e-4, f"class maps differ by {error:.2g}")
    goals = [faster("CAM inference, float32", m["as trained"], m["float32"], 1.3)]
    agreement = f"float32 within {error:.1g}"
    if "bf16" in m:
        errors = np.abs(m["bf16"].result - m["as trained"].result)
        agreement += f"; bf16 within {errors.max():.2g}, {errors.mean():.1g} in the mean"
        goals.append(faster("CAM inference, bf16", m["as trained"], m["bf16"], 1.3))
    return agreement, goals


def grouping_sides(quick: bool, folder: Path) -> Sides:
    displacement = scene(0, *((64, 88) if quick else VOC)).displacement
    return {"300 NumPy steps": lambda: _numpy_groups(displacement), "instance groups": lambda: instance_groups(displacement)}


def grouping_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    must(np.array_equal(m["300 NumPy steps"].result, m["instance groups"].result), "groups differ")
    golden = CacheReader([ROOT / "tests/golden/fields.h5"], "field")
    for image_id in golden.ids:
        displacement = golden.read(image_id)["displacement"]
        must(np.array_equal(_numpy_groups(displacement), instance_groups(displacement)), f"groups of {image_id} differ")
    return f"groups equal, also in the {len(golden.ids)} golden cases", [
        faster("centroid refinement and grouping", m["300 NumPy steps"], m["instance groups"], 5)
    ]


def evaluation_sides(quick: bool, folder: Path) -> Sides:
    names = _evaluation_set(folder, 12 if quick else 1464, quick)

    def run(part: Path, **options: Any) -> dict[str, float]:
        keep_freed_memory()
        with open(os.devnull, "w") as nowhere:
            out, sys.stdout = sys.stdout, nowhere
            try:
                evaluate(
                    part, folder / "classes.csv", folder / "scores.csv", folder / "class", [folder / "cams.h5"], [folder / "labels.h5"],
                    folder / "object", thresholds_out=folder / "thresholds.csv", **options,
                )  # fmt: skip
            finally:
                sys.stdout = out
        return naive.scores_of(folder / "scores.csv")

    return {
        "in memory": lambda: naive.evaluate_in_memory(folder, names, 2, 0.15),
        "evaluate": lambda: run(folder / "manifest.csv"),
        "evaluate, one process": lambda: run(folder / "manifest.csv", workers=0),
        "evaluate, one process, a quarter": lambda: run(folder / "quarter.csv", workers=0),
    }


def evaluation_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    expected = m["in memory"].result
    for name in ("evaluate", "evaluate, one process"):
        worst = max(abs(m[name].result[key] - value) for key, value in expected.items())
        must(worst <= 1e-6, f"scores differ by {worst:.2g}, {name}")
    whole, quarter = m["evaluate, one process"], m["evaluate, one process, a quarter"]
    more = (whole.memory - quarter.memory) / MB
    return f"all {len(expected)} mean scores equal", [
        faster("evaluation", m["in memory"], m["evaluate"], 2),
        Goal("evaluation, memory for four times the images", f"{more:+.0f} MB", "no more than 10 MB more", more <= 10),
        Goal(
            "evaluation, memory",
            f"{whole.memory / MB:.0f} MB against {m['in memory'].memory / MB:.0f} MB",
            "less",
            whole.memory < m["in memory"].memory,
        ),
    ]


def cache_sides(quick: bool, folder: Path) -> Sides:
    scenes = {f"{seed:06d}": scene(seed, *((48, 64) if quick else VOC), 1 + seed % 2, 2 + seed % 4) for seed in range(3 if quick else 40)}
    ours, plain, packed = (folder / f"{name}.h5" for name in ("cache", "plain", "packed"))
    with CacheWriter(ours, "cam", {"stage": "bench"}) as cache, h5py.File(plain, "w") as one, h5py.File(packed, "w") as other:
        for name, s in scenes.items():
            arrays = {"classes": s.classes, "cam": s.cam, "high_res": s.high_res}
            cache.write(name, *s.pixels.shape[:2], arrays)
            for key, array in arrays.items():
                one.create_dataset(f"{name}/{key}", data=array)
                filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
                other.create_dataset(f"{name}/{key}", data=array, chunks=(1, *array.shape[1:]), **filters)

    def read(path: Path) -> tuple[int, list[np.ndarray]]:
        with h5py.File(path) as file:
            arrays = [{key: file[name][key][()] for key in ("classes", "cam", "high_res")} for name in scenes]
        return path.stat().st_size, [a["high_res"] for a in arrays[:3]]

    def read_cache() -> tuple[int, list[np.ndarray]]:
        reader = CacheReader([ours], "cam")
        arrays = [reader.read(name) for name in scenes]
        return ours.stat().st_size, [a["high_res"] for a in arrays[:3]]

    return {"float32": lambda: read(plain), "float32, compressed": lambda: read(packed), "cache": read_cache}


def cache_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    (plain, expected), (ours, found) = m["float32"].result, m["cache"].result
    error = max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True))
    must(error <= 4.1e-4, f"class maps differ by {error:.2g}")
    wait = m["cache"].median - m["float32"].median
    rate = (plain - ours) / wait / MB if wait > 0 else float("inf")
    return f"maps within {error:.1g}; from storage slower than {rate:.0f} MB/s the cache is read faster than plain float32", [
        Goal("CAM cache, bytes", f"1/{plain / ours:.1f} of float32", "at most 1/6", ours * 6 <= plain),
        faster("reading the CAM cache against float32, compressed in the same way", m["float32, compressed"], m["cache"], 1),
        faster("reading the CAM cache against plain float32 in the page cache", m["float32"], m["cache"], 1),
    ]


def start_sides(quick: bool, folder: Path) -> Sides:
    with (
        CacheWriter(folder / "cams.h5", "cam", {"stage": "bench"}) as cams,
        CacheWriter(folder / "fields.h5", "field", {"stage": "bench"}) as fields,
    ):
        for seed in range(2):
            s = scene(seed, 48, 64)
            cams.write(str(seed), 48, 64, {"classes": s.classes, "cam": s.cam, "high_res": s.high_res})
            fields.write(str(seed), 48, 64, {"boundary": s.boundary, "displacement": s.displacement})
    files = ["--cams", folder / "cams.h5", "--fields", folder / "fields.h5", "--out", folder / "walks.h5", "--device", "cpu"]
    irn = [sys.executable, "-m", "irn", "random-walk"]
    return {"--help": lambda: _run([*irn, "--help"]), "tiny shard": lambda: _run([*irn, *files])}


def start_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    return "nothing to compare with", [
        below("irn random-walk --help", m["--help"], 0.3),
        below("irn random-walk on a tiny shard", m["tiny shard"], 4),
    ]


def dry_run_sides(quick: bool, folder: Path) -> Sides:
    images = folder / "data/images"
    images.mkdir(parents=True, exist_ok=True)
    names = [f"{index:06d}" for index in range(40 if quick else 10582)]
    Image.new("RGB", (32, 32)).save(folder / "one.jpg")
    for name in names:
        (images / f"{name}.jpg").unlink(missing_ok=True)
        os.link(folder / "one.jpg", images / f"{name}.jpg")
    (folder / "data/labels.csv").write_text("image_id,thing\n" + "".join(f"{name},1\n" for name in names))
    settings = folder / "settings.yaml"
    settings.write_text("dataset: {kind: folder, root: data}\n")
    snakemake = [Path(sys.executable).with_name("snakemake"), "--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", "2"]
    return {"snakemake -n": lambda: _run([*snakemake, "-n", "--configfile", settings])}


def dry_run_judge(m: dict[str, Measure]) -> tuple[str, list[Goal]]:
    return "nothing to compare with", [below("snakemake -n for 10,582 images", m["snakemake -n"], 3)]


ROWS = {
    "walk": Row(
        "Random walk, 375 x 500, 2 classes x 5 groups",
        walk_sides,
        ("dense", "walk", "walk and labels"),
        walk_judge,
        once=("dense",),
    ),
    "large_walk": Row(
        "Random walk, 1080 x 1920, 2 classes x 5 groups",
        large_walk_sides,
        ("1080 x 1920, 256 sparse products", "375 x 500", "1080 x 1920"),
        large_walk_judge,
        once=("1080 x 1920, 256 sparse products",),
    ),
    "ir_labels": Row(
        "IR labels, 16 images",
        ir_label_sides,
        ("two lattices", "one lattice", "stage, one process", "stage, two processes"),
        ir_label_judge,
        repeats=3,
    ),
    "irnet_step": Row("IRNet training step, batch 2, crop 512, ResNet-50", irnet_step_sides, ("gather", "training step"), irnet_step_judge),
    "pair_losses": Row(
        "Pair losses, batch 2, crop 512, radius 10", pair_loss_sides, ("gather", "pair losses"), pair_loss_judge, repeats=15
    ),
    "cams": Row("CAM inference, one image, 4 scales and mirror, ResNet-50", cam_sides, ("as trained", "float32", "bf16"), cam_judge),
    "grouping": Row("Centroid refinement and grouping", grouping_sides, ("300 NumPy steps", "instance groups"), grouping_judge),
    "evaluation": Row(
        "Evaluation, 1,464 images",
        evaluation_sides,
        ("in memory", "evaluate", "evaluate, one process", "evaluate, one process, a quarter"),
        evaluation_judge,
        repeats=3,
    ),
    "cam_cache": Row("Reading CAM caches of 40 images", cache_sides, ("float32", "float32, compressed", "cache"), cache_judge),
    "start": Row("Start of a stage", start_sides, ("--help", "tiny shard"), start_judge),
    "dry_run": Row("Dry run of the workflow, 10,582 images", dry_run_sides, ("snakemake -n",), dry_run_judge),
}  # fmt: skip


def _numpy_groups(displacement: np.ndarray) -> np.ndarray:
    return naive.instance_groups(displacement, slow_follow(displacement))


def _evaluation_set(folder: Path, count: int, quick: bool) -> list[str]:
    """Masks, caches and tables of so many images, each of a few scenes many times, as links; made once."""
    names = [f"{index:06d}" for index in range(count)]
    if (folder / "quarter.csv").exists():
        return names
    scenes = [scene(seed, *((60, 80) if quick else VOC)) for seed in range(min(count, 24))]
    with (
        CacheWriter(folder / "cams.h5", "cam", {"stage": "bench"}) as cams,
        CacheWriter(folder / "labels.h5", "label", {"stage": "bench"}) as labels,
    ):
        for name, s in zip(names, scenes, strict=False):
            size = s.pixels.shape[:2]
            cams.write(name, *size, {"classes": s.classes, "cam": s.cam, "high_res": s.high_res})
            # Labels that are near the truth: the class maps themselves, cut to the groups.
            maps = (s.cam[:, None] * (s.groups == np.arange(5)[:, None, None])).reshape(-1, *s.groups.shape)
            labels.write(name, *size, synthesise_labels(maps, np.repeat(s.classes, 5), *size, 0.25, 0.25))
            for kind, mask in (("class", s.class_mask), ("object", s.object_mask)):
                (folder / kind).mkdir(exist_ok=True)
                Image.fromarray(mask).save(folder / kind / f"{name}.png")
    for path in (folder / "cams.h5", folder / "labels.h5"):
        with h5py.File(path, "r+", libver="latest") as file:
            for index, name in enumerate(names[len(scenes) :]):
                file[name] = file[names[index % len(scenes)]]
    for index, name in enumerate(names[len(scenes) :]):
        for kind in ("class", "object"):
            os.link(folder / kind / f"{names[index % len(scenes)]}.png", folder / kind / f"{name}.png")
    height, width = scenes[0].pixels.shape[:2]
    (folder / "classes.csv").write_text("image_id,one,two\n" + "".join(f"{name},1,1\n" for name in names))
    for table, listed in (("manifest.csv", names), ("quarter.csv", names[: count // 4])):
        with open(folder / table, "w", newline="") as file:
            rows = [[name, f"{name}.jpg", height, width, "train"] for name in listed]
            csv.writer(file).writerows([["image_id", "path", "height", "width", "split"], *rows])
    return names


def _run(command: list[Any]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    must(result.returncode == 0, f"{command[0]} ended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-500:]}")
