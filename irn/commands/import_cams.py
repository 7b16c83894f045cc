"""A CAM cache from the `.npy` dictionaries of IRNet and its relatives."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from irn.checks.maps import check_maps
from irn.data.cam_dictionaries import read_dictionary
from irn.data.cam_layouts import NAMES, laid_out, without_negatives
from irn.data.tables import ImageClasses, images_of, read_classes
from irn.errors import IrnError
from irn.grid import cells
from irn.io.cache import write_cache
from irn.io.parallel import map_images
from irn.ops.maps import at_pixels, in_cells
from irn.records import ImageRecord
from irn.workflow.provenance import provenance

Maps = dict[str, np.ndarray]


def import_cams(
    manifest: Path, labels: Path, npy: Path, out: Path, split: str | None = None, workers: int | None = None
) -> None:
    """Write a CAM cache of the images of a split from `npy/<image_id>.npy`, a dictionary of numpy.save each.

    A dictionary has `keys`, K class indices from 0, and `cam` (K, h, w), `high_res` (K, height, width) or both, in
    [0, 1], as arrays or tensors; or another of the layouts in irn/data/cam_layouts.py. If only one of the two sizes is
    there, the other is computed from it. An image without a class may lack maps, or its file. No code in the files is
    run.

    Raises
    ------
    IrnError for a file that is missing or has other contents, maps of another size, values that are not finite or
    outside of [0, 1], and classes that the image does not have by `labels`.
    """
    made_by = provenance("import_cams", split=split)
    if not npy.is_dir():
        raise IrnError(f"--npy {npy}: no such folder; expected one with <image_id>.npy for each image")
    table, records = read_classes(labels), images_of(manifest, split)
    noted: Counter[str] = Counter()
    take = partial(_maps, folder=npy, table=table)

    def counted() -> Iterator[Maps]:
        for maps, notes in map_images(take, records, workers):
            noted.update(notes)
            yield maps

    write_cache(out, "cam", made_by, records, counted())
    for note, count in sorted(noted.items()):
        print(f"{note}: {count} of {len(records)} images")


def _maps(record: ImageRecord, folder: Path, table: ImageClasses) -> tuple[Maps, list[str]]:
    """The maps of one image, and notes on where they come from."""
    present, path = table.of(record.image_id), folder / f"{record.image_id}.npy"
    if not present and not path.exists():
        return _no_maps(record), ["no class and no file"]
    size, small_size = (record.height, record.width), (cells(record.height), cells(record.width))
    laid = laid_out(path, read_dictionary(path, NAMES), present, size)
    if laid.small is None and laid.large is None and laid.classes.size:
        raise IrnError(f"{path}: no maps in it; expected 'cam', 'high_res' or 'attn_highres' beside 'keys'")
    maps, notes = {"classes": laid.classes}, laid.notes
    for name, called, array, shape in (
        ("cam", laid.names[0], laid.small, small_size),
        ("high_res", laid.names[1], laid.large, size),
    ):
        if array is not None:
            _check(path, called, array, (laid.classes.size, *shape), "in cells of 4 pixels" if name == "cam" else "")
            maps[name], has_negatives = without_negatives(array)
            notes += ["pixels slightly below 0, which became 0"] if has_negatives else []
    check_maps(str(path), maps, record.image_id, table)
    if not laid.classes.size:
        return _no_maps(record), []
    if "cam" not in maps:
        maps["cam"] = in_cells(maps["high_res"])
        made_from = "the maps" if laid.names[1].isdigit() else laid.names[1]
        notes.append(f"cam made from {made_from}, by the mean of each cell of 4 x 4 pixels")
    if "high_res" not in maps:
        maps["high_res"] = at_pixels(maps["cam"], record.height, record.width)
        notes.append("high_res made from cam, bilinearly")
    return maps, list(dict.fromkeys(notes))


def _check(path: Path, name: str, array: Any, expected: Sequence[int], unit: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise IrnError(f"{path}: {name!r} is {kind}; expected an array of floats")
    # Without a class an empty array of any shape will do.
    if array.shape != tuple(expected) and (array.size or expected[0]):
        size = " ".join(["of the image", unit]).strip()
        each = "class" if name.isdigit() else "of 'keys'"
        raise IrnError(
            f"{path}: {name!r} has shape {array.shape}, expected {tuple(expected)}: one map for each {each}, in the"
            f" manifest's size {size}; make both from the same images"
        )
    if not np.isfinite(array).all():
        raise IrnError(f"{path}: {name!r} holds numbers that are not finite; look for the mistake in what made it")


def _no_maps(record: ImageRecord) -> Maps:
    size, small = (record.height, record.width), (cells(record.height), cells(record.width))
    return {
        "classes": np.zeros(0, np.int64),
        "cam": np.zeros((0, *small), np.float32),
        "high_res": np.zeros((0, *size), np.float32),
    }
