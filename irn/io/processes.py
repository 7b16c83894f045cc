"""Processes that train one network together, one a GPU.

torchrun starts them; each runs the same command on its part of every batch.
"""

import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from irn.errors import IrnError
from irn.io.parallel import available_cores

if TYPE_CHECKING:
    import torch  # not at the start: stages without torch ask for their rank too

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def is_one_of_several() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _from_torchrun(name: str, alone: int) -> int:
    return int(os.environ[name]) if is_one_of_several() else alone


def rank() -> int:
    """The number of this process, from 0; 0 where it works alone."""
    return _from_torchrun("RANK", 0)


def count() -> int:
    """How many processes work together."""
    return _from_torchrun("WORLD_SIZE", 1)


def local_rank() -> int:
    """The number of this process among those of its machine."""
    return _from_torchrun("LOCAL_RANK", 0)


def local_count() -> int:
    """How many of them are on this machine."""
    return _from_torchrun("LOCAL_WORLD_SIZE", 1)


def total(numbers: "torch.Tensor") -> "torch.Tensor":
    """The sum over all processes of a tensor that each has; without gradient."""
    if count() > 1:
        from torch import distributed

        numbers = numbers.detach().clone()
        distributed.all_reduce(numbers)
    return numbers


def join(device: "torch.device") -> "torch.device":
    """Find the other processes, where there are any, to exchange sums on this device; returns it."""
    from torch import distributed

    if count() > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave() -> None:
    """Part from the other processes; the first alone does what is left."""
    from torch import distributed

    if distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()


# ---- starting them


def start(processes: int, arguments: Sequence[str]) -> None:
    """Run `irn` with these arguments in several processes; IrnError with the message of the first that failed."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // processes)))
    # Otherwise DistributedDataParallel gives advice on speed in each process.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable()  # torchrun's own report of a failure, as ours is one line
    try:
        run.run(run.parse_args(["--standalone", "--nproc-per-node", str(processes), "-m", "irn", *arguments]))
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        message = failure.message if isinstance(failure.message, str) else str(failure.message["message"])
        message = message.removeprefix("IrnError: ")
        if failure.exitcode != 2:
            message = f"process {number} of {processes} ended with code {failure.exitcode}; its output is above"
        raise IrnError(message) from None
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def sharing_one_output() -> Iterator[None]:
    """Context of a command that several processes may run: the first alone prints, and all end with their parent."""
    if is_one_of_several() and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if rank() == 0:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def record(message: str) -> None:
    """Leave a message where torchrun finds it, for the process that started this one to print."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    get_error_handler().record_exception(IrnError(message))
