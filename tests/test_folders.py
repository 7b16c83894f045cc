"""Folders as annotation tools leave them, read as `dataset.kind: folder`: classes, splits, ground truth."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import refusal, refused, run, save_png
from test_check_data import check, only, pixels

from irn.data.dataset import mask_folders
from irn.data.findings import Findings
from irn.data.folder import LAYOUT
from irn.data.masks import open_truth
from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.records import ImageRecord

Capture = pytest.CaptureFixture[str]
HEIGHT, WIDTH = 40, 48
SQUARE = [[12, 10], [36, 10], [36, 30], [12, 30]]  # x and y
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[10:30, 12:36] = True


def picture(path: Path) -> None:
    save_png(path, pixels(sum(map(ord, str(path))) % 1000, HEIGHT, WIDTH))


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def built(root: Path) -> tuple[dict[str, str], dict[str, list[str]], list[ImageRecord]]:
    """The split and the class names of each image, by its path in the data set, and the manifest's rows."""
    tables = root.parent / "m.csv", root.parent / "l.csv"
    run("build-manifest", "--kind", "folder", "--root", root, "--out-manifest", tables[0], "--out-labels", tables[1])
    records, classes = read_manifest(tables[0]), read_classes(tables[1])
    names = {record.image_id: record.path.relative_to(root).as_posix() for record in records}
    splits = {names[record.image_id]: record.split for record in records}
    present = {names[i]: [classes.names[index] for index in held] for i, held in classes.present.items()}
    return splits, present, records


# ---- splits


@pytest.mark.parametrize("top", ["images/", ""])
@pytest.mark.parametrize("splits", [("train", "valid", "test"), ("Train", "Val"), ("train",), ("train2017", "val2017")])
def test_folders_of_splits_are_no_classes(tmp_path: Path, top: str, splits: tuple[str, ...]) -> None:
    """torchvision's layout, with and without a folder around it."""
    for split in splits:
        for name in ("cat/0", "cat/1", "dog/0"):
            picture(tmp_path / f"set/{top}{split}/{name}.png")
    split_of, present, _ = built(tmp_path / "set")
    assert split_of == {path: path.removeprefix(top).split("/")[0] for path in present}
    assert present == {path: [path.removeprefix(top).split("/")[1]] for path in present}
    assert [image.split for image in LAYOUT.listed(tmp_path / "set", splits[:1], Findings())] == [splits[0]] * 3


def test_folders_of_splits_are_said(tmp_path: Path, capsys: Capture) -> None:
    for name in ("train/cat/0", "val/dog/0"):
        picture(tmp_path / f"set/images/{name}.png")
    notices = check(tmp_path / "set", capsys)[2]["notices"]
    assert any("the folders train, val are read as splits, not as classes" in notice for notice in notices)


def test_a_class_that_is_called_train(tmp_path: Path) -> None:
    for name in ("train/0", "bus/0"):
        picture(tmp_path / f"set/images/{name}.png")
    assert built(tmp_path / "set")[1] == {"images/bus/0.png": ["bus"], "images/train/0.png": ["train"]}


@pytest.mark.parametrize("stray", ["preview", "predictions/0"])
def test_an_image_beside_folders_of_splits_leaves_the_splits_and_is_refused(
    tmp_path: Path, capsys: Capture, stray: str
) -> None:
    for name in ("train/cat/0", "train/dog/0", "val/cat/0", "val/dog/0", stray):
        picture(tmp_path / f"set/{name}.png")
    problems = check(tmp_path / "set", capsys)[2]["problems"]
    assert f"1 of 5 images lie outside the folders of the splits train, val ({stray}); move" in problems[0]
    assert len(LAYOUT.listed(tmp_path / "set", ["val"], Findings())) == 2


