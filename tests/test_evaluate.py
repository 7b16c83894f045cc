"""irn/commands/evaluate.py on small data sets made here: exact scores, the format of the table, and all refusals."""

import csv
import math

import numpy as np
import pandas as pd
import pytest
from helpers import Sample, refused, write_data
from PIL import Image

from irn.commands.evaluate import evaluate
from irn.data.coco_lists import lists_of
from irn.data.growing_predictions import Found, GrowingPredictions
from irn.data.index_png import read_index_png
from irn.data.segmentations import encoded
from irn.data.tables import read_manifest, write_manifest
from irn.errors import IrnError
from irn.grid import cells
from irn.io.cache import CacheWriter
from irn.ops.iou import class_iou, confusion_matrix
from irn.ops.metric import Column, Metric, mean_of_defined
from irn.ops.metrics import METRICS, mean_names
from irn.report.tables import score_tables
from irn.settings.checking import settings_of_options

NAMES = ["cat", "dog"]
SIZE = (6, 10)


class DataSet:
    """Images 001 and 002 of split train, 003 of split val; ground truth and caches that agree with it exactly."""

    def __init__(self, root):
        self.root, self.class_masks, self.object_masks = root, root / "class_masks", root / "object_masks"
        objects = np.zeros(SIZE, np.uint8)
        objects[:4, :4], objects[:4, 5:8] = 1, 2
        classes = objects.copy()
        classes[4, :4] = objects[4, :4] = 255
        samples = {}
        for image_id, split in (("001", "train"), ("002", "train"), ("003", "val")):
            # Image 003 holds two cats.
            mask = np.where(classes == 2, 1, classes) if split == "val" else classes
            samples[image_id] = Sample(np.zeros((*SIZE, 3), np.uint8), [0], split, mask, objects)
        write_data(root, NAMES, samples)

    def truth(self, image_id):
        return np.array(Image.open(self.class_masks / f"{image_id}.png"))

    def objects(self, image_id):
        return np.array(Image.open(self.object_masks / f"{image_id}.png"))

    def cam_cache(self, name="cams.h5", ids=("001", "002", "003"), size=SIZE, **arrays):
        path = self.root / name
        with CacheWriter(path, "cam", {"stage": "make_cams"}) as cache:
            for image_id in ids:
                truth = self.truth(image_id)
                default = {
                    "classes": np.arange(2),
                    "cam": np.zeros((2, cells(size[0]), cells(size[1]))),
                    "high_res": np.stack([truth == 1, truth == 2]).astype(np.float32),
                }
                cache.write(image_id, *size, default | arrays)
        return path

    def label_cache(self, name="labels.h5", ids=("001", "002", "003"), size=SIZE, **arrays):
        path = self.root / name
        with CacheWriter(path, "label", {"stage": "make_labels"}) as cache:
            for image_id in ids:
                truth, objects = self.truth(image_id), self.objects(image_id)
                default = {
                    "semantic": np.where(truth == 255, 0, truth),
                    "instance_map": np.where(objects == 255, 0, objects),
                    "instance_class": np.array([truth[0, 0], truth[0, 5]]) - 1,
                    "instance_score": np.array([1.0, 0.5]),
                }
                cache.write(image_id, *size, default | arrays)
        return path

    def predictions(self, ids=("001", "002", "003"), names=NAMES, size=SIZE):
        """The folder that `irn predict` leaves, of a network with these classes that finds the truth exactly."""
        records = [record for record in read_manifest(self.root / "manifest.csv") if record.image_id in ids]
        folder = GrowingPredictions(self.root / f"predicted{len(list(self.root.glob('predicted*')))}", {})
        for record in records:
            truth, objects = self.truth(record.image_id), self.objects(record.image_id)
            truth, objects = (np.where(mask == 255, 0, mask) for mask in (truth, objects))
            semantic = np.array([0, *(1 + names.index(name) for name in NAMES if name in names)], np.uint8)[truth]
            found = [
                (int(semantic[mask][0]) - 1, {"score": 0.9, **encoded(mask[: size[0], : size[1]])})
                for mask in (objects == 1, objects == 2)
            ]
            pixels = np.zeros((*SIZE, 3), np.uint8)
            folder.add(record.image_id, record.path, Found(pixels, semantic, objects, found, None))
        list(folder.finish(lists_of(records, names)))
        return folder.folder

    def evaluate(self, cam_threshold=0.15, **options):
        default = {
            "manifest": self.root / "manifest.csv",
            "labels": self.root / "labels.csv",
            "out": self.root / "scores.csv",
        }
        default["class_masks"] = self.class_masks
        default["settings"] = settings_of_options({"evaluate.cam_threshold": cam_threshold}, {}, "")
        evaluate(**(default | options))
        return read_rows(default["out"])


