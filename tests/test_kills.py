"""What is killed at any moment, or runs out of disk, leaves nothing that a later run takes for whole."""

import multiprocessing
import resource
import shutil
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers import run

from irn.cli import main

# Trainings resume from checkpoints; the other stages write whole files alone.
KILLS = {"train_cam": 4, "train_irn": 4}
KILLS_OF_OTHERS = 2
TRIES = 24  # a stage may end before it is killed
PATHS = (
    "data",
    "manifest.csv",
    "labels.csv",
    "cam.pt",
    "cams.h5",
    "ir.h5",
    "irn.pt",
    "fields.h5",
    "walks.h5",
    "labels.h5",
    "doubt.csv",
    "scores.csv",
    "panels",
)

# Each child starts with the modules loaded, so that a kill hits the stage and not the imports, and soon.
children = multiprocessing.get_context("forkserver")


def commands(at: Callable[[str], Path]) -> dict[str, list[object]]:
    """Each stage's command, small, for files whose places `at` says."""
    data, manifest, labels, cam, cams, ir, irn, fields, walks, label_caches, doubt, scores, panels = map(at, PATHS)
    listed = ["--manifest", manifest]
    cpu = ["--device", "cpu", "--workers", 0]
    training = ["--epochs", 2, "--batch-size", 3, "--backbone", "test_resnet", "--crop-size", 48, "--metrics"]
    return {
        "make_demo_data": ["--out", data, "--images", 6, "--size", 64, "--workers", 0],
        "build_manifest": ["--kind", "demo", "--root", data, "--out-manifest", manifest, "--out-labels", labels],
        "train_cam": [
            *listed, "--labels", labels, "--out", cam, "--from-scratch", "--long-side", 48, 64,
            *training, cam.with_suffix(".jsonl"), *cpu,
        ],
        "make_cams": [*listed, "--labels", labels, "--weights", cam, "--out", cams, "--scales", 1, *cpu],
        # The one with processes of its own.
        "make_ir_labels": [*listed, "--cams", cams, "--out", ir, "--workers", 2],
        "train_irn": [
            *listed, "--ir-labels", ir, "--out", irn, "--backbone-weights", cam, "--radius", 5,
            *training, irn.with_suffix(".jsonl"), *cpu,
        ],
        "infer_fields": [*listed, "--weights", irn, "--out", fields, *cpu],
        "random_walk": [*listed, "--cams", cams, "--fields", fields, "--out", walks, "--workers", 0],
        "make_labels": ["--walks", walks, "--out", label_caches, "--workers", 0],
        "find_doubt": [
            *listed, "--labels", labels, "--ir-labels", ir, "--walks", walks, "--label-caches", label_caches,
            "--out", doubt, "--workers", 0,
        ],
        "evaluate": [
            *listed, "--labels", labels, "--cams", cams, "--label-caches", label_caches, "--out", scores,
            "--class-masks", data / "SegmentationClass", "--object-masks", data / "SegmentationObject",
            "--workers", 0,
        ],
        "show": [
            *listed, "--labels", labels, "--cams", cams, "--ir-labels", ir, "--fields", fields, "--walks", walks,
            "--label-caches", label_caches, "--count", 4, "--out", panels,
        ],
    }  # fmt: skip


OUTPUTS = {
    "make_demo_data": ["data"], "build_manifest": ["manifest.csv", "labels.csv"], "train_cam": ["cam.pt", "cam.jsonl"],
    "make_cams": ["cams.h5"], "make_ir_labels": ["ir.h5"], "train_irn": ["irn.pt", "irn.jsonl"],
    "infer_fields": ["fields.h5"],
    "random_walk": ["walks.h5"], "make_labels": ["labels.h5"], "find_doubt": ["doubt.csv"],
    "evaluate": ["scores.csv"], "show": ["panels"],
}  # fmt: skip


def texts(arguments: list[object]) -> list[str]:
    return [str(argument) for argument in arguments]


