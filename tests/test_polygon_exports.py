"""Labels for YOLO, Label Studio and labelme, and polygons for COCO: back by this project's readers of these formats."""

import json
import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from exported_labels import LABELS, NAMES, Labels, pieces, ring
from helpers import Sample, label_of, refused, run, write_data

from irn.data.brush import packed
from irn.data.coco_instances import InstancesFile
from irn.data.corrected.reading import Corrections, listed
from irn.data.findings import Findings
from irn.data.label_studio_brush import unpacked
from irn.data.labelme import read_labelme
from irn.data.names import safe_id
from irn.data.shapes import objects_of, polygon
from irn.data.tables import images_of
from irn.data.yolo import read_yolo, read_yolo_names
from irn.io.cache import CacheWriter

Objects = list[tuple[str, np.ndarray]]


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return Labels(tmp_path)


def agree(objects: Objects, image_id: str, least: float = 0.98) -> None:
    """The objects of an image are its pieces, in order."""
    expected = pieces(LABELS[image_id])
    assert [name for name, _ in objects] == [NAMES[category - 1] for category, _, _ in expected]
    for (_, mask), (_, _, pixels) in zip(objects, expected, strict=True):
        piece = np.array(pixels)
        # Noise is specks, some of which YOLO and Label Studio do not get.
        if not image_id.startswith("noise"):
            assert (mask & piece).sum() / (mask | piece).sum() >= least


# ---- COCO


@pytest.mark.parametrize(("tolerance", "least"), [(0, 1), (1, 0.98)])
def test_polygons_in_an_instances_file(labels: Labels, tolerance: float, least: float) -> None:
    run(*labels.coco("--outlines", "polygons", "--tolerance", tolerance))
    file = InstancesFile(labels.folder / "out/instances.json")
    for image_id, arrays in LABELS.items():
        masks, classes, _ = file.masks(image_id, *arrays["semantic"].shape)
        agree([(NAMES[index], mask) for index, mask in zip(classes, masks, strict=True)], image_id, least)


def test_area_and_box_stay_those_of_the_mask(labels: Labels) -> None:
    by_runs = labels.exported()["annotations"]
    by_polygons = labels.exported("--outlines", "polygons")["annotations"]
    for runs, polygons in zip(by_runs, by_polygons, strict=True):
        assert all(isinstance(polygon, list) for polygon in polygons.pop("segmentation"))
        assert runs.pop("segmentation")["size"]
        assert runs == polygons


# ---- YOLO


def test_a_yolo_data_set(labels: Labels) -> None:
    run(*labels.yolo())
    folder = labels.folder / "out/yolo"
    names = read_yolo_names(folder / "data.yaml")
    assert names == NAMES
    for image_id, arrays in LABELS.items():
        split = "val" if image_id == "all" else "train"
        image = folder / "images" / split / f"{image_id}.png"
        assert image.is_symlink()
        assert image.resolve() == (labels.folder / f"images/{image_id}.png").resolve()
        text = folder / "labels" / split / f"{image_id}.txt"
        shape = arrays["semantic"].shape
        agree(objects_of(text, read_yolo(text, names), *shape), image_id)
    assert (folder / "labels/train/nothing.txt").read_bytes() == b""
    assert re.fullmatch(r"3( [01]\.\d{6}){8}\n", (folder / "labels/train/tiny.txt").read_text())


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (None, {"train": "images/train", "val": "images/val"}),
        ("train", {"train": "images/train", "val": "images/train"}),
        ("val", {"train": "images/val", "val": "images/val"}),
    ],
)
def test_yolo_always_gets_a_train_and_a_val(labels: Labels, split: str | None, expected: dict[str, str]) -> None:
    labels.clear()
    run(*labels.yolo(*(("--split", split) if split else ())))
    described = yaml.safe_load((labels.folder / "out/yolo/data.yaml").read_text())
    assert described == expected | {"names": dict(enumerate(NAMES))}
    assert all((labels.folder / "out/yolo" / folder).is_dir() for folder in expected.values())


def test_other_splits_train_together(labels: Labels) -> None:
    labels.clear()
    text = labels.manifest.read_text().replace(",val", ",first").replace(",train", ",second")
    labels.manifest.write_text(text)
    run(*labels.yolo())
    described = yaml.safe_load((labels.folder / "out/yolo/data.yaml").read_text())
    assert described["train"] == ["images/second", "images/first"]
    assert described["val"] == "images/second"


def test_copies_stay_when_the_images_go(labels: Labels) -> None:
    labels.clear()
    expected = (labels.folder / "images/holes.png").read_bytes()
    run(*labels.yolo("--copy"))
    (labels.folder / "images/holes.png").unlink()
    assert (labels.folder / "out/yolo/images/train/holes.png").read_bytes() == expected


