"""Where torch computes, and in which precision."""

import os
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from irn.errors import IrnError
from irn.io.parallel import available_cores


def choose_device(device: str) -> torch.device:
    """The GPU for "auto" where there is one; of several, one that no other job of this package on the machine has.

    Raises IrnError for "cuda" without a GPU.
    """
    # cuDNN rounds float32 convolutions to TF32 unless told otherwise, which breaks the tolerances of the numbers.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise IrnError(
            "--device cuda: no GPU is visible to torch; compute on the CPU (--device cpu, in the workflow gpus: 0),"
            " or check CUDA_VISIBLE_DEVICES and the driver"
        )
    if device == "cpu" or not available:
        return torch.device("cpu")
    # A scheduler that hands out GPUs says so in this variable.
    if torch.cuda.device_count() > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        torch.cuda.set_device(claim_gpu(torch.cuda.device_count()))
    return torch.device("cuda", torch.cuda.current_device())


def claim_gpu(count: int, folder: Path | None = None) -> int:
    """The first of `count` GPUs that no other process has claimed, for this process until it ends; waits while there is none.

    A claim is a lock on a file in `folder` (that of temporary files by default), which the system gives back however the process ends.
    """
    folder = folder or Path(tempfile.gettempdir())
    waiting = False
    while True:
        for index in range(count):
            lock = FileLock(folder / f"irn-gpu-{index}.lock", mode=0o666)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            _claims.append(lock)
            return index
        if not waiting:
            print(f"waiting for one of {count} GPUs, all taken by other jobs", file=sys.stderr)
            waiting = True
        time.sleep(1)


# A lock that nothing holds on to is given back.
_claims: list[FileLock] = []


def loading_workers(workers: int | None, device: torch.device) -> int:
    """How many processes load images for a network: as asked for, or else every core for a GPU, and none beside a CPU's own work."""
    if workers is not None:
        return workers
    return available_cores() if device.type == "cuda" else 0


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Context in which networks compute in float32 or, with "bf16", their convolutions in bfloat16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
