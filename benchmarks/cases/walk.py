"""The random walk, beside the dense matrix and beside one sparse product a step."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import naive
import numpy as np
from inputs import FULL_HD, VOC, Scene, scene

from cases.common import Case, Finding, Measures, Sides, largest_error_of_maximum, memory, must, speed, time
from irn.commands.make_labels import make_labels
from irn.commands.random_walk import random_walk as random_walk_stage
from irn.io.cache import CacheReader, CacheWriter
from irn.ops.instances import instance_scores
from irn.ops.labels import synthesise_labels
from irn.ops.walk import random_walk
from irn.settings.settings import Settings, Walk

BETA, DOUBLINGS, RADIUS = 10, 8, 5
STEPS = 2**DOUBLINGS
IMAGES = 12


def walk_inputs(size: tuple[int, int], classes: int = 2, objects: int = 5) -> tuple[Scene, np.ndarray, np.ndarray]:
    """A scene, its class maps cut to its groups (classes x objects, h, w), and the class of each."""
    drawn = scene(0, *size, classes, objects)
    scores, names, _ = instance_scores(drawn.cam, drawn.classes, drawn.groups)
    return drawn, scores, names


def walk_of(drawn: Scene, scores: np.ndarray, radius: int = RADIUS) -> Callable[[], np.ndarray]:
    """What walks with the scores in a scene."""
    settings = Walk(beta=BETA, steps=STEPS, radius=radius)
    return lambda: random_walk(scores, drawn.boundary, settings)


def _walk_sides(quick: bool, folder: Path) -> Sides:
    size = (64, 88) if quick else VOC
    drawn, scores, names = walk_inputs(size)
    walk = walk_of(drawn, scores)

    def dense() -> dict[str, np.ndarray]:
        # As released: a walk for semantic labels, and another for instances.
        by_class, walked = (
            naive.dense_walk(maps, drawn.boundary, BETA, DOUBLINGS, RADIUS) for maps in (drawn.cam, scores)
        )
        semantic, winner = (naive.labels_at_once(maps, *size, 0.25) for maps in (by_class, walked))
        return {"walk": walked, "semantic": semantic, "instances": np.concatenate([[0], names + 1])[winner]}

    def labels() -> dict[str, np.ndarray]:
        found = synthesise_labels(walk(), names, *size, 0.25, 0.25)
        by_piece = np.concatenate([[0], found["instance_class"] + 1])
        return {"semantic": found["semantic"], "instances": by_piece[found["instance_map"]]}

    return {"dense": dense, "walk": walk, "walk and labels": labels}


def _walk_judge(m: Measures) -> tuple[str, list[Finding]]:
    expected, labels = m["dense"].result, m["walk and labels"].result
    error = largest_error_of_maximum(m["walk"].result, expected["walk"])
    shares = {name: float((labels[name] == expected[name]).mean()) for name in labels}
    must(error <= 5e-4, f"walk differs by {error:.2g} of its maximum")
    must(min(shares.values()) >= 0.999, f"labels agree in {shares}")
    return f"walk within {error:.1g} of its maximum; labels equal in {min(shares.values()):.2%} of pixels", [
        time("random walk", m["walk"]),
        memory("random walk", m["walk"]),
        time("random walk and labels", m["walk and labels"]),
        speed("random walk and labels", m["walk and labels"], than=m["dense"]),
    ]


def _large_walk_sides(quick: bool, folder: Path) -> Sides:
    small, large = ((48, 64), (96, 128)) if quick else (VOC, FULL_HD)
    drawn, scores, _ = walk_inputs(large)
    small_walk, walk = walk_of(*walk_inputs(small)[:2]), walk_of(drawn, scores)
    return {
        "375 x 500": lambda: (small[0] * small[1], small_walk()),
        "1080 x 1920": lambda: (large[0] * large[1], walk()),
        "1080 x 1920, 256 sparse products": lambda: naive.sparse_walk(scores, drawn.boundary, BETA, STEPS, RADIUS),
    }


def _large_walk_judge(m: Measures) -> tuple[str, list[Finding]]:
    small, large, products = m["375 x 500"], m["1080 x 1920"], m["1080 x 1920, 256 sparse products"]
    (small_pixels, _), (pixels, found) = small.result, large.result
    error = largest_error_of_maximum(found, products.result)
    must(error <= 5e-4, f"walk differs by {error:.2g} of its maximum")
    growth = large.median / small.median / (pixels / small_pixels)
    what = "random walk at 1080 x 1920"
    return f"within {error:.1g} of the maximum, against 256 sparse products; the dense matrix would take 67 GB", [
        time(what, large),
        memory(what, large),
        Finding(f"{what}, time a pixel", f"{growth:.2f} times as long", small.side),
        speed(what, large, than=products),
    ]


def _caches_sides(quick: bool, folder: Path) -> Sides:
    size = (48, 64) if quick else VOC
    cams, fields, walks, labels = (folder / f"{kind}.h5" for kind in ("cam", "field", "walk", "label"))
    if not fields.exists():
        with (
            CacheWriter(cams, "cam", {"stage": "bench"}) as cam,
            CacheWriter(fields, "field", {"stage": "bench"}) as field,
        ):
            for index in range(IMAGES):
                drawn = scene(index, *size)
                cam.write(str(index), *size, drawn.cams())
                field.write(str(index), *size, {"boundary": drawn.boundary, "displacement": drawn.displacement})

    def stages(workers: int) -> list[np.ndarray]:
        random_walk_stage([cams], [fields], walks, Settings(), workers=workers)
        make_labels([walks], labels, Settings(), workers=workers)
        reader = CacheReader([labels], "label")
        return [reader.read(image_id, ["instance_map"])["instance_map"] for image_id in reader.ids]

    return {"one process": partial(stages, 1), "two processes": partial(stages, 2)}


def _caches_judge(m: Measures) -> tuple[str, list[Finding]]:
    one, two = m.values()
    must(
        all(np.array_equal(a, b) for a, b in zip(one.result, two.result, strict=True)),
        "labels differ between one process and two",
    )
    return "labels of both equal", [
        Finding(
            f"random walk and labels through the caches, an image, {side.side}",
            f"{side.median / len(side.result):.3g} s",
        )
        for side in (one, two)
    ]


CASES = {
    "walk": Case(
        "Random walk, 375 x 500, 2 classes x 5 groups",
        _walk_sides,
        ("dense", "walk", "walk and labels"),
        _walk_judge,
        once=("dense",),
    ),
    "large_walk": Case(
        "Random walk, 1080 x 1920, 2 classes x 5 groups",
        _large_walk_sides,
        ("1080 x 1920, 256 sparse products", "375 x 500", "1080 x 1920"),
        _large_walk_judge,
        once=("1080 x 1920, 256 sparse products",),
    ),
    "walk_caches": Case(
        f"Random walk and labels of {IMAGES} images through the caches",
        _caches_sides,
        ("one process", "two processes"),
        _caches_judge,
    ),
}
