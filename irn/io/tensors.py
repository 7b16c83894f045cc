"""Files of tensors, read without running any code in them."""

import io
from pathlib import Path
from typing import Any

import torch

from irn.errors import IrnError
from irn.io.files import whole_file

Contents = dict[str, Any]


def save_file(path: Path, contents: Contents) -> None:
    """Write a dictionary for `load_file`."""
    # torch.save reports a full disk as a bare RuntimeError; writing the bytes ourselves gives an OSError.
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_file(path: Path) -> Contents:
    """The dictionary in a file that torch.save wrote, loaded without running any code in it."""
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise IrnError(f"{path}: no such weights file; run the stage that makes it, or fix the path") from None
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "copy it again, or move it away and make it again"
        raise IrnError(f"{path}: not a readable weights file ({reason[:100]}); {remedy}") from None
    if not isinstance(contents, dict):
        kind = type(contents).__name__
        raise IrnError(f"{path}: holds a {kind}, expected a dictionary of tensors; give a state dict")
    return contents