def test_what_lies_in_the_folder_of_a_yolo_data_set_is_not_replaced(
    labels: Labels, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = labels.folder / "out/yolo"
    folder.mkdir(parents=True)
    (folder / "data.yaml").write_text("mine")
    assert refused(capsys, labels.folder, *labels.yolo()).startswith(f"irn export-yolo: {folder}/data.yaml: exists")
    (folder / "data.yaml").unlink()
    (folder / "labels").mkdir()
    (folder / "labels/mine.txt").write_text("mine")
    assert refused(capsys, labels.folder, *labels.yolo()).startswith(f"irn export-yolo: {folder}/labels: exists")
    said = refused(capsys, labels.folder, *labels.yolo("--out", labels.manifest))
    assert said.startswith(f"irn export-yolo: {labels.manifest}: is a file, expected a folder")


# ---- Label Studio


@pytest.mark.parametrize("outlines", ["rle", "polygons"])
def test_tasks_of_label_studio(labels: Labels, outlines: str) -> None:
    run(*labels.label_studio("--outlines", outlines))
    tasks = json.loads((labels.folder / "out/tasks.json").read_text(encoding="utf-8"))
    assert [task["data"]["image_id"] for task in tasks] == list(LABELS)
    (control,) = [tag for tag in ElementTree.parse(labels.folder / "out/tasks.xml").getroot() if tag.tag != "Image"]
    assert [label.get("value") for label in control] == NAMES
    for task, (image_id, arrays) in zip(tasks, LABELS.items(), strict=True):
        (prediction,) = task["predictions"]
        height, width = arrays["semantic"].shape
        masks = []
        for region, (_, score, _) in zip(prediction["result"], pieces(arrays), strict=True):
            assert region["type"] == control.tag.lower()
            assert (region["from_name"], region["to_name"]) == (control.get("name"), control.get("toName"))
            assert (region["original_height"], region["original_width"]) == (height, width)
            assert region["score"] == score
            (name,) = region["value"][region["type"]]
            if outlines == "rle":
                bytes_of_mask = unpacked(np.array(region["value"]["rle"], np.uint8), 4 * height * width)
                assert set(bytes_of_mask.tolist()) <= {0, 255}
                mask = bytes_of_mask.reshape(height, width, 4).all(2)
            else:
                shares = np.array(region["value"]["points"]) / 100
                assert ((shares >= 0) & (shares <= 1)).all()
                mask = polygon(shares, is_relative=True)(height, width)
            masks.append((name, mask))
        agree(masks, image_id, 1 if outlines == "rle" else 0.98)


@pytest.mark.parametrize("mask", [ring() == 1, np.ones((300, 400), bool), np.zeros((130, 131), bool)])
def test_run_lengths_of_a_brush_give_the_mask(mask: np.ndarray) -> None:
    values = unpacked(np.array(packed(mask), np.uint8), 4 * mask.size)
    np.testing.assert_array_equal(values.reshape(*mask.shape, 4), 255 * mask[..., None].repeat(4, 2))


def test_addresses_of_images(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    labels.clear()
    text = labels.manifest.read_text(encoding="utf-8")
    labels.manifest.write_text(text.replace("images/tiny", "images/what's new/tiny"), encoding="utf-8")

    def addresses(*options: str) -> list[str]:
        run(*labels.label_studio(*options))
        tasks = json.loads((labels.folder / "out/tasks.json").read_text(encoding="utf-8"))
        return [task["data"]["image"] for task in tasks]

    local = addresses()
    assert f"document root {labels.folder}, storage {labels.folder}/images" in capsys.readouterr().out
    assert local[0] == "/data/local-files/?d=images/holes.png"
    assert unquote(local[4]) == "/data/local-files/?d=images/what's new/tiny.png"
    assert "'" not in local[4]
    assert addresses("--image-url", "https://pictures.example/")[0] == "https://pictures.example/images/holes.png"


def test_the_labelling_configuration_does_not_replace_the_tasks(
    labels: Labels, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, labels.folder, *labels.label_studio("--out", labels.folder / "tasks.xml"))
    assert said == (
        f"irn export-label-studio: --out {labels.folder}/tasks.xml: the labelling configuration gets this name; name"
        " the tasks .json"
    )


# ---- labelme


def test_files_of_labelme(labels: Labels) -> None:
    run(*labels.labelme())
    folder = labels.folder / "out/labelme"
    assert {path.name for path in folder.iterdir()} == {f"{image_id}.json" for image_id in LABELS}
    for image_id, arrays in LABELS.items():
        file = folder / f"{image_id}.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        assert (folder / content["imagePath"]).resolve() == (labels.folder / f"images/{image_id}.png").resolve()
        shape = arrays["semantic"].shape
        assert (content["imageHeight"], content["imageWidth"]) == shape
        agree(objects_of(file, read_labelme(file), *shape), image_id)


def test_a_folder_of_labelme_that_holds_something_is_refused(
    labels: Labels, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*labels.labelme("--split", "val"))
    said = refused(capsys, labels.folder, *labels.labelme())
    assert said.startswith(
        f"irn export-labelme: {labels.folder}/out/labelme: exists already and is not an empty folder"
    )


# ---- and back, as the programs save what nobody has changed


@pytest.mark.parametrize("command", ["coco", "label-studio", "labelme"])
def test_labels_that_are_exported_come_back_as_corrections(labels: Labels, command: str) -> None:
    polygons = [] if command == "labelme" else ["--outlines", "polygons"]
    place = labels.folder / "out" / ("files" if command == "labelme" else "file.json")
    run(*labels.command(command, str(place), *polygons))
    if command == "label-studio":
        tasks = json.loads(place.read_text(encoding="utf-8"))
        annotated = [{"data": task["data"], "annotations": task["predictions"]} for task in tasks]
        place.write_text(json.dumps(annotated), encoding="utf-8")
    records = {record.image_id: record for record in images_of(labels.manifest)}
    findings = Findings()
    corrections = Corrections(place, [listed(record) for record in records.values()], NAMES, findings)
    assert not findings.problems
    assert sorted(corrections.ids) == sorted(records)
    for image_id in ("holes", "nothing", "one-pixel", "tiny", "all"):
        expected = np.zeros(LABELS[image_id]["instance_map"].shape, int)
        for category, _, mask in pieces(LABELS[image_id]):
            expected[np.array(mask)] = category
        assert (corrections.read(records[image_id])["label"] == expected).mean() > 0.99


@pytest.mark.parametrize("command", ["coco", "label-studio"])
def test_images_in_folders_within_come_back_as_what_they_are_however_few_are_exported(
    tmp_path: Path, command: str
) -> None:
    # Of the same name, in folders of their own.
    places = {safe_id(name): f"images/{name}.png" for name in ("photo", "a/photo", "b/photo")}
    data = write_data(tmp_path, ["cat"], {name: Sample(np.zeros((16, 24, 3), np.uint8), []) for name in places})
    text = data.manifest.read_text(encoding="utf-8")
    for name, place in places.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / f"images/{name}.png").replace(tmp_path / "moved.png")
        (tmp_path / "moved.png").replace(tmp_path / place)
        text = text.replace(f"images/{name}.png", place)
    data.manifest.write_text(text, encoding="utf-8")
    with CacheWriter(tmp_path / "labels.h5", "label", {"stage": "test"}) as cache:
        for name in places:
            cache.write(name, 16, 24, label_of(np.ones((16, 24), int), [0], [1.0]))
    # Listed twice, it is exported once.
    (tmp_path / "few.csv").write_text(f"image_id\n{safe_id('a/photo')}\n" + f"{safe_id('a/photo')}\n", encoding="utf-8")
    files = ["--manifest", data.manifest, "--labels", data.labels, "--label-caches", tmp_path / "labels.h5"]
    run(f"export-{command}", *files, "--doubt", tmp_path / "few.csv", "--out", tmp_path / "few.json")
    content = json.loads((tmp_path / "few.json").read_text(encoding="utf-8"))
    if command == "coco":
        assert [image["file_name"] for image in content["images"]] == ["a/photo.png"]
    else:
        assert len(content) == 1
        assert content[0]["data"]["image"].endswith("d=images/a/photo.png")
        annotated = [{"data": {"image": task["data"]["image"]}, "annotations": task["predictions"]} for task in content]
        (tmp_path / "few.json").write_text(json.dumps(annotated), encoding="utf-8")
    records = [listed(record) for record in images_of(data.manifest)]
    findings = Findings()
    assert Corrections(tmp_path / "few.json", records, ["cat"], findings).ids == [safe_id("a/photo")]
    assert not findings.problems


# ---- mistakes


@pytest.mark.parametrize("command", [Labels.yolo, Labels.labelme])
def test_an_image_whose_file_is_missing(labels: Labels, capsys: pytest.CaptureFixture[str], command) -> None:  # type: ignore[no-untyped-def]
    (labels.folder / "images/tiny.png").unlink()
    said = refused(capsys, labels.folder, *command(labels))
    assert f": {labels.folder}/images/tiny.png: no such image; fix the path in the manifest" in said


def test_settings_of_exports(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, labels.folder, *labels.coco("--outlines", "boxes"))
    assert said.startswith("irn export-coco: --outlines is 'boxes'; expected one of rle, polygons")
    said = refused(capsys, labels.folder, *labels.yolo("--tolerance", "-1"))
    assert said.startswith("irn export-yolo: --tolerance is")


def test_classes_beyond_the_table(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    labels.labels.write_text("image_id,cat\nholes,1\n", encoding="utf-8")
    for command in (labels.yolo, labels.label_studio, labels.labelme):
        said = refused(capsys, labels.folder, *command())
        assert "image 'holes', array 'instance_class' holds 253, expected 0 to 0" in said


def test_names_with_signs_of_xml_and_yaml(labels: Labels) -> None:
    names = ['cat & "dog"', "<b>: yes", "null"]
    labels.labels.write_text('image_id,"cat & ""dog""",<b>: yes,null\nholes,1,0,0\n', encoding="utf-8")
    labels.write(
        {image_id: label_of(np.ones(arrays["semantic"].shape, int), [1], [1]) for image_id, arrays in LABELS.items()}
    )
    run(*labels.yolo())
    run(*labels.label_studio())
    assert read_yolo_names(labels.folder / "out/yolo/data.yaml") == names
    tags = ElementTree.parse(labels.folder / "out/tasks.xml").getroot().iter("Label")
    assert [tag.get("value") for tag in tags] == names
