"""Names that are not to be classes: markers are pointed out, and `dataset.leave_out` takes any out."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import run, save_png
from test_check_data import check, folder_set, pixels, voc_set
from test_voc_tools import cvat

from irn.data.masks import open_truth
from irn.data.tables import read_classes, read_manifest
from irn.data.voc_annotations import VOC_CLASSES

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "name", ["ignore", "DontCare", "dont_care", "Void", "undefined", "ignored regions", "__ignore__"]
)
@pytest.mark.parametrize("kind", ["voc", "folder"])
def test_usual_markers_are_pointed_out(tmp_path: Path, capsys: Capture, name: str, kind: str) -> None:
    if kind == "voc":
        annotation = f"<annotation><object><name>{name}</name></object></annotation>"
        root = voc_set(tmp_path / "set", a="scratch", b=annotation, c="dent")
    else:
        root = folder_set(tmp_path / "set", f"image_id,dent,{name}\na,1,0\nb,0,1\nc,0,0\n")
    notices = check(root, capsys, kind)[2]["notices"]
    words = (
        f"class {name!r} (1 of the images) is learned like any other; if it marks what is to be ignored, leave it out"
    )
    assert sum(words in notice for notice in notices) == 1
    again = check(root, capsys, kind, "--leave-out", name)[2]
    assert name not in again["classes"]
    assert not any(words in notice for notice in again["notices"])


def test_a_marker_does_not_change_the_order_of_vocs_classes(tmp_path: Path) -> None:
    root = voc_set(tmp_path / "set", a="dog", b="ignore", c="dog ignore")
    tables = ("--out-manifest", tmp_path / "m.csv", "--out-labels", tmp_path / "l.csv")
    run("build-manifest", "--kind", "voc", "--root", root, *tables, "--leave-out", "ignore")
    classes = read_classes(tmp_path / "l.csv")
    assert classes.names == list(VOC_CLASSES)
    assert classes.present == {"a": [11], "b": [], "c": [11]}


def coco(root: Path) -> Path:
    """A cat, and half of it in a region to be ignored."""
    save_png(root / "train/a.png", pixels(1))
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "ignore"}]
    annotations = [
        {"id": n, "image_id": 1, "category_id": n, "iscrowd": 0, "segmentation": [[x, 0, x + 20, 0, x + 20, 20, x, 20]]}
        for n, x in ((1, 0), (2, 10))
    ]
    image = {"id": 1, "file_name": "a.png", "height": 40, "width": 48}
    content = {"images": [image], "annotations": annotations, "categories": categories}
    (root / "annotations").mkdir()
    (root / "annotations/instances_train.json").write_text(json.dumps(content))
    return root / "annotations"


def labelme(root: Path) -> Path:
    save_png(root / "images/a.png", pixels(1))
    shapes = [
        {"label": label, "points": [[x, 0], [x + 20, 0], [x + 20, 20], [x, 20]]}
        for label, x in (("cat", 0), ("ignore", 10))
    ]
    (root / "images/a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.png"}))
    return root / "images"


@pytest.mark.parametrize(("kind", "make"), [("coco", coco), ("folder", labelme)])
def test_what_is_left_out_is_void_in_ground_truth_with_names(tmp_path: Path, kind: str, make) -> None:
    place = make(tmp_path / "set")
    tables = ("--out-manifest", tmp_path / "m.csv", "--out-labels", tmp_path / "l.csv")
    run("build-manifest", "--kind", kind, "--root", tmp_path / "set", *tables, "--leave-out", "ignore")
    classes, records = read_classes(tmp_path / "l.csv"), read_manifest(tmp_path / "m.csv")
    assert classes.names == ["cat"]
    assert classes.present == {"a": [0]}
    truth = open_truth(place, "train", classes.names, ["ignore"])
    truth.require(records)
    mask = truth.class_mask(records[0])
    assert [mask[5, x] for x in (5, 15, 25, 35)] == [1, 255, 255, 0]
    objects, labels = truth.objects(records[0], mask)
    assert labels.tolist() == [1]
    assert objects[0][5, 15]
    assert len(truth.crowds(records[0])[0]) == 0


def test_a_colour_that_is_left_out_is_void(tmp_path: Path) -> None:
    root = cvat(tmp_path / "set")
    tables = ("--out-manifest", tmp_path / "m.csv", "--out-labels", tmp_path / "l.csv")
    run("build-manifest", "--kind", "voc", "--root", root, *tables, "--leave-out", "dog")
    classes, records = read_classes(tmp_path / "l.csv"), read_manifest(tmp_path / "m.csv")
    assert classes.present == {"a": [0], "b": [0], "c": []}
    truth = open_truth(root / "SegmentationClass", "train", classes.names, ["dog"])
    assert np.unique(truth.class_mask(records[1])).tolist() == [0, 1, 255]
