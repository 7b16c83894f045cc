"""IRNet that learns from object masks, starts from the weights of another, or is that one as it is."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import (
    Sample,
    SmallData,
    read_all,
    read_config,
    refused,
    run,
    same_bytes,
    smooth_image,
    tensors,
    write_data,
)

from irn.cli import build_parser
from irn.errors import IrnError
from irn.report.charts import training_curves
from irn.settings.settings import Settings
from irn.weights.files import load_irnet
from irn.workflow import job
from irn.workflow.recipes import Recipe
from irn.workflow.run import Run, check_data

SIZES = {"a": (60, 72), "b": (64, 64), "c": (50, 90), "d": (64, 80)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    """Images of two bright objects of a class that touch, with a void edge and a part of the class in no object."""
    rng, samples = np.random.default_rng(0), {}
    for number, (image_id, (height, width)) in enumerate(SIZES.items()):
        pixels = smooth_image(rng, height, width) // 2
        classes, objects = np.zeros((2, height, width), np.uint8)
        classes[10:40, 8:56], objects[10:40, 8:30], objects[10:36, 30:56] = 1 + number % 2, 3, 7
        classes[:3], objects[:3] = 255, 255
        pixels[classes == 1], pixels[classes == 2] = 250, 180
        samples[image_id] = Sample(pixels, [number % 2], "train", classes, objects)
    return write_data(tmp_path_factory.mktemp("data"), ["bright", "grey"], samples)


def training(data: SmallData, out: Path, *more: object) -> list[object]:
    files = ["--manifest", data.manifest, "--split", "train", "--out", out, "--device", "cpu", "--workers", 0]
    sizes = ["--backbone", "resnet18", "--crop-size", 64, "--radius", 3, "--batch-size", 2]
    return ["train-irn", *files, *sizes, *more]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of random values, to start from without a network."""
    from torchvision.models import resnet18

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("backbone") / "resnet18.pt"
    torch.save(resnet18().state_dict(), path)
    return path


def by_masks(data: SmallData, backbone: Path) -> list[object]:
    masks = ["--class-masks", data.class_masks, "--object-masks", data.object_masks, "--labels", data.labels]
    return [*masks, "--backbone-weights", backbone, "--epochs", 2]


@pytest.fixture(scope="module")
def taught(data: SmallData, backbone: Path) -> Path:
    """IRNet that learned from the object masks."""
    path = data.folder / "taught.pt"
    run(*training(data, path, *by_masks(data, backbone)))
    return path


# ---- what it learns from


def test_object_masks_teach_what_the_same_masks_as_ir_labels_teach(
    data: SmallData, backbone: Path, taught: Path, tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "SegmentationClass").symlink_to(data.class_masks)
    (masks / "SegmentationObject").symlink_to(data.object_masks)
    tables = ["--manifest", data.manifest, "--labels", data.labels, "--corrected", masks]
    run("read-corrections", *tables, "--out", tmp_path / "ir.h5", "--out-labels", tmp_path / "labels.csv")
    ir_labels = ["--ir-labels", tmp_path / "ir.h5", "--backbone-weights", backbone, "--epochs", 2]
    run(*training(data, tmp_path / "other.pt", *ir_labels))
    assert same_bytes(tensors(taught), tensors(tmp_path / "other.pt"))
    made_by = json.loads(load_irnet(taught)[1]["provenance"])["settings"]
    assert made_by["taught_by"] == "ground truth"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], r"expected IR labels \(--ir-labels\) or ground truth \(--class-masks\), one of the two"),
        (["--ir-labels", "some.h5", "--class-masks", "masks"], "one of the two"),
        (["--class-masks", "masks"], r"its classes need names; give the table .* \(--labels\)"),
    ],
)
def test_it_learns_from_ir_labels_or_from_masks(
    data: SmallData, tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(words, refused(capsys, tmp_path, *training(data, tmp_path / "out.pt", *options)))


# ---- where it starts


def test_without_epochs_it_is_the_start_as_it_is(data: SmallData, taught: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "same.pt", tmp_path / "metrics.jsonl"
    # More images in a batch than there are, and another crop: nothing of this counts.
    run(*training(data, out, "--start", taught, "--epochs", 0, "--metrics", log), "--crop-size", 80, "--batch-size", 32)
    (_, before), (_, after) = load_irnet(taught), load_irnet(out)
    assert same_bytes(tensors(taught), tensors(out))
    for name in ("crop_size", "mean_displacement", "backbone"):
        assert after[name] == before[name]
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["steps"]) for line in lines] == [("start", 0)]
    assert training_curves("train_irn", lines, 1.0) == []
    for name, weights in (("1.h5", taught), ("2.h5", out)):
        run(
            "infer-fields",
            "--manifest",
            data.manifest,
            "--weights",
            weights,
            "--out",
            tmp_path / name,
            "--device",
            "cpu",
        )
    first, second = (read_all(tmp_path / name, "field") for name in ("1.h5", "2.h5"))
    assert all(np.array_equal(first[i][name], second[i][name]) for i in SIZES for name in ("boundary", "displacement"))


