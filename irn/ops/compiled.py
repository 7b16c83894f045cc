"""How functions are compiled: once on a machine, by `make env` or else by the first process that calls them."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# No NaN and no sign of zero matters, a / b may be a * (1 / b), and a * b + c may be rounded once.
FAST = {"nnan", "nsz", "arcp", "contract"}


def compiled(fast: bool) -> Callable[[Function], Function]:
    """Numba's compiled form of a function on arrays.

    `fast` arithmetic may round differently from one processor to another. Compiled code is kept beside the module or,
    in a folder that is read-only, in the user's folder of caches or `NUMBA_CACHE_DIR`. Numba compiles anew when the
    file of a function changes, and not when that of a function which it calls does, so these belong into one file.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST if fast else False}

    def compile_(function: Function) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:
            # There is no folder to keep it in: each process compiles for itself.
            return numba.njit(**options)(function)

    return compile_