def test_splits_of_a_column_of_the_labels(tmp_path: Path, capsys: Capture) -> None:
    for name in "abc":
        picture(tmp_path / f"set/images/{name}.png")
    written(tmp_path / "set/labels.csv", "image_id,split,cat\na,train,1\nb,train,0\nc,val,1\n")
    split_of, present, _ = built(tmp_path / "set")
    assert list(split_of.values()) == ["train", "train", "val"]
    assert present == {"images/a.png": ["cat"], "images/b.png": [], "images/c.png": ["cat"]}
    assert [image.split for image in LAYOUT.listed(tmp_path / "set", ["val"], Findings())] == ["val"]
    table = (tmp_path / "set/labels.csv").rename(tmp_path / "mine.csv")
    found = check(tmp_path / "set", capsys, "folder", "--labels-csv", table)[2]
    assert found["splits"] == {"train": 2, "val": 1}
    assert [image.split for image in LAYOUT.listed(tmp_path / "set", ["val"], Findings(), table)] == ["val"]
    written(tmp_path / "set/labels.csv", "image_id,cat\na,1\nb,0\nc,1\n")
    written(tmp_path / "set/splits.csv", "image_id,split\na,fold 1/5\nb,fold 1/5\nc,fold 2/5\n")
    said = refused(capsys, tmp_path / "out", "build-manifest", "--kind", "folder", "--root", tmp_path / "set",
                   "--out-manifest", tmp_path / "out/m.csv", "--out-labels", tmp_path / "out/l.csv")  # fmt: skip
    assert "a split cannot be named 'fold 1/5'" in said


# ---- tools


def roboflow(root: Path) -> None:
    for split, rows in (("train", ("a", "1, 0, 0", "b", "0, 0, 1")), ("valid", ("c", "1, 1, 0"))):
        text = "filename, cat, dog, Unlabeled\n"
        for name, cells in zip(rows[::2], rows[1::2], strict=True):
            picture(root / f"{split}/{name}_jpg.rf.0123456789abcdef.png")
            text += f"{name}_jpg.rf.0123456789abcdef.png, {cells}\n"
        written(root / f"{split}/_classes.csv", text)


def labelme(root: Path) -> None:
    for name, labels in (("a", ["cat"]), ("b", []), ("c", ["cat", "dog"])):
        picture(root / f"images/{name}.png")
        shapes = [
            {"label": label, "points": [[x + 2 * n, y] for x, y in SQUARE], "shape_type": "polygon"}
            for n, label in enumerate(labels)
        ]
        written(root / f"images/{name}.json", json.dumps({"shapes": shapes, "imagePath": f"{name}.png"}))


def labelme_flat(root: Path) -> None:
    labelme(root)
    for path in list((root / "images").iterdir()):
        path.rename(root / path.name)
    (root / "images").rmdir()


def yolo(root: Path, *, roboflow: bool = False, boxes: bool = False) -> None:
    shape = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in SQUARE)
    lines = {
        "cat": "0 0.5 0.5 0.5 0.5" if boxes else f"0 {shape}",
        "dog": "1 0.5 0.5 0.5 0.5" if boxes else f"1 {shape}",
    }
    for name, labels in (("train/a", ["cat"]), ("train/b", None), ("val/c", ["cat", "dog"])):
        image, text = f"images/{name}", f"labels/{name}"
        if roboflow:
            split, _, stem = name.partition("/")
            image, text = f"{split}/images/{stem}", f"{split}/labels/{stem}"
        picture(root / f"{image}.png")
        if labels is not None:
            written(root / f"{text}.txt", "".join(lines[label] + "\n" for label in labels))
    written(root / "data.yaml", "train: ../train/images\nnc: 2\nnames: ['cat', 'dog']\n")


def studio(root: Path) -> None:
    tasks = []
    for number, (name, labels) in enumerate((("a", ["cat"]), ("b", []), ("c", ["cat", "dog"]))):
        picture(root / f"images/{name}.png")
        points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in SQUARE]
        result = [{"type": "polygonlabels", "value": {"points": points, "polygonlabels": [label]}} for label in labels]
        image = f"/data/upload/1/0a1b2c3{number}-{name}.png"
        tasks.append({"id": number, "data": {"image": image}, "annotations": [{"result": result}]})
    written(root / "project-1-at-2024.json", json.dumps(tasks))


def labelme_apart(root: Path) -> None:
    labelme(root)
    (root / "annotations").mkdir()
    for path in list((root / "images").glob("*.json")):
        path.rename(root / "annotations" / path.name)


def yolo_of_coco(root: Path) -> None:
    yolo(root)
    (root / "data.yaml").rename(root / "coco8.yaml")
    for folder in ("images", "labels"):
        for split in ("train", "val"):
            (root / folder / split).rename(root / folder / f"{split}2017")


TOOLS: dict[str, Callable[[Path], None]] = {
    "roboflow's table": roboflow,
    "labelme": labelme,
    "labelme, flat": labelme_flat,
    "labelme, in a folder of its own": labelme_apart,
    "yolo, another name of data.yaml": yolo_of_coco,
    "yolo": yolo,
    "yolo of roboflow": lambda root: yolo(root, roboflow=True),
    "yolo, boxes": lambda root: yolo(root, boxes=True),
    "label studio": studio,
}


