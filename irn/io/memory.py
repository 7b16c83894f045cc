"""How this process asks the operating system for memory, and how much there is."""

import ctypes
import os
import sys
from pathlib import Path

# Of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let glibc keep what was freed for the next image or step, whose arrays are as large; does nothing without glibc.

    By default large arrays go back to the system at once, and each page of the next one is cleared and mapped anew,
    which takes longer than the arithmetic of most stages.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            # Older versions refuse more than 32 MiB.
            mallopt(M_MMAP_THRESHOLD, 2**25)
            mallopt(M_MMAP_THRESHOLD, 2**30)


def available_memory() -> int | None:
    """Bytes that this process and its children may take, by the system, control groups and SLURM; None if unknown."""
    limits = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        limits.append(1024 * int(lines["MemAvailable"].split()[0]))
    # The newer way in which containers and schedulers limit memory.
    for folder in _groups():
        limit, used = folder / "memory.max", folder / "memory.stat"
        if limit.exists() and used.exists() and (text := limit.read_text(encoding="ascii").strip()) != "max":
            held = dict(line.split() for line in used.read_text(encoding="ascii").splitlines())
            limits.append(max(0, int(text) - int(held.get("anon", 0))))
    megabytes = os.environ.get("SLURM_MEM_PER_NODE", "")
    if megabytes.isdecimal():
        limits.append(int(megabytes) * 2**20)
    return min(limits, default=None)


def _groups() -> list[Path]:
    """The control groups that this process is in, the innermost first."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    inner = next((line[len("0::/") :] for line in lines if line.startswith("0::/")), None)
    if inner is None:
        return []
    root = Path("/sys/fs/cgroup")
    innermost = root / inner
    return [innermost, *(folder for folder in innermost.parents if root in (folder, *folder.parents))]
