"""Which device a job computes on."""

import multiprocessing
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from irn.errors import IrnError
from irn.io.devices import choose_device, claim_gpus

# A fork has torch loaded already, which takes seconds otherwise.
jobs = multiprocessing.get_context("fork")


class Errors:
    """Standard error of a job, at the other end of a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def write(self, text: str) -> None:
        if text.strip():
            self.pipe.send(text)


def keep_a_gpu(count: int, folder: Path, pipe: Connection) -> None:
    """In a child: claim one of `count` GPUs, report which, and keep it until told to end."""
    sys.stderr = Errors(pipe)  # type: ignore[assignment]
    pipe.send(claim_gpus(count, folder=folder)[0])
    pipe.recv()


class Job:
    """A process that claims one of two GPUs and keeps it until it ends."""

    def __init__(self, folder: Path) -> None:
        self.pipe, other = jobs.Pipe()
        self.process = jobs.Process(target=keep_a_gpu, args=(2, folder, other))
        self.process.start()

    def says(self) -> object:
        """The number of its GPU once it has one; before that, what it writes to standard error."""
        assert self.pipe.poll(20)
        return self.pipe.recv()

    def end(self, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        else:
            self.pipe.send(None)
        self.process.join()


@pytest.mark.parametrize("kill", [False, True])
def test_each_of_two_jobs_has_a_gpu_of_its_own_and_a_third_waits(tmp_path: Path, kill: bool) -> None:
    two = [Job(tmp_path), Job(tmp_path)]
    claims = [job.says() for job in two]
    assert set(claims) == {0, 1}
    third = Job(tmp_path)
    assert third.says() == "waiting for one of 2 GPUs, all taken by other jobs"
    two[0].end(kill)
    assert third.says() == claims[0]
    for job in (third, two[1]):
        job.end()
        assert job.process.exitcode == 0


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine with two GPUs, and the list of those that a job makes its own."""
    chosen = [0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: chosen[-1])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return chosen


def test_a_job_takes_the_gpu_that_is_free(two_gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irn.io.devices.claim_gpus", lambda count: [count - 1])
    assert choose_device("auto") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_scheduler_s_choice_stands(two_gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert choose_device("cuda") == torch.device("cuda", 0)
    assert two_gpus == [0]


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(IrnError, match="no GPU is visible"):
        choose_device("cuda")