@pytest.mark.parametrize("tool", TOOLS)
def test_classes_by_the_files_of_tools(tmp_path: Path, tool: str, capsys: Capture) -> None:
    TOOLS[tool](tmp_path / "set")
    _, present, _ = built(tmp_path / "set")
    assert {Path(path).stem[0]: names for path, names in present.items()} == {
        "a": ["cat"],
        "b": [],
        "c": ["cat", "dog"],
    }
    said = capsys.readouterr().out
    assert "not read" not in said


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool not in ("roboflow's table", "yolo, boxes")])
def test_ground_truth_by_the_files_of_tools(tmp_path: Path, tool: str) -> None:
    root = tmp_path / "set"
    TOOLS[tool](root)
    _, _, records = built(root)
    dataset: Any = SimpleNamespace(kind="folder", root=str(root), class_masks=None, object_masks=None)
    place, objects_place = mask_folders(dataset, root)
    assert place == objects_place
    assert place is not None
    truth = open_truth(place, "train", ["cat", "dog"])
    truth.require(records)
    a, b, c = records
    np.testing.assert_array_equal(truth.class_mask(a), np.where(MASK, 1, 0))
    assert not truth.class_mask(b).any()
    masks, labels = truth.objects(c, np.zeros(0))
    assert labels.tolist() == [1, 2]
    assert (masks[0] == MASK).all()


@pytest.mark.parametrize("tool", ["labelme", "yolo", "yolo of roboflow", "label studio"])
def test_ground_truth_by_the_files_of_tools_that_lie_apart_from_the_images(tmp_path: Path, tool: str) -> None:
    """The images have shapes of their own, which are not the ground truth that was named."""
    named, root = tmp_path / "truth", tmp_path / "set"
    for folder in (named, root):
        TOOLS[tool](folder)
    for path in [*root.rglob("*.txt"), *root.glob("images/*.json")]:
        path.write_text(path.read_text().replace("0 ", "1 ", 1).replace("cat", "dog"), encoding="utf-8")
    for path in named.rglob("*.png"):
        path.unlink()
    _, _, records = built(root)
    truth = open_truth(next(named.glob("*.json"), named), "train", ["cat", "dog"])
    for record, mask in zip(records, (np.where(MASK, 1, 0), np.zeros_like(MASK)), strict=False):
        np.testing.assert_array_equal(truth.class_mask(record), mask)


def test_boxes_are_no_ground_truth(tmp_path: Path) -> None:
    yolo(tmp_path / "set", boxes=True)
    dataset: Any = SimpleNamespace(kind="folder", root=str(tmp_path / "set"), class_masks=None, object_masks=None)
    assert mask_folders(dataset, tmp_path / "set") == (None, None)


KEY_POINTS = " ".join(["0.3 0.4 2"] * 17)
TURNED = "0.1 0.2 0.5 0.1 0.6 0.4 0.2 0.5"


@pytest.mark.parametrize(
    ("line", "more", "said"),
    [
        (f"0.5 0.5 0.4 0.4 {KEY_POINTS}", "kpt_shape: [17, 3]\n", ""),
        (f"0.5 0.5 0.4 0.4 {KEY_POINTS}".replace(" 2", ""), "kpt_shape: [17, 2]\n", ""),
        (TURNED, "", "all outlines are oriented boxes, which give classes and cannot be scored"),
        ("0.5 0.5 0.4 0.4 0.93 7", "", "lines end in the number of a track, so they are boxes"),
    ],
)
def test_lines_of_yolo_that_are_boxes_are_no_ground_truth(
    tmp_path: Path, capsys: Capture, line: str, more: str, said: str
) -> None:
    root = tmp_path / "set"
    yolo(root, boxes=True)
    written(root / "data.yaml", f"names: [cat, dog]\n{more}")
    written(root / "labels/train/a.txt", f"0 {line}\n")
    assert said in " ".join(check(root, capsys)[2]["notices"])
    assert bool(said) == ("boxes" in " ".join(check(root, capsys)[2]["notices"]))
    dataset: Any = SimpleNamespace(kind="folder", root=str(root), class_masks=None, object_masks=None)
    assert mask_folders(dataset, root) == (None, None)


