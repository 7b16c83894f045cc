"""Images a second of every stage with a network on a GPU, and of loading images alone.

benchmarks/gpu.py                          under ten minutes on one GPU; writes results/gpu/gpu.md and gpu.json
benchmarks/gpu.py --device cpu --small     tiny images: whether all runs, not how fast

Stages run as their commands do, on drawn images of VOC's size, with untrained networks and the paper's settings; a rate
is that of the second half of the images, with loading and writing. Nothing is downloaded.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

from bench import ROOT, machine
from gpu_tables import Rate, tables

BACKBONES = ("resnet50", "tf_efficientnet_lite0")
PRECISIONS = ("float32", "bf16")
MINUTES = 9.0
LOADING_SECONDS = 4.0


class Clocked(io.StringIO):
    """A standard error that notes when half of a loop's images are done, and when nearly all are."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self.now = now
        self.halves: dict[str, list[tuple[float, int]]] = {}

    def write(self, text: str) -> int:
        """Take what `print` writes, and look at the clock where it is such a line of progress."""
        from irn.io.progress import LINE

        if line := LINE.fullmatch(text):
            done, total = int(line["done"]), int(line["total"])
            marks = self.halves.setdefault(line["what"], [])
            wanted = (total // 2, total - max(1, total // 20))
            if len(marks) < 2 and done >= wanted[len(marks)] and done > (marks[0][1] if marks else 0):
                marks.append((self.now(), done))
        return len(text)

    def rates(self) -> dict[str, float]:
        """Units a second of each loop, by what it said of itself."""
        return {
            what: (marks[1][1] - marks[0][1]) / max(marks[1][0] - marks[0][0], 1e-9)
            for what, marks in self.halves.items()
            if len(marks) == 2
        }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny images, to see whether all runs")
    parser.add_argument("--backbones", nargs="+", default=BACKBONES, metavar="NAME")
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--workers", type=int, help="processes that load images; a core each by default on a GPU")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which no further stage is started")
    parser.add_argument("--out", type=Path, default=ROOT / "results/gpu", metavar="DIR")
    options = parser.parse_args(arguments)
    end = time.monotonic() + 60 * options.minutes
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU is visible to torch; --device cpu --small shows whether the script runs")
    from gpu_stages import SMALL, VOC, draw_data

    size = SMALL if options.small else VOC
    with tempfile.TemporaryDirectory() as folder:
        data = draw_data(Path(folder), size, options.device, options.workers)
        loading = list(measured_loading(data, size))
        rates = [
            rate
            for backbone in options.backbones
            for precision in options.precisions
            for rate in measured_stages(data, size, backbone, precision, end)
        ]
    report = {"made_on": machine() | gpu(options.device), "small": options.small}
    report |= {"loading": loading, "rates": [rate._asdict() for rate in rates]}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    shown = tables(rates, loading, report["made_on"], options.small)
    (options.out / "gpu.md").write_text(shown + "\n", encoding="utf-8")
    print(shown)
    return 0


def gpu(device: str) -> dict[str, str]:
    """The GPU, its memory, its driver and torch's CUDA; nothing on a CPU."""
    import torch

    if device == "cpu":
        return {"GPU": "none"}
    properties = torch.cuda.get_device_properties(0)
    driver = Path("/proc/driver/nvidia/version")
    words = driver.read_text(encoding="utf-8").partition("\n")[0] if driver.is_file() else "unknown"
    return {
        "GPU": f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB",
        "driver": words.partition("Kernel Module")[2].split("(")[0].strip() or words,
        "CUDA": str(torch.version.cuda),
        "cuDNN": str(torch.backends.cudnn.version()),
    }


# ---- measuring


def measured_stages(data: Any, size: Any, backbone: str, precision: str, end: float) -> Iterator[Rate]:
    """Run every stage with a network in a number format; a stage that cannot run says why."""
    import torch
    from gpu_stages import settings_of, stages

    from irn.errors import IrnError
    from irn.io.progress import FOLLOWED

    on_gpu = data.device == "cuda"

    def now() -> float:
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    for stage in stages(data, settings_of(size, backbone, precision)):
        if time.monotonic() > end:
            yield Rate(stage.title, backbone, precision, stage.passes, None, 0, "time was up")
            continue
        print(f"{backbone}, {precision}: {stage.title} ...", file=sys.stderr, flush=True)
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        clocked, before = Clocked(now), os.environ.get(FOLLOWED)
        os.environ[FOLLOWED] = "0"  # a line for every percent
        why_not = ""
        try:
            with redirect_stderr(clocked), redirect_stdout(io.StringIO()):
                stage.run()
        except (IrnError, RuntimeError) as error:  # torch's is of the second kind where memory is short
            why_not = " ".join(str(error).split())[:200]
        finally:
            os.environ.pop(FOLLOWED)
            os.environ.update({FOLLOWED: before} if before is not None else {})
        memory = torch.cuda.max_memory_allocated() if on_gpu else 0
        if why_not:
            yield Rate(stage.title, backbone, precision, stage.passes, None, memory, why_not)
            continue
        for place, (what, rate) in enumerate(clocked.rates().items()):
            name = stage.title if place == 0 else f"{stage.title}: {what}"
            scale, passes = (stage.batch_size, stage.passes) if place == 0 else (1, 1)
            yield Rate(name, backbone, precision, passes, rate * scale, memory)


def measured_loading(data: Any, size: Any) -> list[dict[str, Any]]:
    """Images a second that so many processes load, for a training and at all scales for class attention maps."""
    from gpu_stages import scaled_view, settings_of, training_view

    from irn.io.parallel import available_cores, map_in_order

    settings = settings_of(size, "resnet50", "float32")
    views = {"training": training_view(data, settings), "class attention maps": scaled_view(data, settings)}
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= available_cores()]
    rows = []
    for workers in [1] if data.workers == 0 else counts:
        row: dict[str, Any] = {"workers": workers}
        for what, view in views.items():
            numbers = (number % size.images for number in range(10**9))
            # What was loaded ahead while the processes started does not count.
            ahead = 4 * workers
            loaded = map_in_order(view, numbers, workers, str)
            for _ in islice(loaded, ahead):
                pass
            start, done = time.perf_counter(), 0
            while (spent := time.perf_counter() - start) < (LOADING_SECONDS if size.images > 100 else 0.1):
                next(loaded)
                done += 1
            loaded.close()
            row[what] = done / spent
        rows.append(row)
    return rows


if __name__ == "__main__":
    sys.exit(main())
