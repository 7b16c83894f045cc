"""Memory, time and files of the stages, with untrained networks, on many tiny images or on large photographs.

benchmarks/load.py many --images 2000 20000     each stage on that many images of 32 x 24 pixels, and snakemake -n
benchmarks/load.py start --images 200000        only what comes before the first network: check-data, build-manifest,
                                                snakemake -n
benchmarks/load.py many --images 200000 --shards 100   of the stages, the first of 100 shards alone, up to the labels
benchmarks/load.py large --max-side 1024        each stage on 8 photographs of 4032 x 3024 pixels, 4 processes

Each process computes with one thread.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
TINY, PHOTOGRAPH = (24, 32), (3024, 4032)
SHARDS = (1, 100)


class Cost(NamedTuple):
    """Seconds by the clock, processor seconds of the process itself, peak memory of all in MB, shared pages once."""

    seconds: float
    own: float
    memory: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("many", "start", "large"))
    parser.add_argument("--images", type=int, nargs="+")
    parser.add_argument("--shards", type=int, default=1, help="run the first of so many alone")
    parser.add_argument("--max-side", type=int)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.what in ("many", "start"):
            for count in options.images or (2000, 20000):
                folder, workers = Path(name) / str(count), options.workers or 2
                start(folder, count, workers)
                if options.what == "many":
                    many(folder, workers, options.shards)
        else:
            large(
                Path(name),
                (options.images or [8])[0],
                options.max_side,
                4 if options.workers is None else options.workers,
            )
    return 0


def start(folder: Path, count: int, workers: int) -> None:
    """Tiny images with masks: all that a run does before it computes."""
    rng = np.random.default_rng(0)
    data_set(folder, (rng.integers(0, 256, (*TINY, 3), np.uint8) for _ in range(count)))
    print(f"\n| {count:,} images of {TINY[1]} x {TINY[0]} | seconds | memory, MB |\n|---|---|---|")
    read = ["--kind", "folder", "--root", folder / "set", "--workers", workers]
    row("check-data", irn("check-data", *read))
    row(
        "build-manifest",
        irn("build-manifest", *read, "--out-manifest", folder / "m.csv", "--out-labels", folder / "l.csv"),
    )
    snakemake = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", 2, "-n"]
    for shards in SHARDS:
        settings = folder / f"{shards}.yaml"
        settings.write_text(
            f"run: load\nshards: {shards}\ndataset: {{kind: folder, root: {folder / 'set'}}}\npretrained: null\n",
            encoding="utf-8",
        )
        cost = run(*snakemake, "--configfile", settings)
        settings.unlink()
        row(f"snakemake -n, {shards} shard{'s' if shards > 1 else ''}, {cost.own:.1f} s of a processor", cost)


def many(folder: Path, workers: int, shards: int) -> None:
    """The same images through all stages, to the report, or the first shard of them to its labels."""
    if shards > 1:
        for name, cost in stages(folder, workers, [], shard=f"0/{shards}"):
            row(f"{name}, 1 of {shards} shards", cost)
        return
    data, tables = folder / "set", ["--manifest", folder / "m.csv", "--labels", folder / "l.csv"]
    for name, cost in stages(folder, workers, []):
        row(name, cost)
    caches = ["--cams", folder / "cam.h5", "--label-caches", folder / "label.h5"]
    masks = ["--class-masks", data / "SegmentationClass", "--object-masks", data / "SegmentationObject"]
    row("evaluate", irn("evaluate", *tables, *caches, *masks, "--out", folder / "scores.csv", "--workers", workers))
    row("report", irn("report", "--run", run_folder(folder), "--out", folder / "report.html", "--workers", workers))
    made = [path for path in folder.iterdir() if path.is_file()]
    print(f"\n{len(made)} files beside the data set")
    print(", ".join(f"{path.name} {path.stat().st_size / 2**20:,.1f} MB" for path in sorted(made)))


def large(folder: Path, count: int, max_side: int | None, workers: int) -> None:
    """Photographs of a phone's size, for which no ground truth is needed."""
    from PIL import Image
    from scipy import ndimage

    height, width = PHOTOGRAPH
    noise = ndimage.gaussian_filter(np.random.default_rng(0).random((height // 8, width // 8, 3)), (12, 12, 0))
    small = Image.fromarray((255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8))
    pixels = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    data_set(folder, (np.roll(pixels, 100 * shift, 1) for shift in range(count)), masks=False)
    tables = ["--out-manifest", folder / "m.csv", "--out-labels", folder / "l.csv", "--workers", workers]
    limit = [] if max_side is None else ["--max-side", max_side]
    print(f"\n| {count} images of {width} x {height}, max_side {max_side} | seconds | memory, MB |\n|---|---|---|")
    row("build-manifest", irn("build-manifest", "--kind", "folder", "--root", folder / "set", *tables))
    for name, cost in stages(folder, workers, limit):
        row(name, cost)


def data_set(folder: Path, images: Iterable[np.ndarray], masks: bool = True) -> None:
    """A folder with a table of two classes, and weights of networks that nothing was taught."""
    import torch
    from PIL import Image

    from irn.networks.classifier import Classifier
    from irn.networks.irnet import IRNet
    from irn.weights.files import save_weights

    names = ("SegmentationClass", "SegmentationObject") if masks else ()
    for part in ("images", *names):
        (folder / "set" / part).mkdir(parents=True)
    rows = []
    for index, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"set/images/{index:06}.png", compress_level=1)
        rows.append(f"{index:06},{1 - index % 2},{index % 2}\n")
        mask = np.zeros(pixels.shape[:2], np.uint8)
        mask[4:16, 4:16] = 1
        for part, value in zip(names, (1 + index % 2, 1), strict=False):
            Image.fromarray(value * mask).save(folder / f"set/{part}/{index:06}.png")
    (folder / "set/labels.csv").write_text("image_id,dog,cat\n" + "".join(rows), encoding="utf-8")
    torch.manual_seed(0)
    save_weights(folder / "cam.pt", "cam", Classifier("resnet18", 2), {"stage": "load"}, ["dog", "cat"], 64)
    save_weights(
        folder / "irn.pt", "irn", IRNet("resnet18"), {"stage": "load"}, crop_size=32, mean_displacement=(0.0, 0.0)
    )


def run_folder(folder: Path) -> Path:
    """A folder like that of a run, of what was made here."""
    from irn.commands.report import CACHES

    run = folder / "results/load"
    listed = [
        ("build_manifest", "manifest.csv", "m.csv"),
        ("build_manifest", "labels.csv", "l.csv"),
        ("evaluate", "scores.csv", "scores.csv"),
    ]
    for stage, name, file in [*listed, *((stage, "0-of-1.h5", f"{kind}.h5") for kind, stage in CACHES.items())]:
        (run / stage).mkdir(parents=True, exist_ok=True)
        (run / stage / name).symlink_to(folder / file)
    given = {"dataset.kind": "folder", "dataset.root": str(folder / "set")}
    (run / "evaluate/key.json").write_text(json.dumps({"settings": given}), encoding="utf-8")
    own = {
        "configuration": 0,
        "seed": 0,
        "values": {},
        "stages": {path.name: f"results/load/{path.name}" for path in run.iterdir()},
    }
    (run / "run.json").write_text(json.dumps({"configurations": [own]}), encoding="utf-8")
    return run


def stages(folder: Path, workers: int, limit: list[object], shard: str = "0/1") -> Iterator[tuple[str, Cost]]:
    """The per-image stages, with maps at one scale."""
    images = ["--manifest", folder / "m.csv", "--shard", shard, "--workers", workers]
    weights = {name: ["--weights", folder / f"{name}.pt", "--device", "cpu"] for name in ("cam", "irn")}
    out = {name: folder / f"{name}.h5" for name in ("cam", "ir_label", "field", "walk", "label")}
    caches = ["--cams", out["cam"], "--fields", out["field"]]
    yield (
        "make-cams",
        irn(
            "make-cams",
            *images,
            "--labels",
            folder / "l.csv",
            *weights["cam"],
            "--scales",
            1,
            "--out",
            out["cam"],
            *limit,
        ),
    )
    yield "make-ir-labels", irn("make-ir-labels", *images, "--cams", out["cam"], "--out", out["ir_label"], *limit)
    yield "infer-fields", irn("infer-fields", *images, *weights["irn"], "--out", out["field"], *limit)
    yield "random-walk", irn("random-walk", *images, *caches, "--out", out["walk"], *limit)
    yield "make-labels", irn("make-labels", *images, "--walks", out["walk"], "--out", out["label"])


# ---- measuring


def irn(*words: object) -> Cost:
    """Run a command of the package."""
    return run(BIN / "irn", *words)


def run(*words: object) -> Cost:
    """Run a command, which must succeed, and look at its memory and that of all its processes ten times a second."""
    with tempfile.TemporaryFile("w+") as said:
        start, before = time.monotonic(), os.times()
        environment = {**os.environ, **THREADS, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen([str(word) for word in words], stdout=said, stderr=said, env=environment)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(_memory(pid) for pid in _tree(process.pid)))
            time.sleep(0.1)
        after = os.times()
        said.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, words))}\n{said.read()}")
    own = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.monotonic() - start, own, peak / 1024)


def row(name: str, cost: Cost) -> None:
    print(f"| {name} | {cost.seconds:.1f} | {cost.memory:,.0f} |", flush=True)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _memory(pid: int) -> int:
    """KB that a process holds, of shared pages its part."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
