"""Class maps as IRNet and its relatives store them: for each image a dictionary in a file of numpy.save.

Such a file holds a pickle. numpy.load would run whatever code the pickle names; here it is read by an unpickler that
knows nothing but plain containers, arrays of numbers and torch's tensors on a CPU or GPU, each made by functions of
this module.
"""

import io
import pickle
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from irn.errors import IrnError
from irn.io.files import whole_file


def read_dictionary(path: Path, names: Collection[str]) -> dict[Any, Any]:
    """Read those of some entries of a dictionary that it has and that are not None; arrays and tensors as NumPy arrays.

    Entries whose names are whole numbers are read too, and tensors of bfloat16 as float32. Raises IrnError for a file
    that is missing, not of numpy.save, damaged or without a dictionary, and for one that names anything that arrays and
    plain containers do not need.
    """
    try:
        with open(path, "rb") as file:
            if not _header(file).hasobject:
                raise IrnError(f"{path}: holds an array of numbers, expected a dictionary with keys and maps")
            content = _Reader(file).load()
        # numpy.save wraps the dictionary in an array of one object.
        objects = content.objects() if isinstance(content, _Array) else [content]
        if len(objects) != 1 or not isinstance(objects[0], dict):
            raise IrnError(f"{path}: does not contain a dictionary; expected one with keys and maps")
        return {
            name: _plain(value)
            for name, value in objects[0].items()
            if (name in names or is_index(name)) and value is not None
        }
    except FileNotFoundError:
        raise IrnError(f"{path}: no such file; add it, or leave the image's split out with --split") from None
    except (OSError, IrnError):
        raise
    except _Refused as error:
        raise IrnError(
            f"{path}: names {error}, which no array needs, so it was not run; save a dictionary of NumPy arrays instead"
        ) from None
    # A damaged pickle can raise anything.
    except Exception as error:
        raise IrnError(
            f"{path}: not a readable dictionary of numpy.save ({' '.join(str(error).split())}); write it again"
        ) from None


def is_index(name: Any) -> bool:
    """Whether the name of an entry is a whole number, as those of class indices are."""
    return isinstance(name, int | np.integer) and not isinstance(name, bool)


def write_dictionary(path: Path, classes: np.ndarray, cam: np.ndarray, high_res: np.ndarray) -> None:
    """Write a dictionary as the release's programs read it.

    It has `keys` (K,) int64, `cam` (K, h, w) as a float32 tensor, and `high_res` (K, H, W) as a float32 array.
    """
    import torch

    # The release calls cam.cuda().
    maps = {
        "keys": classes.astype(np.int64),
        "cam": torch.tensor(cam, dtype=torch.float32),
        "high_res": high_res.astype(np.float32),
    }
    # As numpy.save has it, but by the module's name that every version of NumPy knows; it is at the beginning, once.
    content = pickle.dumps(np.array(maps, object), protocol=3).replace(b"numpy._core.", b"numpy.core.", 1)
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(content)


# ---- reading a pickle


class _Refused(Exception):
    """The name of something that a pickle wants and does not get."""


class _Made:
    """A function that a pickle may call; what a pickle gives it to keep is refused."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("state for a function")


class _Type:
    """A number type, or that of objects."""

    def __init__(self, code: str) -> None:
        self.name, self.swapped = str(code), False

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.swapped = state[1] == ">"

    def number(self) -> np.dtype:
        """The NumPy type; ValueError for anything but numbers."""
        number_type = np.dtype(self.name)
        if number_type.kind not in "fiub":
            raise ValueError(f"array of type {self.name!r}, expected numbers")
        return number_type.newbyteorder(">") if self.swapped else number_type


class _Array:
    """An array as it is being read."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.type, self.by_columns, self.data = state

    def objects(self) -> list[Any]:
        """What an array of objects holds."""
        if not (self.type.name in ("O", "O8") and isinstance(self.data, list)):
            raise ValueError("not an array of objects")
        return self.data

    def numbers(self) -> np.ndarray:
        """The array; ValueError for one that does not hold numbers."""
        return _from_bytes(self.data, self.type, self.shape, "F" if self.by_columns else "C")


def _from_bytes(data: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(data, kind.number()).reshape(shape, order="F" if order == "F" else "C").copy()


class _Tensor:
    """What remains of a tensor: its numbers."""

    def __init__(self, storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> None:
        import torch

        flat = torch.tensor([], dtype=storage.dtype).set_(storage, offset, size, stride)
        self.array = (flat.float() if flat.dtype == torch.bfloat16 else flat).contiguous().numpy().copy()


def _storage(data: bytes) -> Any:
    """The numbers of a tensor, which torch keeps in a pickle of its own."""
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:
        raise ValueError("a tensor that holds something other than numbers") from None


def _scalar(kind: _Type, data: bytes) -> np.generic:
    return np.frombuffer(data, kind.number())[0]


def _latin(text: str, name: str) -> bytes:
    """How pickles of old protocols hold bytes."""
    return text.encode("latin-1")


_ARRAYS: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": lambda *_: _Array(),
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_bytes,
}
_KNOWN: dict[str, Callable[..., Any]] = {
    **{f"numpy.{core}.{name}": function for core in ("core", "_core") for name, function in _ARRAYS.items()},
    "numpy.ndarray": lambda *_: _Array(),
    "numpy.dtype": lambda code, *_: _Type(code),
    "_codecs.encode": _latin,
    "builtins.bytes": lambda: b"",
    "__builtin__.bytes": lambda: b"",
    "collections.OrderedDict": lambda: None,  # hooks of a tensor, which has none
    "torch._utils._rebuild_tensor_v2": _Tensor,
    "torch.storage._load_from_bytes": _storage,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the functions above, in a wrapper; nothing is imported."""
        full = f"{module}.{name}"
        if full not in _KNOWN:
            raise _Refused(full)
        return _Made(_KNOWN[full])


def _header(file: BinaryIO) -> np.dtype:
    """The number type by the header of a file of numpy.save."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)[2]


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.numbers()
    return value.array if isinstance(value, _Tensor) else value
