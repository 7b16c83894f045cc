"""A batch in parts, over processes or in turn, equals the whole batch: losses, gradients, trainings, checkpoints."""

import copy
import json
import multiprocessing
import os
import socket
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from helpers import Sample, SmallData, killed_after, label_of, refused, run, tensors, write_data
from test_losses import NAMES, case
from timm.layers import BatchNormAct2d
from torch import distributed

from irn.cli import main
from irn.networks.classifier import Classifier
from irn.ops.losses import pair_counts, pair_losses, total_loss
from irn.training.parts import share_batch_statistics, statistics_kept
from irn.weights.files import save_weights

# A fork has torch loaded already, which takes seconds otherwise.
forks = multiprocessing.get_context("fork")
SIZE = (64, 80)
NETWORKS = ("train-cam", "train-irn", "train-mask-rcnn", "train-deeplab")


class Data(NamedTuple):
    small: SmallData
    backbone: Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Images with a square or two, their classes, IR labels and labels, and a backbone to start from."""
    folder = tmp_path_factory.mktemp("data")
    rng, samples = np.random.default_rng(0), {}
    for number in range(6):
        instance_map = np.zeros(SIZE, np.uint16)
        instance_map[8 : 30 + number, 4:36] = 1
        # Parts of a batch have very different counts.
        classes = list(range(1 + number % 2))
        if number % 2:
            instance_map[12:60, 44:76] = 2
        label = label_of(instance_map, classes, [1] * len(classes))
        pixels = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8) // 4 + 80 * label["semantic"][..., None]
        unsure = label["semantic"].copy()
        unsure[: 9 * number] = 255
        caches = {"ir_label": {"label": unsure}, "label": label}
        samples[str(number)] = Sample(pixels.astype(np.uint8), classes, caches=caches)
    small = write_data(folder, ["one", "two"], samples)
    torch.manual_seed(0)
    save_weights(folder / "backbone.pt", "cam", Classifier("test_resnet", 2), {"stage": "test"}, ["one", "two"], 64)
    return Data(small, folder / "backbone.pt")


def training(network: str, data: Data, out: Path, *more: object) -> list[str]:
    given = [
        "--manifest",
        data.small.manifest,
        "--out",
        out,
        "--metrics",
        out.with_suffix(".jsonl"),
        "--backbone",
        "test_resnet",
    ]
    given += (
        ["--labels", data.small.labels]
        if network != "train-irn"
        else ["--ir-labels", data.small.cache("ir_label"), "--radius", 5]
    )
    given += ["--label-caches", data.small.cache("label"), "--warmup", 0] if network in NETWORKS[2:] else []
    given += ["--channels", 16, "--regions", 32] if network == "train-mask-rcnn" else []
    given += ["--long-side", 64, 80] if network != "train-irn" else []
    start = ["--from-scratch"] if "--from-scratch" in more else ["--backbone-weights", data.backbone]
    sizes = [
        "--crop-size",
        80,
        "--epochs",
        2,
        "--batch-size",
        3,
        "--learning-rate",
        0.01,
        "--device",
        "cpu",
        "--workers",
        0,
    ]
    return [
        str(word) for word in [network, *given, *sizes, *start, *(word for word in more if word != "--from-scratch")]
    ]


def _one_of(rank: int, count: int, port: int, command: Sequence[str]) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update(
        {name: str(number) for name, number in numbers.items()}
        | {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test"}
    )
    sys.exit(main(command))


def in_two_processes(command: Sequence[str]) -> None:
    """Run a command as torchrun does, in two processes on the CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = [forks.Process(target=_one_of, args=(rank, 2, port, command)) for rank in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in pair] == [0, 0]


@pytest.fixture(scope="module")
def alone(data: Data) -> "dict[tuple[str, ...], Path]":
    """Trainings in one process and one part, by their network and options; each is made once."""
    return {}


