"""Masks that people corrected: every format gives what was drawn, and what the stages make of it."""

import base64
import csv
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import Arrays, Sample, SmallData, label_of, read_all, refusal, refused, run, save_png, write_data
from PIL import Image

from irn.checks.corrections import refuse_bad_corrections
from irn.data.index_png import write_index_png
from irn.data.segmentations import encoded
from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.grid import UNSURE, cells
from irn.io.cache import CacheReader
from irn.ops.losses import DIFFERENT, FOREGROUND, pair_counts, pair_losses
from irn.ops.object_masks import mask_of_classes, mask_of_objects, told_apart
from irn.settings.checking import settings_of_options
from irn.training.irnet import cached_label, pair_view
from irn.training.views import SampleId

NAMES = ["cat", "dog"]
SIZE = (24, 32)
# Two dogs that touch, and a cat apart: the class index, and the rows and columns of each.
OBJECTS = ((1, np.s_[4:12, 4:12]), (1, np.s_[4:12, 12:20]), (0, np.s_[16:22, 8:28]))


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """The class mask and the object mask of `OBJECTS`."""
    classes, objects = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    for number, (index, place) in enumerate(OBJECTS, 1):
        classes[place], objects[place] = index + 1, number
    return classes, objects


@pytest.fixture
def data(tmp_path: Path) -> SmallData:
    """Images a, b and c of cats, whose maps are high on the left; b holds a cat in truth, and its label none."""
    h, w = map(cells, SIZE)
    left, left_cells = np.zeros((1, *SIZE)), np.zeros((1, h, w))
    left[:, :, : SIZE[1] // 2], left_cells[:, :, : w // 2] = 0.9, 0.9
    truth = np.zeros(SIZE, np.uint8)
    truth[:, : SIZE[1] // 2] = 1
    caches = {
        "cam": {"classes": np.array([0]), "cam": left_cells, "high_res": left},
        "walk": {"walk": left_cells, "walk_class": np.array([0]), "walk_instance": np.array([0])},
        "label": label_of(truth.astype(int), [0], [0.5]),
    }
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    samples = {name: Sample(pixels, [0], "train", truth, truth, caches) for name in "abc"}
    return write_data(tmp_path / "data", NAMES, samples)


# ---- each format, as its tool writes it


def index_pngs(place: Path, name: str = "a", classes: np.ndarray | None = None, objects: bool = True) -> None:
    masks = {"SegmentationClass": drawn()[0] if classes is None else classes}
    if objects:
        masks["SegmentationObject"] = drawn()[1]
    for folder, mask in masks.items():
        (place / folder).mkdir(parents=True, exist_ok=True)
        write_index_png(place / folder / f"{name}.png", mask)


def coco(place: Path, name: str = "a.png", classes: tuple[str, ...] = ("background", "dog", "cat"), size=SIZE) -> None:
    objects = drawn()[1]
    annotations = [
        {"id": n, "image_id": 7, "category_id": 1 + classes.index(NAMES[index]), "iscrowd": 0, **encoded(objects == n)}
        for n, (index, _) in enumerate(OBJECTS, 1)
    ]
    images = [{"id": 7, "file_name": name, "height": size[0], "width": size[1]}]
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    place.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def corners(place: tuple[slice, slice]) -> list[tuple[float, float]]:
    (top, bottom), (left, right) = ((side.start, side.stop) for side in place)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def labelme(place: Path, name: str = "a", size: tuple[int, int] = SIZE, label: str | None = None) -> None:
    place.mkdir(exist_ok=True)
    shapes = [
        {"label": label or NAMES[index], "points": corners(where), "shape_type": "polygon", "group_id": None}
        for index, where in OBJECTS[:2]
    ]
    file = io.BytesIO()
    rows, columns = OBJECTS[2][1]
    Image.fromarray(np.ones((6, 20), bool)).save(file, "PNG")
    mask = {
        "label": "cat",
        "shape_type": "mask",
        "points": [(columns.start, rows.start), (columns.stop - 1, rows.stop)],
    }
    shapes.append({**mask, "mask": base64.b64encode(file.getvalue()).decode()})
    content = {"imagePath": f"{name}.png", "imageHeight": size[0], "imageWidth": size[1], "shapes": shapes}
    (place / f"{name}.json").write_text(json.dumps(content))


def brushed(mask: np.ndarray) -> list[int]:
    """A mask as Label Studio's brush packs it, every value by itself."""
    values = np.repeat(np.where(mask, 255, 0).astype(np.uint8).ravel(), 4)
    bits = f"{len(values):032b}{7:05b}" + f"{15:04b}" * 4
    for value in np.split(values, range(60000, len(values), 60000)):
        bits += f"000{len(value) - 1:016b}" + "".join(f"{number:08b}" for number in value)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def cvat_colours(place: Path) -> None:
    """As CVAT exports masks: classes and objects in colours of their own."""
    colours = np.array([(0, 0, 0), (250, 50, 83), (50, 50, 250), (61, 61, 245)], np.uint8)
    for folder, mask in zip(("SegmentationClass", "SegmentationObject"), drawn(), strict=True):
        save_png(place / f"{folder}/a.png", colours[mask])
    lines = [
        f"{name}:{','.join(map(str, colour))}::" for name, colour in zip(NAMES, colours[1:].tolist(), strict=False)
    ]
    (place / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", "background:0,0,0::", *lines]))


def cvat(place: Path) -> None:
    """As CVAT writes objects that are painted: marked as crowds, with attributes."""
    coco(place)
    content = json.loads(place.read_text())
    for annotation in content["annotations"]:
        annotation |= {"iscrowd": 1, "attributes": {"occluded": False}}
    place.write_text(json.dumps(content))


def label_studio(
    place: Path, image: str = "/data/local-files/?d=photos/a.png", size=SIZE, label: str = "dog", regions: int = 3
) -> None:
    def result(kind: str, name: str, value: dict) -> dict:
        sides = {"original_height": size[0], "original_width": size[1], "image_rotation": 0}
        return {"type": kind, "from_name": "label", "to_name": "image", **sides, "value": {**value, kind: [name]}}

    results = [
        result("polygonlabels", label, {"points": [(100 * x / SIZE[1], 100 * y / SIZE[0]) for x, y in corners(place)]})
        for _, place in OBJECTS[:2]
    ]
    results.append(result("brushlabels", "cat", {"format": "rle", "rle": brushed(drawn()[1] == 3)}))
    tasks = [
        {"id": 1, "data": {"image": image}, "annotations": [{"result": results[:regions]}], "predictions": []},
        {"id": 2, "data": {"image": "b.png"}, "annotations": [], "predictions": [{"result": results}]},
        {"id": 3, "data": {"image": "c.png"}, "annotations": [{"result": [], "was_cancelled": True}]},
    ]
    place.write_text(json.dumps(tasks))


FORMATS: dict[str, tuple[str, Callable[..., None]]] = {
    "index PNGs": ("masks", index_pngs),
    "CVAT's colours": ("masks", cvat_colours),
    "COCO": ("instances_default.json", coco),
    "COCO, painted in CVAT": ("instances_default.json", cvat),
    "labelme": ("json", labelme),
    "Label Studio": ("export.json", label_studio),
}


def read(data: SmallData, place: Path, *options: object) -> dict[str, Arrays]:
    """What `irn read-corrections` makes of a file or folder."""
    run(*reading(data, place), *options)
    return read_all(data.folder / "corrected.h5", "ir_label")


def reading(data: SmallData, place: Path) -> list[object]:
    tables = ["--manifest", data.manifest, "--labels", data.labels, "--corrected", place]
    return ["read-corrections", *tables, "--out", data.folder / "corrected.h5", "--out-labels", data.folder / "new.csv"]


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_mask_that_was_drawn(data: SmallData, tmp_path: Path, name: str) -> None:
    file, write = FORMATS[name]
    write(tmp_path / file)
    masks = read(data, tmp_path / file)
    classes, objects = drawn()
    assert list(masks) == ["a"]
    np.testing.assert_array_equal(masks["a"]["label"], classes)
    # Whichever number each has.
    pairs = {*zip(objects.ravel().tolist(), masks["a"]["instances"].ravel().tolist(), strict=True)}
    assert len(pairs) == 4
    assert (0, 0) in pairs


def test_without_object_masks_connected_pieces_are_objects(data: SmallData, tmp_path: Path) -> None:
    index_pngs(tmp_path / "masks", objects=False)
    mask = read(data, tmp_path / "masks")["a"]
    # The two dogs touch.
    assert mask["instances"].max() == 2
    np.testing.assert_array_equal(mask["instances"] > 0, drawn()[0] > 0)


def test_what_is_void_is_unsure_and_denies_no_class(data: SmallData, tmp_path: Path) -> None:
    classes = np.zeros(SIZE, np.uint8)
    classes[:4], classes[8:12] = 255, 2
    index_pngs(tmp_path / "masks", classes=classes, objects=False)
    np.testing.assert_array_equal(read(data, tmp_path / "masks")["a"]["label"], classes)
    assert read_classes(data.folder / "new.csv").present["a"] == [0, 1]


@pytest.mark.parametrize("name", ["COCO", "labelme", "Label Studio"])
def test_what_is_left_out_is_void_in_masks_with_names(data: SmallData, tmp_path: Path, capsys, name: str) -> None:
    place = tmp_path / FORMATS[name][0]
    FORMATS[name][1](place)
    file = next(place.glob("*.json")) if place.is_dir() else place
    file.write_text(file.read_text(encoding="utf-8").replace('"cat"', '"smudge"'), encoding="utf-8")
    said = refused(capsys, tmp_path, *reading(data, place))
    assert "unknown class 'smudge'" in said
    mask = read(data, place, "--leave-out", "smudge")["a"]
    cat = drawn()[0] == 1
    assert (mask["label"][cat] == UNSURE).all()
    assert (mask["label"][~cat] == drawn()[0][~cat]).all()
    assert mask["instances"].max() == 2


def test_of_shapes_that_overlap_the_smaller_one_is_on_top() -> None:
    masks = np.zeros((3, 6, 6), bool)
    masks[0, 2:4, 2:4] = masks[1, 1:5, 1:5] = masks[2, 2:4, 2:3] = True
    mask = mask_of_objects(masks, np.array([1, 2, 1]), np.zeros((6, 6), bool))
    assert mask["label"][2].tolist() == [0, 2, 1, 1, 2, 0]
    assert mask["instances"][2].tolist() == [0, 2, 3, 1, 2, 0]


# ---- what stages make of them


def test_labels_and_ir_labels_take_the_masks_over(data: SmallData, tmp_path: Path) -> None:
    index_pngs(tmp_path / "masks")
    read(data, tmp_path / "masks")
    made = {}
    for corrected in (["--corrected", data.folder / "corrected.h5"], []):
        out = tmp_path / f"labels{len(corrected)}.h5"
        run("make-labels", "--walks", data.cache("walk"), "--out", out, *corrected, "--workers", 0)
        ir = tmp_path / f"ir{len(corrected)}.h5"
        run("make-ir-labels", "--manifest", data.manifest, "--cams", data.cache("cam"), "--out", ir, *corrected,
            "--workers", 0)  # fmt: skip
        made[bool(corrected)] = read_all(out, "label"), read_all(ir, "ir_label")
    labels, ir_labels = made[True]
    classes, objects = drawn()
    np.testing.assert_array_equal(labels["a"]["semantic"], classes)
    np.testing.assert_array_equal(labels["a"]["instance_map"], objects)
    assert labels["a"]["instance_class"].tolist() == [1, 1, 0]
    assert labels["a"]["instance_score"].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(ir_labels["a"]["label"], classes)
    np.testing.assert_array_equal(ir_labels["a"]["instances"], objects)
    # Others are as they were.
    for with_it, without in zip(made[True], made[False], strict=True):
        for name in "bc":
            for array, values in without[name].items():
                np.testing.assert_array_equal(with_it[name][array], values)
            assert with_it[name].keys() == without[name].keys()


def test_an_image_may_be_corrected_to_nothing(data: SmallData, tmp_path: Path, capsys) -> None:
    index_pngs(tmp_path / "masks", "b", np.zeros(SIZE, np.uint8), objects=False)
    read(data, tmp_path / "masks")
    assert "1 corrected images, 1 of them without any object" in capsys.readouterr().out
    out = tmp_path / "labels.h5"
    corrected = ["--corrected", data.folder / "corrected.h5"]
    run("make-labels", "--walks", data.cache("walk"), "--out", out, *corrected, "--workers", 0)
    label = read_all(out, "label")["b"]
    assert not label["semantic"].any()
    assert not label["instance_map"].any()
    assert len(label["instance_class"]) == 0
    assert "are all background" not in capsys.readouterr().out


def test_an_image_has_the_classes_of_its_mask_and_a_notice_says_so(data: SmallData, tmp_path: Path, capsys) -> None:
    dog = np.zeros(SIZE, np.uint8)
    dog[2:9, 2:9] = 2
    index_pngs(tmp_path / "masks", "a", dog, objects=False)
    index_pngs(tmp_path / "masks", "c", dog // 2, objects=False)
    read(data, tmp_path / "masks")
    said = capsys.readouterr().out
    assert "notice: corrected images with other classes than labels.csv gives them: 1 (a +dog -cat)" in said
    assert read_classes(data.folder / "new.csv").present == {"a": [1], "b": [0], "c": [0]}


def test_corrected_images_are_not_scored(data: SmallData, tmp_path: Path, capsys) -> None:
    def scores(*corrected: object) -> list[dict[str, str]]:
        run("evaluate", "--manifest", data.manifest, "--labels", data.labels, "--label-caches", data.cache("label"),
            "--class-masks", data.class_masks, "--object-masks", data.object_masks, "--out", tmp_path / "scores.csv",
            "--workers", 0, *corrected)  # fmt: skip
        with open(tmp_path / "scores.csv", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    index_pngs(tmp_path / "masks")
    read(data, tmp_path / "masks")
    assert {row["images"] for row in scores()} == {"3"}
    assert {row["images"] for row in scores("--corrected", data.folder / "corrected.h5")} == {"2"}
    assert "train: 1 corrected images are left out of the scores, 2 are in" in capsys.readouterr().out
    for name in "bc":
        index_pngs(tmp_path / "masks", name)
    read(data, tmp_path / "masks")
    assert scores("--corrected", data.folder / "corrected.h5") == []


# ---- what IRNet learns of them


def test_pairs_across_two_touching_objects_are_different() -> None:
    classes = np.ones((8, 8), np.uint8)
    halves = np.repeat([[1] * 4 + [2] * 4], 8, 0)
    together = torch.from_numpy(told_apart({"label": classes}))[None]
    apart = torch.from_numpy(told_apart(mask_of_classes(classes, halves)))[None]
    assert pair_counts(together, 3)[DIFFERENT] == 0
    assert pair_counts(apart, 3)[DIFFERENT] > 0
    assert pair_counts(apart, 3)[[DIFFERENT, FOREGROUND]].sum() == pair_counts(together, 3)[FOREGROUND]


def test_displacement_is_learned_within_each_object() -> None:
    label = mask_of_classes(np.ones((8, 8), np.uint8), np.repeat([[1] * 4 + [2] * 4], 8, 0))
    places = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij")).astype(np.float32)
    own = np.stack([3.5 - places[0], np.where(places[1] < 4, 1.5, 5.5) - places[1]])
    common = np.stack([3.5 - places[0], 3.5 - places[1]])

    def error(displacement: np.ndarray, arrays: Arrays) -> float:
        labels = torch.from_numpy(told_apart(arrays))[None]
        losses = pair_losses(torch.zeros(1, 1, 8, 8), torch.from_numpy(displacement).float()[None], labels, 3)
        return float(losses["foreground_displacement"])

    assert error(own, label) == pytest.approx(0, abs=1e-6)
    # Without objects that field is wrong: all pixels of a class seek one centre.
    assert error(own, {"label": label["label"]}) > 0.1
    assert error(common, {"label": label["label"]}) == pytest.approx(0, abs=1e-6)


def test_what_belongs_to_no_object_is_unsure_and_many_objects_stay_apart() -> None:
    classes = np.ones((1, 600), np.uint8)
    classes[0, 0] = 0
    objects = np.arange(600)[None] - 1
    objects[0, 5] = 0
    values = told_apart(mask_of_classes(classes, np.maximum(objects, 0)))[0]
    assert values[0] == 0
    assert values[1] == values[5] == UNSURE
    assert ((values[6:] > 0) & (values[6:] < UNSURE)).all()
    assert (np.diff(values[6:].astype(int)) != 0).all()


def test_of_many_objects_two_that_touch_are_different_whatever_their_order() -> None:
    """Cells of 8 x 8 pixels side by side, numbered at random: nobody draws them in order."""
    rng = np.random.default_rng(0)
    objects = (1 + rng.permutation(1600).reshape(40, 40)).repeat(8, 0).repeat(8, 1)
    values = told_apart(mask_of_classes(np.ones(objects.shape, np.uint8), objects)).astype(int)
    assert set(np.unique(values)) <= set(range(1, UNSURE))
    for axis in (0, 1):
        assert ((np.diff(values, axis=axis) != 0) == (np.diff(objects, axis=axis) != 0)).all()


def test_as_many_objects_are_taken_as_16_bits_can_count() -> None:
    objects = np.arange(256 * 256).reshape(256, 256)
    assert mask_of_classes((objects > 0).astype(np.uint8), objects)["instances"].max() == 65_535
    with pytest.raises(IrnError, match="65536 objects in one mask, of at most 65535"):
        mask_of_classes(np.ones((256, 256), np.uint8), objects + 1)


def test_irnet_sees_the_objects_of_a_corrected_image(data: SmallData, tmp_path: Path) -> None:
    index_pngs(tmp_path / "masks")
    read(data, tmp_path / "masks")
    record, cache = read_manifest(data.manifest)[0], CacheReader([data.folder / "corrected.h5"], "ir_label")
    cells_seen = pair_view(SampleId(0, 0), [record], partial(cached_label, ir_labels=cache), (1.0, 1.0), 32, seed=0)[
        "label"
    ]
    # The three objects, of two classes, and what is outside of the image.
    assert np.unique(cells_seen).tolist() == [0, 1, 2, 3, UNSURE]


# ---- mistakes


def unreadable(place: Path) -> None:
    index_pngs(place)
    path = place / "SegmentationObject/a.png"
    path.write_bytes(path.read_bytes()[:60])


def of_three_classes(place: Path) -> None:
    index_pngs(place, classes=drawn()[0] * 2)


def of_an_object_without_class(place: Path) -> None:
    index_pngs(place, classes=np.zeros(SIZE, np.uint8))


def without_class_mask(place: Path) -> None:
    index_pngs(place)
    index_pngs(place, "b")
    (place / "SegmentationClass/b.png").unlink()


def smaller(place: Path) -> None:
    index_pngs(place, classes=drawn()[0][1:], objects=False)


def of_another_kind(place: Path) -> None:
    label_studio(place)
    tasks = json.loads(place.read_text())
    value = {"imageDataURL": "data:image/png;base64,", "bitmasklabels": ["dog"]}
    tasks[0]["annotations"][0]["result"].append({"id": "x", "type": "bitmasklabels", "value": value})
    place.write_text(json.dumps(tasks))


def without_a_label(place: Path) -> None:
    label_studio(place)
    tasks = json.loads(place.read_text())
    del tasks[0]["annotations"][0]["result"][0]["value"]["polygonlabels"]
    place.write_text(json.dumps(tasks))


MISTAKES = {
    "no label, Label Studio": (without_a_label, "a region of kind 'polygonlabels' has no label"),
    "another kind of region, Label Studio": (of_another_kind, "a region of kind 'bitmasklabels' has no label, or is"),
    "unreadable": (unreadable, "SegmentationObject/a.png: not a readable image"),
    "another size, PNG": (smaller, "SegmentationClass/a.png: the mask is 23 x 32 pixels"),
    "unknown class, PNG": (of_three_classes, "SegmentationClass/a.png: unknown class, value 4"),
    "object without class": (of_an_object_without_class, "object 1 lies on background alone"),
    "no class mask": (without_class_mask, "SegmentationObject/b.png: no class mask"),
    "unknown image, PNG": (lambda place: index_pngs(place, "x"), "unknown image 'x'"),
    "unknown image, COCO": (lambda place: coco(place, "x.png"), "unknown image 'x.png'"),
    "another size, COCO": (lambda place: coco(place, size=(9, 9)), "image 'a.png': the mask is 9 x 9 pixels"),
    "unknown class, labelme": (lambda place: labelme(place, label="cow"), "image 'a': unknown class 'cow'"),
    "another size, labelme": (lambda place: labelme(place, size=(9, 9)), "a.json: the mask is 9 x 9 pixels"),
    "unknown image, labelme": (lambda place: labelme(place, "x"), "unknown image 'x'"),
    "unknown class, Label Studio": (lambda place: label_studio(place, label="cow"), "unknown class 'cow'"),
    "another size, Label Studio": (lambda place: label_studio(place, size=(9, 9)), "the mask is 9 x 9 pixels"),
    "unknown image, Label Studio": (lambda place: label_studio(place, "/x.png"), "unknown image '/x.png'"),
    "another file": (lambda place: place.write_text("a,b\n"), "not JSON; expected a folder with SegmentationClass"),
    "another folder": (lambda place: place.mkdir(), "no corrected masks in this folder; expected a folder with"),
    "a folder too high": (lambda place: index_pngs(place / "mine"), "in this folder; name {place}/mine"),
    "a folder of one file": (
        lambda place: [place.mkdir(), coco(place / "instances_default.json")],
        "name the file itself, {place}/instances_default.json",
    ),
    "broken JSON": (lambda place: place.write_text("[{"), "cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_by_name(data: SmallData, tmp_path: Path, capsys, name: str) -> None:
    write, words = MISTAKES[name]
    write(tmp_path / "corrected")
    line = refused(capsys, tmp_path, *reading(data, tmp_path / "corrected"))
    assert words.format(place=tmp_path / "corrected") in line
    assert str(tmp_path / "corrected") in line


@pytest.mark.parametrize("tables", [True, False], ids=["after the first run", "before it"])
def test_a_mistake_is_refused_before_the_first_job(data: SmallData, tmp_path: Path, tables: bool) -> None:
    place = tmp_path / "corrected"
    dataset = settings_of_options(
        {"dataset.kind": "folder", "dataset.root": str(data.folder), "dataset.corrected": str(place)}, {}, ""
    ).dataset
    known = (data.manifest, data.labels) if tables else None
    index_pngs(place)
    refuse_bad_corrections(dataset, known)
    index_pngs(place, "x")
    index_pngs(place, "b", drawn()[0] * 2)
    with pytest.raises(IrnError, match=r"unknown image 'x'.*\(1 more; irn check-data lists all\)"):
        refuse_bad_corrections(dataset, known)


def test_before_the_first_run_a_class_that_is_left_out_is_unknown_in_index_pngs(
    data: SmallData, tmp_path: Path
) -> None:
    place = tmp_path / "corrected"
    index_pngs(place)
    options = {"dataset.kind": "folder", "dataset.root": str(data.folder), "dataset.corrected": str(place)}
    dataset = settings_of_options({**options, "dataset.leave_out": ["dog"]}, {}, "").dataset
    with pytest.raises(IrnError, match="unknown class, value 2"):
        refuse_bad_corrections(dataset, None)


def test_a_workflow_with_a_mistake_starts_no_job(data: SmallData, tmp_path: Path) -> None:
    index_pngs(tmp_path / "corrected", "b", drawn()[0][1:], objects=False)
    dataset = {"kind": "folder", "root": "data", "eval_split": "all", "train_split": "all", "corrected": "corrected"}
    (data.folder / "splits.csv").write_text("image_id,split\na,all\nb,all\nc,all\n")
    trainings = {"cam": {"batch_size": 2}, "irn": {"batch_size": 2}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"dataset": dataset, **trainings}))
    assert "corrected/SegmentationClass/b.png: the mask is 23 x 32 pixels" in refusal(tmp_path)
    (tmp_path / "corrected/SegmentationClass/b.png").rename(tmp_path / "corrected/SegmentationClass/y.png")
    assert "unknown image 'y'" in refusal(tmp_path)


def test_check_data_lists_all_mistakes_in_corrections(data: SmallData, tmp_path: Path, capsys) -> None:
    place = tmp_path / "corrected"
    index_pngs(place, "x")
    index_pngs(place, "b", drawn()[0] * 2)
    code = ["check-data", "--kind", "folder", "--root", data.folder, "--corrected", place, "--workers", "0"]
    with pytest.raises(AssertionError):
        run(*code)
    said = capsys.readouterr().out
    assert "unknown image 'x'" in said
    assert "unknown class, value 4" in said


def test_check_data_does_not_blame_corrections_for_a_wrong_path(tmp_path: Path, capsys) -> None:
    index_pngs(tmp_path / "corrected", "a")
    with pytest.raises(AssertionError):
        run("check-data", "--kind", "folder", "--root", tmp_path / "typo", "--corrected", tmp_path / "corrected")
    said = capsys.readouterr().out
    assert "typo" in said
    assert "unknown image" not in said
