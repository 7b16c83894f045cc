"""Where torch computes."""

import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from irn.errors import IrnError
from irn.io.parallel import available_cores
from irn.io.processes import is_one_of_several, local_count, local_rank


def choose_device(device: str) -> torch.device:
    """The GPU for "auto" where there is one; of several, one that no other job of this package on the machine has.

    Raises IrnError for "cuda" without a GPU.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise IrnError(
            "--device cuda: no GPU is visible to torch; compute on the CPU (--device cpu, in the workflow gpus: 0),"
            " or check CUDA_VISIBLE_DEVICES and the driver"
        )
    if device == "cpu" or not available:
        return torch.device("cpu")
    if is_one_of_several():
        torch.cuda.set_device(local_rank())
    # A scheduler that hands out GPUs says so in this variable.
    elif torch.cuda.device_count() > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        torch.cuda.set_device(claim_gpus(torch.cuda.device_count())[0])
    return torch.device("cuda", torch.cuda.current_device())


def hand_out_gpus(processes: int, device: str) -> None:
    """Reserve a GPU for each of the processes to be started; IrnError where there are fewer GPUs."""
    if device == "cpu" or not torch.cuda.is_available():
        return
    visible = torch.cuda.device_count()
    if visible < processes:
        raise IrnError(
            f"--processes {processes}: {visible} GPUs are visible to torch; ask for at most that, in the workflow by"
            " gpus"
        )
    # A scheduler that hands out GPUs says so in this variable.
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, claim_gpus(visible, processes)))


def claim_gpus(count: int, wanted: int = 1, folder: Path | None = None) -> list[int]:
    """Claim the first `wanted` of `count` GPUs that no other process has claimed; waits while there are fewer.

    A claim is a lock on a file in `folder`, by default that of temporary files. It lasts until this process ends: the
    system releases it however that happens.
    """
    folder = folder or Path(tempfile.gettempdir())
    waiting = False
    while True:
        locks: dict[int, FileLock] = {}
        for index in range(count):
            lock = FileLock(folder / f"irn-gpu-{index}.lock", mode=0o666)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            locks[index] = lock
            if len(locks) == wanted:
                _claims.extend(locks.values())
                return list(locks)
        # Two jobs that each kept a part would wait for each other for ever.
        for lock in locks.values():
            lock.release()
        if not waiting:
            number = "one" if wanted == 1 else wanted
            taken = "too many" if locks else "all"
            print(f"waiting for {number} of {count} GPUs, {taken} taken by other jobs", file=sys.stderr)
            waiting = True
        time.sleep(1)


# A lock is released when nothing refers to it.
_claims: list[FileLock] = []


def loading_workers(workers: int | None, device: torch.device) -> int:
    """How many processes load images for a network: as asked for, or else one a core for a GPU and none for a CPU."""
    if workers is not None:
        return workers
    return max(1, available_cores() // local_count()) if device.type == "cuda" else 0