def outcome(data: Data, alone: dict[tuple[str, ...], Path], network: str, *more: str) -> Path:
    if (network, *more) not in alone:
        out = data.small.folder / f"alone{len(alone)}.pt"
        run(*training(network, data, out, *more))
        alone[network, *more] = out
    return alone[network, *more]


def agree(found: Path, expected: Path, start: Path) -> None:
    """Weights and losses are equal but for rounding, and did change."""
    one, other, before = tensors(found), tensors(expected), tensors(start)
    assert list(one) == list(other)
    for name, tensor in other.items():
        if name in before:
            # By the norm of a tensor: rounding differs with the batch, and a flipped ReLU changes single weights.
            error, moved = (torch.linalg.vector_norm((tensor - its[name]).double()).item() for its in (one, before))
            assert error <= 0.05 * moved + 1e-6, (
                f"{name}: differs by {error:.2g} where training moved it by {moved:.2g}"
            )
        else:
            torch.testing.assert_close(
                one[name], tensor, rtol=1e-3, atol=1e-4, msg=lambda said, name=name: f"{name}: {said}"
            )
    heads = [name for name in other if not name.startswith("backbone.")]
    assert not all(name in before and torch.equal(other[name], before[name]) for name in heads)
    for line, wanted in zip(*(steps(path.with_suffix(".jsonl")) for path in (found, expected)), strict=True):
        assert line == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def steps(metrics: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return [
        {name: line[name] for name in line if name not in ("event", "images_per_second")}
        for line in lines
        if line["event"] == "step"
    ]


class TestPairLosses:
    @pytest.mark.parametrize("cuts", [[1], [1, 2], [2]])
    def test_shares_of_parts_add_up_to_the_batch(self, cuts: list[int]) -> None:
        logits, displacement, label = case(0, (4, 9, 11), [0, 0, 1, 2, 255])
        label[1] = 255
        inputs = [tensor.requires_grad_() for tensor in (logits, displacement)]
        whole = pair_losses(*inputs, label, 4)
        expected = torch.autograd.grad(total_loss(whole), inputs)
        bounds = [0, *cuts, 4]
        parts = [slice(*pair) for pair in pairwise(bounds)]
        counts = torch.stack([pair_counts(label[part], 4) for part in parts]).sum(0)
        assert counts.tolist() == pair_counts(label, 4).tolist()
        shares = [pair_losses(logits[part], displacement[part], label[part], 4, lambda _: counts) for part in parts]
        for name in NAMES:
            assert sum(share[name].item() for share in shares) == pytest.approx(whole[name].item(), rel=1e-12)
        found = torch.autograd.grad(sum(total_loss(share) for share in shares), inputs)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)


