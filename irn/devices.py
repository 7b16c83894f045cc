"""Where torch computes, and in which precision."""

from contextlib import AbstractContextManager

import torch

from irn.errors import IrnError
from irn.parallel import available_cores


def choose_device(device: str) -> torch.device:
    """The GPU for "auto" where there is one. Raises IrnError for "cuda" without a GPU."""
    # cuDNN rounds float32 convolutions to TF32 unless told otherwise, which breaks the tolerances of the numbers.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise IrnError("--device cuda: no GPU is visible to torch; use --device cpu or auto, or check CUDA_VISIBLE_DEVICES and the driver")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def loading_workers(workers: int | None, device: torch.device) -> int:
    """How many processes load images for a network: as asked for, or else every core for a GPU, and none beside a CPU's own work."""
    if workers is not None:
        return workers
    return available_cores() if device.type == "cuda" else 0


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Context in which networks compute in float32 or, with "bf16", their convolutions in bfloat16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
