"""How this process asks the operating system for memory."""

import ctypes
import sys

# Of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let glibc keep what was freed for the next image or step, whose arrays are as large; does nothing without glibc.

    By default large arrays go back to the system at once, and each page of the next one is cleared and mapped anew, which
    takes longer than the arithmetic of most stages.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            # Older versions refuse more than 32 MiB.
            mallopt(M_MMAP_THRESHOLD, 2**25)
            mallopt(M_MMAP_THRESHOLD, 2**30)