class TestTrainings:
    @pytest.mark.parametrize("network", NETWORKS)
    def test_two_processes_are_as_one(
        self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path, network: str
    ) -> None:
        in_two_processes(training(network, data, tmp_path / "w.pt"))
        agree(tmp_path / "w.pt", outcome(data, alone, network), data.backbone)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["w.jsonl", "w.pt"]

    # DeepLab's batch norm learns from a part at a time.
    @pytest.mark.parametrize("network", NETWORKS[:3])
    def test_accumulated_gradients_are_those_of_the_batch(
        self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path, network: str
    ) -> None:
        run(*training(network, data, tmp_path / "w.pt", "--accumulate", 2))
        agree(tmp_path / "w.pt", outcome(data, alone, network), data.backbone)

    def test_features_for_the_last_layer_are_computed_by_both(
        self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path
    ) -> None:
        more = ("--head-epochs", "3", "--head-views", "2", "--epochs", "1")
        in_two_processes(training("train-cam", data, tmp_path / "w.pt", *more))
        agree(tmp_path / "w.pt", outcome(data, alone, "train-cam", *more), data.backbone)

    def test_both_at_once(self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path) -> None:
        more = ("--batch-size", "5", "--epochs", "3")
        in_two_processes(training("train-irn", data, tmp_path / "w.pt", *more, "--accumulate", 2))
        agree(tmp_path / "w.pt", outcome(data, alone, "train-irn", *more), data.backbone)

    def test_batch_norm_that_learns_sees_all_processes(
        self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path
    ) -> None:
        # A small step: from random weights each further one multiplies what rounding did.
        more = ("--from-scratch", "--epochs", "1", "--batch-size", "6", "--learning-rate", "0.001")
        in_two_processes(training("train-cam", data, tmp_path / "w.pt", *more))
        agree(tmp_path / "w.pt", outcome(data, alone, "train-cam", *more), data.backbone)

    def test_a_look_ahead_teaches_batch_norm_nothing(self) -> None:
        torch.manual_seed(0)
        norm = torch.nn.BatchNorm2d(3).train()
        with torch.no_grad(), statistics_kept(norm):
            norm(torch.rand(2, 3, 8, 8))
        assert (norm.num_batches_tracked, norm.running_mean.tolist()) == (0, [0, 0, 0])

    def test_what_was_killed_goes_on_in_two_processes(
        self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = training("train-irn", data, tmp_path / "w.pt", "--momentum", "0.5")
        killed_after(monkeypatch, 1, *command)
        assert [path.name for path in tmp_path.iterdir()] == ["w.pt.checkpoint"]
        in_two_processes(command)
        agree(tmp_path / "w.pt", outcome(data, alone, "train-irn", "--momentum", "0.5"), data.backbone)


class TestTorchrun:
    def test_the_command_starts_its_processes(
        self, data: Data, alone: dict[tuple[str, ...], Path], tmp_path: Path
    ) -> None:
        run(*training("train-irn", data, tmp_path / "w.pt", "--processes", 2))
        agree(tmp_path / "w.pt", outcome(data, alone, "train-irn"), data.backbone)

    def test_a_mistake_is_one_line(self, data: Data, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(training("train-irn", data, tmp_path / "w.pt", "--processes", 2, "--batch-size", 1)) == 2
        said = capfd.readouterr()
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith("irn train-irn: --batch-size 1: too few images for 1 part in 2 processes")
        assert not list(tmp_path.iterdir())


class TestMistakes:
    def test_more_parts_than_images(self, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for network, parts in (("train-cam", 4), ("train-deeplab", 2)):
            said = refused(capsys, tmp_path, *training(network, data, tmp_path / "w.pt", "--accumulate", parts))
            assert f"--batch-size 3: too few images for {parts} parts" in said

    def test_a_gpu_without_memory(
        self, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nGPU 0 has 8 GiB.")

        monkeypatch.setattr(Classifier, "forward", fail)
        said = refused(capsys, tmp_path, *training("train-cam", data, tmp_path / "w.pt"))
        for option in ("--accumulate (accumulate)", "--batch-size (cam.batch_size)", "--crop-size (cam.crop_size)"):
            assert option in said


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> "object":
    """A group of one process, in which sums over processes are what they are."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("norm", [torch.nn.BatchNorm2d, BatchNormAct2d])
def test_shared_batch_norm_is_torchs(one_process: object, norm: type[torch.nn.BatchNorm2d]) -> None:
    torch.manual_seed(0)
    own = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), norm(5, momentum=0.3))
    torch.nn.init.uniform_(own[1].weight, 0.5, 2)
    shared = copy.deepcopy(own)
    share_batch_statistics(shared)
    assert list(shared.state_dict()) == list(own.state_dict())
    x = torch.zeros(0)
    for _ in range(3):
        x = torch.randn(4, 3, 9, 8) * 3 + 1
        for network in (own, shared):
            network.zero_grad()
            network(x).pow(3).mean().backward()
        for one, other in zip(own.parameters(), shared.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)
    for name, tensor in own.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], tensor)
    torch.testing.assert_close(own.eval()(x), shared.eval()(x))
