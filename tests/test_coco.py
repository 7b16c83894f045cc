"""Data sets in COCO's layout, made of the demonstration's drawings: tables, ground truth, and the workflow."""

import csv
import json
import shutil
import tracemalloc
from collections.abc import Callable
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.coco
import pytest
import yaml
from helpers import SMALL, label_of, refusal, refused, rules_to_run, run, run_in, save_png, snakemake
from PIL import Image
from pycocotools import mask as pycoco
from pycocotools.cocoeval import COCOeval

from irn.cli import main
from irn.data.coco import LAYOUT
from irn.data.coco_files import names_at_a_glance
from irn.data.coco_instances import InstancesFile
from irn.data.coco_lists import lists_of
from irn.data.coco_masks import InstanceMasks
from irn.data.demo.animals import CLASSES
from irn.data.demo.scenes import draw_scene
from irn.data.findings import Findings
from irn.data.masks import open_truth
from irn.data.names import safe_id
from irn.data.predictions import result
from irn.data.segmentations import decoded, encoded
from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.io.cache import CacheWriter
from irn.records import ImageRecord
from irn.workflow.run import check_data

# As COCO has them: with gaps, in any order, and one that no annotation is of.
CATEGORIES = [(90, CLASSES[4]), (3, CLASSES[0]), (200, "unicorn"), (18, CLASSES[1]), (19, CLASSES[2]), (22, CLASSES[3])]
NUMBERS = {name: number for number, name in CATEGORIES}
NAMES = [*CLASSES, "unicorn"]


