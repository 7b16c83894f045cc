"""Where torch computes, and in which precision."""

from contextlib import AbstractContextManager

import torch

from irn.errors import IrnError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bf16")


def choose_device(device: str) -> torch.device:
    """ "auto" is the GPU where there is one. Raises IrnError for "cuda" without a GPU."""
    # cuDNN rounds float32 convolutions to TF32 unless told otherwise, which breaks the tolerances of the numbers.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise IrnError("--device cuda: no GPU is visible to torch; use --device cpu or auto, or check CUDA_VISIBLE_DEVICES and the driver")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Context in which networks compute in float32 or, with "bf16", their convolutions in bfloat16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
