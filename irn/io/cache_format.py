"""What each kind of HDF5 cache holds for an image, and whether arrays fit that."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from irn.errors import IrnError
from irn.grid import UNSURE, cells

if TYPE_CHECKING:  # keys of stages hold the formats, and are computed without these
    import h5py
    import numpy as np


class ArraySpec(NamedTuple):
    """Dimensions by name, NumPy kinds that readers accept, number type written, largest rounding error, and meaning."""

    dims: tuple[str | int, ...]
    kinds: str
    dtype: str
    error: float = 0.0
    required: bool = True
    meaning: str = ""


# Arrays of numbers from 0 to 1, and by how much rounding may take them beyond.
SHARES, ROUNDING = {"cam", "high_res", "boundary", "objectness"}, 1e-3

# Errors stay inside the tolerances of the published numbers. 2^-12 is half of the smallest step of rounding.
FORMATS: dict[str, dict[str, ArraySpec]] = {
    "cam": {
        "classes": ArraySpec(("K",), "ui", "uint16", meaning="Class indices of the maps."),
        "cam": ArraySpec(
            ("K", "h", "w"), "f", "float16", 4e-4, meaning="Class maps in [0, 1], each divided by its maximum + 1e-5."
        ),
        "high_res": ArraySpec(
            ("K", "height", "width"), "f", "float16", 4e-4, meaning="The same at the size of the image."
        ),
    },
    "ir_label": {
        "label": ArraySpec(("height", "width"), "ui", "uint8", meaning="0 background, 1 + class index, 255 unsure."),
        "instances": ArraySpec(
            ("height", "width"),
            "ui",
            "uint16",
            required=False,
            meaning="0 none, i is object i. Only of images whose objects are known.",
        ),
    },
    "field": {
        "boundary": ArraySpec(("h", "w"), "f", "float16", 2**-12, meaning="Probability of a boundary, in [0, 1]."),
        # Exact: in a noisy field an error of 2^-20 cells leads one cell in fifty to another instance.
        "displacement": ArraySpec(
            (2, "h", "w"),
            "f",
            "float32",
            meaning="(dy, dx) in cells towards the centre of the instance, less the mean displacement.",
        ),
    },
    "walk": {
        "walk": ArraySpec(("M", "h", "w"), "f", "float32", meaning="Scores after the walk, before any scaling."),
        "walk_class": ArraySpec(("M",), "ui", "uint16", meaning="Class index of each map."),
        "walk_instance": ArraySpec(
            ("M",), "ui", "uint32", meaning="Group of each map, from 0. Maps of several classes may share one."
        ),
        # Noisy fields of large images have more groups than 16 bits can count.
        "groups": ArraySpec(
            ("h", "w"),
            "ui",
            "uint32",
            required=False,
            meaning="The group that each cell belongs to, from 0. May be missing.",
        ),
    },
    "label": {
        "semantic": ArraySpec(("height", "width"), "ui", "uint8", meaning="0 background, 1 + class index. Never 255."),
        "instance_map": ArraySpec(
            ("height", "width"), "ui", "uint16", meaning="0 none; i is the piece in row i - 1 of the next two arrays."
        ),
        "instance_class": ArraySpec(("N",), "ui", "uint16", meaning="Class index of each piece."),
        "instance_score": ArraySpec(
            ("N",), "f", "float32", meaning="In [0, 1]; 0 for pieces smaller than `labels.smallest_piece`."
        ),
    },
}

# CAMs that were refined; all that reads CAMs reads these.
FORMATS["refined"] = {
    **FORMATS["cam"],
    "objectness": ArraySpec(
        ("h", "w"),
        "f",
        "float16",
        4e-4,
        required=False,
        meaning="Probability of an object, of whatever class, in [0, 1].",
    ),
}


def check_arrays(
    where: str,
    formats: dict[str, ArraySpec],
    arrays: "Mapping[str, np.ndarray | h5py.Dataset]",
    height: int,
    width: int,
    remedy: str = "make it again",
) -> None:
    """Raise IrnError, naming `where`, unless every array has the shape and type of `formats`, and one K, M and N.

    remedy: what to do then.
    """
    sizes: dict[str | int, int] = {"height": height, "width": width, "h": cells(height), "w": cells(width)}
    for name, spec in formats.items():
        if name not in arrays and not spec.required:
            continue
        if name not in arrays:
            raise IrnError(f"{where}: array {name!r} is missing; give a cache of the right kind, or {remedy}")
        array = arrays[name]
        expected = tuple(dim if isinstance(dim, int) else sizes.get(dim, dim) for dim in spec.dims)
        same = array.ndim == len(expected) and all(
            isinstance(e, str) or e == n for e, n in zip(expected, array.shape, strict=True)
        )
        if not same:
            wanted = str(expected).replace("'", "")
            raise IrnError(f"{where}: array {name!r} has shape {array.shape}, expected {wanted}; {remedy}")
        if array.dtype.kind not in spec.kinds:
            wanted = "a float type" if "f" in spec.kinds else "an integer type"
            raise IrnError(f"{where}: array {name!r} has number type {array.dtype}, expected {wanted}; {remedy}")
        sizes.update({dim: n for dim, n in zip(spec.dims, array.shape, strict=True) if isinstance(dim, str)})


def check_values(where: str, arrays: "Mapping[str, np.ndarray]", classes: int) -> None:
    """Raise IrnError, naming `where`, for classes, labels or pieces that do not exist, and shares beyond 0 and 1.

    In maps of bytes the first would wrap around to others. The last are logits, or maps that were not divided.
    """
    for name in SHARES & arrays.keys():
        values = arrays[name]
        if values.size and not -ROUNDING <= values.min() <= values.max() <= 1 + ROUNDING:
            wrong = values.max() if values.max() > 1 + ROUNDING else values.min()
            raise IrnError(
                f"{where}, array {name!r} holds {wrong:g}, expected numbers from 0 to 1; give probabilities, and maps"
                " divided by their maximum"
            )
    class_indices, label_maps = ("classes", "walk_class", "instance_class"), ("semantic", "label")
    highest = dict.fromkeys(class_indices, classes - 1) | dict.fromkeys(label_maps, classes)
    if "instance_class" in arrays:
        highest["instance_map"] = len(arrays["instance_class"])
    for name in arrays.keys() & highest.keys():
        values = arrays[name]
        values = values[values != UNSURE] if name == "label" else values
        if values.size and not 0 <= values.min() <= values.max() <= highest[name]:
            wrong = values.max() if values.max() > highest[name] else values.min()
            raise IrnError(
                f"{where}, array {name!r} holds {wrong}, expected 0 to {highest[name]};"
                " give caches and a labels table of one data set"
            )