def polygons(mask: np.ndarray) -> list[list[float]]:
    """A rectangle around each run of a row."""
    found = []
    for y, row in enumerate(mask):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        found += [[float(value) for value in (x0, y, x1, y, x1, y + 1, x0, y + 1)] for x0, x1 in ends.reshape(-1, 2)]
    return found


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([[False], mask.T.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()}


def compressed(mask: np.ndarray) -> dict[str, Any]:
    found = pycoco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": found["counts"].decode()}


FORMS: tuple[Callable[[np.ndarray], Any], ...] = (polygons, run_lengths, compressed)


class Coco:
    """Drawings in the layout of COCO 2014; `write` puts the annotations, which may be edited before, on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, np.ndarray] = {}
        self.labels: dict[str, list[int]] = {}
        for split, numbers in (("train2014", (581, 9, 25)), ("val2014", (42,))):
            images, annotations = [], []
            for number in numbers:
                scene = draw_scene(np.random.default_rng(number), 64)
                name = f"COCO_{split}_{number:012d}"
                self.objects[name], self.labels[name] = scene.objects, [sprite.species + 1 for sprite in scene.sprites]
                self.picture(f"{split}/{name}.jpg", (scene.rgb * 255).astype(np.uint8))
                height, width = scene.objects.shape
                images.append({"id": number, "file_name": f"{name}.jpg", "height": height, "width": width})
                for row, sprite in enumerate(scene.sprites):
                    form = FORMS[(number + row) % len(FORMS)]
                    about = {"image_id": number, "category_id": NUMBERS[CLASSES[sprite.species]], "iscrowd": 0}
                    annotations.append(
                        {"id": 1000 * number + row, **about, "segmentation": form(scene.objects == row + 1)}
                    )
            # In no order.
            annotations = annotations[::2] + annotations[1::2]
            categories = [{"id": number, "name": name, "supercategory": "animal"} for number, name in CATEGORIES]
            self.files[split] = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
        self.train, self.val = self.files["train2014"], self.files["val2014"]
        self.write()

    def picture(self, name: str, pixels: np.ndarray) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    def write(self) -> None:
        folder = self.root / "annotations"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for split, file in self.files.items():
            (folder / f"instances_{split}.json").write_text(json.dumps(file), encoding="utf-8")
        (folder / "captions_train2014.json").write_text(
            '{"images": [], "annotations": [{"image_id": 9, "caption": "a", "id": 1}]}'
        )

    def add(self, number: int, name: str, segmentation: Any, **more: Any) -> None:
        """Annotate another object in an image of train."""
        about = {"image_id": number, "category_id": NUMBERS[name], "iscrowd": 0, "segmentation": segmentation}
        self.train["annotations"].append({"id": 10**6 + len(self.train["annotations"]), **about, **more})
        self.write()

    def build(self, *options: object) -> tuple[list[ImageRecord], dict[str, list[int]], list[str]]:
        """Run the command; what its tables hold."""
        out = self.root.parent / "tables"
        tables = ("--out-manifest", out / "m.csv", "--out-labels", out / "l.csv")
        run("build-manifest", "--kind", "coco", "--root", self.root, *tables, *options)
        classes = read_classes(out / "l.csv")
        return read_manifest(out / "m.csv"), classes.present, classes.names

    def truth(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Class mask, and masks and labels of the objects, of an image by its instances file."""
        split = name.split("_")[1]
        record = ImageRecord(name, Path(), *self.objects[name].shape, split)
        truth = InstanceMasks(self.root / f"annotations/instances_{split}.json", NAMES)
        truth.require([record])
        return truth.class_mask(record), *truth.objects(record, np.zeros(0))


@pytest.fixture
def coco(tmp_path: Path) -> Coco:
    return Coco(tmp_path / "coco")


def mistake(coco: Coco, capsys: pytest.CaptureFixture[str], *options: object) -> str:
    """What `irn build-manifest` says of the data set, having written nothing."""
    tables = ("--out-manifest", coco.root.parent / "m.csv", "--out-labels", coco.root.parent / "l.csv")
    return refused(capsys, coco.root.parent, "build-manifest", "--kind", "coco", "--root", coco.root, *tables, *options)


NINE, BIG = "COCO_train2014_000000000009", "COCO_train2014_000000000581"


# ---- the ids of what is made of it


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools, under NumPy 2
def test_what_is_exported_and_predicted_loads_with_the_file_of_the_data_set(
    coco: Coco, capsys: pytest.CaptureFixture[str]
) -> None:
    records, _, names = coco.build()
    tables, folder = coco.root.parent / "tables", coco.root.parent
    of_train = [record for record in records if record.split == "train"]
    with CacheWriter(folder / "labels.h5", "label", {"stage": "test"}) as cache:
        for record in of_train:
            instances = np.ones((record.height, record.width), np.uint16)
            cache.write(record.image_id, record.height, record.width, label_of(instances, [1], [0.5]))
    given = ["--manifest", tables / "m.csv", "--labels", tables / "l.csv", "--label-caches", folder / "labels.h5"]
    run("export-coco", *given, "--split", "train", "--out", folder / "ours.json")
    lists = lists_of(of_train, names, tables / "m.csv")
    few = lists_of(of_train[1:2], names, tables / "m.csv")
    assert (few.images, few.folder) == (lists.images[1:2], lists.folder)
    results = [
        result(
            image,
            lists.categories[1],
            {"score": 0.5, **encoded(np.ones((image["height"], image["width"]), bool))},
        )
        for image in lists.images
    ]
    (folder / "predictions.json").write_text(json.dumps(results))
    own = pycocotools.coco.COCO(str(coco.root / "annotations/instances_train2014.json"))
    exported = pycocotools.coco.COCO(str(folder / "ours.json"))
    assert sorted(exported.getImgIds()) == sorted(own.getImgIds())
    assert {c["id"]: c["name"] for c in exported.loadCats(exported.getCatIds())} == {
        c["id"]: c["name"] for c in own.loadCats(own.getCatIds())
    }
    for truth in (own, exported):
        loaded = truth.loadRes(str(folder / "predictions.json"))
        assert len(loaded.anns) == len(of_train)
        assert {truth.cats[a["category_id"]]["name"] for a in loaded.anns.values()} == {names[1]}
    found = COCOeval(exported, exported.loadRes(str(folder / "predictions.json")), "segm")
    found.evaluate()
    found.accumulate()
    found.summarize()
    assert found.stats[0] == pytest.approx(1)


def test_ids_of_another_data_set_do_not_stay_beside_a_manifest(coco: Coco, tmp_path: Path) -> None:
    coco.build()
    tables = coco.root.parent / "tables"
    assert (tables / "m.coco_ids.json").exists()
    save_png(tmp_path / "folder/images/cat/a.png", np.zeros((32, 32, 3), np.uint8))
    out = ("--out-manifest", tables / "m.csv", "--out-labels", tables / "l.csv")
    run("build-manifest", "--kind", "folder", "--root", tmp_path / "folder", *out)
    assert not (tables / "m.coco_ids.json").exists()


def test_manifests_of_two_splits_in_one_folder_keep_their_ids(coco: Coco, tmp_path: Path) -> None:
    for split in ("train2014", "val2014"):
        out = ("--out-manifest", tmp_path / f"{split}.csv", "--out-labels", tmp_path / f"{split}_labels.csv")
        run("build-manifest", "--kind", "coco", "--root", coco.root, "--splits", split, *out)
    for split, numbers in (("train2014", [581, 9, 25]), ("val2014", [42])):
        manifest = tmp_path / f"{split}.csv"
        names = read_classes(tmp_path / f"{split}_labels.csv").names
        lists = lists_of(read_manifest(manifest), names, manifest)
        assert [image["id"] for image in lists.images] == numbers


# ---- the tables


def test_splits_without_their_year_are_listed_by_default(coco: Coco) -> None:
    records, present, names = coco.build()
    # By ascending category id, and the one without an annotation too.
    assert names == NAMES
    assert [(r.image_id, r.split) for r in records] == [
        (BIG, "train"), (NINE, "train"), ("COCO_train2014_000000000025", "train"), ("COCO_val2014_000000000042", "val"),
    ]  # fmt: skip
    for record in records:
        assert (record.height, record.width) == coco.objects[record.image_id].shape
        assert record.path.parent.name in ("train2014", "val2014")
        assert present[record.image_id] == sorted({label - 1 for label in coco.labels[record.image_id]})


def test_splits_asked_for_by_their_names(coco: Coco) -> None:
    assert [r.split for r in coco.build("--splits", "val2014", "train2014")[0]] == ["val2014", *["train2014"] * 3]
    (coco.root / "annotations/instances_val2014.json").unlink()
    assert {r.split for r in coco.build()[0]} == {"train"}


def test_crowds_count_for_the_classes_of_an_image_and_images_without_annotations_stay(coco: Coco) -> None:
    coco.train["annotations"] = []
    coco.add(9, "unicorn", run_lengths(np.ones(coco.objects[NINE].shape, bool)), iscrowd=1)
    _, present, names = coco.build()
    assert present[NINE] == [names.index("unicorn")]
    assert present[BIG] == []


@pytest.mark.parametrize("folder", ["images/train2014", "images", "."])
def test_places_of_the_images(coco: Coco, folder: str) -> None:
    (coco.root / folder).mkdir(exist_ok=True, parents=True)
    for path in sorted((coco.root / "train2014").iterdir()):
        path.rename(coco.root / folder / path.name)
    (coco.root / "train2014").rmdir()
    assert {r.path.parent for r in coco.build("--splits", "train")[0]} == {(coco.root / folder).resolve()}


def test_file_names_with_folders(coco: Coco) -> None:
    for image in coco.train["images"]:
        image["file_name"] = f"train2014/{image['file_name']}"
    coco.write()
    assert [r.image_id for r in coco.build("--splits", "train")[0]][1] == NINE
    (coco.root / "images").mkdir()
    (coco.root / "train2014").rename(coco.root / "images/train2014")
    assert coco.build("--splits", "train")[0][1].path == coco.root / f"images/train2014/{NINE}.jpg"


def test_an_image_of_two_splits_belongs_to_the_one_named_first(coco: Coco) -> None:
    coco.files["mini2014"] = {**coco.train, "images": coco.train["images"][:1], "annotations": []}
    (coco.root / "mini2014").symlink_to("train2014")
    for image in coco.files["mini2014"]["images"]:
        image["file_name"] = f"train2014/{Path(image['file_name']).name}"
    for image in coco.train["images"]:
        image["file_name"] = f"train2014/{Path(image['file_name']).name}"
    coco.write()
    records, present, _ = coco.build("--splits", "mini2014", "train2014")
    assert [(r.image_id, r.split) for r in records][:2] == [(BIG, "mini2014"), (NINE, "train2014")]
    assert present[BIG] == []


def test_classes_of_a_table_of_ones_own(coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{r.image_id},0,1\n" for r in coco.build()[0])
    (tmp_path / "own.csv").write_text(f"image_id,cat,dog\n{rows}", encoding="utf-8")
    _, present, names = coco.build("--labels-csv", tmp_path / "own.csv")
    assert names == ["cat", "dog"]
    assert present[NINE] == [1]
    assert "own.csv: no column for badger, " in capsys.readouterr().out


def test_names_in_any_script_and_a_mark_before_the_text(coco: Coco) -> None:
    for file in coco.files.values():
        file["categories"][2]["name"] = "Einhörnchen 🦄"
    coco.write()
    for path in (coco.root / "annotations").glob("instances_*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False, indent=1), encoding="utf-8-sig")
    assert coco.build()[2] == [*CLASSES, "Einhörnchen 🦄"]
    file = InstancesFile(coco.root / "annotations/instances_train2014.json")
    masks, _, _ = file.masks(NINE, *coco.objects[NINE].shape)
    assert len(masks) == len(coco.labels[NINE])


def test_grey_photographs_are_counted(coco: Coco, capsys: pytest.CaptureFixture[str]) -> None:
    with Image.open(coco.root / f"train2014/{NINE}.jpg") as picture:
        grey = np.array(picture.convert("L"))
    coco.picture(f"train2014/{NINE}.jpg", grey)
    coco.build()
    assert "1 of 4 images are not RGB and are turned into it when they are read (1 L)\n" in capsys.readouterr().out


# ---- masks


def test_every_form_of_a_mask_gives_its_pixels(coco: Coco) -> None:
    seen = set()
    for name, objects in coco.objects.items():
        truth, masks, labels = coco.truth(name)
        np.testing.assert_array_equal(truth, np.array([0, *coco.labels[name]])[objects])
        assert len(masks) == len(labels) == objects.max()
        for mask, label in zip(masks, labels, strict=True):
            number = objects[mask][0]
            np.testing.assert_array_equal(mask, objects == number)
            assert label == coco.labels[name][number - 1]
    for file in coco.files.values():
        seen |= {
            type(a["segmentation"].get("counts") if isinstance(a["segmentation"], dict) else None)
            for a in file["annotations"]
        }
    assert seen == {type(None), list, str}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools' own decoder
@pytest.mark.parametrize("seed", range(6))
def test_masks_are_those_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 400, 2))
    # Short and long runs, none, and all.
    mask = rng.random((height, width)) < rng.choice([0, 0.001, 0.5, 0.999, 1])
    for form in (run_lengths, compressed):
        np.testing.assert_array_equal(decoded(form(mask), height, width), mask)
    drawn = (rng.uniform(-0.2, 1.2, (3, int(rng.integers(3, 9)), 2)) * (width, height)).round(2)
    outline = [polygon.ravel().tolist() for polygon in drawn]
    expected = pycoco.decode(pycoco.merge(pycoco.frPyObjects(outline, height, width)))
    np.testing.assert_array_equal(decoded(outline, height, width), expected)


def test_the_smaller_of_two_instances_is_on_top_and_crowds_are_void(coco: Coco) -> None:
    shape = coco.objects[NINE].shape
    parts = {name: np.zeros(shape, bool) for name in ("large", "small", "same", "crowd", "speck")}
    parts["large"][:20, :20] = True
    parts["small"][5:10, 5:10] = True
    parts["same"][8:13, 8:13] = True
    parts["crowd"][18:30, :30] = True
    coco.train["annotations"] = []
    coco.add(9, CLASSES[0], compressed(parts["small"]))
    coco.add(9, "unicorn", run_lengths(parts["crowd"]), iscrowd=1)
    coco.add(9, CLASSES[1], compressed(parts["large"]))
    coco.add(9, CLASSES[2], polygons(parts["same"]))
    coco.add(9, CLASSES[2], [[1.1, 1.1, 1.2, 1.1, 1.2, 1.2]])  # covers no pixel
    expected = np.zeros(shape, int)
    for name, value in (("large", 2), ("small", 1), ("same", 3), ("crowd", 255)):
        expected[parts[name]] = value
    truth, masks, labels = coco.truth(NINE)
    np.testing.assert_array_equal(truth, expected)
    # Objects stay whole.
    assert labels.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(masks, [parts["small"], parts["large"], parts["same"]])
    truth, masks, _ = coco.truth(BIG)
    assert not truth.any()
    assert len(masks) == 0


# ---- scores


class Scored:
    """Caches of labels and CAMs for the data set, its truth moved by a few pixels, and the same truth as PNGs."""

    def __init__(self, coco: Coco) -> None:
        self.coco, self.folder = coco, coco.root.parent
        self.records, _, _ = coco.build()
        self.inputs: list[object] = [
            "--manifest",
            self.folder / "tables/m.csv",
            "--labels",
            self.folder / "tables/l.csv",
        ]
        with (
            CacheWriter(self.folder / "l.h5", "label", {"stage": "x"}) as labels,
            CacheWriter(self.folder / "c.h5", "cam", {"stage": "x"}) as cams,
        ):
            for r in self.records:
                objects, index = coco.objects[r.image_id], np.array([0, *coco.labels[r.image_id]])
                for kind, mask in (("classes", index[objects]), ("objects", objects)):
                    (self.folder / kind).mkdir(exist_ok=True)
                    Image.fromarray(mask.astype(np.uint8)).save(self.folder / kind / f"{r.image_id}.png")
                moved = np.roll(objects, 6, 1)
                about = {"instance_class": index[1:] - 1, "instance_score": np.linspace(1, 0.5, len(index) - 1)}
                labels.write(r.image_id, r.height, r.width, {"semantic": index[moved], "instance_map": moved, **about})
                classes = np.unique(index[1:]) - 1
                maps = (index[moved] == classes[:, None, None] + 1).astype(np.float32)
                cams.write(
                    r.image_id, r.height, r.width, {"classes": classes, "cam": maps[:, ::4, ::4], "high_res": maps}
                )
        self.caches: list[object] = ["--label-caches", self.folder / "l.h5", "--cams", self.folder / "c.h5"]

    def scores(self, classes: Path, objects: Path, *options: object) -> list[list[str]]:
        truth = ("--class-masks", classes, "--object-masks", objects)
        run("evaluate", *self.inputs, *self.caches, *truth, "--out", self.folder / "s.csv", *options)
        with open(self.folder / "s.csv", newline="") as file:
            return list(csv.reader(file))

    def mistake(self, capsys: pytest.CaptureFixture[str], classes: Path, *options: object) -> str:
        command = [
            "evaluate",
            *self.inputs,
            *self.caches,
            "--class-masks",
            classes,
            "--out",
            self.folder / "s.csv",
            *options,
        ]
        return refused(capsys, self.folder, *command)


@pytest.fixture
def scored(coco: Coco) -> Scored:
    return Scored(coco)


def test_scores_against_instances_files_are_those_against_the_same_masks_as_pngs(scored: Scored) -> None:
    expected = scored.scores(scored.folder / "classes", scored.folder / "objects")
    assert len({row[4] for row in expected}) > 5
    annotations = scored.coco.root / "annotations"
    assert scored.scores(annotations, annotations) == expected
    assert scored.scores(annotations, annotations, "--workers", 2) == expected
    assert scored.scores(annotations, scored.folder / "objects") == expected
    assert scored.scores(scored.folder / "classes", annotations) == expected
    train = annotations / "instances_train2014.json"
    assert scored.scores(train, train, "--split", "train") == [row for row in expected if row[1] != "val"]


def test_an_object_below_another_is_found_whole(scored: Scored) -> None:
    """A large animal that is annotated through the small one before it."""
    objects = scored.coco.objects[NINE]
    before = scored.scores(scored.coco.root / "annotations", scored.coco.root / "annotations", "--split", "train")
    scored.coco.add(9, "unicorn", run_lengths(np.roll(objects > 0, 6, 1)))
    after = scored.scores(scored.coco.root / "annotations", scored.coco.root / "annotations", "--split", "train")
    assert [row for row in after if row[3] in CLASSES and row[0] == "instance"] == [
        row for row in before if row[3] in CLASSES and row[0] == "instance"
    ]


def test_mistakes_about_ground_truth(scored: Scored, capsys: pytest.CaptureFixture[str]) -> None:
    coco, annotations = scored.coco, scored.coco.root / "annotations"
    train = annotations / "instances_train2014.json"
    assert "no image 'COCO_val2014_000000000042' in it; give the file of split 'val'" in scored.mistake(capsys, train)
    assert "holds captions" in scored.mistake(capsys, annotations / "captions_train2014.json")
    coco.add(9, "unicorn", [])
    assert f"of image '{NINE}' has no segmentation, and a box cannot be scored" in scored.mistake(capsys, annotations)
    coco.train["annotations"].pop()
    for text, said in (
        ([[1, 2, 3, 4, 5, 6, 7]], "has a polygon that is not a list of numbers"),
        ([[1, 2, 3, 4, 5, float("inf")]], "has a polygon that is not a list of numbers"),
        (["123456"], "has a polygon that is not a list of numbers"),
        ({"size": [2, 2], "counts": [4]}, "has a mask of [2, 2] pixels"),
        ({"size": list(coco.objects[NINE].shape), "counts": [4]}, "run lengths that do not sum"),
        ({"size": list(coco.objects[NINE].shape), "counts": [-4, 4]}, "run lengths that do not sum"),
        ({"size": list(coco.objects[NINE].shape), "counts": "04"}, "run lengths that do not sum"),
        ({"size": list(coco.objects[NINE].shape), "counts": "oooooooooo"}, "run lengths that cannot be read"),
        ({"size": list(coco.objects[NINE].shape), "counts": "ö"}, "run lengths that cannot be read"),
        ({"size": list(coco.objects[NINE].shape), "counts": None}, "run lengths that cannot be read"),
        (7, "has no segmentation"),
    ):
        coco.add(9, "unicorn", text)
        assert said in scored.mistake(capsys, annotations)
        coco.train["annotations"].pop()
    for file in coco.files.values():
        file["categories"] = [*file["categories"], {"id": 7, "name": "dodo"}]
    coco.add(9, "unicorn", polygons(np.ones((5, 5), bool)), category_id=7)
    assert "category 'dodo', which is not a class of the labels table" in scored.mistake(capsys, annotations)
    coco.train["annotations"].pop()
    coco.train["images"][1]["height"] += 1
    coco.write()
    assert f"image '{NINE}' is " in scored.mistake(capsys, annotations)
    (annotations / "instances_train2014.json").unlink()
    said = scored.mistake(capsys, annotations)
    assert (
        "annotations: no instances_<split>.json for split 'train' (has captions_train2014.json, instances_val2014.json)"
        in said
    )


# ---- mistakes in the data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: [annotation.update(image_id=7) for annotation in c.train["annotations"]],
         "an annotation is of image 7, which is not among the 3 images"),
        (lambda c: c.train["annotations"][0].update(iscrowd="maybe"), "an annotation has iscrowd 'maybe'; expected 0"),
        (lambda c: c.train["annotations"][0].update(category_id=7),
         "an annotation is of category 7, which is not among the 6 categories"),
        (lambda c: c.train["annotations"][0].pop("category_id"), "holds annotations without image_id or category_id"),
        (lambda c: c.train["images"][0].update(id=9), "image id 9 appears 2 times; every id must be unique"),
        (lambda c: c.train["categories"][0].update(id=3), "category id 3 appears 2 times"),
        (lambda c: c.train["categories"][0].update(name=CLASSES[0]), f"class '{CLASSES[0]}' appears twice"),
        (lambda c: c.train["categories"][0].update(id=[90]), "its categories are not a list of objects with an id"),
        (lambda c: c.train["categories"][0].pop("name"), "lacks a name"),
        (lambda c: c.train["images"][0].pop("file_name"), "image 581 has no file_name"),
        (lambda c: c.train["images"][0].update(file_name="\ud800.jpg"),
         "image 581 has no file_name, or one that is not text"),
        (lambda c: c.train["images"][0].update(file_name="my dog.jpg"), "no image 'my dog.jpg'"),
        (lambda c: c.train["images"][0].update(height=9), f"{BIG}.jpg: "),
        (lambda c: c.train["images"].append({"id": 1, "file_name": f"{NINE}.png"}),
         f"{NINE}.jpg and {NINE}.png would both be image"),
        (lambda c: c.train.update(images=[], annotations=[]), "it lists no image"),
        (lambda c: c.train.update(categories=[], annotations=[]), "no category in it"),
        (lambda c: c.train.update(images={}), "its images are not a list of objects with an id"),
        (lambda c: c.train.pop("categories"),
         "no 'categories' in it; expected an instances file of COCO, with images,"),
        (lambda c: c.train.pop("annotations"), "no 'annotations' in it"),
        (lambda c: c.train.update(annotations={}), "not a readable JSON file"),
        (lambda c: c.val["categories"].pop(),
         "instances_val2014.json: its categories are not those of the split before it"),
        (lambda c: c.files.update(train2017=c.train),
         "instances_train2014.json and instances_train2017.json could both be split 'train'"),
    ],
)  # fmt: skip
def test_mistakes_in_an_instances_file(
    coco: Coco, capsys: pytest.CaptureFixture[str], change: Callable[[Coco], Any], said: str
) -> None:
    change(coco)
    coco.write()
    assert said in mistake(coco, capsys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a readable JSON file"),
        ("[]", "not a readable JSON file"),
        ("<html>", "not a readable JSON file"),
        ('{["images"]: []}', "not a readable JSON file"),
        (
            '{"images": [], "annotations": [{"image_id": 9, "caption": "a dog"}]}',
            "holds captions; expected an instances file of COCO",
        ),
        ("cut", "not a readable JSON file"),
        (
            b'{"images": [{"id": 1, "file_name": "\xff"}], "annotations": [], "categories": []}',
            "not a readable JSON file",
        ),
    ],
)
def test_files_that_are_no_instances_files(
    coco: Coco, capsys: pytest.CaptureFixture[str], text: str | bytes, said: str
) -> None:
    path = coco.root / "annotations/instances_train2014.json"
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(path.read_bytes()[:-9] if text == "cut" else content)
    assert said in mistake(coco, capsys)


