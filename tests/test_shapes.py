"""Shapes of annotation tools: each kind has the pixels that its tool shows, and says its class."""

import base64
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from irn.data.label_studio import read_label_studio
from irn.data.labelme import read_labelme
from irn.data.shape_files import StudioFile
from irn.data.shapes import Shape, check_shapes, objects_of
from irn.data.yolo import read_yolo, read_yolo_names
from irn.errors import IrnError

HEIGHT, WIDTH = 40, 50
SQUARE = np.zeros((HEIGHT, WIDTH), bool)
SQUARE[10:20, 5:25] = True  # rows 10 to 20, columns 5 to 25
DISC = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] + 0.5 - np.array([20, 25])[:, None, None])) < 10
CORNERS = [[5, 10], [25, 10], [25, 20], [5, 20]]


def bits(value: int, length: int) -> list[int]:
    return [value >> place & 1 for place in reversed(range(length))]


def brushed(mask: np.ndarray) -> list[int]:
    """Run lengths as Label Studio's brush writes them, runs of a value and runs of several in turn."""
    values = np.repeat(mask.ravel() * np.uint8(255), 4)
    stream = bits(len(values), 32) + bits(7, 5) + bits(2, 4) + bits(3, 4) + bits(7, 4) + bits(15, 4)
    at, number = 0, 0
    while at < len(values):
        same = int(np.argmax(values[at:] != values[at])) or len(values) - at
        if number % 3:
            run = min(same, 256)
            stream += [1, *bits(2, 2), *bits(run - 1, 8), *bits(int(values[at]), 8)]
        else:
            run = min(5, len(values) - at)
            stream += [0, *bits(1, 2), *bits(run - 1, 4)]
            stream += [bit for value in values[at : at + run] for bit in bits(int(value), 8)]
        at, number = at + run, number + 1
    return np.packbits(stream).tolist()


def labelme_png(mask: np.ndarray) -> str:
    held = io.BytesIO()
    Image.fromarray(mask).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


def labelme(folder: Path, *shapes: dict[str, Any], **more: Any) -> list[Shape]:
    path = folder / "a.json"
    path.write_text(json.dumps({"shapes": shapes, "imagePath": "a.jpg", **more}), encoding="utf-8")
    return read_labelme(path)


def studio(folder: Path, *results: dict[str, Any]) -> list[Shape]:
    path = folder / "tasks.json"
    task = {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [{"result": list(results)}]}
    path.write_text(json.dumps([task]), encoding="utf-8")
    shapes = read_label_studio(path)[0].shapes
    assert shapes is not None
    return shapes


def only_mask(shapes: list[Shape]) -> np.ndarray:
    ((label, mask),) = objects_of(Path("a"), shapes, HEIGHT, WIDTH)
    assert label == "cat"
    return mask


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ({"shape_type": "polygon", "points": CORNERS}, SQUARE),
        ({"points": CORNERS}, SQUARE),
        ({"shape_type": "rectangle", "points": [CORNERS[2], CORNERS[0]]}, SQUARE),
        ({"shape_type": "rectangle", "points": CORNERS}, SQUARE),
        ({"shape_type": "rotation", "points": CORNERS, "direction": 0.0}, SQUARE),
        ({"shape_type": "circle", "points": [[25, 20], [25, 30]]}, DISC),
        (
            {
                "shape_type": "mask",
                "points": [[5, 10], [24, 19]],
                "mask": labelme_png(np.full((10, 20), True)),
            },
            SQUARE,
        ),
    ],
)
def test_shapes_of_labelme_have_the_pixels_that_it_shows(
    tmp_path: Path, shape: dict[str, Any], wanted: np.ndarray
) -> None:
    shapes = labelme(tmp_path, {"label": "cat", **shape})
    mask = only_mask(shapes)
    assert shapes[0].has_outline == (shape.get("shape_type") not in ("rectangle", "rotation"))
    assert (mask != wanted).sum() <= 0.06 * wanted.sum()


