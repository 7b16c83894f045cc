"""From photograph to labels, stage by stage: this project's chain beside one written after the paper."""

import copy
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import naive
import numpy as np
import torch
from inputs import VOC, scene

from cases.common import Case, Finding, Measures, Sides, memory, must, speed, time
from cases.networks import calibrate
from irn.inference.cams import class_attention_maps
from irn.inference.fields import fields
from irn.io.cache import CacheWriter
from irn.io.processor import multiplies_bfloat16
from irn.networks.classifier import Classifier
from irn.networks.folding import for_inference
from irn.networks.irnet import IRNet
from irn.networks.precision import autocast
from irn.ops.crf import ir_label
from irn.ops.instances import instance_scores
from irn.ops.labels import synthesise_labels
from irn.ops.resize import at_scale
from irn.ops.walk import walk_instances
from irn.settings.settings import Walk

BACKBONE = "tf_efficientnet_lite0"
SCALES = (1.0, 0.5, 1.5)
CROP = 512
IR_THRESHOLDS, LABEL_THRESHOLDS = (0.30, 0.05), (0.25, 0.25)
WALK, DOUBLINGS = Walk(), 8  # 2^8 steps are the paper's 256
IMAGES = 10_582  # of VOC's training split with the further annotations of SBD
STAGES = {"class attention maps": "cam", "IR labels": "ir_label", "fields": "field", "walk": "walk", "labels": "label"}
WRITTEN = ", after the paper"
# What torch computes takes all cores, the rest one.
NETWORKS = ("class attention maps", "fields")
BF16 = ", bf16"


def _sides(quick: bool, folder: Path) -> Sides:
    size, scales, crop = ((48, 64), (1.0,), 64) if quick else (VOC, SCALES, CROP)
    drawn = scene(5, *size)
    pixels = torch.from_numpy(drawn.pixels)
    scaled = [at_scale(drawn.pixels, scale) for scale in scales]
    torch.manual_seed(0)
    classifier, irnet = Classifier(BACKBONE, 20).eval(), IRNet(BACKBONE).eval()
    for model in (classifier, irnet):
        calibrate(model, model.backbone.normalise(pixels)[None])
    quick_classifier, quick_irnet = (
        for_inference(copy.deepcopy(model), torch.device("cpu")) for model in (classifier, irnet)
    )
    maps = {"classes": drawn.classes, "cam": drawn.cam}
    field = {"boundary": drawn.boundary, "displacement": drawn.displacement}
    walks = walk_instances(maps, field, WALK)
    scores, names, _ = instance_scores(drawn.cam, drawn.classes, walks["groups"])

    @torch.inference_mode()
    def make_maps() -> dict[str, np.ndarray]:
        return class_attention_maps(quick_classifier, scaled, drawn.classes.tolist(), *size)

    @torch.inference_mode()
    def make_fields() -> dict[str, np.ndarray]:
        return fields(quick_irnet, drawn.pixels, *size, crop, (0.0, 0.0))

    def written_walk() -> dict[str, np.ndarray]:
        by_class, walked = (
            naive.dense_walk(start, drawn.boundary, WALK.beta, DOUBLINGS, WALK.radius) for start in (drawn.cam, scores)
        )
        return {"by_class": by_class, "walk": walked}

    def written_labels() -> dict[str, np.ndarray]:
        by_class = np.stack([walks["walk"][walks["walk_class"] == index].sum(0) for index in np.unique(names)])
        semantic, winner = (naive.labels_at_once(start, *size, 0.25) for start in (by_class, walks["walk"]))
        return {"semantic": semantic, "instances": np.concatenate([[0], names + 1])[winner]}

    ours: dict[str, Any] = {
        "class attention maps": make_maps,
        "IR labels": lambda: {"label": ir_label(drawn.pixels, drawn.high_res, drawn.classes, *IR_THRESHOLDS)},
        "fields": make_fields,
        "walk": partial(walk_instances, maps, field, WALK),
        "labels": partial(synthesise_labels, walks["walk"], walks["walk_class"], *size, *LABEL_THRESHOLDS),
    }
    written: dict[str, Any] = {
        "class attention maps": partial(
            naive.class_maps, classifier, list(map(torch.from_numpy, scaled)), drawn.classes, *size
        ),
        "IR labels": lambda: {"label": naive.ir_label(drawn.pixels, drawn.high_res, drawn.classes, *IR_THRESHOLDS)},
        "fields": partial(naive.fields, irnet, pixels, crop),
        "walk": written_walk,
        "labels": written_labels,
    }
    if multiplies_bfloat16():
        ours |= {f"{stage}{BF16}": partial(_in_bf16, ours[stage]) for stage in NETWORKS}
    return ours | {f"{stage}{WRITTEN}": run for stage, run in written.items()}


