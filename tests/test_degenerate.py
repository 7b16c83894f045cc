"""Input that says nothing: what each stage makes of it is defined (docs/limits.md)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import refused, save_png, smooth_image

from irn.grid import UNSURE
from irn.inference.cams import class_attention_maps
from irn.io.cache import CacheWriter
from irn.networks.classifier import Classifier
from irn.ops.crf import ir_label
from irn.ops.instances import instance_groups, instance_scores
from irn.ops.labels import synthesise_labels
from irn.ops.losses import pair_losses, total_loss
from irn.ops.walk import walk_instances
from irn.settings.settings import Walk

PIXELS = smooth_image(np.random.default_rng(0), 48, 64)
CLASSES = np.array([1, 4])
CENTRED = {"boundary": np.zeros((12, 16), np.float32), "displacement": np.zeros((2, 12, 16), np.float32)}


def ir(value: float) -> np.ndarray:
    return ir_label(PIXELS, np.full((2, 48, 64), value, np.float32), CLASSES, 0.3, 0.05)


def labels(cam: np.ndarray, field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    walked = walk_instances({"cam": cam, "classes": CLASSES}, field, Walk())
    assert np.isfinite(walked["walk"]).all()
    return synthesise_labels(walked["walk"], walked["walk_class"], 48, 64, 0.25, 0.25)


class TestClassMapsOfZeros:
    def test_a_classifier_that_sees_nothing_gives_zeros_and_no_division_by_zero(self) -> None:
        torch.manual_seed(0)
        model = Classifier("resnet18", 3).eval()
        torch.nn.init.constant_(model.classifier.weight, -1.0)
        with torch.inference_mode():
            maps = class_attention_maps(model, [PIXELS], [0, 2], 48, 64)
        for name in ("cam", "high_res"):
            assert (maps[name] == 0).all()

    def test_the_ir_label_is_background(self) -> None:
        assert (ir(0) == 0).all()

    def test_labels_are_background_without_instances(self) -> None:
        found = labels(np.zeros((2, 12, 16), np.float32), CENTRED)
        assert (found["semantic"] == 0).all()
        assert (found["instance_map"] == 0).all()
        assert len(found["instance_class"]) == len(found["instance_score"]) == 0


class TestNoConfidentPixel:
    def test_all_is_unsure(self) -> None:
        assert (ir(0.2) == UNSURE).all()

    def test_the_losses_are_0_and_teach_nothing(self) -> None:
        logits, displacement = (
            torch.randn(1, 1, 12, 16, requires_grad=True),
            torch.randn(1, 2, 12, 16, requires_grad=True),
        )
        loss = total_loss(pair_losses(logits, displacement, torch.full((1, 12, 16), UNSURE, dtype=torch.uint8), 4))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()
        assert not displacement.grad.any()


class TestNoCentroid:
    def test_all_cells_are_one_group_and_a_class_one_instance(self) -> None:
        displacement = np.full((2, 12, 16), 3, np.float32)
        groups = instance_groups(displacement, Walk().centroid_length)
        assert groups.max() == 0
        cam = np.zeros((2, 12, 16), np.float32)
        cam[0, :, :8] = cam[1, :, 8:] = 1
        assert len(instance_scores(cam, CLASSES, groups)[0]) == 2
        found = labels(
            cam, CENTRED | {"displacement": displacement, "boundary": np.eye(12, 16, dtype=np.float32) * 0.5}
        )
        assert set(found["instance_class"]) == set(CLASSES)


class TestEveryPixelABoundary:
    def test_nothing_is_left_to_walk_so_all_is_background(self) -> None:
        found = labels(np.ones((2, 12, 16), np.float32), CENTRED | {"boundary": np.ones((12, 16), np.float32)})
        assert (found["semantic"] == 0).all()
        assert len(found["instance_class"]) == 0


@pytest.mark.parametrize(
    ("name", "value"), [("cam", np.nan), ("high_res", np.nan), ("cam", np.inf), ("high_res", -np.inf)]
)
def test_external_maps_with_numbers_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: float
) -> None:
    save_png(tmp_path / "a.png", PIXELS)
    (tmp_path / "m.csv").write_text("image_id,path,height,width,split\na,a.png,48,64,train\n", encoding="utf-8")
    (tmp_path / "l.csv").write_text("image_id,dog\na,1\n", encoding="utf-8")
    maps = {
        "classes": np.array([0]),
        "cam": np.ones((1, 12, 16), np.float32),
        "high_res": np.ones((1, 48, 64), np.float32),
    }
    maps[name][0, 3, 3] = value
    with np.errstate(invalid="ignore"), CacheWriter(tmp_path / "in.h5", "cam", {"stage": "elsewhere"}) as cache:
        cache.write("a", 48, 64, maps)
    tables = ["--manifest", tmp_path / "m.csv", "--labels", tmp_path / "l.csv"]
    said = refused(
        capsys,
        tmp_path,
        "make-cams",
        *tables,
        "--external",
        tmp_path / "in.h5",
        "--out",
        tmp_path / "out.h5",
        "--workers",
        0,
    )
    assert f"image 'a', array {name!r} holds numbers that are not finite" in said
