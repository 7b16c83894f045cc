"""Mask R-CNN and DeepLab: what they are shown, that they learn, resume and segment new images; how they are scored."""

import csv
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from golden_cases import NetworkCase
from helpers import (
    FINAL,
    SMALL,
    Sample,
    SmallData,
    killed_after,
    label_of,
    missing,
    refused,
    rules_to_run,
    run,
    same_bytes,
    snakemake,
    tensors,
    write_data,
)
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from torchvision.models.detection.roi_heads import paste_masks_in_image

import irn
from irn.data.images import read_image
from irn.data.predictions import Predictions
from irn.data.segmentations import decoded
from irn.data.tables import ImageClasses, read_manifest
from irn.inference.cams import class_attention_maps
from irn.inference.deeplab import find as find_with_deeplab
from irn.inference.finding import load_final_network
from irn.inference.mask_rcnn import find as find_with_mask_rcnn
from irn.io.cache import CacheReader, CacheWriter
from irn.io.checkpoint import Checkpoint
from irn.networks.backbones import make_backbone
from irn.networks.deeplab import DeepLab
from irn.networks.mask_rcnn import MaskRcnn
from irn.networks.precision import autocast
from irn.ops.average_precision import Masks, Pieces, VocAP
from irn.ops.coco_ap import CocoImage, encoded, evaluated
from irn.ops.metric import Terms
from irn.ops.metrics import mean_names
from irn.ops.overlaps import mask_iou, pairwise_iou
from irn.ops.resize import at_scale
from irn.ops.stacking import stacked
from irn.records import ImageRecord
from irn.settings.final_networks import DeepLabSettings, MaskRcnnSettings
from irn.training.mask_rcnn import instance_view
from irn.training.targets import CachedLabels, LargeInstances, TrueLabels, repeated
from irn.training.views import SampleId
from irn.weights.files import load_classifier

SIZE = (64, 80)
IMAGES = "abcdef"
AP = ("AP25", "AP50", "AP70", "AP75", "AP", *mean_names(by_size=True))


def coco_average_precision(images: list[CocoImage], class_count: int) -> np.ndarray:
    return evaluated(images, class_count, overlaps=10).precision[..., 0].mean((0, 1))


def squares(number: int) -> tuple[np.ndarray, list[int]]:
    """The instance map and classes of an image: a dark square at the left, a bright one at the right, or both."""
    instance_map = np.zeros(SIZE, np.uint16)
    places = (np.s_[8 + 4 * number : 40 + 4 * number, 4:36], np.s_[12:44, 44:76])
    classes = [[0, 1], [0], [1]][number % 3]
    for row, index in enumerate(classes):
        instance_map[places[index]] = row + 1
    return instance_map, classes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    """Grey images with squares, their labels in a cache, and ground truth that says the same."""
    samples = {}
    for number, image_id in enumerate(IMAGES):
        instance_map, classes = squares(number)
        label = label_of(instance_map, classes, [0.8] * len(classes))
        semantic = label["semantic"]
        pixels = np.random.default_rng(number).integers(110, 140, (*SIZE, 3)).astype(np.uint8)
        pixels[semantic == 1], pixels[semantic == 2] = (10, 20, 60), (250, 240, 90)
        split, objects = "val" if image_id == "f" else "train", instance_map.astype(np.uint8)
        samples[image_id] = Sample(pixels, classes, split, semantic, objects, {"label": label})
    return write_data(tmp_path_factory.mktemp("squares"), ["dark", "bright"], samples)


def training(network: str, data: SmallData, out: Path, *more: object) -> list[object]:
    fixed = [f"train-{network}", "--manifest", data.manifest, "--labels", data.labels, "--split", "train", "--out", out]
    sizes = [
        "--crop-size",
        80,
        "--long-side",
        80,
        80,
        "--epochs",
        2,
        "--batch-size",
        2,
        "--device",
        "cpu",
        "--workers",
        0,
    ]
    small = ["--channels", 32, "--regions", 32] if network == "mask-rcnn" else []
    return [*fixed, "--backbone", "test_resnet", "--from-scratch", "--warmup", 0, *sizes, *small, *more]