def test_shapes_of_a_group_are_one_object_and_points_say_the_class_alone(tmp_path: Path) -> None:
    halves = [{"label": "cat", "points": part, "group_id": 1} for part in (CORNERS[:3], [CORNERS[0], *CORNERS[2:]])]
    point = {"label": "dog", "shape_type": "point", "points": [[1, 1]]}
    shapes = labelme(tmp_path, *halves, point, flags={"indoors": True, "blurred": False})
    assert [shape.label for shape in shapes] == ["indoors", "cat", "cat", "dog"]
    assert [shape.has_outline for shape in shapes] == [False, True, True, False]
    assert (only_mask(shapes) != SQUARE).sum() <= 0.1 * SQUARE.sum()


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("polygonlabels", {"points": [[10, 25], [50, 25], [50, 50], [10, 50]]}, SQUARE),
        ("rectanglelabels", {"x": 10, "y": 25, "width": 40, "height": 25, "rotation": 0}, SQUARE),
        # Turned by a quarter around its upper left corner.
        ("rectanglelabels", {"x": 50, "y": 25, "width": 20, "height": 50, "rotation": 90}, SQUARE),
        ("ellipselabels", {"x": 50, "y": 50, "radiusX": 20, "radiusY": 25, "rotation": 0}, DISC),
        ("brushlabels", {"format": "rle", "rle": brushed(SQUARE)}, SQUARE),
    ],
)
def test_shapes_of_label_studio_have_the_pixels_that_it_shows(
    tmp_path: Path, kind: str, value: dict[str, Any], wanted: np.ndarray
) -> None:
    size = {"original_height": HEIGHT, "original_width": WIDTH}
    shapes = studio(tmp_path, {"type": kind, "value": {**value, kind: ["cat"]}, **size})
    mask = only_mask(shapes)
    assert (mask != wanted).sum() <= 0.06 * wanted.sum()
    assert shapes[0].is_box == (kind == "rectanglelabels")


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ({"data": {"image": "a.jpg"}, "annotations": []}, None),
        ({"data": {"image": "a.jpg"}, "annotations": [{"was_cancelled": True, "result": []}]}, None),
        ({"data": {"image": "a.jpg"}, "annotations": [{"result": []}], "predictions": [{"result": [{}]}]}, []),
        (
            {
                "data": {"image": "a.jpg"},
                "annotations": [
                    {"result": [{"type": "choices", "value": {"choices": ["cat", "dog"]}}], "ground_truth": True},
                    {"result": [{"type": "choices", "value": {"choices": ["cow"]}}]},
                ],
            },
            ["cat", "dog"],
        ),
        ({"image": "a.jpg", "id": 1, "annotator": 1, "choice": "cat"}, ["cat"]),
        ({"image": "a.jpg", "id": 1, "annotator": 1, "choice": {"choices": ["cat", "dog"]}}, ["cat", "dog"]),
        (
            {
                "image": "a.jpg",
                "annotation_id": 1,
                "label": [{"points": [[1, 1], [9, 1], [9, 9]], "polygonlabels": ["cat"]}],
            },
            ["cat"],
        ),
        ({"image": "a.jpg", "annotator": 1, "camera": "left", "Tags": ["cat", "dog"], "note": "dark"}, ["cat", "dog"]),
        ({"image": "a.jpg", "annotator": 1, "camera": "left", "animal": {"choices": ["cat"]}}, ["cat"]),
        (
            {"image": "a.jpg", "annotator": 1, "note": "dark", "x": [{"points": CORNERS, "polygonlabels": ["cat"]}]},
            ["cat"],
        ),
        ({"image": "a.jpg", "annotator": 1, "animal": "cat"}, ["cat"]),
    ],
)
def test_classes_of_tasks_of_label_studio(tmp_path: Path, task: dict[str, Any], labels: list[str] | None) -> None:
    (tmp_path / "tasks.json").write_text(json.dumps([task]), encoding="utf-8")
    (read,) = read_label_studio(tmp_path / "tasks.json")
    assert read.image == "a.jpg"
    assert (read.shapes if read.shapes is None else [shape.label for shape in read.shapes]) == labels


