"""The method for notebooks: read caches, label images whose classes are known, and segment new ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irn.errors import IrnError
from irn.grid import MAX_CLASSES
from irn.inference.image import label_maps
from irn.inference.labeller import Labeller
from irn.inference.predictor import Predictor, open_predictor
from irn.io.cache import CacheReader
from irn.io.cache_format import FORMATS, check_arrays, check_values
from irn.io.devices import choose_device
from irn.io.tensors import load_file
from irn.settings.checking import settings_of_options
from irn.settings.settings import Settings


def open_cache(path: str | Path, *more: str | Path) -> CacheReader:
    """Open the files of one cache, whatever it holds.

    Parameters
    ----------
    path, *more : str or Path
        The cache's files, one for each shard.

    Returns
    -------
    CacheReader
        `ids`, a list of str, names its images; `read(image_id)` gives a dictionary of an image's arrays by name (their
        shapes and number types are in docs/formats.md), `read(image_id, names)` those of these names alone, and
        `size(image_id)` the image's (height, width) in pixels.

    Raises
    ------
    IrnError
        For a file that is not a cache, and for one without an image.

    Examples
    --------
    >>> labels = irn.open_cache("labels.h5")
    >>> labels.ids[:2]
    ['noisy_fields', 'one_class_touching']
    >>> labels.read("one_class_touching")["semantic"].shape
    (120, 160)
    """
    paths = [Path(name) for name in (path, *more)]
    reader = CacheReader(paths, "cam")  # of any kind, to look at the names
    names = set(reader.names(reader.ids[0])) if reader.ids else set()
    kinds = [
        kind for kind, arrays in FORMATS.items() if {name for name, spec in arrays.items() if spec.required} <= names
    ]
    if kinds:
        # Of refined maps, which have what others have and more, the kind that knows it.
        return CacheReader(paths, max(kinds, key=lambda kind: len(FORMATS[kind].keys() & names)))
    raise IrnError(
        f"{', '.join(map(str, paths))}: no image with the arrays of a cache; expected a file that a stage of this"
        " workflow wrote"
    )


def label_arrays(
    cam: np.ndarray,
    classes: Sequence[int],
    boundary: np.ndarray,
    displacement: np.ndarray,
    height: int,
    width: int,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Label one image from its class attention maps and fields: random walk and label synthesis.

    Parameters
    ----------
    cam : array (K, h, w) of floats in [0, 1]
        A map for each class in the image, in cells of 4 pixels: h = ceil(height / 4), w = ceil(width / 4).
    classes : sequence of K int
        Their zero-based indices.
    boundary : array (h, w) of floats in [0, 1]
        Probability of a boundary.
    displacement : array (2, h, w) of floats
        (dy, dx) in cells, from each cell to the centre of its instance.
    height, width : int
        Of the image in pixels.
    changes : mapping from str, optional
        Settings that differ from the paper's, by key, such as `{"walk.beta": 5}`.

    Returns
    -------
    dict of str to array
        The arrays of a label cache: `semantic` (height, width) uint8, 0 background, 1 + class index; `instance_map`
        (height, width) uint16, 0 none, 1 + row of `instance_class` (N,) uint16 and `instance_score` (N,) float32 in
        [0, 1]. And `groups` (h, w) int32, the instance that each cell belongs to.

    Raises
    ------
    IrnError
        For arrays of other shapes, number types or ranges, or that hold values that are not finite, and for a key or a
        value in `changes` that is not a setting's.

    Examples
    --------
    >>> cams, fields = irn.open_cache("cams.h5"), irn.open_cache("fields.h5")
    >>> maps, field = cams.read("one_class_touching", ["cam", "classes"]), fields.read("one_class_touching")
    >>> label = irn.label_arrays(**maps, **field, height=120, width=160)
    >>> int((label["instance_score"] > 0).sum())
    3
    """
    numbers = np.asarray(classes) if len(classes) else np.zeros(0, np.uint16)
    maps = {"cam": np.asarray(cam, np.float32), "classes": numbers}
    field = {"boundary": np.asarray(boundary, np.float32), "displacement": np.asarray(displacement, np.float32)}
    for kind, arrays in (("cam", maps), ("field", field)):
        formats = {name: FORMATS[kind][name] for name in arrays}
        check_arrays("label_arrays", formats, arrays, height, width, "see its documentation")
        for name in arrays:
            if not np.isfinite(arrays[name]).all():
                raise IrnError(f"label_arrays: array {name!r} holds values that are not finite; make it again")
        check_values("label_arrays", arrays, MAX_CLASSES)
    return label_maps(maps, field, height, width, _settings(changes))