def _in_bf16(run: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    with autocast(torch.device("cpu"), "bf16"):
        return run()


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    found: list[Finding] = []
    size = m["IR labels"].result["label"].shape
    hours = {cores: [0.0, 0.0] for cores in (2, 16)}
    for stage, kind in STAGES.items():
        ours, written = m[stage], m[f"{stage}{WRITTEN}"]
        _must_agree(stage, ours.result, written.result)
        found += [
            time(stage, ours),
            speed(stage, ours, than=written),
            memory(stage, ours, than=written),
            _on_disk(stage, kind, ours.result, size),
        ]
        for cores, sums in hours.items():
            share = torch.get_num_threads() / cores if stage in NETWORKS else 1 / cores
            for place, side in enumerate((ours, written)):
                sums[place] += side.median * share * IMAGES / 3600
    together = {stage: m[stage].median for stage in STAGES}
    found.append(Finding("photograph to labels, one after the other", f"{sum(together.values()):.3g} s"))
    quicker = {stage: m[f"{stage}{BF16}"].median for stage in NETWORKS if f"{stage}{BF16}" in m}
    if quicker:
        seconds = sum((together | quicker).values())
        found.append(Finding("photograph to labels, one after the other, bf16", f"{seconds:.3g} s"))
    for cores, (ours_hours, written_hours) in hours.items():
        found.append(
            Finding(
                f"{IMAGES:,} photographs on {cores} cores, by multiplication",
                f"{ours_hours:.2g} hours; {written_hours:,.0f}{WRITTEN}",
            )
        )
    return "maps, fields and walks within 5e-4; labels equal in 99.9 % of pixels", found


def _must_agree(stage: str, ours: dict[str, np.ndarray], written: dict[str, np.ndarray]) -> None:
    if stage == "labels":
        instances = np.concatenate([[0], ours["instance_class"] + 1])[ours["instance_map"]]
        pairs = [(ours["semantic"], written["semantic"]), (instances, written["instances"])]
    else:
        pairs = [(ours[name], written[name]) for name in written if name in ours]
    for one, other in pairs:
        if stage in ("labels", "IR labels"):
            must(float(np.mean(one == other)) >= 0.999, f"{stage} are equal in {np.mean(one == other):.2%} of pixels")
        else:
            error = float(np.abs(one - other).max() / max(float(np.abs(other).max()), 1e-9))
            must(error <= 5e-4, f"{stage} differ by {error:.2g} of their maximum")


def _on_disk(stage: str, kind: str, arrays: dict[str, np.ndarray], size: tuple[int, int]) -> Finding:
    """The bytes of an image in a cache, beside its arrays as they are in memory."""
    plain = sum(array.nbytes for array in arrays.values())
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for count in (1, 5):
            path = Path(folder) / f"{count}.h5"
            with CacheWriter(path, kind, {"stage": "bench"}) as cache:
                for index in range(count):
                    cache.write(str(index), *size, arrays)
            sizes.append(path.stat().st_size)
    stored = (sizes[1] - sizes[0]) / 4
    return Finding(
        f"{stage}, on disk", f"{stored / 1e3:.0f} kB, 1/{plain / stored:.1f} of {plain / 1e3:,.0f} kB in memory"
    )


SIDES = tuple(name for stage in STAGES for name in (f"{stage}{WRITTEN}", stage))
SIDES += tuple(f"{stage}{BF16}" for stage in NETWORKS)
CASES = {
    "photograph": Case(
        f"Photograph to labels, 375 x 500, 2 classes x 5 objects, {BACKBONE}",
        _sides,
        SIDES,
        _judge,
        once=(f"walk{WRITTEN}",),
    )
}
