"""Files of tensors, read without running any code in them."""

import io
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from irn.errors import IrnError
from irn.io.beginnings import DAMAGED, check_beginning, is_safetensors, unreadable
from irn.io.files import whole_file

Contents = dict[str, Any]

_MODEL = "torch.save(torch.load(FILE, weights_only=False).state_dict(), 'weights.pt')"
# What training programs save beside tensors; files of old versions of torch do not list it.
_ARRAYS = [f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")]
_USUAL = {"numpy.dtype", "numpy.ndarray", "argparse.Namespace", "pathlib.PosixPath", *_ARRAYS}
# A file that names these wants something to be done.
_CODE = ("builtins", "__builtin__", "os", "posix", "nt", "sys", "subprocess", "runpy", "importlib")


class _Left:
    """What remains of anything but tensors, numbers, text and plain containers: nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Left":
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def save_file(path: Path, contents: Contents) -> None:
    """Write a dictionary for `load_file`."""
    # torch.save reports a full disk as a bare RuntimeError; writing the bytes ourselves gives an OSError.
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_file(path: Path) -> Contents:
    """The dictionary in a file that torch.save or safetensors wrote, loaded without running any code in it.

    Objects of a training program, such as its arguments, are left empty. Raises IrnError for any other file.
    """
    path = Path(path)
    check_beginning(path)
    try:
        contents = _loaded(path)
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        raise unreadable(path, *_reason(path, error)) from None
    if isinstance(contents, _Left):
        raise unreadable(path, "a whole model, whose code is not run", f"if you trust it, write its tensors: {_MODEL}")
    if not isinstance(contents, dict):
        kind = type(contents).__name__
        raise IrnError(f"{path}: holds a {kind}, expected a dictionary of tensors; give a state dict")
    return contents


def _loaded(path: Path) -> Any:
    with open(path, "rb") as file:
        if is_safetensors(file.read(9)):
            from safetensors.torch import load_file as load_safetensors

            return load_safetensors(path)
    names = set(_USUAL)
    with suppress(Exception):  # a file of an old version, or a damaged one
        listed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        names |= {name for name in listed if name.split(".")[0] not in _CODE}
    left: list[Any] = [(_Left, name) for name in names]
    with warnings.catch_warnings(), torch.serialization.safe_globals(left):
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _reason(path: Path, error: Exception) -> tuple[str, str]:
    """Why a file cannot be read, and the remedy."""
    words = str(error)
    if "TorchScript" in words:
        remedy = "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pt')"
        return "a TorchScript program, whose code is not run", f"if you trust it, write its tensors: {remedy}"
    if "Unsupported global" in words:
        name = words.partition("GLOBAL ")[2].partition(" ")[0]
        return f"it names {name}, which is not run", f"if you trust it, write its tensors: {_MODEL}"
    with open(path, "rb") as file:
        first = file.read(262)
    if "Unsupported operand" in words and first.startswith(b"PK"):
        remedy = "torch.save(torch.load(FILE, weights_only=False), 'weights.pt')"
        return "pickled by another protocol than torch.save's", f"if you trust it, write it anew: {remedy}"
    if first.endswith(b"ustar") or _holds_other_files(path):
        return "an archive", "unpack it, and give the file within"
    if first.startswith(b"\x80") and ("magic number" in words or "Unsupported operand" in words):
        return "a pickle, but not as torch.save writes it", "write a dictionary of tensors with torch.save"
    if first.startswith((b"PK", b"\x80")) or is_safetensors(first):
        return "cut short or damaged", DAMAGED
    return "neither of torch.save nor of safetensors", "give a file that one of them wrote"


def _holds_other_files(path: Path) -> bool:
    """Whether a file is a ZIP archive, but not one that torch.save wrote."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return not any(name.endswith("data.pkl") for name in archive.namelist())
