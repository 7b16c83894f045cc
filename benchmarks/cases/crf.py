"""IR labels by dense CRF, beside pydensecrf with a lattice for each of the two runs or one, and on two cores."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import naive
import numpy as np
from inputs import VOC, scene
from PIL import Image

from cases.common import Case, Finding, Measures, Sides, memory, must, speed
from irn.commands.make_ir_labels import make_ir_labels
from irn.data.tables import write_manifest
from irn.io.cache import CacheReader, CacheWriter
from irn.ops.crf import ir_label, refine
from irn.records import ImageRecord
from irn.settings.settings import Settings

MANY = 21  # labels: background and VOC's classes


def _sides(quick: bool, folder: Path) -> Sides:
    size, count = ((60, 80), 2) if quick else (VOC, 16)
    settings = Settings()
    thresholds = (settings.ir_labels.foreground_threshold, settings.ir_labels.background_threshold)
    scenes = [scene(seed, *size) for seed in range(count)]
    manifest, cams, out = folder / "manifest.csv", folder / "cams.h5", folder / "ir_labels.h5"
    if not manifest.exists():
        records = [ImageRecord(str(seed), folder / f"{seed}.png", *size, "train") for seed in range(count)]
        with CacheWriter(cams, "cam", {"stage": "bench"}) as cache:
            for record, s in zip(records, scenes, strict=True):
                Image.fromarray(s.pixels).save(record.path)
                cache.write(record.image_id, *size, s.cams())
        write_manifest(manifest, records)

    def labels(crf: str) -> list[np.ndarray]:
        return [ir_label(s.pixels, s.high_res, s.classes, *thresholds, crf) for s in scenes]

    def stage(workers: int) -> list[np.ndarray]:
        make_ir_labels(manifest, [cams], out, settings, workers=workers)
        reader = CacheReader([out], "ir_label")
        return [reader.read(image_id)["label"] for image_id in reader.ids]

    return {
        "pydensecrf, two lattices": lambda: [
            naive.ir_label(s.pixels, s.high_res, s.classes, *thresholds) for s in scenes
        ],
        "pydensecrf": lambda: labels("pydensecrf"),
        "numba": lambda: labels("numba"),
        "stage, one process": lambda: stage(1),
        "stage, two processes": lambda: stage(2),
    }


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    two, one, ours = (m[name] for name in SIDES[:3])
    # The stage reads rounded class maps, which can tip a pixel.
    for first, second in ((two, one), (m["stage, one process"], m["stage, two processes"])):
        must(
            all(np.array_equal(a, b) for a, b in zip(first.result, second.result, strict=True)),
            f"labels differ: {first.side}, {second.side}",
        )
    equal = _share_equal(ours.result, one.result)
    return f"labels equal in {equal:.4%} of pixels", [
        speed("IR labels on one core", ours, than=two),
        speed("IR labels on one core", ours, than=one),
        memory("IR labels", ours, than=one),
        speed("IR labels on two cores", m["stage, two processes"], than=m["stage, one process"]),
    ]


def _many_sides(quick: bool, folder: Path) -> Sides:
    height, width = (60, 80) if quick else VOC
    pixels = scene(0, height, width).pixels
    patches = np.random.default_rng(0).integers(0, MANY, (2, 6, 8)).astype(np.int32)
    guesses = list(np.kron(patches, np.ones((1, -(-height // 6), -(-width // 8)), np.int32))[:, :height, :width])
    return {crf: partial(refine, pixels, guesses, MANY, crf) for crf in ("pydensecrf", "numba")}


def _many_judge(m: Measures) -> tuple[str, list[Finding]]:
    equal = _share_equal(m["numba"].result, m["pydensecrf"].result)
    return f"labels equal in {equal:.4%} of pixels", [
        speed(f"dense CRF, {MANY} labels", m["numba"], than=m["pydensecrf"]),
        memory(f"dense CRF, {MANY} labels", m["numba"], than=m["pydensecrf"]),
    ]


def _share_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    share = float(np.mean([np.mean(a == b) for a, b in zip(found, expected, strict=True)]))
    must(share >= 0.9999, f"labels are equal in {share:.4%} of pixels")
    return share


SIDES = ("pydensecrf, two lattices", "pydensecrf", "numba", "stage, one process", "stage, two processes")
CASES = {
    "ir_labels": Case("IR labels, 16 images", _sides, SIDES, _judge, repeats=3),
    "crf_labels": Case(f"Dense CRF, two guesses, {MANY} labels", _many_sides, SIDES[1:3], _many_judge, repeats=3),
}
if find_spec("pydensecrf") is None:
    CASES = {}