def open_labeller(
    classifier: str | Path,
    irnet: str | Path,
    device: str = "auto",
    changes: Mapping[str, Any] | None = None,
    cell_classifier: str | Path | None = None,
) -> Labeller:
    """Load a classifier and IRNet once, to label any number of images whose classes are known.

    Parameters
    ----------
    classifier, irnet : str or Path
        Weights files of `irn train-cam` and `irn train-irn`, or imported ones.
    device : {"auto", "cpu", "cuda"}
        Where the networks compute; "auto" takes a GPU if there is one.
    changes : mapping from str, optional
        As in `label_arrays`, such as `{"cam.scales": [1.0, 0.5]}` or `{"dataset.max_side": 1024}`.
    cell_classifier : str or Path, optional
        Weights file of `irn train-cell-classifier`, where class maps are refined by one.

    Returns
    -------
    Labeller
        Call it with an image and the classes that are in it. The image is a file, or an array (height, width, 3) uint8,
        RGB; the classes are a sequence of names or zero-based indices, possibly empty. It gives a dictionary of what
        `label_arrays` gives, and of what that takes: `classes` (K,) uint16, `cam` (K, h, w), `boundary` (h, w) and
        `displacement` (2, h, w), float32 in cells of 4 pixels; `high_res` (K, height, width) float32, the class maps in
        pixels; and with objectness `objectness` (h, w) float32 in [0, 1]. `names` is the list of the classes' names,
        None for imported weights. A call raises IrnError for a class that the classifier does not know, and for an
        image that cannot be read.

    Raises
    ------
    IrnError
        For files that are missing or of another kind, a key or a value in `changes` that is not a setting's, and "cuda"
        without a GPU.

    Examples
    --------
    >>> labeller = irn.open_labeller("cam.pt", "irn.pt", device="cpu", changes={"walk.beta": 5})
    >>> labeller.names
    ['cat', 'dog']
    >>> for name in ("a.jpg", "b.jpg"):
    ...     label = labeller(name, ["dog"])
    ...     print(name, label["semantic"].shape, label["cam"].shape)
    a.jpg (48, 64) (1, 12, 16)
    b.jpg (48, 64) (1, 12, 16)
    """
    cells = None if cell_classifier is None else Path(cell_classifier)
    return Labeller(Path(classifier), Path(irnet), _settings(changes), choose_device(device), cells)


def open_network(*weights: str | Path, device: str = "auto", changes: Mapping[str, Any] | None = None) -> Predictor:
    """Load a trained network once, to segment any number of new images as `irn predict` does.

    Parameters
    ----------
    *weights : str or Path
        A file of Mask R-CNN, of DeepLab or of a classifier, or those of a classifier and of IRNet, and of a cell
        classifier where class maps are refined by one.
    device : {"auto", "cpu", "cuda"}
        Where the network computes; "auto" takes a GPU if there is one.
    changes : mapping from str, optional
        As in `label_arrays`, such as `{"predict.class_score": 0.3}` or `{"dataset.max_side": 1024}`.

    Returns
    -------
    Predictor
        Call it with an image file or an array (height, width, 3) uint8, RGB. It gives `masks` (N, height, width) bool,
        which may overlap, `classes` (N,) zero-based indices and `scores` (N,) in [0, 1], best first, and `semantic`
        (height, width) uint8, 0 background, 1 + class index. Where the weights are a classifier's, the classes of an
        image are guessed: `guessed` (classes,) bool says which, and `probability` (classes,) in [0, 1] is the
        classifier's; otherwise both are None. `names` is the list of the classes' names. A call raises IrnError for an
        image that cannot be read.

    Raises
    ------
    IrnError
        For files that are missing or of another kind, a key or a value in `changes` that is not a setting's, and "cuda"
        without a GPU.

    Examples
    --------
    >>> network = irn.open_network("cam.pt", device="cpu", changes={"predict.class_score": 0})
    >>> prediction = network("a.jpg")
    >>> prediction.semantic.shape
    (48, 64)
    >>> [network.names[index] for index in prediction.guessed.nonzero()[0]]
    ['cat', 'dog']
    """
    contents = {Path(path): load_file(Path(path)) for path in weights}
    return open_predictor(contents, _settings(changes), choose_device(device))


def _settings(changes: Mapping[str, Any] | None) -> Settings:
    return settings_of_options(changes or {}, {}, "see irn config")