@pytest.mark.parametrize("line", ["0.1 0.2 0.5 0.1 0.6 0.4 0.2 0.9", "0.1 0.2 0.5 0.1 0.6 1"])
def test_outlines_of_as_many_numbers_as_boxes_stay_ground_truth(tmp_path: Path, line: str) -> None:
    root = tmp_path / "set"
    yolo(root, boxes=True)
    for path in root.glob("labels/*/*.txt"):
        written(path, f"0 {line}\n0 0.1 0.2 0.3 0.1 0.4 0.5\n" if line.endswith("1") else f"0 {line}\n0 {TURNED}\n")
    dataset: Any = SimpleNamespace(kind="folder", root=str(root), class_masks=None, object_masks=None)
    assert mask_folders(dataset, root) == (root, root)


def test_a_box_among_outlines_is_said_and_refused_before_the_first_job(tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "set"
    labelme(root)
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    written(root / "images/b.json", json.dumps({"shapes": [shape], "imagePath": "b.png"}))
    words = "a shape of image 'b' ('cat') is a box or a point, which cannot be scored"
    assert words in " ".join(check(root, capsys)[2]["notices"])
    dataset = {"kind": "folder", "root": str(root)}
    written(
        tmp_path / "small.yaml", json.dumps({"dataset": dataset, "cam": {"batch_size": 1}, "irn": {"batch_size": 1}})
    )
    assert words in refusal(tmp_path)


def test_shapes_beside_a_table_are_compared_with_it(tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "set"
    labelme(root)
    written(root / "labels.csv", "image_id,cat\na,1\nb,0\nc,1\n")
    words = "c.json: a shape is of class 'dog', which is not a class of the labels table"
    found = check(root, capsys)[2]
    assert any(words in notice and "(1 of 3 images are so)" in notice for notice in found["notices"])
    assert not any(words in notice for notice in check(root, capsys, "folder", "--leave-out", "dog")[2]["notices"])


def test_shapes_of_an_image_of_another_size_are_refused(tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "set"
    labelme(root)
    path = root / "images/a.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    written(path, json.dumps(content | {"imageHeight": HEIGHT, "imageWidth": WIDTH}))
    assert not check(root, capsys)[2]["problems"]
    written(path, json.dumps(content | {"imageHeight": 20 * HEIGHT, "imageWidth": 20 * WIDTH}))
    said = f"{path}: its shapes are of an image of 800 x 960 pixels, but a.png has 40 x 48; give the image that was"
    assert said in only(check(root, capsys)[2])


def test_images_that_nobody_has_annotated_are_counted_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    labelme(tmp_path / "set")
    for name in ("d", "e"):
        picture(tmp_path / f"set/images/{name}.png")
    assert "2 of the 5 images are not annotated (d, e); annotate them in labelme" in only(
        check(tmp_path / "set", capsys)[2]
    )
    studio(tmp_path / "other")
    picture(tmp_path / "other/images/d.png")
    assert "1 of the 4 images are not annotated (d)" in only(check(tmp_path / "other", capsys)[2])


@pytest.mark.parametrize(
    ("tasks", "images", "said"),
    [
        (
            "s3://bucket/v1/a.png s3://bucket/v2/a.png",
            "a",
            "1 of the 1 images have several tasks, which name different",
        ),
        (
            "/data/upload/1/0a1b2c3d-a.png",
            "v1/a v2/a",
            "2 images would have the shapes of another of their name (v1/a,",
        ),
    ],
)
def test_tasks_that_may_be_of_several_images_are_refused(
    tmp_path: Path, capsys: Capture, tasks: str, images: str, said: str
) -> None:
    for name in images.split():
        picture(tmp_path / f"set/images/{name}.png")
    content = [
        {"image": name, "id": number, "annotator": 1, "choice": name} for number, name in enumerate(tasks.split())
    ]
    written(tmp_path / "set/tasks.json", json.dumps(content))
    assert said in only(check(tmp_path / "set", capsys)[2])


BITMASK = {"imageDataURL": "data:image/png;base64,AAAA", "bitmasklabels": ["cat"]}
BOX = {"x": 1, "y": 1, "width": 9, "height": 9}
CHOICE = {"type": "choices", "value": {"choices": ["cat"]}}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ([{"type": "bitmasklabels", "value": BITMASK}], "regions of the kind 'bitmasklabels', which is not read (b)"),
        ([{"type": "rectangle", "value": BOX}], "regions without a label alone (b)"),
        ([{"type": "rectangle", "value": BOX}, CHOICE], None),
    ],
)
def test_regions_of_label_studio_that_give_no_class_are_not_its_absence(
    tmp_path: Path, capsys: Capture, result: list[object], said: str | None
) -> None:
    studio(tmp_path / "set")
    (path,) = (tmp_path / "set").glob("*.json")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    tasks[1]["annotations"][0]["result"] = result
    written(path, json.dumps(tasks))
    problems = check(tmp_path / "set", capsys)[2]["problems"]
    assert [f"1 of the 3 images have {said}" in problem for problem in problems] == [True] * bool(said)


@pytest.mark.parametrize("content", ["[]", '[{"image": "a.png", "caption": "x"}]', "[1, 2]", "[{", "[" * 200_000])
def test_another_list_in_json_does_no_harm(tmp_path: Path, capsys: Capture, content: str) -> None:
    for name in ("cat/a", "dog/b"):
        picture(tmp_path / f"set/{name}.png")
    written(tmp_path / "set/captions.json", content)
    assert list(check(tmp_path / "set", capsys)[2]["classes"]) == ["cat", "dog"]


def test_of_two_exports_of_label_studio_none_is_chosen(tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "set"
    studio(root)
    (path,) = root.glob("*.json")
    (root / "newer.json").write_bytes(path.read_bytes())
    both = f"2 exports of Label Studio (newer.json, {path.name})"
    assert f"{both}; leave only one in the folder" in check(root, capsys)[2]["problems"][0]
    written(root / "labels.csv", "image_id,cat\na,1\nb,0\nc,1\n")
    assert f"of {both} none is read as ground truth" in only(check(root, capsys)[2], "notices")


def test_texts_of_label_studio_that_are_not_read_are_told(tmp_path: Path, capsys: Capture) -> None:
    picture(tmp_path / "set/images/a.png")
    task = {"image": "/data/upload/1/0a1b2c3d-a.png", "id": 1, "annotator": 1, "camera": "left", "choice": "cat"}
    written(tmp_path / "set/tasks.json", json.dumps([task]))
    found = check(tmp_path / "set", capsys)[2]
    assert list(found["classes"]) == ["cat"]
    assert "the texts under 'camera' are not read; export as JSON, not JSON-MIN" in " ".join(found["notices"])


def test_images_without_a_label_file_of_yolo_have_no_class(tmp_path: Path, capsys: Capture) -> None:
    yolo(tmp_path / "set")
    assert "1 of 3 images have no label file, and so no class" in " ".join(
        check(tmp_path / "set", capsys)[2]["notices"]
    )


def test_captions_beside_images_are_no_label_files_of_yolo(tmp_path: Path) -> None:
    for name in ("cat/0", "cat/1", "dog/0"):
        picture(tmp_path / f"set/{name}.png")
        written(tmp_path / f"set/{name}.txt", "a photo of 2 animals on a sofa\n")
    assert built(tmp_path / "set")[1] == {"cat/0.png": ["cat"], "cat/1.png": ["cat"], "dog/0.png": ["dog"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "data.yaml").unlink(), "label files of YOLO, but no data.yaml with the names of their"),
        (lambda root: written(root / "data.yaml", "nc: 2\n"), "data.yaml: no list 'names' in it"),
        (lambda root: written(root / "data.yaml", "a: [\n"), "data.yaml: the file cannot be read"),
        (lambda root: written(root / "labels/train/a.txt", "7 0.5 0.5 1 1\n"), "a.txt: line 1 is of class 7"),
    ],
)
def test_mistakes_in_files_of_yolo(
    tmp_path: Path, capsys: Capture, change: Callable[[Path], object], said: str
) -> None:
    yolo(tmp_path / "set")
    change(tmp_path / "set")
    assert said in check(tmp_path / "set", capsys)[2]["problems"][0]


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("JPEGImages/a.png", "voc"),
        ("annotations/instances_train.json", "coco"),
        ("train/_annotations.coco.json", "coco"),
    ],
)
def test_the_layout_of_another_kind_is_named(tmp_path: Path, capsys: Capture, file: str, kind: str) -> None:
    picture(tmp_path / "set/train/a.png")
    (tmp_path / "set" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "set" / file).write_bytes((tmp_path / "set/train/a.png").read_bytes())
    said = check(tmp_path / "set", capsys)[2]["problems"][0]
    assert f"it has the layout of kind {kind} ({file.removesuffix('/a.png')}); set dataset.kind: {kind}" in said


