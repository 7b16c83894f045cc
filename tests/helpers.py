"""What several test files need: commands run in this process, the workflow, and small images."""

import contextlib
import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from selenium import webdriver
from warm import run_snakemake

from irn.cli import main
from irn.errors import IrnError
from irn.io.cache import CacheReader, CacheWriter
from irn.io.checkpoint import Checkpoint
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.ops.losses import pair_losses, total_loss
from irn.settings.reading import read_config
from irn.workflow.run import Run, check_data

Tensors = dict[str, torch.Tensor]
Arrays = dict[str, np.ndarray]

ROOT = Path(__file__).parents[1]
# The demonstration, smaller. Its backbone is timm's smallest ResNet; tests/test_networks.py has those of torchvision.
SMALL = {
    "run": "small",
    "dataset": {"kind": "demo", "demo": {"images": 24, "size": 96}},
    "backbone": "test_resnet",
    "pretrained": None,
    "cam": {
        "epochs": 1, "batch_size": 4, "learning_rate": 0.2, "head_factor": 0.2,
        "crop_size": 64, "long_side": [64, 96], "scales": [1.0, 1.5],
    },
    "ir_labels": {"foreground_threshold": 0.35, "background_threshold": 0.15},
    "irn": {"epochs": 1, "batch_size": 4, "learning_rate": 0.3, "crop_size": 80, "scale": [0.8, 1.2], "radius": 5},
    "walk": {"steps": 64},
    "labels": {"semantic_threshold": 0.4, "instance_threshold": 0.4},
    "show": {"images": 2},
}  # fmt: skip
# And its final networks.
FINAL = {
    "mask_rcnn": {
        "labels": "both",
        "epochs": 1,
        "crop_size": 96,
        "long_side": [80, 112],
        "warmup": 2,
        "channels": 8,
        "regions": 8,
    },
    "deeplab": {"labels": "both", "epochs": 1, "batch_size": 4, "crop_size": 96, "long_side": [80, 112]},
}


def run(*arguments: object) -> None:
    """Run a command of the package, which must succeed."""
    assert main([str(argument) for argument in arguments]) == 0


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> str:
    """The one line that a refused command says; it must end with code 2 and leave `folder` as it was."""
    before = sorted(folder.rglob("*"))
    capsys.readouterr()
    try:
        code: object = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.endswith("\n")
    assert len(said.err.splitlines()) == 1, said.err
    assert sorted(folder.rglob("*")) == before
    return said.err.rstrip("\n")