def quietly(arguments: list[str], limit: int | None = None) -> None:
    """In a child: run a command, with files of at most `limit` bytes."""
    torch.set_num_threads(1)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.exit(main(arguments))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A folder in which every stage has run undisturbed, and the seconds that each took in a child."""
    # The server that workers of earlier tests grew from lacks the modules.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    children.set_forkserver_preload([f"irn.commands.{stage}" for stage in OUTPUTS] + ["test_kills"])
    first = children.Process(target=time.sleep, args=(0,))  # waits for the imports
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        first.start()
    first.join()
    folder = tmp_path_factory.mktemp("whole")
    seconds = {}
    for stage, arguments in commands(folder.joinpath).items():
        start = time.monotonic()
        child = children.Process(target=quietly, args=(texts([stage.replace("_", "-"), *arguments]),))
        child.start()
        child.join()
        assert child.exitcode == 0, stage
        seconds[stage] = time.monotonic() - start
    return folder, seconds


def files(path: Path) -> dict[str, bytes]:
    """The content of a file, or of all files of a folder, without what differs from run to run."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    if path.suffix == ".h5":
        content = {}
        with h5py.File(path) as file:
            for image_id, group in file.items():
                content |= {f"{image_id}/{name}": array[()].tobytes() for name, array in group.items()}
        return content
    if path.suffix == ".pt":
        tensors = torch.load(path, weights_only=True)["state_dict"]
        return {name: tensor.contiguous().numpy().tobytes() for name, tensor in tensors.items()}
    if path.suffix == ".jsonl":
        return {"lines": str(len(path.read_text().splitlines())).encode()}
    return {path.name: path.read_bytes()}


def whole_files(path: Path) -> dict[str, bytes]:
    return {name: content for name, content in files(path).items() if not name.endswith(".partial")}


@pytest.mark.parametrize("stage", OUTPUTS)
def test_a_killed_stage_ends_as_an_undisturbed_one(
    whole: tuple[Path, dict[str, float]], tmp_path: Path, stage: str
) -> None:
    reference, seconds = whole
    rng = np.random.default_rng([7, list(OUTPUTS).index(stage)])
    outputs = OUTPUTS[stage]
    arguments = texts(
        [stage.replace("_", "-"), *commands(lambda name: (tmp_path if name in outputs else reference) / name)[stage]]
    )
    kills, longest, wanted = 0, seconds[stage], KILLS.get(stage, KILLS_OF_OTHERS)
    for _ in range(TRIES):
        child = children.Process(target=quietly, args=(arguments,))
        child.start()
        delay = rng.uniform(0, longest)
        time.sleep(delay)
        if child.is_alive():
            kills += 1
        else:
            # The machine was busier when the stage ran undisturbed.
            longest = delay
        child.kill()
        child.join()
        for name in outputs:
            if (tmp_path / name).exists():
                # Panels come one by one, each of them whole.
                assert whole_files(tmp_path / name).items() <= files(reference / name).items(), name
                # A kill may come after the rename; Snakemake removes a job's outputs before it runs the job again.
                shutil.rmtree(tmp_path / name) if (tmp_path / name).is_dir() else (tmp_path / name).unlink()
        if kills == wanted:
            break
    assert kills == wanted
    run(*arguments)
    for name in outputs:
        assert files(tmp_path / name) == files(reference / name), name
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(outputs)


@pytest.mark.parametrize("stage", OUTPUTS)
def test_a_full_disk_leaves_nothing(whole: tuple[Path, dict[str, float]], tmp_path: Path, stage: str) -> None:
    # A limit on the size of files acts like a full disk: it fails in the same place, in the middle of a write.
    reference, _ = whole
    outputs = OUTPUTS[stage]
    arguments = texts(
        [stage.replace("_", "-"), *commands(lambda name: (tmp_path if name in outputs else reference) / name)[stage]]
    )
    child = children.Process(target=quietly, args=(arguments, 300))
    child.start()
    child.join()
    assert child.exitcode == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
