"""Scoring a data set, beside all of it in memory at once."""

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

import h5py
import naive
from inputs import VOC, scene
from PIL import Image

from cases.common import MB, Case, Finding, Measures, Sides, memory, must, speed
from irn.commands.evaluate import evaluate
from irn.data.tables import write_manifest
from irn.io.cache import CacheWriter
from irn.ops.instances import instance_scores
from irn.ops.labels import synthesise_labels
from irn.records import ImageRecord
from irn.settings.settings import Settings


def _sides(quick: bool, folder: Path) -> Sides:
    size, count = ((60, 80), 12) if quick else (VOC, 1464)
    names = [f"{index:06d}" for index in range(count)]
    if not (folder / "quarter.csv").exists():
        _write_data(folder, names, size)
    settings = Settings()

    def run(table: str, workers: int | None = None) -> dict[str, float]:
        with redirect_stdout(io.StringIO()):
            evaluate(
                manifest=folder / table,
                labels=folder / "classes.csv",
                out=folder / "scores.csv",
                class_masks=folder / "class",
                settings=settings,
                cams=[folder / "cams.h5"],
                label_caches=[folder / "labels.h5"],
                object_masks=folder / "object",
                thresholds_out=folder / "thresholds.csv",
                workers=workers,
            )
        return naive.scores_of(folder / "scores.csv")

    return {
        "in memory": lambda: naive.evaluate_in_memory(folder, names, 2, settings.evaluate.cam_threshold),
        "evaluate": lambda: run("manifest.csv"),
        "evaluate, one process": lambda: run("manifest.csv", workers=0),
        "evaluate, one process, a quarter": lambda: run("quarter.csv", workers=0),
    }


def _write_data(folder: Path, names: list[str], size: tuple[int, int]) -> None:
    """Masks, caches and tables of so many images, each of a few scenes many times, as links."""
    scenes = [scene(seed, *size) for seed in range(min(len(names), 24))]
    with (
        CacheWriter(folder / "cams.h5", "cam", {"stage": "bench"}) as cams,
        CacheWriter(folder / "labels.h5", "label", {"stage": "bench"}) as labels,
    ):
        for name, s in zip(names, scenes, strict=False):
            cams.write(name, *size, s.cams())
            # Labels that are near the truth: the class maps themselves, cut to the groups.
            maps, classes, _ = instance_scores(s.cam, s.classes, s.groups)
            labels.write(name, *size, synthesise_labels(maps, classes, *size, 0.25, 0.25))
            for kind, mask in (("class", s.class_mask), ("object", s.object_mask)):
                (folder / kind).mkdir(exist_ok=True)
                Image.fromarray(mask).save(folder / kind / f"{name}.png")
    copies = [(name, names[index % len(scenes)]) for index, name in enumerate(names[len(scenes) :])]
    for path in (folder / "cams.h5", folder / "labels.h5"):
        with h5py.File(path, "r+", libver="latest") as file:
            for name, original in copies:
                file[name] = file[original]
    for name, original in copies:
        for kind in ("class", "object"):
            os.link(folder / kind / f"{original}.png", folder / kind / f"{name}.png")
    (folder / "classes.csv").write_text("image_id,one,two\n" + "".join(f"{name},1,1\n" for name in names))
    records = [ImageRecord(name, folder / f"{name}.jpg", *size, "train") for name in names]
    write_manifest(folder / "manifest.csv", records)
    write_manifest(folder / "quarter.csv", records[: len(names) // 4])


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    expected = m["in memory"].result
    for name in ("evaluate", "evaluate, one process"):
        worst = max(abs(m[name].result[key] - value) for key, value in expected.items())
        must(worst <= 1e-6, f"scores differ by {worst:.2g}, {name}")
    whole, quarter = m["evaluate, one process"], m["evaluate, one process, a quarter"]
    return f"all {len(expected)} mean scores equal", [
        speed("evaluation", m["evaluate"], than=m["in memory"]),
        Finding(
            "evaluation, memory for four times the images",
            f"{(whole.memory - quarter.memory) / MB:+.0f} MB",
            quarter.side,
        ),
        memory("evaluation", whole, than=m["in memory"]),
    ]


CASES = {
    "evaluation": Case(
        "Evaluation, 1,464 images",
        _sides,
        ("in memory", "evaluate", "evaluate, one process", "evaluate, one process, a quarter"),
        _judge,
        repeats=3,
    )
}
