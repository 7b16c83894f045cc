"""How cost grows with the size of images, classes, instances, radius and number of images."""

import io
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from cases.losses import losses_of
from cases.walk import RADIUS, walk_inputs, walk_of
from inputs import VOC, scene

from irn.commands.make_labels import make_labels
from irn.io.cache import CacheWriter
from irn.ops.crf import ir_label
from irn.ops.labels import synthesise_labels
from irn.settings.settings import Settings

SIZES = ((188, 250), (375, 500), (540, 960), (750, 1000), (1080, 1920), (3024, 4032))


def scaling(quick: bool) -> dict[str, dict[str, Any]]:
    """Seconds (the median of three after a warm-up) by what grows, and the power that fits them: 1 is in proportion."""
    sizes = ((32, 48), (48, 64)) if quick else SIZES
    middle = (48, 64) if quick else VOC
    series: dict[str, list[tuple[int, Callable[[], Any]]]] = {
        "walk, pixels": [(h * w, walk((h, w))) for h, w in sizes],
        "walk, classes": [(n, walk(middle, classes=n, objects=max(n, 5))) for n in ((1, 2) if quick else (1, 2, 4, 8))],
        "walk, instances": [(n, walk(middle, objects=n)) for n in ((2, 3) if quick else (2, 5, 10, 20))],
        "walk, radius": [(n, walk(middle, radius=n)) for n in ((3, 4) if quick else (3, 5, 7, 10, 15))],
        "pair losses, radius": [
            (n, losses_of(24 if quick else 128, n)) for n in ((3, 4) if quick else (3, 5, 7, 10, 15))
        ],
        "CRF, pixels": [(h * w, crf((h, w))) for h, w in sizes],
        "CRF, classes": [(n, crf(middle, n)) for n in ((1, 2) if quick else (1, 2, 4, 8, 20))],
        "labels, pixels": [(h * w, labels((h, w))) for h, w in sizes],
        "make-labels, images": [(n, many_labels(n)) for n in ((2, 4) if quick else (50, 200, 800))],
    }
    return {what: _measured(points, 1 if quick else 3) for what, points in series.items()}


def walk(size: tuple[int, int], classes: int = 2, objects: int = 5, radius: int = RADIUS) -> Callable[[], Any]:
    drawn, scores, _ = walk_inputs(size, classes, objects)
    return walk_of(drawn, scores, radius)


def crf(size: tuple[int, int], classes: int = 2) -> Callable[[], Any]:
    drawn = scene(0, *size, classes, max(classes, 5))
    return lambda: ir_label(drawn.pixels, drawn.high_res, drawn.classes, 0.30, 0.05)


def labels(size: tuple[int, int]) -> Callable[[], Any]:
    _, scores, names = walk_inputs(size)
    return lambda: synthesise_labels(scores, names, *size, 0.25, 0.25)


def many_labels(count: int) -> Callable[[], Any]:
    """The command on so many small images, in this process."""
    size = (96, 128)
    drawn, scores, names = walk_inputs(size)
    arrays = {"walk": scores, "walk_class": names, "walk_instance": np.zeros_like(names), "groups": drawn.groups}

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            walks = Path(folder) / "walks.h5"
            with CacheWriter(walks, "walk", {"stage": "bench"}) as cache:
                for index in range(count):
                    cache.write(str(index), *size, arrays)
            make_labels([walks], Path(folder) / "labels.h5", Settings(), workers=0)

    return run


def plot(series: dict[str, dict[str, Any]], path: Path) -> None:
    """One panel for each of what grows, both axes logarithmic."""
    import altair as alt  # late: what is measured runs in processes that import this module
    import pandas as pd
    import vl_convert

    panels = []
    for what, measures in series.items():
        rows = pd.DataFrame({"x": measures["x"], "seconds": measures["seconds"]})
        title = what.split(", ")[1]
        x = alt.X("x:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(values=measures["x"]))
        y = alt.Y("seconds:Q", scale=alt.Scale(type="log"))
        panels.append(alt.Chart(rows, title=what, width=220, height=200).mark_line(point=True).encode(x=x, y=y))
    chart = alt.concat(*panels, columns=-(-len(panels) // 2))
    path.write_bytes(vl_convert.vegalite_to_png(chart.to_dict()))


def _measured(points: list[tuple[int, Callable[[], Any]]], repeats: int) -> dict[str, Any]:
    found = []
    for _, run in points:
        run()
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        found.append(median(times))
    x = [n for n, _ in points]
    return {"x": x, "seconds": found, "power": float(np.polyfit(np.log(x), np.log(found), 1)[0])}
