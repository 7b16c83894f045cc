"""What the processor of this machine can do."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
GPU_DRIVER = Path("/proc/driver/nvidia")
BFLOAT16 = {"amx_bf16", "avx512_bf16"}  # by Linux's names


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16; False where the system does not say."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(BFLOAT16 & set(flags.split()))


def networks_run_on_cpus(gpus: int) -> bool:
    """Whether networks are computed without a GPU, with this number of GPUs allowed."""
    return gpus == 0 or not GPU_DRIVER.exists()