def test_it_goes_on_from_the_start(data: SmallData, taught: Path, tmp_path: Path) -> None:
    masks = by_masks(data, taught)[:6]
    run(*training(data, tmp_path / "out.pt", *masks, "--start", taught, "--epochs", 1, "--learning-rate", 1e-12))
    before, after = tensors(taught), tensors(tmp_path / "out.pt")
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    assert not same_bytes(before, after)
    # The mean displacement is that of the images, computed anew.
    np.testing.assert_allclose(
        load_irnet(tmp_path / "out.pt")[1]["mean_displacement"], load_irnet(taught)[1]["mean_displacement"], atol=1e-5
    )


def test_a_start_that_does_not_fit_is_refused(
    data: SmallData, taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = training(data, tmp_path / "out.pt", "--start", taught, "--epochs", 0, "--backbone", "resnet34")
    assert "IRNet on backbone resnet18, expected resnet34; set backbone to" in refused(capsys, tmp_path, *other)
    nothing = training(data, tmp_path / "out.pt", "--epochs", 0)
    assert "--epochs is 0; expected at least 1 without weights to" in refused(capsys, tmp_path, *nothing)


# ---- in the workflow


def configured(*entries: str) -> Run:
    return Run(read_config(entries=["dataset={kind: demo}", "backbone=resnet18", *entries]))


def recipe(*entries: str, stage: str = "train_irn") -> Recipe:
    return configured(*entries).configurations[0][stage]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["irn={epochs: 0}"], "config: irn.epochs is 0; expected at least 1 without weights to start from"),
        (["irn={start: nowhere.pt}"], "config: irn.start is 'nowhere.pt', which is not a file; expected none, or"),
        (["irn={start: '%s'}"], "config: irn.start names .*taught.pt: IRNet on backbone resnet18, expected resnet34"),
        (["irn={start: '%s'}"], "config: irn.start names .*: weights of kind 'cam', expected 'irn'"),
        (["refine={objectness: '%s'}"], "config: refine.objectness names .*: weights of kind 'irn', expected 'obj"),
        (["irn={labels: truth}"], "config: irn.labels is 'truth'; expected one of pseudo, ground_truth"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_the_first_job(entries: list[str], words: str, taught: Path, tmp_path: Path) -> None:
    path = taught
    if "'cam'" in words:
        path = tmp_path / "cam.pt"
        torch.save(torch.load(taught, weights_only=True) | {"kind": "cam"}, path)
    others = ["backbone=resnet34"] if "resnet34" in words else []
    with pytest.raises(IrnError, match=words):
        check_data(configured(*(entry.replace("%s", str(path)) for entry in entries), *others))


def test_ground_truth_needs_object_masks(data: SmallData, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(IrnError, match=r"irn\.labels is 'ground_truth', but there are no object masks; set dataset\."):
        configured(f"dataset={{kind: folder, root: '{tmp_path}'}}", "irn={labels: ground_truth}")


def test_the_key_follows_the_weights_and_not_their_place(taught: Path, tmp_path: Path) -> None:
    start = "irn={start: '%s'}"
    copy = tmp_path / "copy.pt"
    copy.write_bytes(taught.read_bytes())
    key = recipe(start % taught).key
    assert recipe(start % copy).key == key != recipe().key
    other = tmp_path / "other.pt"
    other.write_bytes(taught.read_bytes() + b" ")
    assert recipe(start % other).key != key
    # CAMs and IR labels are those of a run without a start.
    assert recipe(start % copy, stage="make_ir_labels").key == recipe(stage="make_ir_labels").key


@pytest.mark.parametrize("entry", ["irn={labels: ground_truth}", "irn={start: '%s', epochs: 0}"])
def test_irnet_reads_ir_labels_only_where_it_learns_from_them(taught: Path, entry: str) -> None:
    recipes = configured(entry.replace("%s", str(taught))).configurations[0]
    assert "make_ir_labels" not in recipes["train_irn"].reads
    assert "make_ir_labels" in recipes["find_doubt"].reads
    assert recipes["train_irn"].key != recipe().key
    told = job.command(
        recipes["train_irn"], {"ir_labels": [], "manifest": "m.csv", "labels": "l.csv", "out": "w"}, None, None, 1
    )
    options = vars(build_parser().parse_args(told.split()))
    assert not options["ir_labels"]
    by_truth = "ground_truth" in entry
    assert (options["class_masks"] is not None, options["object_masks"] is not None) == (by_truth, by_truth)
    assert options["irn.start"] == ("none" if by_truth else str(taught))


def test_readers_of_ground_truth_are_in_the_key_where_irnet_learns_from_it() -> None:
    stage = recipe().stage
    teachers = set(stage.modules(Settings.model_validate({"irn": {"labels": "ground_truth"}}))) - set(
        stage.modules(Settings())
    )
    assert {"irn.training.targets", "irn.data.masks", "irn.data.coco_instances"} & teachers
    assert "irn.training.targets" in teachers


def test_a_batch_may_be_larger_than_the_data_where_nothing_learns(data: SmallData, taught: Path) -> None:
    others = f"dataset={{kind: folder, root: '{data.folder}', eval_split: train}}", "cam={batch_size: 4}"
    with pytest.raises(IrnError, match=r"irn\.batch_size is 64"):
        check_data(configured(*others, "irn={batch_size: 64}"))
    check_data(configured(*others, f"irn={{batch_size: 64, start: '{taught}', epochs: 0}}"))
