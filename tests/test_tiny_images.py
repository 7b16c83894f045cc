"""Images of one pixel, and those that are far longer than wide: every stage, `irn predict` and ONNX work on them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import Sample, SmallData, read_all, run, smooth_image, write_data
from PIL import Image

from irn.inference.finding import load_final_network
from irn.networks.classifier import Classifier
from irn.networks.deeplab import DeepLab
from irn.networks.irnet import IRNet
from irn.networks.mask_rcnn import MaskRcnn
from irn.weights.files import save_weights

SIZES = {"dot": (1, 1), "line": (1, 1500), "strip": (900, 2)}
ON_CPU = ("--device", "cpu", "--workers", 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SmallData:
    rng = np.random.default_rng(0)
    samples = {name: Sample(smooth_image(rng, *size), [0]) for name, size in SIZES.items()}
    return write_data(tmp_path_factory.mktemp("tiny"), ["dark", "bright"], samples)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Untrained networks of each kind."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    networks = {
        "cam": Classifier("test_resnet", 2),
        "irn": IRNet("test_resnet"),
        "deeplab": DeepLab("test_resnet", 2, True),
        "mask_rcnn": MaskRcnn("test_resnet", 2, 64, 8, 8, True),
    }
    for kind, network in networks.items():
        names = None if kind == "irn" else ["dark", "bright"]
        mean = (0.0, 0.0) if kind == "irn" else None
        save_weights(folder / f"{kind}.pt", kind, network, {}, names, 64, mean)
    return {kind: folder / f"{kind}.pt" for kind in networks}


def test_every_stage_gives_labels_of_their_size(data: SmallData, weights: Mapping[str, Path], tmp_path: Path) -> None:
    given = ["--manifest", data.manifest]
    file = {name: tmp_path / f"{name}.h5" for name in ("cam", "ir_label", "field", "walk", "label")}
    run("make-cams", *given, "--labels", data.labels, "--weights", weights["cam"], "--out", file["cam"], *ON_CPU)
    run("make-ir-labels", *given, "--cams", file["cam"], "--out", file["ir_label"], "--workers", 0)
    run("infer-fields", *given, "--weights", weights["irn"], "--out", file["field"], *ON_CPU)
    caches = ["--cams", file["cam"], "--fields", file["field"]]
    run("random-walk", *given, *caches, "--out", file["walk"], "--workers", 0, "--steps", 8)
    run("make-labels", *given, "--walks", file["walk"], "--out", file["label"], "--workers", 0)
    labels, ir_labels = read_all(file["label"], "label"), read_all(file["ir_label"], "ir_label")
    for name, size in SIZES.items():
        assert labels[name]["semantic"].shape == labels[name]["instance_map"].shape == size
        assert ir_labels[name]["label"].shape == size


@pytest.mark.parametrize(
    ("kinds", "max_side"),
    [
        (("deeplab",), []),
        (("mask_rcnn",), []),
        (("mask_rcnn",), ["--max-side", 64]),
        (("cam",), ["--max-side", 64]),
        (("cam", "irn"), []),
    ],
)
def test_they_are_segmented(
    data: SmallData, weights: Mapping[str, Path], tmp_path: Path, kinds: tuple[str, ...], max_side: list[object]
) -> None:
    words = ["--weights", *(weights[kind] for kind in kinds), "--images", data.images, "--out", tmp_path / "out"]
    guessing = ["--class-score", 0, "--scales", 1, 0.5] if "cam" in kinds else []
    run("predict", *words, *guessing, *max_side, *ON_CPU)
    for name, size in SIZES.items():
        with Image.open(tmp_path / f"out/SegmentationClass/{name}.png") as mask:
            assert mask.size == size[::-1]


@pytest.mark.parametrize("kind", ["deeplab", "mask_rcnn"])
def test_the_onnx_file_takes_them(data: SmallData, weights: Mapping[str, Path], tmp_path: Path, kind: str) -> None:
    run("predict", "--weights", weights[kind], "--onnx", tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    for name, size in SIZES.items():
        results = session.run(["probability" if kind == "deeplab" else "masks"], {"image": data.pixels(name)})
        assert results[0].shape[-2:] == size
        if kind == "deeplab":
            model, _ = load_final_network(weights[kind], kind)
            with torch.inference_mode():
                expected = model(model.backbone.normalise(torch.from_numpy(data.pixels(name)))[None])[0].softmax(0)
            np.testing.assert_allclose(results[0], expected.numpy(), atol=1e-4)
