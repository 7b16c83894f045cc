"""The arithmetic of networks."""

from contextlib import AbstractContextManager

import torch


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Context in which networks compute in float32 or, with "bf16", their convolutions in bfloat16; never in TF32."""
    # cuDNN rounds float32 convolutions to TF32 unless told otherwise, which breaks the tolerances of the numbers.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
