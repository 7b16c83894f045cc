"""The method for notebooks: read caches, label one image, and segment new ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irn.data.images import read_image
from irn.errors import IrnError
from irn.grid import cells
from irn.inference.cams import at_scale, class_attention_maps
from irn.inference.fields import fields
from irn.inference.predictions import labels_of
from irn.inference.predictor import Predictor, open_predictor
from irn.io.cache import CacheReader
from irn.io.cache_format import FORMATS
from irn.io.devices import autocast, choose_device
from irn.io.tensors import load_file
from irn.networks.inference import for_inference
from irn.ops.resize import bounded, field_of_size
from irn.settings.checking import settings_of_options
from irn.weights.files import load_classifier, load_irnet


def open_cache(path: str | Path, *more: str | Path) -> CacheReader:
    """Open the files of one cache, whatever it holds.

    `ids` of the result lists its images, and `read(image_id)` gives an image's arrays by name (docs/formats.md).
    Raises IrnError for a file that is not a cache, and for one without an image.

    Examples
    --------
    >>> labels = irn.open_cache("labels.h5")
    >>> labels.ids[:2]
    ['noisy_fields', 'one_class_touching']
    >>> labels.read("one_class_touching")["semantic"].shape
    (120, 160)
    """
    paths = [Path(one) for one in (path, *more)]
    reader = CacheReader(paths, "cam")  # of any kind, to look at the names
    held = set(reader.names(reader.ids[0])) if reader.ids else set()
    for kind, arrays in FORMATS.items():
        if {name for name, spec in arrays.items() if spec.required} <= held:
            return CacheReader(paths, kind)
    raise IrnError(
        f"{', '.join(map(str, paths))}: no image with the arrays of a cache; expected a file that a stage of this workflow wrote"
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
    """Random walk and label synthesis of one image.

    Parameters
    ----------
    cam: (K, h, w) floats in [0, 1], the class maps in cells of 4 pixels.
    classes: K zero-based class indices.
    boundary: (h, w) probabilities.
    displacement: (2, h, w), (dy, dx) in cells.
    height, width: of the image in pixels.
    changes: settings that differ from the paper's, by key, such as `{"walk.beta": 5}`.

    Returns
    -------
    The arrays of a label cache (`semantic`, `instance_map`, `instance_class`, `instance_score`), and `groups` (h, w), the
    instance that each cell belongs to.

    Examples
    --------
    >>> cams, fields = irn.open_cache("cams.h5"), irn.open_cache("fields.h5")
    >>> maps, field = cams.read("one_class_touching", ["cam", "classes"]), fields.read("one_class_touching")
    >>> label = irn.label_arrays(**maps, **field, height=120, width=160)
    >>> int((label["instance_score"] > 0).sum())
    3
    """
    settings = settings_of_options(changes or {}, {}, "see irn config")
    maps = {"cam": np.asarray(cam, np.float32), "classes": np.asarray(classes)}
    field = {"boundary": np.asarray(boundary, np.float32), "displacement": np.asarray(displacement, np.float32)}
    return labels_of(maps, field, height, width, settings)


def label_image(
    image: str | Path,
    classes: Sequence[int | str],
    classifier: str | Path,
    irnet: str | Path,
    device: str = "auto",
    changes: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Label one image from the weights of both networks.

    Parameters
    ----------
    image: an image file, RGB, grey or palette.
    classes: names or zero-based indices of the classes that are in it.
    classifier, irnet: weights files of `irn train-cam` and `irn train-irn`, or imported ones.
    device: `auto`, `cpu` or `cuda`.
    changes: as in `label_arrays`.

    Returns
    -------
    As `label_arrays`, and `cam`, `boundary` and `displacement`, which it takes.

    Raises
    ------
    IrnError for a class that the classifier does not know, and for files that cannot be read.
    """
    settings = settings_of_options(changes or {}, {}, "see irn config")
    pixels, chosen = read_image(Path(image), value_range=settings.dataset.value_range), choose_device(device)
    (model, read), (heads, about) = load_classifier(Path(classifier)), load_irnet(Path(irnet))
    count, known = model.classifier.out_channels, {name: index for index, name in enumerate(read["class_names"] or [])}
    indices = [known.get(one, -1) if isinstance(one, str) else int(one) for one in classes]
    wrong = [one for one, index in zip(classes, indices, strict=True) if not 0 <= index < count]
    if wrong:
        names = f"; {', '.join(known)}" if known else ""
        raise IrnError(f"classes: {wrong[0]!r}, but {classifier} knows {count} classes, counted from 0{names}")
    for network in (model, heads):
        for_inference(network, chosen)
    height, width = pixels.shape[:2]
    small = bounded(pixels, settings.dataset.max_side)
    with torch.inference_mode(), autocast(chosen, settings.precision):
        scaled = [torch.from_numpy(at_scale(small, scale)).to(chosen) for scale in settings.cam.scales]
        cam = class_attention_maps(model, scaled, indices, height, width)[0]
        boundary, displacement = fields(
            heads, torch.from_numpy(small).to(chosen), about["crop_size"], about["mean_displacement"]
        )
    field = field_of_size(
        {"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()}, cells(height), cells(width)
    )
    maps = {"cam": cam.cpu().numpy(), **field}
    return maps | label_arrays(classes=indices, height=height, width=width, changes=changes, **maps)


def open_network(*weights: str | Path, device: str = "auto", changes: Mapping[str, Any] | None = None) -> Predictor:
    """Open a trained network to segment new images, as `irn predict` does.

    Parameters
    ----------
    weights: a file of Mask R-CNN, of DeepLab or of a classifier, or those of a classifier and of IRNet.
    device: `auto`, `cpu` or `cuda`.
    changes: as in `label_arrays`, such as `{"predict.class_score": 0.3}` or `{"dataset.max_side": 1024}`.

    Returns
    -------
    What takes an image file or (height, width, 3) uint8 pixels and gives `masks` (N, height, width) bool, `classes` (N,),
    `scores` (N,), best first, and `semantic` (height, width); its `names` are those of the classes. Where the weights are a
    classifier's, the classes of an image are guessed, and `guessed` (classes,) and `probability` (classes,) say which.

    Raises
    ------
    IrnError for weights of other kinds, and for files that cannot be read.

    Examples
    --------
    >>> network = irn.open_network("cam.pt", device="cpu")  # doctest: +SKIP
    >>> found = network("dog.jpg")  # doctest: +SKIP
    >>> [network.names[index] for index in found.classes]  # doctest: +SKIP
    ['dog']
    """
    settings = settings_of_options(changes or {}, {}, "see irn config")
    return open_predictor({Path(path): load_file(Path(path)) for path in weights}, settings, choose_device(device))
