"""Labels to export: a cache with odd pieces, tables of images that exist, and the commands on them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from helpers import Arrays, Sample, label_of, run, write_data

from irn.io.cache import CacheWriter

NAMES = [f"class {number}" for number in range(1, 255)]  # as many as there can be


def ring() -> np.ndarray:
    """A square with a hole in which another object lies, and a third of two parts."""
    found = np.zeros((20, 31), int)
    found[2:12, 3:15] = 1
    found[4:10, 5:12] = 0
    found[6:8, 7:9] = 2
    found[15:18, 0:4] = found[15:18, 20:31] = 3
    return found


def noise() -> Arrays:
    rng = np.random.default_rng(0)
    pieces = rng.integers(0, 41, (37, 29))
    # Some score 0, and the last has no pixel at all.
    scores = np.where(rng.random(41) < 0.3, 0, rng.random(41))
    return label_of(pieces, rng.integers(0, 254, 41).tolist(), [*scores[:40], 0.5])


LABELS: dict[str, Arrays] = {
    "holes": label_of(ring(), [0, 253, 7], [1.0, 0.25, 0.5]),
    "nothing": label_of(np.zeros((9, 8), int), [], []),
    "fragments": label_of(np.eye(12, 16, dtype=int), [4], [0.0]),
    "one-pixel": label_of(np.pad([[1]], ((6, 3), (10, 2))), [253], [0.125]),
    "tiny": label_of(np.ones((1, 1), int), [3], [0.75]),
    "all": label_of(np.ones((16, 24), int), [5], [1.0]),
    "noise.2": noise(),
}


class Labels:
    """A label cache, and tables of images that exist."""

    def __init__(self, folder: Path) -> None:
        samples = {}
        for number, (image_id, arrays) in enumerate(LABELS.items()):
            pixels = np.full((*arrays["semantic"].shape, 3), number, np.uint8)
            samples[image_id] = Sample(pixels, [], "val" if image_id == "all" else "train")
        data = write_data(folder, NAMES, samples)
        self.folder, self.manifest, self.labels = folder, data.manifest, data.labels
        self.write(LABELS)

    def write(self, labels: dict[str, Arrays]) -> None:
        with CacheWriter(self.folder / "labels.h5", "label", {"stage": "test"}) as cache:
            for image_id, arrays in labels.items():
                cache.write(image_id, *arrays["semantic"].shape, arrays)

    def clear(self) -> None:
        """Take all pieces out of the label cache."""
        self.write({image_id: label_of(0 * arrays["instance_map"], [], []) for image_id, arrays in LABELS.items()})

    def command(self, name: str, out: str, *options: object) -> list[object]:
        tables = ["--manifest", self.manifest, "--labels", self.labels, "--label-caches", self.folder / "labels.h5"]
        return [f"export-{name}", *tables, "--out", self.folder / out, *options]

    def coco(self, *options: object) -> list[object]:
        return self.command("coco", "out/instances.json", *options)

    def voc(self, *options: object) -> list[object]:
        given = ["--manifest", self.manifest, "--label-caches", self.folder / "labels.h5"]
        return ["export-voc", *given, "--out", self.folder / "out/voc", *options]

    def yolo(self, *options: object) -> list[object]:
        return self.command("yolo", "out/yolo", *options)

    def label_studio(self, *options: object) -> list[object]:
        return self.command("label-studio", "out/tasks.json", *options)

    def labelme(self, *options: object) -> list[object]:
        return self.command("labelme", "out/labelme", *options)

    def exported(self, *options: object) -> dict[str, Any]:
        run(*self.coco(*options))
        return json.loads((self.folder / "out/instances.json").read_text(encoding="utf-8"))


def kept(arrays: Arrays) -> list[int]:
    """The rows of the pieces that are exported."""
    return [
        row for row, score in enumerate(arrays["instance_score"]) if score > 0 and row + 1 in arrays["instance_map"]
    ]


def pieces(arrays: Arrays) -> list[tuple[int, float, list[list[bool]]]]:
    """Category, score and mask of what is exported of an image."""
    return [
        (
            int(arrays["instance_class"][row]) + 1,
            float(arrays["instance_score"][row]),
            (arrays["instance_map"] == row + 1).tolist(),
        )
        for row in kept(arrays)
    ]