def test_parts_that_are_missing(coco: Coco, capsys: pytest.CaptureFixture[str]) -> None:
    said = mistake(coco, capsys, "--splits", "test")
    assert (
        "no instances_<split>.json for split 'test' (has captions_train2014.json, instances_train2014.json,"
        " instances_val2014.json)" in said
    )
    assert "every image of split 'train2014' is also in a split named before it" in mistake(
        coco, capsys, "--splits", "train", "train2014"
    )
    (coco.root / f"train2014/{NINE}.jpg").unlink()
    assert f"train2014: no image '{NINE}.jpg', which instances_train2014.json names" in mistake(coco, capsys)
    shutil.rmtree(coco.root / "train2014")
    assert "no folder of images; expected train2014/ or images/train2014/" in mistake(coco, capsys)
    coco.files = {"test": coco.train}
    coco.write()
    assert "neither instances_train*.json nor instances_val*.json (has those of test)" in mistake(coco, capsys)
    shutil.rmtree(coco.root / "annotations")
    assert "annotations: no such folder; expected the root of a COCO layout" in mistake(coco, capsys)


def test_images_of_one_name_in_two_splits(coco: Coco) -> None:
    coco.val["images"][0]["file_name"] = f"{NINE}.jpg"
    shutil.move(coco.root / "val2014/COCO_val2014_000000000042.jpg", coco.root / f"val2014/{NINE}.jpg")
    coco.write()
    records, present, _ = coco.build()
    assert [r.image_id for r in records if r.path.stem == NINE] == [NINE, safe_id(f"val2014/{NINE}")]
    truth = InstanceMasks.open(coco.root / "annotations", "val", NAMES)
    truth.require(records[-1:])
    assert set(np.unique(truth.class_mask(records[-1]))) - {0} == {index + 1 for index in present[records[-1].image_id]}


