"""The programs that people use read the exports: their counts, classes and masks are those of the label cache."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from exported_labels import LABELS, NAMES, Labels, pieces, ring
from helpers import ROOT, Arrays, label_of, run

TOOLS = ROOT / ".venv/tools"
Objects = dict[str, list[tuple[str, np.ndarray]]]
# Noise is specks, some of which a joined outline leaves out.
SOLID = [image_id for image_id in LABELS if image_id != "noise.2"]


def read(tool: str, package: str, path: Path, folder: Path) -> Objects:
    """The class and mask of each object by image, as a program reads them; skipped where it is not installed."""
    if not (TOOLS / package).is_dir():
        pytest.skip(f"{package} is not installed; make tools")
    environment = os.environ | {"PYTHONPATH": str(TOOLS), "YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "true"}
    out, script = folder / f"{tool}.npz", ROOT / "tests/readers.py"
    command = [sys.executable, str(script), tool, str(path), str(out)]
    result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    objects: Objects = {}
    with np.load(out) as masks:
        for key in masks.files:
            image_id, _, name = key.split("|")
            objects.setdefault(image_id, []).append((name, masks[key].astype(bool)))
    return objects


def check(objects: Objects, images: list[str], least: float, labels: Mapping[str, Arrays] = LABELS) -> None:
    """Each piece of these images is there, with an IoU of at least `least`, and nothing else."""
    for image_id in images:
        expected, read_of_image = pieces(labels[image_id]), objects.get(image_id, [])
        assert sorted(name for name, _ in read_of_image) == sorted(NAMES[category - 1] for category, _, _ in expected)
        for category, _, pixels in expected:
            piece = np.array(pixels)
            assert (
                max(
                    (mask & piece).sum() / (mask | piece).sum()
                    for name, mask in read_of_image
                    if name == NAMES[category - 1]
                )
                >= least
            ), (image_id, category)


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return Labels(tmp_path)


def test_ultralytics(labels: Labels) -> None:
    # It draws the lines between parts as well, so here each object has only one.
    whole = LABELS | {"holes": label_of(np.where(ring() == 3, 0, ring()), [0, 253], [1.0, 0.25])}
    labels.write(whole)
    run(*labels.yolo("--split", "train"))
    objects = read("ultralytics", "ultralytics", labels.folder / "out/yolo", labels.folder)
    check(objects, ["holes", "one-pixel"], 0.98, whole)
    assert "fragments" not in objects
    assert len(objects["noise.2"]) == len(pieces(LABELS["noise.2"]))
    # Images with a side of fewer than ten pixels are beneath it.
    assert "tiny" not in objects


@pytest.mark.parametrize(("outlines", "least"), [("rle", 1), ("polygons", 0.98)])
def test_datumaro(labels: Labels, outlines: str, least: float) -> None:
    run(*labels.command("coco", "coco/annotations/instances_train.json", "--outlines", outlines))
    (labels.folder / "coco/images").symlink_to(labels.folder / "images")
    check(read("datumaro", "datumaro", labels.folder / "coco", labels.folder), list(LABELS), least)


@pytest.mark.parametrize(("outlines", "least"), [("rle", 1), ("polygons", 0.98)])
def test_label_studio(labels: Labels, outlines: str, least: float) -> None:
    run(*labels.label_studio("--outlines", outlines))
    objects = read("label_studio", "label_studio_sdk", labels.folder / "out/tasks.json", labels.folder)
    check(objects, list(LABELS) if outlines == "rle" else SOLID, least)


def test_labelme(labels: Labels) -> None:
    run(*labels.labelme())
    check(read("labelme", "labelme", labels.folder / "out/labelme", labels.folder), list(LABELS), 0.98)
