"""VOC's layout as annotation tools write it: XML in other encodings, and CVAT's masks in colours."""

from pathlib import Path

import numpy as np
import pytest
from helpers import run, save_png
from test_check_data import check, only, voc_set

from irn.data.masks import open_truth
from irn.data.tables import read_classes, read_manifest
from irn.data.voc_annotations import object_names
from irn.errors import IrnError
from irn.settings.reading import check_config
from irn.workflow.run import Run

Capture = pytest.CaptureFixture[str]


def annotation(name: str, encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?><annotation><object><name>{name}</name></object></annotation>'


@pytest.mark.parametrize(
    ("declared", "name", "codec"),
    [
        ("gbk", "猫", "gbk"),
        ("GB2312", "猫", "gb2312"),
        ("gb2312", "鎔", "gbk"),  # not in GB2312, and written under its name
        ("gb18030", "猫", "gb18030"),
        ("big5", "貓", "big5"),
        ("Shift_JIS", "ネコ", "shift_jis"),
        ("shift_jis", "①", "cp932"),
        ("euc-jp", "ネコ", "euc_jp"),
        ("euc-kr", "고양이", "euc_kr"),
        ("windows-1251", "кот", "cp1251"),
        ("ansi", "Löwe", "cp1252"),
        ("ANSI", "Löwe", "utf-8"),
        ("unicode", "Löwe", "utf-8"),
        ("unicode", "Löwe", "utf-16"),
        ("utf8", "Löwe", "utf-8"),
        ("utf-16", "Löwe", "utf-16"),
        ("nonsense", "cat", "ascii"),
        ("unicode_escape", "cat\\e", "ascii"),
    ],
)
def test_annotations_in_any_encoding(tmp_path: Path, declared: str, name: str, codec: str) -> None:
    (tmp_path / "a.xml").write_bytes(annotation(name, declared).encode(codec))
    assert object_names(tmp_path / "a.xml") == {name}


@pytest.mark.parametrize(
    ("declared", "content"), [("gbk", b"\xff\xff"), ("unicode", b"\xff\x80"), ("nonsense", b"\xe9"), ("utf-8", b"\xe9")]
)
def test_annotations_that_are_not_text_are_one_line(tmp_path: Path, declared: str, content: bytes) -> None:
    whole = annotation("NAME", declared).encode().replace(b"NAME", content)
    (tmp_path / "a.xml").write_bytes(whole)
    with pytest.raises(IrnError) as error:
        object_names(tmp_path / "a.xml")
    assert len(str(error.value).splitlines()) == 1
    assert "UTF-8" in str(error.value) or "not a readable XML file" in str(error.value)


RED, GREEN, BLUE = (128, 0, 0), (0, 128, 0), (0, 0, 128)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\nzebra:0,0,128::\n"


def cvat(root: Path, annotated: bool = False) -> Path:
    """Three images with masks in colours: a cat; a cat and two dogs, one void; nothing."""
    voc_set(root, a="cat", b="cat dog", c="")
    (root / "labelmap.txt").write_text(LABELMAP, encoding="utf-8")
    (root / "ImageSets/Segmentation/train.txt").rename(root / "ImageSets/Segmentation/default.txt")
    masks = np.zeros((2, 3, 40, 48, 3), np.uint8)
    masks[0, :2, 5:15, 5:15] = RED
    masks[0, 1, 20:30, 5:15] = masks[0, 1, 20:30, 20:30] = GREEN
    masks[1, :2, 5:15, 5:15], masks[1, 1, 20:30, 5:15], masks[1, 1, 20:30, 20:30] = RED, GREEN, BLUE
    masks[:, 1, 35:] = (224, 224, 192)
    for folder, pictures in zip(("SegmentationClass", "SegmentationObject"), masks, strict=True):
        for name, picture in zip("abc", pictures, strict=True):
            save_png(root / f"{folder}/{name}.png", picture)
    if not annotated:
        for path in (root / "Annotations").iterdir():
            path.unlink()
        (root / "Annotations").rmdir()
    return root


@pytest.mark.parametrize("annotated", [True, False])
def test_masks_in_colours(tmp_path: Path, annotated: bool) -> None:
    root = cvat(tmp_path / "set", annotated)
    tables = ("--out-manifest", tmp_path / "m.csv", "--out-labels", tmp_path / "l.csv")
    run("build-manifest", "--kind", "voc", "--root", root, *tables)
    classes, records = read_classes(tmp_path / "l.csv"), read_manifest(tmp_path / "m.csv")
    assert classes.names == ["cat", "dog", "zebra"]
    assert classes.present == {"a": [0], "b": [0, 1], "c": []}
    assert {record.split for record in records} == {"train"}
    truth = open_truth(root / "SegmentationClass", "train", classes.names)
    mask = truth.class_mask(records[1])
    assert [mask[place] for place in ((0, 0), (6, 6), (22, 6), (22, 22), (39, 0))] == [0, 1, 2, 2, 255]
    objects, labels = open_truth(root / "SegmentationObject", "train", classes.names).objects(records[1], mask)
    assert sorted(labels.tolist()) == [1, 2, 2]
    assert objects.sum((1, 2)).tolist() == [100, 100, 100]


@pytest.mark.parametrize("annotated", [True, False])
def test_a_repainted_mask_is_read_again_for_classes_where_it_tells_them(tmp_path: Path, annotated: bool) -> None:
    def keys() -> dict[str, str]:
        config = {"dataset": {"kind": "voc", "root": str(root)}, "cam": {"batch_size": 1}, "irn": {"batch_size": 1}}
        return {name: recipe.key for name, recipe in Run(check_config(config)).configurations[0].items()}

    root = cvat(tmp_path / "set", annotated)
    before = keys()
    save_png(root / "SegmentationClass/a.png", np.full((40, 48, 3), GREEN, np.uint8))
    later = keys()
    assert later["evaluate"] != before["evaluate"]
    for stage in ("build_manifest", "train_cam"):
        assert (later[stage] == before[stage]) is annotated, stage


def test_mistakes_about_colours(tmp_path: Path, capsys: Capture) -> None:
    root = cvat(tmp_path / "set")
    picture = np.zeros((40, 48, 3), np.uint8)
    picture[:5] = (1, 2, 3)
    save_png(root / "SegmentationClass/a.png", picture)
    said = check(root, capsys, "voc")[2]["problems"]
    assert any("a.png: the colour (1, 2, 3) is not in" in problem for problem in said)
    (root / "SegmentationClass/a.png").unlink()
    said = check(root, capsys, "voc")[2]["problems"]
    assert any("no mask of 1 of the 3 images (a), which would tell its classes" in problem for problem in said)
    (root / "labelmap.txt").write_text("cat:1,2::\n")
    assert "'cat:1,2::': expected label:red,green,blue::" in only(check(root, capsys, "voc")[2])