def test_a_name_that_cannot_be_an_id_gets_one(coco: Coco) -> None:
    coco.train["images"][0]["file_name"] = "my dog.jpg"
    (coco.root / f"train2014/{BIG}.jpg").rename(coco.root / "train2014/my dog.jpg")
    coco.write()
    records = coco.build()[0]
    assert [(r.image_id, r.path.name) for r in records if " " in r.path.name] == [("my_dog-9902cb4b", "my dog.jpg")]


def test_a_file_name_that_leaves_the_folder_of_images(coco: Coco, capsys: pytest.CaptureFixture[str]) -> None:
    coco.train["images"][0]["file_name"] = "../../secret.jpg"
    coco.write()
    assert "image '../../secret.jpg' lies outside of the data set" in mistake(coco, capsys)


# ---- the workflow


def test_the_workflow_lists_and_scores_it(finished: Path, tmp_path: Path) -> None:
    """The finished run's data in this layout, with its labels: the scores must be the same."""
    made = finished / "results/small/make_demo_data/data"
    names = (made / "classes.txt").read_text().split()
    root, images, annotations = tmp_path / "coco", [], []
    (root / "annotations").mkdir(parents=True)
    shutil.copytree(made / "JPEGImages", root / "images/train2014")
    for number, image_id in enumerate((made / "ImageSets/Segmentation/train.txt").read_text().split()):
        objects, classes = (
            np.array(Image.open(made / f"Segmentation{kind}/{image_id}.png")) for kind in ("Object", "Class")
        )
        size = dict(zip(("height", "width"), objects.shape, strict=True))
        images.append({"id": number, "file_name": f"{image_id}.jpg", **size})
        for value in range(1, objects.max() + 1):
            about = {"image_id": number, "category_id": 7 * int(classes[objects == value][0])}
            annotations.append({**about, "segmentation": FORMS[value % 3](objects == value)})
    categories = [{"id": 7 * (index + 1), "name": name} for index, name in enumerate(names)]
    file = root / "annotations/instances_train2014.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL | {"dataset": {"kind": "coco", "root": "coco"}}))
    old, new = (recipes_in(folder) for folder in (finished, tmp_path))
    for name, recipe in new.items():
        if name not in ("build_manifest", "evaluate") and not recipe.stage.on_request:
            shutil.copytree(
                finished / old[name].folder, tmp_path / recipe.folder, ignore=shutil.ignore_patterns("key.json")
            )
    assert rules_to_run(tmp_path) == {"build_manifest", "evaluate", "report"}
    result = snakemake(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    scores = [(folder / "results/small/scores.csv").read_text() for folder in (finished, tmp_path)]
    assert scores[0] == scores[1]
    file.write_text(file.read_text() + "\n")
    assert {"build_manifest", "train_cam", "evaluate"} <= rules_to_run(tmp_path)


def test_an_edit_anywhere_in_the_data_set_lists_it_again(coco: Coco, tmp_path: Path) -> None:
    config = SMALL | {"dataset": {"kind": "coco", "root": str(coco.root)}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (coco.root / "images").mkdir()
    shutil.move(coco.root / "train2014", coco.root / "images/train2014")
    edits = [
        lambda: coco.add(9, "unicorn", polygons(np.ones((5, 5), bool))),
        lambda: coco.picture(f"val2014/{NINE}.png", np.zeros((5, 6, 3), np.uint8)),
        lambda: coco.picture(f"images/train2014/farm/{NINE}.png", np.zeros((5, 6, 3), np.uint8)),
        lambda: coco.picture(f"images/train2014/farm/{NINE}.png", np.zeros((5, 7, 3), np.uint8)),
    ]
    keys = [recipes_in(tmp_path)["build_manifest"].key]
    for edit in edits:
        edit()
        keys.append(recipes_in(tmp_path)["build_manifest"].key)
    assert len(set(keys)) == len(keys)
    (coco.root / "annotations/captions_val2014.json").write_text("{}", encoding="utf-8")
    assert recipes_in(tmp_path)["build_manifest"].key == keys[-1]


def recipes_in(folder: Path) -> dict[str, Any]:
    return run_in(folder).configurations[0]


def asked_for(folder: Path, **dataset: Any) -> str:
    sizes = {"cam": {"batch_size": 1}, "irn": {"batch_size": 1}}
    (folder / "small.yaml").write_text(yaml.safe_dump({"dataset": dataset, **sizes}), encoding="utf-8")
    return refusal(folder)


def test_ground_truth_that_the_split_to_score_lacks_is_found_before_the_first_job(coco: Coco, tmp_path: Path) -> None:
    about = {"kind": "coco", "root": str(coco.root), "eval_split": "val", "splits": ["train", "val"]}
    other = tmp_path / "other"
    other.mkdir()
    (other / "instances_train.json").write_text(json.dumps(coco.train), encoding="utf-8")
    missing = "no instances_<split>.json for split 'val' (has instances_train.json); name a split that has one"
    for key in ("class_masks", "object_masks"):
        assert asked_for(tmp_path, **about, **{key: str(other)}) == f"{other}: {missing}"
    lacking = (
        "no mask of 1 of the 1 images of dataset.eval_split 'val' (COCO_val2014_000000000042); add them, or set"
        " dataset.eval_split"
    )
    file = other / "instances_train.json"
    assert asked_for(tmp_path, **about, class_masks=str(file)).startswith(f"{file}: {lacking}")
    # A folder of index PNGs goes as well.
    pngs = tmp_path / "pngs"
    pngs.mkdir()
    assert asked_for(tmp_path, **about, class_masks=str(pngs)).startswith(f"{pngs}: {lacking}")
    Image.new("L", (64, 64)).save(pngs / "COCO_val2014_000000000042.png")
    about["train_split"] = "trainn"
    assert "dataset.train_split names 'trainn', but no image is of that split; name one" in asked_for(tmp_path, **about)


@pytest.mark.parametrize("size", [0, 2**26])
def test_a_polygon_that_cannot_be_scored_is_found_before_the_first_job_however_large_the_file(
    coco: Coco, tmp_path: Path, size: int
) -> None:
    coco.add(9, CLASSES[1], [[1, 2, 3]])
    file = tmp_path / "instances_train2014.json"
    file.write_text(json.dumps(coco.train) + " " * size, encoding="utf-8")
    about = {"kind": "coco", "root": str(coco.root), "train_split": "train", "eval_split": "train"}
    said = asked_for(tmp_path, **about, class_masks=str(file))
    assert f"of image '{NINE}' has a polygon that is not a list of numbers x, y, x, y, ...; fix it" in said


@pytest.mark.parametrize(("size", "again"), [(0, True), (2**26, False)])
def test_a_large_file_is_not_read_again_once_the_images_are_listed(
    coco: Coco, tmp_path: Path, size: int, again: bool
) -> None:
    coco.add(9, CLASSES[1], [[1, 2, 3]])
    file = tmp_path / "instances_train2014.json"
    file.write_text(json.dumps(coco.train) + " " * size, encoding="utf-8")
    about = {"kind": "coco", "root": str(coco.root), "train_split": "train", "eval_split": "train"}
    asked_for(tmp_path, **about, class_masks=str(file))
    for listed in map(tmp_path.joinpath, run_in(tmp_path).configurations[0]["build_manifest"].files()):
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.touch()
    with chdir(tmp_path), pytest.raises(IrnError) if again else nullcontext():
        check_data(run_in(tmp_path))


def test_fewer_images_than_a_batch_are_found_before_the_first_job(coco: Coco, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump({"dataset": {"kind": "coco", "root": str(coco.root)}}), encoding="utf-8"
    )
    assert "cam.batch_size is 16, but dataset.train_split 'train' has 3 images" in snakemake(tmp_path).stderr


def test_check_data_says_which_split_has_no_ground_truth(
    coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "instances_val.json").write_text(json.dumps(coco.val), encoding="utf-8")
    check = ["check-data", "--kind", "coco", "--root", coco.root]
    run(*check, "--class-masks", other)
    said = capsys.readouterr().out
    assert f"{other}: no instances_train.json, so split 'train' cannot be scored" in said
    assert f"{other}: masks of 1 of 4 images" in said
    file = tmp_path / "some.json"
    file.write_text(json.dumps(coco.train | {"images": coco.train["images"][:2], "annotations": []}), encoding="utf-8")
    run(*check, "--class-masks", file)
    assert (
        f"{file}: no mask of 1 of the 3 images of split 'train' (COCO_train2014_000000000025), so it cannot"
        in capsys.readouterr().out
    )
    assert main([str(word) for word in [*check, "--class-masks", tmp_path / "nowhere"]]) == 2
    assert "nowhere: no such folder or file of class masks; fix the path" in capsys.readouterr().err


def test_instances_files_whose_categories_are_no_classes_are_refused(
    coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    categories = [{**category, "name": f"{category['name']}_2"} for category in coco.train["categories"]]
    file.write_text(json.dumps(coco.train | {"categories": categories}), encoding="utf-8")
    command = ["check-data", "--kind", "coco", "--root", coco.root, "--splits", "train", "--class-masks", file]
    assert main([str(word) for word in command]) == 2
    said = capsys.readouterr()
    assert said.out.count("which is not a class of the labels table") == 3
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["plain.jpg", 'a"b\\c.png', "фото.JPG", "farm/dog 1.jpeg"])
def test_a_glance_sees_the_names_that_the_file_has(tmp_path: Path, name: str) -> None:
    for number, form in enumerate(({"ensure_ascii": True}, {"ensure_ascii": False, "indent": 1})):
        path = tmp_path / f"{number}.json"
        images = [{"id": 1, "file_name": name}, {"file_name": "b.jpg", "id": 2}]
        content = {
            "info": {"file_name": "a.json"},
            "images": images,
            "annotations": [],
            "categories": [{"id": 1, "name": "dog"}],
        }
        path.write_text(json.dumps(content, **form), encoding="utf-8")  # type: ignore[arg-type]
        read = [picture.file_name for picture in InstancesFile(path).images.values()]
        assert names_at_a_glance(path) == read == [name.replace("\\", "/"), "b.jpg"]


def boxed(file: dict[str, Any], count: int | None = None) -> None:
    for annotation in file["annotations"][:count]:
        annotation["segmentation"] = []
        annotation["bbox"] = [1.0, 2.0, 3.0, 4.0]


def test_boxes_give_classes_and_no_ground_truth(coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set of boxes alone is labelled without scores; one whose split to score is, is refused before the first job."""
    present = coco.build()[1]
    boxed(coco.train)
    coco.write()
    masks = tmp_path / "masks"
    for name, objects in coco.objects.items():
        save_png(masks / f"{name}.png", np.array([0, *coco.labels[name]], np.uint8)[objects])
    assert coco.build("--class-masks", masks)[1] == present
    capsys.readouterr()
    assert coco.build()[1] == present
    count = len(coco.train["annotations"])
    said = f"{count} of {count} annotations have no segmentation; they give classes, but split 'train' cannot be scored"
    assert said in capsys.readouterr().out
    about = {"kind": "coco", "root": str(coco.root)}
    assert f"instances_train2014.json: {count} of {count} annotations have no segmentation, and boxes" in asked_for(
        tmp_path, **about
    )
    boxed(coco.val)
    coco.write()
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump(SMALL | {"dataset": about, "cam": {"batch_size": 1}, "irn": {"batch_size": 1}})
    )
    stages = rules_to_run(tmp_path)
    assert "make_labels" in stages
    assert "evaluate" not in stages


def test_a_few_boxes_among_outlines(coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxed(coco.train, 1)
    coco.write()
    coco.build()
    said = f"1 of {len(coco.train['annotations'])} annotations have no segmentation"
    assert said in capsys.readouterr().out
    assert said in asked_for(tmp_path, kind="coco", root=str(coco.root))


def test_a_check_of_many_objects_needs_the_memory_of_few(tmp_path: Path) -> None:
    size, about = [500, 500], {"image_id": 1, "category_id": 1, "iscrowd": 0}
    segmentation = {"size": size, "counts": [100, 200, 249700]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": size[0], "width": size[1]}],
        "annotations": [{"id": number, **about, "segmentation": segmentation} for number in range(60)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path = tmp_path / "annotations/instances_train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content), encoding="utf-8")
    image = ImageRecord("a", tmp_path / "a.png", *size, "train")
    tracemalloc.start()
    assert LAYOUT.check_truth(tmp_path, [image], ["cat"], findings := Findings(), 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert findings.notices == []
    assert peak < 15 * size[0] * size[1]


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([[1, 1, 6]], "has a polygon that is not a list of numbers"),
        ([[1, 1, None, 2, 3, 4]], "has a polygon that is not a list of numbers"),
        ([[1e9, 1, 2, 3, 4, float("inf")]], "has a polygon that is not a list of numbers"),
        ({"counts": [10**12], "size": [1, 1]}, "has a mask of [1, 1] pixels"),
        ({"counts": "\x7f", "size": None}, "has run lengths that cannot be read"),
    ],
)
def test_segmentations_that_cannot_be_read_are_said_first(
    coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str], segmentation: Any, said: str
) -> None:
    """They give classes; a score would end with them, after all the training."""
    present = coco.build()[1]
    annotation = coco.train["annotations"][0]
    image = next(image for image in coco.train["images"] if image["id"] == annotation["image_id"])
    if isinstance(segmentation, dict) and segmentation["size"] is None:
        segmentation = segmentation | {"size": [image["height"], image["width"]]}
    annotation["segmentation"] = segmentation
    coco.write()
    capsys.readouterr()
    assert coco.build()[1] == present
    notices = [line for line in capsys.readouterr().out.splitlines() if "cannot be scored" in line]
    assert len(notices) == 1
    assert said in notices[0]
    assert "(1 of 3 images are so); split 'train' cannot be scored" in notices[0]
    assert said in asked_for(tmp_path, kind="coco", root=str(coco.root))


def test_what_annotation_tools_leave_out_or_write_otherwise(coco: Coco) -> None:
    """Text as image ids, no iscrowd, no bbox, sizes with a point, and paths as Windows has them."""
    records, present, names = coco.build()
    for image in coco.train["images"]:
        image |= {"id": f"n{image['id']}", "height": float(image["height"]), "width": float(image["width"])}
        image["file_name"] = f"train2014\\{image['file_name']}"
    for annotation in coco.train["annotations"]:
        annotation["image_id"] = f"n{annotation['image_id']}"
        del annotation["iscrowd"]
    coco.write()
    shutil.move(coco.root / "train2014", coco.root / "images/train2014")
    again, same, also = coco.build()
    assert [(r.image_id, r.height, r.path.name) for r in again] == [
        (r.image_id, r.height, r.path.name) for r in records
    ]
    assert (same, also) == (present, names)


@pytest.mark.parametrize("key", ["image_id", "category_id"])
@pytest.mark.parametrize("kind", [str, float])
def test_ids_of_another_type_than_those_that_they_refer_to(
    coco: Coco, capsys: pytest.CaptureFixture[str], key: str, kind: Callable[[int], Any]
) -> None:
    present = coco.build()[1]
    for annotation in coco.train["annotations"]:
        annotation[key] = kind(annotation[key])
    coco.write()
    capsys.readouterr()
    assert coco.build()[1] == present
    count = len(coco.train["annotations"])
    assert f"{count} ids in annotations are text or have a point; read as whole numbers" in capsys.readouterr().out


def test_an_instances_file_of_another_name(coco: Coco, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train2014", "val2014"):
        (coco.root / f"annotations/instances_{name}.json").rename(coco.root / f"annotations/{name}.json")
    said = mistake(coco, capsys)
    assert "(has captions_train2014.json, train2014.json, val2014.json); name files instances_<split>.json" in said


# ---- what annotation tools write


@pytest.mark.parametrize("form", ["0", 0.0, False, None, "false", "0.0"])
def test_iscrowd_in_any_form(coco: Coco, form: Any) -> None:
    truth, masks, _ = coco.truth(BIG)
    for annotation in coco.train["annotations"]:
        annotation["iscrowd"] = form
    coco.write()
    again = coco.truth(BIG)
    np.testing.assert_array_equal(again[0], truth)
    np.testing.assert_array_equal(again[1], masks)
    coco.train["annotations"][0]["iscrowd"] = {"0": "1", None: 1}.get(form, "true")
    coco.write()
    file = InstancesFile(coco.root / "annotations/instances_train2014.json")
    assert file.crowd.sum() == 1


def test_polygons_without_an_area_are_left_out_and_counted(coco: Coco, capsys: pytest.CaptureFixture[str]) -> None:
    whole = np.zeros(coco.objects[NINE].shape, bool)
    whole[10:20, 10:20] = True
    square = [[10, 10, 20, 10, 20, 20, 10, 20]]
    truth = coco.truth(NINE)
    coco.add(9, "unicorn", [[1, 1, 5, 5]])
    coco.add(9, "unicorn", [*square, [5, 5, 6, 6]])
    coco.add(9, "unicorn", square[0])  # one flat list
    said = "2 polygons have fewer than three points, and so no area; left out"
    _, present, names = coco.build()
    assert said in capsys.readouterr().out
    assert names.index("unicorn") in present[NINE]
    masks = coco.truth(NINE)[1]
    assert len(masks) == len(truth[1]) + 2
    np.testing.assert_array_equal(masks[-1], whole)
    np.testing.assert_array_equal(masks[-2], whole)


def test_one_image_that_is_missing_is_named_alone(coco: Coco, capsys: pytest.CaptureFixture[str]) -> None:
    for image in coco.train["images"]:
        image["file_name"] = f"train2014/{image['file_name']}"
    coco.write()
    (coco.root / coco.train["images"][0]["file_name"]).unlink()
    said = mistake(coco, capsys)
    assert f"no image 'train2014/{BIG}.jpg', which instances_train2014.json names" in said
    assert "more" not in said
    (coco.root / coco.train["images"][1]["file_name"]).unlink()
    assert "2 of the 3 images that instances_train2014.json names are missing" in mistake(coco, capsys)


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("my%20photo.jpg", "my photo.jpg"),
        ("images\\1/my photo.jpg", "my photo.jpg"),
        ("my photo", "my photo.jpg"),
        ("MY PHOTO.JPG", "my photo.jpg"),
        ("/data/upload/3/0a1b2c3d-my photo.jpg", "my photo.jpg"),
        ("https://host/data/local-files/?d=set/my%20photo.jpg", "my photo.jpg"),
        ("../../media/my photo.jpg", "my photo.jpg"),
        ("my photo_jpg.rf.0123456789abcdef.jpg", "my photo.jpg"),
        ("my photo.png", "my photo.jpg"),
    ],
)
def test_names_that_no_file_has_and_one_file_can_mean(
    coco: Coco, capsys: pytest.CaptureFixture[str], written: str, file: str
) -> None:
    coco.train["images"][0]["file_name"] = written
    (coco.root / f"train2014/{BIG}.jpg").rename(coco.root / "train2014" / file)
    coco.write()
    records = coco.build()[0]
    assert next(record.path.name for record in records if record.split == "train") == file
    assert f"1 of 3 images are found by another name ({written.replace(chr(92), '/')!r} is" in capsys.readouterr().out
    truth = InstanceMasks.open(coco.root / "annotations", "train", NAMES)
    truth.require([record for record in records if record.split == "train"])


def test_frames_of_one_name_in_two_folders(coco: Coco) -> None:
    before = coco.build()[1]
    names = [f"v{number % 2}/frame_{number // 2}.jpg" for number in range(3)]
    for image, name in zip(coco.train["images"], names, strict=True):
        (coco.root / "train2014" / name).parent.mkdir(exist_ok=True)
        (coco.root / "train2014" / image["file_name"]).rename(coco.root / "train2014" / name)
        image["file_name"] = name
    coco.write()
    records, present, _ = coco.build()
    ids = [safe_id(name.removesuffix(".jpg")) for name in names]
    assert [record.image_id for record in records][:3] == ids
    assert list(present.values()) == list(before.values())
    truth = InstanceMasks.open(coco.root / "annotations", "train", NAMES)
    truth.require(records[:3])
    assert glanced_ids(coco) == [record.image_id for record in records]


def glanced_ids(coco: Coco) -> list[str]:
    return [image.image_id for image in LAYOUT.listed(coco.root, None, Findings())]


def test_an_image_that_is_listed_twice_has_the_annotations_of_both(
    coco: Coco, capsys: pytest.CaptureFixture[str]
) -> None:
    _, before, names = coco.build()
    coco.train["images"].append(coco.train["images"][1] | {"id": 77})
    coco.add(77, "unicorn", [[1, 1, 5, 1, 5, 5]])
    present = coco.build()[1]
    assert f"1 images are listed twice and are one each ({NINE}.jpg)" in capsys.readouterr().out
    assert present[NINE] == sorted({*before[NINE], names.index("unicorn")})
    assert glanced_ids(coco) == list(present)


def test_annotations_of_images_that_are_not_listed_are_left_out_and_counted(
    coco: Coco, capsys: pytest.CaptureFixture[str]
) -> None:
    before = coco.build()[1]
    coco.add(4711, "unicorn", [[1, 1, 5, 1, 5, 5]])
    assert coco.build()[1] == before
    count = len(coco.train["annotations"])
    assert f"1 of {count} annotations are of images that it does not list; left out" in capsys.readouterr().out


def test_the_group_that_roboflow_puts_above_the_categories_is_no_class(
    coco: Coco, capsys: pytest.CaptureFixture[str]
) -> None:
    _, before, names = coco.build()
    for name in (names[0], "animal"):
        for file in coco.files.values():
            root = {"id": 0, "name": name, "supercategory": "none"}
            file["categories"] = [root, *(category for category in file["categories"] if category["id"])]
        coco.write()
        assert coco.build()[1:] == (before, names)
        assert f"category {name!r} is the group of the others and left out" in capsys.readouterr().out


def test_the_layout_of_roboflow(coco: Coco, tmp_path: Path) -> None:
    records, present, names = coco.build()
    for split, path in (("train", "train"), ("val", "valid")):
        (coco.root / f"{split}2014").rename(coco.root / path)
        (coco.root / path / "_annotations.coco.json").write_text(json.dumps(coco.files[f"{split}2014"]))
    shutil.rmtree(coco.root / "annotations")
    again, same, also = coco.build()
    assert [(r.image_id, r.split) for r in again] == [(r.image_id, r.split.replace("val", "valid")) for r in records]
    assert (same, also) == (present, names)
    assert LAYOUT.truth_places(coco.root) == (coco.root, coco.root)
    truth = open_truth(coco.root, "valid", names)
    truth.require(again[-1:])


def test_the_only_split_of_cvat_is_for_training(coco: Coco) -> None:
    coco.files = {"default": coco.train}
    (coco.root / "train2014").rename(coco.root / "images")
    coco.write()
    assert [record.split for record in coco.build()[0]] == ["train"] * 3


def test_a_file_without_annotations_needs_a_table(
    coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, _, _ = coco.build()
    coco.train.pop("annotations")
    coco.write()
    assert "as in COCO's image_info files, so nothing says what its images hold; give their classes as a table" in (
        mistake(coco, capsys, "--splits", "train")
    )
    table = tmp_path / "labels.csv"
    table.write_text("image_id,dog\n" + "".join(f"{record.image_id},1\n" for record in records), encoding="utf-8")
    assert coco.build("--splits", "train", "--labels-csv", table)[2] == ["dog"]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["images"][0].update(height=-1),
        lambda file: file["images"][0].update(height=False, width=2**63),
        lambda file: file["images"][0].update(file_name="a" * 300 + ".jpg"),
        lambda file: file["categories"][0].update(supercategory=[1, ["a"]]),
        lambda file: file["annotations"][0].update(segmentation={"counts": [1], "size": "\n"}),
    ],
)
def test_values_that_make_no_sense_are_one_line_or_read(coco: Coco, change: Callable[[dict[str, Any]], Any]) -> None:
    change(coco.train)
    coco.write()
    findings, images = Findings(), LAYOUT.listed(coco.root, None, Findings())
    with findings.collected():
        LAYOUT.read(coco.root, None, None, findings)
        InstanceMasks.lacking(coco.root / "annotations", images)
    assert all(len(problem.problem.splitlines()) == 1 for problem in findings.problems)
