"""Inter-pixel relation labels by dense CRF, beside a lattice for each of the two runs, and on two cores."""

from pathlib import Path

import naive
import numpy as np
from inputs import VOC, scene
from PIL import Image

from cases.common import Case, Finding, Measures, Sides, must, speed
from irn.commands.make_ir_labels import make_ir_labels
from irn.data.tables import ImageRecord, write_manifest
from irn.io.cache import CacheReader, CacheWriter
from irn.io.memory import keep_freed_memory
from irn.ops.crf import ir_label
from irn.settings import Settings


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

    def one_lattice() -> list[np.ndarray]:
        # As the command line does, here and below.
        keep_freed_memory()
        return [ir_label(s.pixels, s.high_res, s.classes, *thresholds) for s in scenes]

    def stage(workers: int) -> list[np.ndarray]:
        keep_freed_memory()
        make_ir_labels(manifest, [cams], out, settings, workers=workers)
        reader = CacheReader([out], "ir_label")
        return [reader.read(image_id)["label"] for image_id in reader.ids]

    return {
        "two lattices": lambda: [naive.ir_label(s.pixels, s.high_res, s.classes, *thresholds) for s in scenes],
        "one lattice": one_lattice,
        "stage, one process": lambda: stage(1),
        "stage, two processes": lambda: stage(2),
    }


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    # The stage reads rounded class maps, which can tip a pixel.
    for one, other in (("two lattices", "one lattice"), ("stage, one process", "stage, two processes")):
        must(all(np.array_equal(a, b) for a, b in zip(m[one].result, m[other].result, strict=True)), f"labels differ: {one}, {other}")
    return f"labels of {len(m['one lattice'].result)} images identical", [
        speed("IR labels on one core", m["one lattice"], than=m["two lattices"]),
        speed("IR labels on two cores", m["stage, two processes"], than=m["stage, one process"]),
    ]


CASES = {
    "ir_labels": Case(
        "IR labels, 16 images", _sides, ("two lattices", "one lattice", "stage, one process", "stage, two processes"), _judge, repeats=3
    )
}
