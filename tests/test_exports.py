"""Labels as COCO's and VOC's files: from arrays to a cache to files, and back by the readers that people use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_labels import LABELS, NAMES, Labels, kept, pieces
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from helpers import Arrays, label_of, refused, run, save_png
from PIL import Image
from pycocotools.coco import COCO
from torchvision.datasets import CocoDetection

from irn.data.coco_instances import InstancesFile


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return Labels(tmp_path)


# ---- COCO


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools, under NumPy 2
@pytest.mark.parametrize("reader", [COCO, FasterCOCO])
def test_every_piece_comes_back_from_an_instances_file(labels: Labels, reader: Any) -> None:
    run(*labels.coco())
    coco = reader(str(labels.folder / "out/instances.json"))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == NAMES
    assert coco.getCatIds() == list(range(1, 255))
    images = coco.loadImgs(coco.getImgIds())
    assert [(image["file_name"], image["height"], image["width"]) for image in images] == [
        (f"{image_id}.png", *arrays["semantic"].shape) for image_id, arrays in LABELS.items()
    ]
    for image, arrays in zip(images, LABELS.values(), strict=True):
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert [(a["category_id"], a["score"], coco.annToMask(a).astype(bool).tolist()) for a in found] == pieces(
            arrays
        )


def test_ids_areas_and_boxes(labels: Labels) -> None:
    found = labels.exported("--workers", 2)["annotations"]
    assert [annotation["id"] for annotation in found] == list(range(1, len(found) + 1))
    masks = [np.array(mask) for arrays in LABELS.values() for _, _, mask in pieces(arrays)]
    for annotation, mask in zip(found, masks, strict=True):
        ys, xs = np.nonzero(mask)
        assert annotation["area"] == len(ys)
        assert annotation["bbox"] == [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
        assert annotation["iscrowd"] == 0
        assert isinstance(annotation["segmentation"]["counts"], str)
        assert annotation["segmentation"]["size"] == list(mask.shape)


def test_torchvision_reads_it(labels: Labels) -> None:
    run(*labels.coco())
    data = CocoDetection(str(labels.folder / "images"), str(labels.folder / "out/instances.json"))
    assert len(data) == len(LABELS)
    for (picture, annotations), arrays in zip(data, LABELS.values(), strict=True):
        assert picture.size == arrays["semantic"].shape[::-1]
        assert len(annotations) == len(kept(arrays))


def test_it_scores_as_perfect_against_itself(labels: Labels) -> None:
    found = labels.exported()
    coco = FasterCOCO(found)
    scored = COCOeval_faster(coco, coco.loadRes(found["annotations"]), "segm")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    assert scored.stats[0] == pytest.approx(1)


def test_this_project_reads_it(labels: Labels) -> None:
    run(*labels.coco())
    file = InstancesFile(labels.folder / "out/instances.json")
    assert file.names == NAMES
    assert list(file.images) == list(LABELS)
    for image_id, arrays in LABELS.items():
        masks, classes, crowd = file.masks(image_id, *arrays["semantic"].shape)
        found = [(index + 1, mask.tolist()) for index, mask in zip(classes.tolist(), masks, strict=True)]
        assert found == [(category, mask) for category, _, mask in pieces(arrays)]
        assert not crowd.any()


def test_a_split_and_images_in_several_folders(labels: Labels) -> None:
    assert [image["file_name"] for image in labels.exported("--split", "val")["images"]] == ["all.png"]
    text = labels.manifest.read_text(encoding="utf-8")
    labels.manifest.write_text(text.replace("images/tiny", f"{labels.folder}/images/more/tiny"), encoding="utf-8")
    names = {image["file_name"] for image in labels.exported("--split", "train")["images"]}
    assert {"holes.png", "more/tiny.png"} <= names


def test_the_same_input_gives_the_same_bytes(labels: Labels) -> None:
    out = labels.folder / "out/instances.json"
    run(*labels.coco("--workers", 0))
    first = out.read_bytes()
    run(*labels.coco("--workers", 2))
    assert out.read_bytes() == first


# ---- VOC


def palette_by_hand() -> list[int]:
    """VOC's colours, bit by bit."""
    found = []
    for index in range(256):
        red = green = blue = 0
        for bit in range(8):
            red |= (index >> (3 * bit) & 1) << (7 - bit)
            green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
            blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
        found += [red, green, blue]
    return found