def test_a_shape_of_a_class_that_the_table_lacks(tmp_path: Path) -> None:
    labelme(tmp_path / "set")
    _, _, records = built(tmp_path / "set")
    truth = open_truth(tmp_path / "set/images", "train", ["cat"])
    with pytest.raises(IrnError, match=r"c\.json: a shape is of class 'dog', which is not a class of the labels table"):
        truth.require(records)


@pytest.mark.parametrize("tool", TOOLS)
def test_an_edit_of_a_tools_file_makes_the_tables_out_of_date(tmp_path: Path, tool: str) -> None:
    root = tmp_path / "set"
    TOOLS[tool](root)
    watched = LAYOUT.watched(root)
    for path in root.rglob("*"):
        assert path.is_dir() or path in watched or path.parent in watched, path
    written(root / "results/store/key.json", "{}")
    assert LAYOUT.watched(root) == watched


# ---- slips in folders


@pytest.mark.parametrize(("images", "table"), [("Images", "Labels.CSV"), ("IMAGES", "labels.csv")])
def test_the_case_of_letters_in_names_of_places_does_not_count(tmp_path: Path, images: str, table: str) -> None:
    for name in "ab":
        picture(tmp_path / f"set/{images}/{name}.png")
    written(tmp_path / "set" / table, "image_id,cat\na,1\nb,0\n")
    assert built(tmp_path / "set")[1] == {f"{images}/a.png": ["cat"], f"{images}/b.png": []}


