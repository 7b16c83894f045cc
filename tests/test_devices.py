"""Which device a job computes on."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from irn.devices import choose_device
from irn.errors import IrnError

CLAIM = """
import sys
from pathlib import Path
from irn.devices import claim_gpu
print(claim_gpu(int(sys.argv[1]), Path(sys.argv[2])), flush=True)
sys.stdin.readline()
"""


class Job:
    """A process that claims one of so many GPUs and keeps it until it ends."""

    def __init__(self, count: int, folder: Path) -> None:
        command = [sys.executable, "-c", CLAIM, str(count), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def claimed(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def waits(self) -> bool:
        assert self.process.stderr is not None
        return "waiting for one of 2 GPUs" in self.process.stderr.readline()

    def end(self, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        self.process.communicate("\n" if not kill else None)


@pytest.mark.parametrize("kill", [False, True])
def test_each_of_two_jobs_has_a_gpu_of_its_own_and_a_third_waits(tmp_path: Path, kill: bool) -> None:
    jobs = [Job(2, tmp_path), Job(2, tmp_path)]
    claims = [job.claimed() for job in jobs]
    assert sorted(claims) == [0, 1]
    third = Job(2, tmp_path)
    assert third.waits()
    jobs[0].end(kill)
    assert third.claimed() == claims[0]
    for job in (third, jobs[1]):
        job.end()


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
    monkeypatch.setattr("irn.devices.claim_gpu", lambda count: count - 1)
    assert choose_device("auto") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_scheduler_s_choice_stands(two_gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert choose_device("cuda") == torch.device("cuda", 0)
    assert two_gpus == [0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(IrnError, match="no GPU is visible"):
        choose_device("cuda")