def snakemake(
    folder: Path,
    *arguments: str,
    checkout: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    cold: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """Run the workflow of a checkout in a folder of its own, with the settings of its small.yaml and a thread a job.

    With other variables in its `environment`, or `cold`, it starts processes as users do, and otherwise as in warm.py.
    """
    words = ["--snakefile", str(checkout / "Snakefile"), "--directory", str(folder)]
    words += ["--cores", "2", "--max-threads", "1", "--configfile", str(folder / "small.yaml"), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    if environment is None and not cold:
        return run_snakemake(words, checkout, clean)
    command = [str(Path(sys.executable).with_name("snakemake")), *words]
    return subprocess.run(
        command, capture_output=True, text=True, env={**clean, **(environment or {})}, check=False, cwd=checkout
    )


def rules_to_run(
    folder: Path, *arguments: str, checkout: Path = ROOT, environment: Mapping[str, str] | None = None
) -> set[str]:
    """The rules that a dry run lists."""
    result = snakemake(folder, "--dry-run", *arguments, checkout=checkout, environment=environment)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    rules = set(re.findall(r"^(\w+) +\d+(?:  .*)?$", result.stdout, re.M))
    assert rules or "Nothing to be done" in said, said
    return rules


def run_in(folder: Path, *entries: str) -> Run:
    """The run that a folder's small.yaml describes, with other settings laid over it."""
    with contextlib.chdir(folder):
        return Run(read_config([Path("small.yaml")], entries))


def missing(folder: Path, *entries: str) -> set[str]:
    """The stages with a missing file: those whose rules a dry run lists; tests/test_rebuilds.py compares the two."""
    recipes = run_in(folder, *entries).shown
    return {recipe.stage.name for recipe in recipes if not all((folder / file).exists() for file in recipe.files())}


def refusal(folder: Path) -> str:
    """The line by which a workflow whose data does not do is refused before its first job."""
    with contextlib.chdir(folder), pytest.raises(IrnError) as error:
        check_data(run_in(folder))
    return str(error.value)


def read_all(paths: Path | list[Path], kind: str) -> dict[str, dict[str, np.ndarray]]:
    """Everything in some cache files, by image id."""
    reader = CacheReader([paths] if isinstance(paths, Path) else paths, kind)
    return {image_id: reader.read(image_id) for image_id in reader.ids}


def smooth_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 with coloured patches, as photographs have them."""
    noise = ndimage.gaussian_filter(rng.random((height, width, 3)), (4, 4, 0))
    scaled = (noise - noise.min()) / (noise.max() - noise.min()) if noise.size > 3 else noise
    return (255 * scaled).astype(np.uint8)


def save_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


# ---- a browser

BROWSER = [shutil.which(name) for name in ("chromium", "chromedriver")]
in_browser = pytest.mark.skipif(
    not all(BROWSER),
    reason="no chromium and chromedriver; install Debian's chromium and chromium-driver to open pages in a browser",
)


def start_browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER[0])
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(str(BROWSER[1])))


def set_width(browser: webdriver.Chrome, width: int) -> None:
    """Narrow ones are those of phones."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


# ---- small data sets


class Sample(NamedTuple):
    """One image of a small data set."""

    pixels: np.ndarray  # (height, width, 3) uint8
    classes: Sequence[int]  # indices of those that are present
    split: str = "train"
    class_mask: np.ndarray | None = None  # (height, width) uint8, and so is the next
    object_mask: np.ndarray | None = None
    caches: Mapping[str, Arrays] = {}  # arrays by the kind of cache


class SmallData(NamedTuple):
    """Where a small data set lies."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    @property
    def labels(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def class_masks(self) -> Path:
        return self.folder / "class_masks"

    @property
    def object_masks(self) -> Path:
        return self.folder / "object_masks"

    def cache(self, kind: str) -> Path:
        return self.folder / f"{kind}.h5"

    def pixels(self, image_id: str) -> np.ndarray:
        return np.array(Image.open(self.images / f"{image_id}.png"))


def write_data(folder: Path, names: Sequence[str], samples: Mapping[str, Sample]) -> SmallData:
    """Write images by their ids, of the classes `names`: the two tables, and the masks and caches that samples have."""
    data = SmallData(folder)
    rows, present = [["image_id", "path", "height", "width", "split"]], [["image_id", *names]]
    with contextlib.ExitStack() as stack:
        caches: dict[str, CacheWriter] = {}
        for image_id, sample in samples.items():
            height, width = sample.pixels.shape[:2]
            save_png(data.images / f"{image_id}.png", sample.pixels)
            rows.append([image_id, f"images/{image_id}.png", str(height), str(width), sample.split])
            present.append([image_id, *(str(int(index in sample.classes)) for index in range(len(names)))])
            for masks, mask in ((data.class_masks, sample.class_mask), (data.object_masks, sample.object_mask)):
                if mask is not None:
                    save_png(masks / f"{image_id}.png", mask)
            for kind, arrays in sample.caches.items():
                if kind not in caches:
                    caches[kind] = stack.enter_context(CacheWriter(data.cache(kind), kind, {"stage": "test"}))
                caches[kind].write(image_id, height, width, arrays)
    for path, table in ((data.manifest, rows), (data.labels, present)):
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(table)
    return data


def label_of(instance_map: np.ndarray, classes: Sequence[int], scores: Sequence[float]) -> Arrays:
    """The arrays of a label cache whose semantic label is that of all its pieces."""
    of_piece = np.array([0, *(index + 1 for index in classes)])
    return {
        "semantic": of_piece[instance_map].astype(np.uint8),
        "instance_map": instance_map.astype(np.uint16),
        "instance_class": np.array(classes, np.uint16),
        "instance_score": np.array(scores, np.float32),
    }


def data_of_squares(folder: Path, sizes: Mapping[str, tuple[int, int]], val: Sequence[str] = ()) -> SmallData:
    """Images with a dark or a bright square, which is their class, and IR labels that are unsure of the first rows."""
    rng, samples = np.random.default_rng(0), {}
    for number, (image_id, (height, width)) in enumerate(sizes.items()):
        pixels, label = smooth_image(rng, height, width) // 2 + 64, np.zeros((height, width), np.uint8)
        square = np.s_[height // 4 : height // 2 + 8, width // 4 : width // 2 + 8]
        pixels[square], label[square], label[:3] = 250 if number % 2 else 5, 1 + number % 2, 255
        split = "val" if image_id in val else "train"
        samples[image_id] = Sample(pixels, [number % 2], split, caches={"ir_label": {"label": label}})
    return write_data(folder, ["dark", "bright"], samples)


# ---- networks


def random_images(seed: int, count: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def copies(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], model: torch.nn.Module) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def train_once(model: Classifier | IRNet) -> set[str]:
    """The names of the tensors that one step of training changes."""
    before = copies(model)
    model.train()
    optimiser = torch.optim.SGD(model.parameter_groups(0.1, 10.0), weight_decay=1e-4)
    images = random_images(1, 2, 48, 48)
    if isinstance(model, Classifier):
        loss = torch.nn.functional.multilabel_soft_margin_loss(
            model(images), torch.eye(2, model.classifier.out_channels)
        )
    else:
        logits, displacement = model(images)
        label = torch.zeros((2, 12, 12), dtype=torch.uint8)
        label[:, 6:] = 1
        loss = total_loss(pair_losses(logits, displacement, label, 3))
    loss.backward()
    optimiser.step()
    return changed(before, model)


def tensors(path: Path) -> Tensors:
    return torch.load(path, weights_only=True)["state_dict"]


def same_bytes(one: Tensors, other: Tensors) -> bool:
    return list(one) == list(other) and all(
        one[name].contiguous().numpy().tobytes() == other[name].contiguous().numpy().tobytes() for name in one
    )


class Killed(BaseException):
    """The end of a process that nothing in it can catch."""


def killed_after(monkeypatch: pytest.MonkeyPatch, epochs: int, *command: object) -> None:
    """Run a training that dies as soon as its checkpoint after this many epochs is on disk."""
    save = Checkpoint.save

    def save_and_die(self: Checkpoint, done: int, *state: Any) -> None:
        save(self, done, *state)
        if done == epochs:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(Killed):
            run(*command)
