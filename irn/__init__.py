"""Weakly supervised instance segmentation with inter-pixel relations (IRNet), one stage a command.

For notebooks: `open_cache`, `label_arrays`, `open_labeller` and `open_network` (irn/inference/notebook.py).
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["label_arrays", "open_cache", "open_labeller", "open_network"]


def __getattr__(name: str) -> Any:
    # The command line shows help without what these import.
    if name in __all__:
        return getattr(import_module("irn.inference.notebook"), name)
    raise AttributeError(f"module 'irn' has no attribute {name!r}")