@pytest.mark.parametrize(("images", "labels"), [("Images", "labels"), ("images", "Labels"), ("IMAGES", "LABELS")])
def test_nor_does_it_in_folders_of_yolo(tmp_path: Path, images: str, labels: str) -> None:
    yolo(tmp_path / "set")
    (tmp_path / "set/images").rename(tmp_path / "set" / images)
    (tmp_path / "set/labels").rename(tmp_path / "set" / labels)
    present = built(tmp_path / "set")[1]
    assert list(present.values()) == [["cat"], [], ["cat", "dog"]]
    assert (tmp_path / "set" / labels / "train") in LAYOUT.watched(tmp_path / "set")


@pytest.mark.parametrize(
    "other", ["segmentationclass/a", "Masks/a", "cat/@eaDir/a.png/SYNOPHOTO_THUMB_M", "#recycle/a"]
)
def test_pictures_in_folders_of_masks_and_of_systems_are_not_read(tmp_path: Path, other: str) -> None:
    for name in ("cat/a", "dog/b", other):
        picture(tmp_path / f"set/{name}.png")
    assert built(tmp_path / "set")[1] == {"cat/a.png": ["cat"], "dog/b.png": ["dog"]}


def test_masks_among_photographs_are_told(tmp_path: Path, capsys: Capture) -> None:
    """As in the data set BUSI."""
    for name in ("cat/a (1)", "cat/a (1)_mask", "cat/a (1)_mask_1", "dog/gas_mask"):
        picture(tmp_path / f"set/{name}.png")
    said = only(check(tmp_path / "set", capsys)[2], "notices")
    assert "2 images are named as another with 'mask' behind it (cat/a (1)_mask, cat/a (1)_mask_1)" in said


@pytest.mark.parametrize("names", ["images/a images/b", "cat/a dog/b"])
def test_a_data_set_in_a_folder_of_its_folder_is_refused(tmp_path: Path, capsys: Capture, names: str) -> None:
    """As ZIP archives are unpacked."""
    for name in names.split():
        picture(tmp_path / f"set/animals/{name}.png")
    said = only(check(tmp_path / "set", capsys)[2], "problems")
    assert f"all images lie in folders within {tmp_path}/set/animals; name that if it is the data set" in said


def test_labelme_files_lie_in_a_folder_beside_images_in_the_root(tmp_path: Path) -> None:
    for name, label in (("a", "cat"), ("b", "dog")):
        picture(tmp_path / f"set/{name}.png")
        shape = {"label": label, "points": SQUARE, "shape_type": "polygon"}
        content = {"shapes": [shape], "imagePath": f"../{name}.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
        written(tmp_path / f"set/json/{name}.json", json.dumps(content))
    assert built(tmp_path / "set")[1] == {"a.png": ["cat"], "b.png": ["dog"]}


def test_pixels_in_label_files_of_yolo_are_refused(tmp_path: Path, capsys: Capture) -> None:
    picture(tmp_path / "set/images/a.png")
    written(tmp_path / "set/labels/a.txt", "0 12 10 36 10 36 30\n")
    written(tmp_path / "set/data.yaml", "names: [cat]\n")
    said = check(tmp_path / "set", capsys)[2]["problems"]
    assert "line 1 has numbers above 2; expected shares of width and height" in said[0]
