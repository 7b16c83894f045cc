"""Centroid refinement and grouping, beside steps of all cells in NumPy."""

from pathlib import Path

import naive
import numpy as np
from inputs import VOC, scene
from twins import slow_follow

from cases.common import Case, Finding, Measures, Sides, must, speed
from irn.io.cache import CacheReader
from irn.ops.instances import instance_groups
from irn.settings.settings import Walk

GOLDEN = Path(__file__).parents[2] / "tests/golden/fields.h5"


def _numpy_groups(displacement: np.ndarray) -> np.ndarray:
    return naive.instance_groups(displacement, slow_follow(displacement))


def _groups(displacement: np.ndarray) -> np.ndarray:
    return instance_groups(displacement, Walk().centroid_length)


def _sides(quick: bool, folder: Path) -> Sides:
    displacement = scene(0, *((64, 88) if quick else VOC)).displacement
    return {
        "300 NumPy steps": lambda: _numpy_groups(displacement),
        "instance groups": lambda: _groups(displacement),
    }


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    must(np.array_equal(m["300 NumPy steps"].result, m["instance groups"].result), "groups differ")
    golden = CacheReader([GOLDEN], "field")
    for image_id in golden.ids:
        displacement = golden.read(image_id)["displacement"]
        must(np.array_equal(_numpy_groups(displacement), _groups(displacement)), f"groups of {image_id} differ")
    return f"groups equal, also in the {len(golden.ids)} golden cases", [
        speed("centroid refinement and grouping", m["instance groups"], than=m["300 NumPy steps"])
    ]


CASES = {"grouping": Case("Centroid refinement and grouping", _sides, ("300 NumPy steps", "instance groups"), _judge)}