def save_mask(path, mask):
    """A mask with a palette."""
    picture = Image.fromarray(mask.astype(np.uint8))
    picture.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    picture.save(path)


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def value(rows, stage, split, metric, name="mean"):
    found = [
        row["value"]
        for row in rows
        if (row["stage"], row["split"], row["metric"], row["class"]) == (stage, split, metric, name)
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def data(tmp_path):
    return DataSet(tmp_path)


class TestScores:
    def test_labels_that_equal_the_truth(self, data, capsys):
        rows = data.evaluate(cams=[data.cam_cache()], label_caches=[data.label_cache()], object_masks=data.object_masks)
        # cam and semantic: mean, background, two classes; instance: eleven metrics of mean and two classes.
        assert len(rows) == 2 * (4 + 4 + 33)
        for row in rows:
            # The val image has no dog, and all objects are small.
            is_undefined = (row["split"], row["class"]) == ("val", "dog") or row["metric"].endswith(("medium", "large"))
            assert row["value"] == ("" if is_undefined else "1.000000")
            assert row["images"] == {"train": "2", "val": "1"}[row["split"]]
        out = capsys.readouterr().out.splitlines()
        assert out[0].split() == ["split", "stage", "images", "mIoU", "AP25", "AP50", "AP70", "AP75", "AP"]
        assert out[1].split() == ["train", "cam", "2", "1.0000"]
        assert out[3].split() == ["train", "instance", "2", *["1.0000"] * 5]
        assert out[7] == "train: best CAM threshold 0.01, mIoU 1.0000 (at 0.15: 1.0000)"

    def test_format_of_the_table(self, data):
        data.evaluate(label_caches=[data.label_cache()], object_masks=data.object_masks, split="val")
        lines = (data.root / "scores.csv").read_text().split("\n")
        assert lines[:5] == [
            "stage,split,metric,class,value,images",
            "semantic,val,mIoU,mean,1.000000,1",
            "semantic,val,IoU,__background__,1.000000,1",
            "semantic,val,IoU,cat,1.000000,1",
            "semantic,val,IoU,dog,,1",
        ]
        assert lines[5:8] == [
            "instance,val,AP25,mean,1.000000,1",
            "instance,val,AP25,cat,1.000000,1",
            "instance,val,AP25,dog,,1",
        ]
        assert [line.split(",")[2] for line in lines[8:-1:3]] == [
            "AP50",
            "AP70",
            "AP75",
            "AP",
            *mean_names(by_size=True),
        ]
        assert lines[-1] == ""

    def test_hand_computed_instances(self, data):
        # Cat: 12 of 16 pixels found. Dog: 8 of 12 pixels found, 2 beside it.
        instance_map = np.zeros(SIZE, int)
        instance_map[:3, :4] = 1
        instance_map[:4, 6:8] = 2
        instance_map[5, 8:10] = 2
        cache = data.label_cache(ids=["001", "002"], instance_map=instance_map)
        rows = data.evaluate(label_caches=[cache], object_masks=data.object_masks)
        found = {
            (m, n): float(value(rows, "instance", "train", m, n))
            for m in ("AP25", "AP70", "AP75", "AP")
            for n in ("cat", "dog", "mean")
        }
        assert [found["AP25", name] for name in ("cat", "dog", "mean")] == [1, 1, 1]
        assert [found["AP70", name] for name in ("cat", "dog", "mean")] == [1, 0, 0.5]
        assert [found["AP75", name] for name in ("cat", "dog", "mean")] == [1, 0, 0.5]
        # 0.75 reaches six of the ten thresholds, 8 / 14 = 0.571 two.
        assert [found["AP", name] for name in ("cat", "dog", "mean")] == [0.6, 0.2, 0.4]

    def test_hand_computed_semantic(self, data):
        # All cat: of 2 x 56 counted pixels 2 x 16 are cat, 2 x 12 dog.
        cache = data.label_cache(ids=["001", "002"], semantic=np.ones(SIZE, int))
        rows = data.evaluate(label_caches=[cache])
        assert value(rows, "semantic", "train", "IoU", "cat") == f"{16 / 56:.6f}"
        assert value(rows, "semantic", "train", "IoU", "dog") == "0.000000"
        assert value(rows, "semantic", "train", "mIoU") == f"{16 / 56 / 3:.6f}"
        assert not any(row["stage"] == "instance" for row in rows)

    @pytest.mark.parametrize("threshold", [0.15, 0.125, 0.3])
    def test_cams_equal_the_direct_evaluation(self, data, threshold):
        rng = np.random.default_rng(5)
        cam = (rng.integers(0, 33, (2, *SIZE)) / 64).astype(np.float32)
        path = data.cam_cache(high_res=cam, classes=np.array([1, 0]))
        rows = data.evaluate(cams=[path], cam_threshold=threshold, thresholds_out=data.root / "sweep.csv")
        labels = np.array([0, 2, 1])[np.concatenate([np.full((1, *SIZE), threshold, np.float32), cam]).argmax(0)]
        iou = class_iou(sum(confusion_matrix(data.truth(image_id), labels, 2) for image_id in ("001", "002")))
        assert value(rows, "cam", "train", "mIoU") == f"{mean_of_defined(iou):.6f}"
        assert [value(rows, "cam", "train", "IoU", name) for name in ("__background__", *NAMES)] == [
            f"{v:.6f}" for v in iou
        ]
        sweep = read_rows(data.root / "sweep.csv")
        assert list(sweep[0]) == ["stage", "split", "threshold", "mIoU"]
        assert len(sweep) == 2 * (61 if threshold == 0.125 else 60)
        at = [row["mIoU"] for row in sweep if row["split"] == "train" and float(row["threshold"]) == threshold]
        assert at == [value(rows, "cam", "train", "mIoU")]

    def test_no_class_and_no_instance(self, data):
        cams = data.cam_cache(classes=np.zeros(0, int), cam=np.zeros((0, 2, 3)), high_res=np.zeros((0, *SIZE)))
        nothing = {"semantic": np.zeros(SIZE, int), "instance_map": np.zeros(SIZE, int)}
        labels = data.label_cache(**nothing, instance_class=np.zeros(0, int), instance_score=np.zeros(0))
        rows = data.evaluate(cams=[cams], label_caches=[labels], object_masks=data.object_masks, split="train")
        assert value(rows, "cam", "train", "IoU", "__background__") == f"{28 / 56:.6f}"
        assert value(rows, "cam", "train", "IoU", "cat") == "0.000000"
        assert value(rows, "instance", "train", "AP50") == "0.000000"

    def test_all_void_leaves_values_empty(self, data, capsys):
        cams, labels = data.cam_cache(), data.label_cache()
        for image_id in ("001", "002", "003"):
            save_mask(data.class_masks / f"{image_id}.png", np.full(SIZE, 255))
        rows = data.evaluate(cams=[cams], label_caches=[labels], object_masks=data.object_masks)
        assert {row["value"] for row in rows} == {""}
        assert "undefined" in capsys.readouterr().out

    def test_order_of_equal_scores_is_the_manifest_s(self, data):
        # A cat where no cat is, in 001, and a right one in 002, both with score 1.
        wrong = {
            "instance_map": np.eye(*SIZE, 8, dtype=int),
            "instance_class": np.array([0]),
            "instance_score": np.ones(1),
        }
        paths = [data.label_cache("b.h5", ["002"]), data.label_cache("a.h5", ["001"], **wrong)]
        rows = data.evaluate(label_caches=paths, object_masks=data.object_masks)
        assert value(rows, "instance", "train", "AP50", "cat") == f"{1 / 2 / 2:.6f}"

    def test_palette_masks_score_like_grey_masks(self, data):
        options = {"label_caches": [data.label_cache()], "object_masks": data.object_masks}
        rows = data.evaluate(**options)
        for folder in (data.class_masks, data.object_masks):
            for path in folder.iterdir():
                save_mask(path, np.array(Image.open(path)))
        assert data.evaluate(**options) == rows


class TestPredictions:
    def test_classes_are_found_by_their_names(self, data):
        # The network has them in another order than the labels table, which also has one that the network lacks.
        table = data.root / "labels.csv"
        table.write_text("image_id,dog,cat,fox\n" + "".join(f"{i},0,1,0\n" for i in ("001", "002", "003")))
        folder = data.predictions(names=["cat", "dog"])
        exchanged = np.arange(256)
        exchanged[[1, 2]] = 2, 1
        for path in data.class_masks.iterdir():
            save_mask(path, exchanged[np.array(Image.open(path))])
        options = {"predictions": [("mask_rcnn", folder), ("deeplab", folder)], "object_masks": data.object_masks}
        rows = data.evaluate(**options, split="train")
        for stage, metric in (("mask_rcnn", "AP50"), ("deeplab", "IoU")):
            assert [value(rows, stage, "train", metric, name) for name in ("cat", "dog", "fox")] == [
                "1.000000", "1.000000", "",
            ]  # fmt: skip

    def test_each_split_that_the_folder_holds(self, data):
        folder = data.predictions(ids=["003"])
        rows = data.evaluate(cams=[data.cam_cache()], predictions=[("deeplab", folder)], split="train+val")
        assert {(row["stage"], row["split"]) for row in rows} == {("cam", "train"), ("cam", "val"), ("deeplab", "val")}


class Share(Metric):
    """The share of the pixels of each class that has its label."""

    columns = (Column("recall", "mean recall", has_background=True),)

    def __init__(self, terms):
        self.confusion = np.zeros((terms.class_count + 1,) * 2, np.int64)

    def add(self, truth, predicted):
        self.confusion += confusion_matrix(truth.class_mask, predicted, len(self.confusion) - 1)

    def merge(self, other):
        self.confusion += other.confusion

    def scores(self, column):
        return np.diagonal(self.confusion) / self.confusion.sum(1)


def test_a_metric_is_a_class_and_a_row(data, monkeypatch, capsys):
    monkeypatch.setitem(METRICS, "semantic", (*METRICS["semantic"], Share))
    cache = data.label_cache(ids=["001", "002"], semantic=np.ones(SIZE, int))
    rows = data.evaluate(label_caches=[cache])
    assert value(rows, "semantic", "train", "recall", "cat") == "1.000000"
    assert value(rows, "semantic", "train", "recall", "dog") == "0.000000"
    assert value(rows, "semantic", "train", "mean recall") == f"{1 / 3:.6f}"
    summary = capsys.readouterr().out.splitlines()
    assert summary[0].split() == ["split", "stage", "images", "mIoU", "mean", "recall"]
    table = score_tables(pd.DataFrame(rows).assign(value=lambda table: table["value"].astype(float)))[0]
    assert table.metrics == ["mIoU", "mean recall"]
    assert table.rows == [("semantic label", ["0.095", "0.333"])]


def test_scores_by_size_have_a_table_of_their_own(data):
    rows = data.evaluate(label_caches=[data.label_cache()], object_masks=data.object_masks, split="val")
    scores = pd.DataFrame(rows).assign(value=lambda table: pd.to_numeric(table["value"]))
    plain, by_size = score_tables(scores.astype({"images": int}))
    assert (plain.about, by_size.about) == (", 1 images", ", by size of objects")
    assert plain.metrics == ["mIoU", "AP25", "AP50", "AP70", "AP75", "AP"]
    assert by_size.metrics == mean_names(by_size=True)
    assert by_size.rows == [("instance label", ["1.000", "undefined", "undefined"] * 2)]


def test_refined_maps_can_be_scored_alone(data, capsys):
    rows = data.evaluate(refined_cams=[data.cam_cache()], thresholds_out=data.root / "sweep.csv")
    assert {row["stage"] for row in [*rows, *read_rows(data.root / "sweep.csv")]} == {"refined"}
    assert "val: best refined CAM threshold 0.01" in capsys.readouterr().out


class TestSplits:
    def test_a_split_in_no_cache_is_left_out(self, data):
        rows = data.evaluate(cams=[data.cam_cache(ids=["001", "002"])])
        assert {row["split"] for row in rows} == {"train"}

    def test_each_stage_on_the_splits_that_its_caches_hold(self, data):
        rows = data.evaluate(cams=[data.cam_cache()], label_caches=[data.label_cache(ids=["003"])])
        assert {(row["stage"], row["split"]) for row in rows} == {("cam", "train"), ("cam", "val"), ("semantic", "val")}

    def test_shards(self, data):
        whole = data.evaluate(cams=[data.cam_cache()])
        assert data.evaluate(cams=[data.cam_cache("0.h5", ["001", "003"]), data.cam_cache("1.h5", ["002"])]) == whole

    def test_left_out_split_needs_no_masks(self, data):
        path = data.cam_cache(ids=["003"])
        (data.class_masks / "001.png").unlink()
        assert data.evaluate(cams=[path])

    def test_images_beyond_the_manifest_are_no_error(self, data):
        path = data.cam_cache()
        write_manifest(data.root / "manifest.csv", read_manifest(data.root / "manifest.csv")[:2])
        assert data.evaluate(cams=[path])


class TestErrors:
    def refuses(self, data, match, **options):
        with pytest.raises(IrnError, match=match) as caught:
            data.evaluate(**options)
        assert "\n" not in str(caught.value)
        assert not (data.root / "scores.csv").exists()

    def test_nothing_given(self, data):
        self.refuses(data, "nothing to score; give CAM caches")

    def test_caches_without_any_image_of_the_manifest(self, data):
        cams, labels = data.cam_cache(ids=[]), data.label_cache()
        self.refuses(data, r"cams.h5: no image of .*manifest.csv in these caches", cams=[cams], label_caches=[labels])

    def test_missing_image(self, data):
        self.refuses(data, "cams.h5: image '002' is missing", cams=[data.cam_cache(ids=["001", "003"])])

    def test_the_split_asked_for_is_in_no_cache(self, data):
        self.refuses(data, "cams.h5: image '003' is missing", cams=[data.cam_cache(ids=["001", "002"])], split="val")

    def test_unknown_split(self, data):
        self.refuses(data, "no image has split 'test'", cams=[data.cam_cache()], split="test")

    @pytest.mark.parametrize(("threshold", "finite"), [(-0.1, ""), (1.5, ""), (math.nan, "finite ")])
    def test_threshold(self, data, capsys, threshold, finite):
        files = [
            "--manifest",
            data.root / "manifest.csv",
            "--labels",
            data.root / "labels.csv",
            "--cams",
            data.cam_cache(),
        ]
        files += ["--class-masks", data.class_masks, "--out", data.root / "scores.csv"]
        said = refused(capsys, data.root, "evaluate", *files, "--cam-threshold", threshold)
        expected = f"expected a {finite}number from 0 to 1; see irn evaluate --help"
        assert said == f"irn evaluate: --cam-threshold is '{threshold}'; {expected}"

    @pytest.mark.parametrize(("held", "missing"), [(["001", "003"], "002"), (["002"], "001")])
    def test_predictions_of_some_images_of_a_split(self, data, held, missing):
        folder = data.predictions(held)
        said = f"{folder.name}: lacks 1 of 2 images to score, such as '{missing}'; run irn predict again"
        for stage in ("mask_rcnn", "deeplab"):
            self.refuses(data, said, predictions=[(stage, folder)], object_masks=data.object_masks)

    def test_predictions_without_any_image_of_the_manifest(self, data):
        self.refuses(
            data,
            "no image of .*manifest.csv in these predictions",
            predictions=[("deeplab", data.predictions(["003"]))],
            split="train",
        )

    def test_predictions_of_other_classes(self, data):
        folder = data.predictions(names=["cat", "dog", "fox"])
        self.refuses(
            data, "images.json: the network's class 'fox' is not in the labels table", predictions=[("deeplab", folder)]
        )

    def test_predictions_beyond_the_classes_of_the_network(self, data):
        folder = data.predictions()
        save_mask(folder / "SegmentationClass/002.png", np.full(SIZE, 5))
        self.refuses(data, "SegmentationClass/002.png: holds 5, expected 0 to 2", predictions=[("deeplab", folder)])

    def test_predictions_of_another_size(self, data):
        folder = data.predictions(size=(6, 9))
        said = r"predictions.json: an instance in image '001' has a mask of \[6, 9\] pixels, its image has \[6, 10\]"
        self.refuses(data, said, predictions=[("mask_rcnn", folder)], object_masks=data.object_masks)

    def test_sweep_without_maps(self, data):
        self.refuses(
            data,
            "sweep.csv: .*add --cams or --refined-cams",
            label_caches=[data.label_cache()],
            thresholds_out=data.root / "sweep.csv",
        )

    @pytest.mark.parametrize("folder", ["class_masks", "object_masks"])
    def test_missing_mask(self, data, folder):
        labels = data.label_cache()
        (data.root / folder / "002.png").unlink()
        self.refuses(data, f"{folder}/002.png: no such mask", label_caches=[labels], object_masks=data.object_masks)

    def test_mask_of_another_size(self, data):
        labels = data.label_cache()
        save_mask(data.class_masks / "002.png", np.zeros((10, 6)))
        self.refuses(data, "002.png: the mask is 10 x 6 pixels, its image 6 x 10", label_caches=[labels])

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1"])
    def test_mask_in_colour(self, data, mode):
        labels = data.label_cache()
        Image.new(mode, SIZE[::-1]).save(data.class_masks / "002.png")
        self.refuses(data, f"002.png: mask mode is {mode}, expected an index PNG", label_caches=[labels])

    def test_mask_that_is_no_image(self, data):
        labels = data.label_cache()
        whole = (data.class_masks / "002.png").read_bytes()
        for broken in (b"text", whole[:-30], whole.replace(b"IDAT", b"I\0AT")):
            (data.class_masks / "002.png").write_bytes(broken)
            self.refuses(data, "002.png: not a readable image", label_caches=[labels])

    def test_class_beyond_the_table(self, data):
        labels = data.label_cache()
        save_mask(data.class_masks / "002.png", np.full(SIZE, 3))
        self.refuses(data, "image '002' holds value 3, expected 0 to 2 or 255", label_caches=[labels])

    def test_object_on_background(self, data):
        labels = data.label_cache()
        save_mask(data.class_masks / "002.png", np.zeros(SIZE))
        self.refuses(
            data,
            "object_masks/002.png: object 1 lies on background alone",
            label_caches=[labels],
            object_masks=data.object_masks,
        )

    def test_cache_of_another_size(self, data):
        high_res = np.zeros((2, 5, 10))
        self.refuses(
            data,
            "image '001' is 5 x 10 pixels, expected 6 x 10",
            cams=[data.cam_cache(size=(5, 10), high_res=high_res)],
        )

    def test_cache_of_another_class_list(self, data):
        self.refuses(data, "'classes' holds 7, expected 0 to 1", cams=[data.cam_cache(classes=np.array([0, 7]))])
        for name, array in (
            ("semantic", np.full(SIZE, 9)),
            ("instance_map", np.full(SIZE, 9)),
            ("instance_class", np.array([9, 0])),
        ):
            cache = data.label_cache(**{name: array})
            self.refuses(data, f"'{name}' holds 9", label_caches=[cache], object_masks=data.object_masks)


def test_object_masks_of_16_bits(tmp_path):
    mask = np.arange(60, dtype=np.uint16).reshape(SIZE) * 1000
    Image.fromarray(mask).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_index_png(tmp_path / "mask.png", *SIZE), mask)
