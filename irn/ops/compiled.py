"""How functions are compiled: once on a machine, by `make env` or else by the first process that calls them."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# No NaN and no sign of zero matters, a / b may be a * (1 / b), and a * b + c may be rounded once.
FAST = {"nnan", "nsz", "arcp", "contract"}


def compiled(fast: bool) -> Callable[[Function], Function]:
    """Numba's compiled form of a function on arrays; `fast` arithmetic may round differently from one processor to another.

    It is kept beside its module or, where that may not be written, in the user's folder of caches or `NUMBA_CACHE_DIR`.
    Numba knows a function by the file that it is in, so functions that call each other belong into one file.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST if fast else False}

    def compile_(function: Function) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:
            # Nowhere may it be kept: each process compiles for itself.
            return numba.njit(**options)(function)

    return compile_