@pytest.fixture(scope="module")
def trained(data: SmallData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of both networks after a few epochs on the squares, and where they wrote their losses."""
    folder, save = tmp_path_factory.mktemp("trained"), Checkpoint.save
    Checkpoint.save = lambda *_: None  # type: ignore[method-assign]
    try:
        for network, rate, epochs in (("mask-rcnn", 0.001, 32), ("deeplab", 0.002, 40)):
            out = folder / f"{network}.pt"
            options = [
                "--optimiser",
                "adamw",
                "--learning-rate",
                rate,
                "--epochs",
                epochs,
                "--metrics",
                out.with_suffix(".jsonl"),
            ]
            run(*training(network, data, out, "--label-caches", data.cache("label"), *options))
    finally:
        Checkpoint.save = save  # type: ignore[method-assign]
    return {"mask-rcnn": folder / "mask-rcnn.pt", "deeplab": folder / "deeplab.pt"}


class TestNetworks:
    @pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "vit_tiny_patch16_224"])
    def test_the_last_stage_is_strided_where_a_pyramid_wants_it(self, name: str) -> None:
        backbone = make_backbone(name, 32).eval()
        with torch.inference_mode():
            levels = backbone(torch.zeros(1, 3, 96, 130))
        for level, channels, stride in zip(levels, backbone.channels, (4, 4, 8, 16, 32), strict=True):
            assert level.shape == (1, channels, -(-96 // stride), -(-130 // stride))
        # Its tensors are those of the network that is not.
        assert list(backbone.state_dict()) == list(make_backbone(name).state_dict())

    @pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
    @pytest.mark.parametrize("from_scratch", [True, False])
    def test_what_learns(self, name: str, from_scratch: bool) -> None:
        for model in (MaskRcnn(name, 2, 64, 8, 8, from_scratch), DeepLab(name, 2, from_scratch)):
            groups = model.parameter_groups(0.1, 3)
            assert [group["lr"] for group in groups] == [0.1, pytest.approx(0.3)]
            learning = {id(parameter) for group in groups for parameter in group["params"]}
            frozen = {id(parameter) for parameter in model.backbone.early_parameters()}
            assert learning == {id(parameter) for parameter in model.parameters()} - (set() if from_scratch else frozen)
            model.train()
            norms = [module for module in model.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
            assert all(norm.training == from_scratch for norm in norms)

    def test_what_is_found_in_an_image_does_not_depend_on_those_before(self) -> None:
        torch.manual_seed(0)
        one, other = MaskRcnn("resnet18", 2, 80, 16).eval(), MaskRcnn("resnet18", 2, 80, 16).eval()
        other.load_state_dict(one.state_dict())
        image = torch.rand(1, 3, 80, 80)
        with torch.inference_mode():
            other(torch.rand(1, 3, 66, 80))  # padded to half its height again
            torch.testing.assert_close(other(image)[0]["scores"], one(image)[0]["scores"])

    def test_an_image_without_instances_can_be_learned_from(self) -> None:
        model = MaskRcnn("resnet18", 2, 64, 8).train()
        target = {
            "boxes": torch.zeros(0, 4),
            "labels": torch.zeros(0, dtype=torch.long),
            "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
        }
        losses, _ = model(torch.zeros(1, 3, 64, 64), [target], [0])
        assert all(torch.isfinite(loss) for loss in losses.values())

    def test_narrow_objects_can_be_learned_in_bfloat16(self) -> None:
        torch.manual_seed(0)
        model = MaskRcnn("resnet18", 2, 320, 16, 16).train()
        # Both sides of x and y round to 260.
        mask = torch.zeros(1, 320, 320, dtype=torch.uint8)
        mask[0, 259:261, 259:261] = 1
        target = {"boxes": torch.tensor([[259.0, 259, 261, 261]]), "labels": torch.tensor([1]), "masks": mask}
        images = torch.rand(1, 3, 320, 320)
        with autocast(torch.device("cpu"), "bf16"):
            losses, _ = model(images, [target], [0])
            found = model.eval()(images)
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert found[0]["boxes"].dtype == torch.float32

    def test_a_low_score_finds_what_is_hardly_there(self) -> None:
        torch.manual_seed(0)
        model = MaskRcnn("resnet18", 60, 64, 16).eval()
        for parameter in model.network.roi_heads.box_predictor.cls_score.parameters():
            torch.nn.init.zeros_(parameter)  # so that every class has a 61st
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        with torch.inference_mode():
            counts = [
                len(find_with_mask_rcnn(model, pixels, MaskRcnnSettings(), shown).scores) for shown in (0.5, 0.001)
            ]
        assert counts[0] == 0 < counts[1]


class TestWhatIsLearnedFrom:
    def test_labels_and_ground_truth_that_say_the_same_are_the_same(self, data: SmallData) -> None:
        records = read_manifest(data.manifest)
        made = CachedLabels(CacheReader([data.cache("label")], "label"))
        true = TrueLabels(data.class_masks, data.object_masks, records, ["dark", "bright"])
        for number, record in enumerate(records):
            np.testing.assert_array_equal(made.semantic(record), true.semantic(record))
            for targets in (made, true):
                instance_map, classes, _ = targets.instances(record)
                np.testing.assert_array_equal(instance_map, squares(number)[0])
                np.testing.assert_array_equal(classes, squares(number)[1])

    def test_instances_of_too_low_a_score_or_too_small_are_left_out(self, tmp_path: Path) -> None:
        record = ImageRecord("x", tmp_path / "x.png", 4, 6, "train")
        instance_map = np.array([[1, 1, 1, 2, 3, 3], [1, 1, 1, 4, 3, 3]] * 2, np.uint16)
        arrays = {
            "semantic": np.zeros((4, 6), np.uint8),
            "instance_map": instance_map,
            "instance_class": np.array([5, 6, 7, 8]),
        }
        with CacheWriter(tmp_path / "l.h5", "label", {"stage": "test"}) as cache:
            cache.write("x", 4, 6, arrays | {"instance_score": np.array([0.5, 0.9, 0.0, 0.7], np.float32)})
        caches = CacheReader([tmp_path / "l.h5"], "label")
        for score, least_area, kept in ((0, 0, [1, 2, 4]), (0.5, 0, [2, 4]), (0, 3, [1]), (0.95, 0, [])):
            found, classes = LargeInstances(CachedLabels(caches), score, least_area)(record)
            assert classes.tolist() == [4 + number for number in kept]
            wanted = np.zeros((4, 6))
            for row, number in enumerate(kept):
                wanted[instance_map == number] = row + 1
            np.testing.assert_array_equal(found, wanted)

    def test_of_more_instances_than_a_byte_counts_the_largest_are_kept(self) -> None:
        class Many:
            def instances(self, record: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
                # Instance i has 1 pixel, and those above 10 have 2.
                numbers = np.concatenate([np.arange(1, 301), np.arange(11, 301)])
                return np.pad(numbers, (0, 10)).reshape(20, 30), np.arange(300), np.ones(300)

        found, classes = LargeInstances(Many(), 0, 0)(None)  # type: ignore[arg-type]
        assert len(classes) == found.max() == 254
        assert classes.min() == 10

    def test_boxes_and_masks_follow_the_crop(self, data: SmallData) -> None:
        from irn.training.mask_rcnn import _target

        records = read_manifest(data.manifest)
        targets = LargeInstances(CachedLabels(CacheReader([data.cache("label")], "label")), 0, 0)
        for epoch in range(8):
            sample = instance_view(SampleId(epoch, 0), records, targets, (60, 120), 80, 0)
            target = _target(torch.from_numpy(sample["instances"]), torch.from_numpy(sample["labels"]))
            for box, label, mask in zip(target["boxes"], target["labels"], target["masks"].bool(), strict=True):
                rows, columns = np.nonzero(mask.numpy())
                assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                colour = sample["pixels"][mask.numpy()].mean(0)
                assert (colour[0] < 60) == (int(label) == 1)

    def test_images_of_rare_classes_are_repeated(self) -> None:
        present = {f"{number}": [0] for number in range(15)} | {"rare": [0, 1], "none": []}
        records = [ImageRecord(image_id, Path(image_id), 1, 1, "train") for image_id in present]
        table = ImageClasses(["common", "rare"], present)
        assert repeated(records, table, 0) == records
        found = [record.image_id for record in repeated(records, table, 0.9)]
        # The class is in one of 17 images: sqrt(0.9 * 17) = 3.9.
        assert {image_id: found.count(image_id) for image_id in present} == dict.fromkeys(present, 1) | {"rare": 4}


class TestTraining:
    def test_a_training_that_ends_in_its_warm_up_says_so(
        self, data: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = training("deeplab", data, tmp_path / "w.pt", "--label-caches", data.cache("label"), "--epochs", 1)
        run(*command, "--warmup", 1)
        assert "notice" not in capsys.readouterr().out
        run(*command, "--warmup", 50)
        assert "the network hardly learns; raise deeplab.epochs" in capsys.readouterr().out

    @pytest.mark.parametrize("network", ["mask-rcnn", "deeplab"])
    def test_the_loss_falls_and_every_part_of_it_is_reported(self, trained: dict[str, Path], network: str) -> None:
        lines = [json.loads(line) for line in trained[network].with_suffix(".jsonl").read_text().splitlines()][1:]
        assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
        assert network == "deeplab" or {
            "loss_classifier",
            "loss_box_reg",
            "loss_mask",
            "loss_objectness",
            "loss_rpn_box_reg",
        } <= set(lines[0])

    @pytest.mark.parametrize("network", ["mask-rcnn", "deeplab"])
    def test_what_was_killed_goes_on_to_the_same_weights(
        self, data: SmallData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str
    ) -> None:
        def command(out: Path) -> list[object]:
            return training(network, data, out, "--label-caches", data.cache("label"))

        run(*command(tmp_path / "whole.pt"))
        killed_after(monkeypatch, 1, *command(tmp_path / "killed.pt"))
        assert not (tmp_path / "killed.pt").exists()
        run(*command(tmp_path / "killed.pt"))
        assert same_bytes(tensors(tmp_path / "killed.pt"), tensors(tmp_path / "whole.pt"))

    def test_a_rate_for_another_optimiser_is_told(
        self, data: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = training("deeplab", data, tmp_path / "w.pt", "--label-caches", data.cache("label"), "--epochs", 1)
        for rate, is_told in ((0.01, True), (0.0005, False)):
            run(*command, "--warmup", 1, "--optimiser", "adamw", "--learning-rate", rate)
            assert ("deeplab.learning_rate is 0.01, which is meant for SGD" in capsys.readouterr().out) == is_told

    def test_masks_of_classes_alone_do_not_teach_objects(
        self, data: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        truth = ("--class-masks", data.class_masks)
        said = refused(capsys, tmp_path, *training("mask-rcnn", data, tmp_path / "w.pt", *truth))
        assert "do not tell objects apart; give those of objects too (--object-masks)" in said
        run(*training("deeplab", data, tmp_path / "w.pt", *truth, "--epochs", 1))

    def test_masks_that_were_edited_meanwhile_begin_a_new_training(
        self, data: SmallData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        masks = shutil.copytree(data.class_masks, tmp_path / "masks")
        command = training("deeplab", data, tmp_path / "w.pt", "--class-masks", masks)
        killed_after(monkeypatch, 1, *command)
        os.utime(masks / "a.png", (1, 1))
        capsys.readouterr()
        run(*command)
        assert "going on after epoch" not in capsys.readouterr().err

    @pytest.mark.parametrize("network", ["mask-rcnn", "deeplab"])
    def test_labels_or_ground_truth_not_both(
        self, data: SmallData, tmp_path: Path, capsys: pytest.CaptureFixture[str], network: str
    ) -> None:
        truth = ["--class-masks", data.class_masks]
        for given in ([], ["--label-caches", data.cache("label"), *truth]):
            assert "one of the two" in refused(capsys, tmp_path, *training(network, data, tmp_path / "w.pt", *given))


def test_deeplab_averages_over_scales_and_mirror_images() -> None:
    torch.manual_seed(0)
    network, pixels = DeepLab("resnet18", 2).eval(), np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    scales, total = (0.5, 1.0), torch.zeros(3, 64, 80)
    with torch.inference_mode():
        for scale in scales:
            image = network.backbone.normalise(torch.from_numpy(at_scale(pixels, scale)))
            for view, turned in ((image, False), (image.flip(-1), True)):
                probability = network(view[None]).softmax(1)
                probability = probability.flip(-1) if turned else probability
                total += torch.nn.functional.interpolate(probability, (64, 80), mode="bilinear")[0] / 4
        found = find_with_deeplab(network, pixels, DeepLabSettings(scales=scales), 0)
    probability, semantic = (array.numpy() for array in total.max(0))
    np.testing.assert_array_equal(found.semantic, semantic)
    assert len(found.scores)
    for mask, score in zip(found.masks, found.scores, strict=True):
        assert score == pytest.approx(probability[mask].mean(), rel=1e-5)


class TestPredict:
    @pytest.mark.parametrize("network", ["mask-rcnn", "deeplab"])
    def test_new_images_of_any_size(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path, network: str
    ) -> None:
        with Image.open(data.images / "a.png") as picture:
            picture.resize((123, 101)).save(tmp_path / "large.jpg")
        run(
            "predict",
            "--weights",
            trained[network],
            "--images",
            data.images,
            tmp_path / "large.jpg",
            "--out",
            tmp_path / "out",
        )
        found = json.loads((tmp_path / "out/predictions.json").read_text())
        assert {one["image"] for one in found} == {*IMAGES, "large"}
        sizes = dict.fromkeys(IMAGES, SIZE) | {"large": (101, 123)}
        for image_id, size in sizes.items():
            for folder, ending in (("SegmentationClass", "png"), ("SegmentationObject", "png"), ("overlays", "jpg")):
                with Image.open(tmp_path / "out" / folder / f"{image_id}.{ending}") as picture:
                    assert picture.size == size[::-1]
                    assert picture.mode == ("RGB" if folder == "overlays" else "P")
        # The lists beside the results are all that pycocotools needs.
        truth = COCO(str(tmp_path / "out/images.json"))
        read = truth.loadRes(str(tmp_path / "out/predictions.json"))
        assert len(read.anns) == len(found)
        for one in read.dataset["annotations"]:
            assert sizes[one["image"]] == tuple(truth.imgs[one["image_id"]][side] for side in ("height", "width"))
            assert decoded(one["segmentation"], *sizes[one["image"]]).any()

    def test_both_find_the_squares(self, data: SmallData, trained: dict[str, Path], tmp_path: Path) -> None:
        for network in ("mask-rcnn", "deeplab"):
            run("predict", "--weights", trained[network], "--manifest", data.manifest, "--out", tmp_path / network)
        scores = [
            "--class-masks",
            data.class_masks,
            "--object-masks",
            data.object_masks,
        ]
        given = [
            "--predictions",
            f"mask_rcnn={tmp_path / 'mask-rcnn'}",
            f"deeplab_gt={tmp_path / 'deeplab'}",
            "--out",
            tmp_path / "scores.csv",
        ]
        run("evaluate", "--manifest", data.manifest, "--labels", data.labels, *given, *scores)
        with open(tmp_path / "scores.csv", newline="") as file:
            means = {
                (row["stage"], row["split"], row["metric"]): float(row["value"] or "nan")
                for row in csv.DictReader(file)
                if row["class"] == "mean"
            }
        assert set(means) == {
            *(("mask_rcnn", split, metric) for split in ("train", "val") for metric in AP),
            *(("deeplab_gt", split, "mIoU") for split in ("train", "val")),
        }  # fmt: skip
        assert means["mask_rcnn", "train", "AP50"] > 0.8
        assert means["deeplab_gt", "train", "mIoU"] > 0.6

    @pytest.mark.parametrize(
        ("predictions", "words"),
        [
            (["mask_rcnn=a", "mask_rcnn=b"], "--predictions: mask_rcnn is given twice; give one folder of it"),
            (["yolo=a"], "'yolo=a' is not NAME=DIR with a NAME of mask_rcnn, mask_rcnn_gt, deeplab, deeplab_gt"),
            (["deeplab"], "'deeplab' is not NAME=DIR"),
        ],
    )
    def test_predictions_are_named(
        self,
        data: SmallData,
        predictions: list[str],
        words: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        command = ["evaluate", "--manifest", data.manifest, "--labels", data.labels, "--class-masks", data.class_masks]
        command += ["--out", tmp_path / "scores.csv", "--predictions", *predictions]
        assert words in refused(capsys, tmp_path, *command)

    def test_a_score_is_the_least_of_everything(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path
    ) -> None:
        for name, options in (("default", []), ("none", ["--score", 1])):
            run(
                "predict",
                "--weights",
                trained["mask-rcnn"],
                "--images",
                data.images,
                "--out",
                tmp_path / name,
                *options,
            )
        scores = [one["score"] for one in json.loads((tmp_path / "default/predictions.json").read_text())]
        assert min(scores) >= 0.05
        assert json.loads((tmp_path / "none/predictions.json").read_text()) == []
        with Image.open(tmp_path / "none/SegmentationClass/a.png") as picture:
            assert not np.array(picture).any()

    def test_the_folder_reads_back_as_what_was_found(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path
    ) -> None:
        run(
            "predict",
            "--weights",
            trained["mask-rcnn"],
            "--manifest",
            data.manifest,
            "--split",
            "val",
            "--out",
            tmp_path / "out",
        )
        record = read_manifest(data.manifest, "val")[0]
        predictions = Predictions(tmp_path / "out", ["dark", "bright"])
        assert record.image_id in predictions
        assert "a" not in predictions
        masks, classes, scores = predictions.instances(record)
        shown = scores >= 0.5
        numbers = stacked(masks, np.flatnonzero(shown)[::-1])
        np.testing.assert_array_equal(predictions.semantic(record), np.concatenate([[0], classes + 1])[numbers])
        with Image.open(tmp_path / "out/SegmentationObject/f.png") as picture:
            np.testing.assert_array_equal(np.array(picture), numbers)

    @pytest.mark.parametrize("alone", [False, True])
    def test_classes_are_guessed_where_a_classifier_looks_for_them(
        self,
        network_case: NetworkCase,
        data: SmallData,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        alone: bool,
    ) -> None:
        weights = [network_case.cam_weights] if alone else [network_case.irn_weights, network_case.cam_weights]
        options = ["--scales", 1, "--steps", 8, "--cam-threshold", 0.3]
        model, _ = load_classifier(network_case.cam_weights)
        with torch.inference_mode():
            pixels = torch.from_numpy(read_image(data.images / "a.png"))
            probability = model(model.backbone.normalise(pixels)[None])[0].sigmoid().numpy()
        # Between the third and the fourth of twenty.
        least = float(np.sort(probability)[-4:-2].mean())
        run(
            "predict",
            "--weights",
            *weights,
            "--images",
            data.images / "a.png",
            "--out",
            tmp_path / "out",
            "--class-score",
            least,
            *options,
        )
        assert "notice: no labels are given: the classes of an image are guessed" in capsys.readouterr().out
        found = json.loads((tmp_path / "out/predictions.json").read_text())
        guessed = set(np.flatnonzero(probability >= least) + 1)
        assert {one["category_id"] for one in found} <= guessed
        assert found
        for one in found:
            assert one["guessed_class_probability"] == pytest.approx(
                float(probability[one["category_id"] - 1]), abs=1e-3
            )
        with open(tmp_path / "out/guessed_labels.csv", newline="") as file:
            names, (image_id, *row) = csv.reader(file)
        assert (names[0], image_id, len(row)) == ("image_id", "a", 20)
        assert {number + 1 for number, present in enumerate(row) if present == "1"} == guessed
        # None at all is guessed of an image where no class is likely enough.
        run(
            "predict",
            "--weights",
            *weights,
            "--images",
            data.images / "a.png",
            "--out",
            tmp_path / "no",
            "--class-score",
            1,
            *options,
        )
        assert json.loads((tmp_path / "no/predictions.json").read_text()) == []
        assert set((tmp_path / "no/guessed_labels.csv").read_text().splitlines()[1].split(",")[1:]) == {"0"}

    def test_a_classifier_alone_finds_its_class_maps(self, network_case: NetworkCase, data: SmallData) -> None:
        network = irn.open_network(
            network_case.cam_weights, device="cpu", changes={"cam.scales": [1.0, 0.5], "predict.class_score": 0.2}
        )
        pixels = read_image(data.images / "a.png")
        found = network(data.images / "a.png")
        assert found.guessed is not None
        model, classes = load_classifier(network_case.cam_weights)[0], np.flatnonzero(found.guessed)
        with torch.inference_mode():
            scaled = [at_scale(pixels, scale) for scale in (1.0, 0.5)]
            maps = class_attention_maps(model, scaled, classes.tolist(), *SIZE)["high_res"]
        wanted = np.concatenate([[0], classes + 1])[np.concatenate([np.full((1, *SIZE), 0.15), maps]).argmax(0)]
        assert (found.semantic == wanted).mean() > 0.999
        for mask, index, score in zip(found.masks, found.classes, found.scores, strict=True):
            assert score == pytest.approx(maps[classes.tolist().index(index)][mask].mean(), abs=1e-3)

    def test_what_a_trained_network_sees_is_not_guessed(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path
    ) -> None:
        run("predict", "--weights", trained["mask-rcnn"], "--images", data.images / "a.png", "--out", tmp_path / "out")
        assert not (tmp_path / "out/guessed_labels.csv").exists()
        assert not any(
            "guessed_class_probability" in one for one in json.loads((tmp_path / "out/predictions.json").read_text())
        )

    @pytest.mark.parametrize("network", ["mask-rcnn", "deeplab"])
    def test_a_notebook_finds_what_the_command_does(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path, network: str
    ) -> None:
        found = irn.open_network(trained[network], device="cpu")(data.images / "a.png")
        run(
            "predict",
            "--weights",
            trained[network],
            "--images",
            data.images / "a.png",
            "--out",
            tmp_path / "out",
            "--device",
            "cpu",
        )
        masks, classes, scores = Predictions(tmp_path / "out", ["dark", "bright"]).instances(
            ImageRecord("a", data.images / "a.png", *SIZE, "")
        )
        kept = found.scores >= 0.05
        np.testing.assert_array_equal(masks, found.masks[kept])
        np.testing.assert_array_equal(classes, found.classes[kept])
        np.testing.assert_allclose(scores, found.scores[kept])

    def test_a_weights_file_is_read_once(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load, read = torch.load, []
        monkeypatch.setattr(torch, "load", lambda path, **options: read.append(path) or load(path, **options))
        run("predict", "--weights", trained["deeplab"], "--images", data.images / "a.png", "--out", tmp_path / "out")
        assert read == [trained["deeplab"]]

    @pytest.mark.parametrize("network", ["mask-rcnn", "deeplab"])
    def test_an_onnx_file_computes_what_torch_does(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path, network: str
    ) -> None:
        run("predict", "--weights", trained[network], "--onnx", tmp_path / "network.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
        assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) == ["dark", "bright"]
        model, _ = load_final_network(trained[network], network.replace("-", "_"))
        counts = set()
        # Of other sizes than the one that it was traced with, and one in which nothing is found.
        noise = np.random.default_rng(0).integers(0, 256, (101, 67, 3)).astype(np.uint8)
        for pixels in (noise, read_image(data.images / "a.png"), np.full((200, 100, 3), 125, np.uint8)):
            found = dict(
                zip((one.name for one in session.get_outputs()), session.run(None, {"image": pixels}), strict=True)
            )
            with torch.inference_mode():
                expected = model(model.backbone.normalise(torch.from_numpy(pixels))[None])[0]
            if network == "mask-rcnn":
                expected["masks"] = paste_masks_in_image(expected["masks"], expected["boxes"], pixels.shape[:2])
            else:
                expected = {"probability": expected.softmax(0)}
            assert set(found) == set(expected)
            for name, array in expected.items():
                np.testing.assert_allclose(
                    found[name], array.numpy(), rtol=1e-4, atol=1e-3 if name == "boxes" else 1e-4
                )
            counts.add(len(found.get("scores", [])))
        assert network == "deeplab" or max(counts) > 0

    def test_a_network_that_onnx_cannot_hold_is_refused(
        self,
        trained: dict[str, Path],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def export(*_: object, **__: object) -> None:
            raise torch.onnx.errors.UnsupportedOperatorError("aten::a_part", 18, None)

        monkeypatch.setattr(torch.onnx, "export", export)
        command = ["predict", "--weights", trained["deeplab"], "--onnx", tmp_path / "network.onnx"]
        said = refused(capsys, tmp_path, *command)
        assert "torch cannot write this network as ONNX" in said
        assert "aten::a_part" in said

    def test_onnx_is_for_final_networks(
        self, network_case: NetworkCase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["predict", "--onnx", tmp_path / "network.onnx", "--weights", network_case.cam_weights]
        assert "of kind cam; expected weights of mask_rcnn or deeplab" in refused(capsys, tmp_path, *command)
        assert "2 weights files" in refused(capsys, tmp_path, *command, network_case.irn_weights)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                lambda data, trained, out: [
                    "--weights",
                    trained["deeplab"],
                    trained["mask-rcnn"],
                    "--images",
                    data.images,
                ],
                "cam and irn together",
            ),
            (
                lambda data, trained, out: ["--weights", trained["deeplab"], "--images", data.images / "no.png"],
                "no such file",
            ),
            (lambda data, trained, out: ["--weights", trained["deeplab"]], "--images"),
            (
                lambda data, trained, out: ["--weights", trained["deeplab"], "--images", data.images, data.images],
                "2 files are called",
            ),
            (
                lambda data, trained, out: ["--weights", data.labels, "--images", data.images],
                "not a readable weights file",
            ),
            (
                lambda data, trained, out: ["--weights", trained["deeplab"], "--images", data.images, "--score", 2],
                "from 0 to 1",
            ),
            (
                lambda data, trained, out: [
                    "--weights",
                    trained["deeplab"],
                    "--images",
                    data.folder / "SegmentationNone",
                ],
                "no such file",
            ),
        ],
    )
    def test_mistakes(
        self,
        data: SmallData,
        trained: dict[str, Path],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        change: Callable[[SmallData, dict[str, Path], Path], list[object]],
        said: str,
    ) -> None:
        assert said in refused(capsys, tmp_path, "predict", *change(data, trained, tmp_path), "--out", tmp_path / "out")

    def test_a_folder_with_something_in_it_stays_as_it_is(
        self, data: SmallData, trained: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        line = refused(
            capsys, tmp_path, "predict", "--weights", trained["deeplab"], "--images", data.images, "--out", tmp_path
        )
        assert "not an empty folder" in line

    def test_weights_say_what_they_are(self, trained: dict[str, Path]) -> None:
        for network, path in trained.items():
            model, contents = load_final_network(path, network.replace("-", "_"))
            assert contents["class_names"] == ["dark", "bright"]
            assert (contents["crop_size"], contents["backbone"]) == (80, "test_resnet")
            assert not model.training


class TestWorkflow:
    def test_networks_of_labels_and_of_ground_truth_are_scored_on_what_they_have_not_seen(
        self, finished: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
        dataset = {**SMALL["dataset"], "eval_split": "train+val"}  # type: ignore[dict-item]
        (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL, **FINAL, "dataset": dataset}), encoding="utf-8")
        result = snakemake(tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        with open(tmp_path / "results/small/scores.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["class"] == "mean"]
        found = {
            (row["stage"], row["split"], row["metric"])
            for row in rows
            if row["stage"].startswith(("mask_rcnn", "deeplab"))
        }
        assert found == {
            *((stage, "val", metric) for stage in ("mask_rcnn", "mask_rcnn_gt") for metric in AP),
            *((stage, "val", "mIoU") for stage in ("deeplab", "deeplab_gt")),
        }  # fmt: skip
        assert {row["images"] for row in rows if row["split"] == "val"} == {"4"}
        # What each edit makes again.
        networks = {
            "train_mask_rcnn",
            "train_mask_rcnn_gt",
            "predict_mask_rcnn",
            "predict_mask_rcnn_gt",
            "evaluate",
            "report",
        }
        assert rules_to_run(tmp_path, "--config", "mask_rcnn={min_area: 9}") == networks
        learned = {"train_mask_rcnn", "predict_mask_rcnn", "train_deeplab", "predict_deeplab"}
        assert missing(tmp_path, "labels={instance_threshold: 0.5}") == {
            "make_labels",
            "find_doubt",
            "show",
            "evaluate",
            "report",
            *learned,
        }
        assert missing(tmp_path, "deeplab={scales: [0.5, 1.0]}") == {
            "predict_deeplab",
            "predict_deeplab_gt",
            "evaluate",
            "report",
        }


def random_masks(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.random((count, 12, 15)) < rng.random((count, 1, 1))


class TestScores:
    def test_overlaps_of_masks(self) -> None:
        rng = np.random.default_rng(0)
        for predicted, true in ((3, 4), (0, 2), (2, 0), (0, 0)):
            masks, objects = random_masks(rng, predicted), random_masks(rng, true)
            wanted = [[(one & other).sum() / max((one | other).sum(), 1) for other in objects] for one in masks]
            np.testing.assert_allclose(mask_iou(masks, objects), np.reshape(wanted, (predicted, true)), rtol=1e-12)
        assert mask_iou(np.zeros((1, 2, 2), bool), np.zeros((1, 2, 2), bool)) == 0

    def test_masks_that_do_not_overlap_score_as_a_map_does(self) -> None:
        rng = np.random.default_rng(1)
        one, other = VocAP(Terms(3)), VocAP(Terms(3))
        for _ in range(20):
            instance_map = rng.integers(0, 4, (12, 15))
            masks = instance_map == np.arange(1, 4)[:, None, None]
            classes, scores, labels = rng.integers(0, 3, 3), rng.random(3), rng.integers(1, 4, 2)
            objects = random_masks(rng, 2)
            objects[:, 0, 0] = True
            np.testing.assert_allclose(mask_iou(masks, objects), pairwise_iou(instance_map, 3, objects), rtol=1e-12)
            truth = SimpleNamespace(objects=(objects, labels))
            one.add(truth, Pieces(classes, scores, instance_map))
            other.add(truth, Masks(classes, scores, masks))
        np.testing.assert_array_equal(one.average_precision((0.25, 0.5)), other.average_precision((0.25, 0.5)))

    def test_cocos_average_precision_by_hand(self) -> None:
        whole, half = np.ones((4, 4), bool), np.zeros((4, 4), bool)
        half[:2] = True
        # Two objects of class 0: the first is found whole, the other by a mask of IoU 0.5, which counts at 0.50 alone.
        images = [
            CocoImage((4, 4), [(0, False, encoded(whole[None])[0])], [(0, 0.9, encoded(whole[None])[0])]),
            CocoImage((4, 4), [(0, False, encoded(whole[None])[0])], [(0, 0.8, encoded(half[None])[0])]),
        ]
        found = coco_average_precision(images, 2)
        # At recall 0 to 0.5, 51 of 101, everywhere; at all 101 at overlap 0.50.
        assert found[0] == pytest.approx((1 + 9 * 51 / 101) / 10)
        assert math.isnan(found[1])

    def test_cocos_average_precision_is_that_of_faster_coco_eval(self) -> None:
        rng = np.random.default_rng(3)
        images, annotations, results = [], [], []
        for image_id in range(25):
            masks = random_masks(rng, int(rng.integers(1, 5)))
            masks[:, 0, 0] = True
            # Noisy copies of the objects, some of another class; scores are often equal.
            noisy = masks ^ (rng.random(masks.shape) < rng.choice([0.02, 0.15, 0.4]))
            true, found = encoded(masks), encoded(noisy)
            classes, crowd = rng.integers(0, 3, len(masks)), rng.random(len(masks)) < 0.2
            guessed, scores = np.where(rng.random(len(masks)) < 0.8, classes, 0), rng.integers(1, 10, len(masks)) / 10
            objects = [
                (int(index), bool(is_crowd), runs) for index, is_crowd, runs in zip(classes, crowd, true, strict=True)
            ]
            predictions = [
                (int(index), float(score), runs) for index, score, runs in zip(guessed, scores, found, strict=True)
            ]
            images.append(CocoImage(masks.shape[1:], objects, predictions))
            for index, is_crowd, runs in objects:
                area, box = float(run_lengths.area(runs)), run_lengths.toBbox(runs).tolist()
                runs = {**runs, "counts": runs["counts"].decode()}
                row = {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": index + 1,
                    "iscrowd": int(is_crowd),
                    "area": area,
                }
                annotations.append(row | {"segmentation": runs, "bbox": box})
            for index, score, runs in predictions:
                runs = {**runs, "counts": runs["counts"].decode()}
                results.append({"image_id": image_id, "category_id": index + 1, "score": score, "segmentation": runs})
        height, width = images[0].size
        truth = FasterCOCO(
            {
                "images": [{"id": image_id, "height": height, "width": width} for image_id in range(25)],
                "annotations": annotations,
                "categories": [{"id": index + 1, "name": str(index)} for index in range(3)],
            }
        )
        other = COCOeval_faster(truth, truth.loadRes(results), "segm")
        other.evaluate()
        other.accumulate()
        wanted = other.eval["precision"][:, :, :, 0, 2].mean((0, 1))
        assert 0.05 < wanted.min() < wanted.max() < 0.95
        np.testing.assert_allclose(coco_average_precision(images, 3), wanted, rtol=0, atol=1e-9)

    def test_a_prediction_in_a_crowd_is_not_wrong(self) -> None:
        whole, crowd = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
        whole[:2], crowd[2:] = True, True
        objects = [(0, False, encoded(whole[None])[0]), (0, True, encoded(crowd[None])[0])]
        predictions = [(0, 0.9, encoded(crowd[None])[0]), (0, 0.5, encoded(whole[None])[0])]
        assert coco_average_precision([CocoImage((4, 4), objects, predictions)], 1)[0] == pytest.approx(1)
        assert coco_average_precision([CocoImage((4, 4), objects[:1], predictions)], 1)[0] < 0.6

    def test_without_predictions_the_precision_is_nought(self) -> None:
        assert coco_average_precision(
            [CocoImage((4, 4), [(0, False, encoded(np.ones((1, 4, 4), bool))[0])], [])], 1
        ).tolist() == [0]

    def test_run_lengths_read_back(self) -> None:
        mask = random_masks(np.random.default_rng(2), 1)[0]
        runs = run_lengths.encode(np.asfortranarray(mask, np.uint8))
        np.testing.assert_array_equal(decoded({"size": [12, 15], "counts": runs["counts"].decode()}, 12, 15), mask)