def objects_by_hand(arrays: Arrays) -> np.ndarray:
    found, number = np.zeros(arrays["instance_map"].shape, int), 0
    for row, score in enumerate(arrays["instance_score"]):
        number += score > 0
        found[arrays["instance_map"] == row + 1] = number if score > 0 else 255
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_both_masks_come_back_from_pngs_with_vocs_colours(labels: Labels, workers: int) -> None:
    run(*labels.voc("--workers", workers))
    for folder in ("SegmentationClass", "SegmentationObject"):
        assert {path.name for path in (labels.folder / "out/voc" / folder).iterdir()} == {
            f"{image_id}.png" for image_id in LABELS
        }
    for image_id, arrays in LABELS.items():
        for folder, expected in (
            ("SegmentationClass", arrays["semantic"]),
            ("SegmentationObject", objects_by_hand(arrays)),
        ):
            with Image.open(labels.folder / "out/voc" / folder / f"{image_id}.png") as picture:
                assert picture.mode == "P"
                assert picture.getpalette() == palette_by_hand()
                np.testing.assert_array_equal(np.array(picture), expected)


def test_class_254_and_254_objects_are_not_void(labels: Labels) -> None:
    pixels = np.arange(1, 257).reshape(16, 16)
    pixels[pixels > 254] = 0
    labels.write({"all": label_of(pixels, [253] * 254, [0.5] * 254)})
    labels.manifest.write_text("image_id,path,height,width,split\nall,all.png,16,16,train\n", encoding="utf-8")
    run(*labels.voc())
    for folder, expected in (("SegmentationClass", np.where(pixels > 0, 254, 0)), ("SegmentationObject", pixels)):
        with Image.open(labels.folder / f"out/voc/{folder}/all.png") as picture:
            np.testing.assert_array_equal(np.array(picture), expected)


def test_more_objects_than_an_index_image_holds(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    labels.write({"all": label_of(np.arange(384).reshape(16, 24), [0] * 383, [0.5] * 383)})
    said = refused(capsys, labels.folder, *labels.voc("--split", "val"))
    assert said == "irn export-voc: image 'all': 383 instances; an index PNG holds 254: export to COCO's format instead"


def test_masks_that_are_there_are_not_replaced(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    mask = labels.folder / "out/voc/SegmentationObject/mine.png"
    save_png(mask, np.zeros((2, 2), np.uint8))
    said = refused(capsys, labels.folder, *labels.voc("--out", labels.manifest))
    assert said.startswith(f"irn export-voc: {labels.manifest}: is a file, expected a folder")
    said = refused(capsys, labels.folder, *labels.voc())
    assert said.startswith(f"irn export-voc: {mask.parent}: exists already and is not an empty folder;")


# ---- mistakes


@pytest.mark.parametrize("command", [Labels.coco, Labels.voc, Labels.yolo, Labels.label_studio, Labels.labelme])
def test_mistakes(labels: Labels, capsys: pytest.CaptureFixture[str], command: Callable[..., list[object]]) -> None:
    def said(*options: object) -> str:
        return refused(capsys, labels.folder, *command(labels, *options)).split(": ", 1)[1]

    cache = labels.folder / "labels.h5"
    assert said("--split", "test").startswith(f"{labels.manifest}: no image has split 'test'")
    assert said("--label-caches", labels.folder / "none.h5").startswith(f"{labels.folder}/none.h5: no such cache file")
    labels.write({image_id: arrays for image_id, arrays in LABELS.items() if image_id != "tiny"})
    assert said().startswith(f"{cache}: image 'tiny' is missing")
    labels.write(LABELS | {"tiny": label_of(np.ones((2, 1), int), [3], [0.75])})
    assert said().startswith(f"{cache}: image 'tiny' is 2 x 1 pixels, expected 1 x 1")


def test_classes_beyond_the_table(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    labels.labels.write_text("image_id,cat\nholes,1\n", encoding="utf-8")
    said = refused(capsys, labels.folder, *labels.coco())
    assert said.startswith(
        f"irn export-coco: {labels.folder}/labels.h5: image 'holes', array 'instance_class' holds 253, expected 0 to 0"
    )