@pytest.mark.parametrize("before", ["", "/data/local-files/?d=proj/", "s3://bucket/proj/"])
def test_images_of_one_name_in_two_folders_have_the_tasks_that_name_their_folder(tmp_path: Path, before: str) -> None:
    names = {f"{before}val/a.jpg": "dog", "a.jpg": "cat", f"{before}train/a.jpg": "cow"}
    tasks = [
        {"image": name, "id": number, "annotator": 1, "choice": label}
        for number, (name, label) in enumerate(names.items(), 1)
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    file = StudioFile(tmp_path / "tasks.json")
    for folder, label in (("val", "dog"), ("train", "cow"), (".", "cat")):
        shapes = file.read(tmp_path / "images" / folder / "a.jpg")
        assert [shape.label for shape in shapes or []] == [label]


def test_lines_of_yolo(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.1 0.25 0.5 0.25 0.5 0.5 0.1 0.5\n\n1 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2 0.9\n")
    shapes = read_yolo(tmp_path / "a.txt", ["cat", "dog"])
    assert [(shape.label, shape.has_outline) for shape in shapes] == [("cat", True), ("dog", False), ("dog", False)]
    assert (only_mask(shapes[:1]) != SQUARE).sum() == 0


@pytest.mark.parametrize("names", ["names: [cat, dog]", "names: {0: cat, 1: dog}", "names:\n- cat\n- dog\nnc: 2"])
def test_names_of_yolo(tmp_path: Path, names: str) -> None:
    (tmp_path / "data.yaml").write_text(names, encoding="utf-8")
    assert read_yolo_names(tmp_path / "data.yaml") == ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "2 0.5 0.5 0.2 0.2\n", "line 1 is of class 2, but there are names for 0 to 1"),
        ("a.txt", "0 0.5 0.5 x 0.2\n", "line 1 cannot be read"),
        ("a.txt", "0 0.5 0.5 0.2 0.2 0.2 0.2 0.2\n", "line 1 cannot be read (7 numbers; expected 4 of a box"),
        ("a.json", "{", "the JSON cannot be read"),
        ("a.json", '{"shapes": {}}', "not a file of labelme"),
        ("a.json", '{"imagePath": "", "shapes": [{}]}', "shape 1 has no label"),
        ("a.json", '{"imagePath": "", "shapes": [{"label": "cat", "points": [[1, "x"]]}]}', "shape 1 ('cat') cannot"),
        ("b.json", "[]", "not an export of Label Studio"),
        (
            "b.json",
            '[{"data": {"image": "a.jpg"}, "annotations": [{"result": [{"value": {"choices": [1]}}]}]}]',
            "task 1 (a.jpg) cannot be read",
        ),
        (
            "b.json",
            '[{"data": {"image": "a.jpg"}, "annotations": [{"result": [{"id": [1], "value": {"choices": ["x"]}}]}]}]',
            "task 1 (a.jpg) cannot be read",
        ),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    readers = {"a.txt": lambda: read_yolo(path, ["cat", "dog"]), "a.json": lambda: read_labelme(path)}
    with pytest.raises(IrnError) as error:
        readers.get(name, lambda: read_label_studio(path))()
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_check_of_many_objects_needs_the_memory_of_few(tmp_path: Path) -> None:
    shapes = labelme(tmp_path, *({"label": "cat", "points": CORNERS} for _ in range(60)))
    tracemalloc.start()
    check_shapes(Path("a"), shapes, 500, 500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15 * 500 * 500


def test_a_brush_of_another_size_is_refused(tmp_path: Path) -> None:
    item = {"type": "brushlabels", "value": {"format": "rle", "rle": brushed(SQUARE), "brushlabels": ["cat"]}}
    with pytest.raises(IrnError, match="a shape of 'cat' cannot be read"):
        objects_of(Path("a"), studio(tmp_path, item), HEIGHT, WIDTH + 1)
