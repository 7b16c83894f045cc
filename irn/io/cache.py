"""HDF5 caches: a writer and a reader of the format in irn/io/cache_format.py (docs/formats.md).

One file a shard, one group an image named by its id, with attributes `height` and `width` of the original image.
Every array is compressed with gzip, shuffled and carries a Fletcher-32 checksum, all of which plain h5py reads.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from irn.errors import IrnError
from irn.grid import FORMAT_VERSION, MAX_CLASSES
from irn.io.cache_format import FORMATS, ArraySpec, check_arrays, check_values
from irn.io.files import dictionaries_of_maps, whole_file
from irn.io.hdf5 import DAMAGE, Disk, damaged, member, open_unlocked, with_small_cache
from irn.io.progress import progress
from irn.ops.rounding import rounded
from irn.records import ImageRecord


class CacheWriter:
    """Write one cache file; it appears under its name when the block ends without an error.

    with CacheWriter(path, "cam", provenance) as cache:
        cache.write(image_id, height, width, {"classes": ..., "cam": ..., "high_res": ...})
    """

    def __init__(self, path: Path, kind: str, provenance: dict[str, Any]) -> None:
        self.path, self.kind, self.provenance = Path(path), kind, provenance

    def __enter__(self) -> "CacheWriter":
        self._stack = ExitStack()
        partial = self._stack.enter_context(whole_file(self.path))
        self._disk = self._stack.enter_context(Disk(partial, "w+"))
        self._stack.callback(self._disk.check)
        # The newest layout has checksums on its own structures too, the old one has none.
        file = h5py.File(self._disk, "w", libver="latest", track_order=True)
        self._file = with_small_cache(self._stack.enter_context(file))
        self._file.attrs["format_version"] = FORMAT_VERSION
        self._file.attrs["stage"] = self.provenance["stage"]
        self._file.attrs["provenance"] = json.dumps(self.provenance, sort_keys=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, image_id: str, height: int, width: int, arrays: dict[str, np.ndarray]) -> None:
        """Add one image; `arrays` holds exactly the arrays of this kind of cache; they are rounded by `FORMATS`."""
        formats = FORMATS[self.kind]
        check_arrays(f"image {image_id!r}", formats, arrays, height, width)
        group = self._file.create_group(image_id)
        group.attrs["height"], group.attrs["width"] = height, width
        for name in arrays:
            _store(group, name, formats[name], arrays[name])
        self._disk.check()


def write_cache(
    path: Path,
    kind: str,
    provenance: dict[str, Any],
    records: Sequence[ImageRecord],
    arrays_of_images: Iterable[dict[str, np.ndarray]],
    summary: Callable[[dict[str, np.ndarray]], Any] = lambda arrays: None,
) -> list[Any]:
    """Write a cache of some images with the arrays of each, in their order, and show the progress.

    Returns summary(arrays) of each image.
    """
    summaries = []
    shown = progress(arrays_of_images, len(records), provenance["stage"].replace("_", " "))
    with CacheWriter(path, kind, provenance) as cache:
        for record, arrays in zip(records, shown, strict=True):
            cache.write(record.image_id, record.height, record.width, arrays)
            summaries.append(summary(arrays))
    return summaries


class CacheReader:
    """Read images by id from one or more cache files of one kind; files are opened by the process that reads.

    classes: how many there are; arrays with class indices or labels beyond are refused.
    Raises IrnError on opening for a file that is missing, not HDF5 or of another format version, and for an id that is
    in two files.
    """

    def __init__(self, paths: Sequence[Path], kind: str, classes: int = MAX_CLASSES) -> None:
        self.paths, self.kind, self.classes = [Path(path) for path in paths], kind, classes
        self._where: dict[str, Path] = {}
        self._files: dict[tuple[int, Path], h5py.File] = {}
        for path in self.paths:
            try:
                with _open(path) as file:
                    ids = list(file)
            except DAMAGE as error:
                raise damaged(path, error) from None
            for image_id in ids:
                if image_id in self._where:
                    twice = f"image {image_id!r} is also in {self._where[image_id]}"
                    raise IrnError(f"{path}: {twice}; give each image in one cache file only")
                self._where[image_id] = path

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}

    @property
    def ids(self) -> list[str]:
        """Image ids, file after file, in the order in which they were written."""
        return list(self._where)

    @property
    def ids_of_first_file(self) -> list[str]:
        """Those of the first file alone."""
        return [image_id for image_id, path in self._where.items() if path == self.paths[0]]

    @property
    def stage(self) -> str:
        """The stage that wrote the first file."""
        try:
            with _open(self.paths[0]) as file:
                return str(file.attrs.get("stage", ""))
        except DAMAGE as error:
            raise damaged(self.paths[0], error) from None

    def names(self, image_id: str) -> list[str]:
        """The names of an image's arrays."""
        group = self._group(image_id)
        try:
            return list(group)
        except DAMAGE as error:
            raise damaged(self._where[image_id], f"image {image_id!r}: {error}") from None

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._where

    def require(self, image_ids: Iterable[str], remedy: str = "") -> None:
        """Raise IrnError, with a remedy, when an image is in none of the files."""
        wanted = list(image_ids)
        missing = [image_id for image_id in wanted if image_id not in self._where]
        if missing:
            files = ", ".join(str(path) for path in self.paths)
            more = f" (and {len(missing) - 1} more of {len(wanted)})" if len(missing) > 1 else ""
            remedy = remedy or f"run the stage that makes this {self.kind} cache for it"
            raise IrnError(f"{files}: image {missing[0]!r}{more} is missing; {remedy}")

    def size(self, image_id: str) -> tuple[int, int]:
        """(height, width) of the original image in pixels."""
        group = self._group(image_id)
        try:
            sides = [np.asarray(group.attrs[name]) for name in ("height", "width")]
        except DAMAGE as error:
            raise damaged(self._where[image_id], f"image {image_id!r}: {error}") from None
        for side in sides:
            if not _is_count(side):
                where = f"{self._where[image_id]}: image {image_id!r}"
                raise IrnError(f"{where} has a side of {side}; expected a whole number of pixels above 0")
        return int(sides[0].item()), int(sides[1].item())

    def image(self, record: ImageRecord, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """As `read`, of an image that has to have the size of `record`."""
        size = self.size(record.image_id)
        if size != (record.height, record.width):
            where = f"{self._where[record.image_id]}: image {record.image_id!r}"
            raise IrnError(
                f"{where} is {size[0]} x {size[1]} pixels, expected {record.height} x {record.width};"
                " make both from the same images"
            )
        return self.read(record.image_id, names)

    def read(self, image_id: str, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """The named arrays of one image (all by default, optional ones as far as they are there), floats as float32.

        Raises IrnError for an image that is missing, a failed checksum, an array that is missing or has another shape
        or number type than the format says, numbers that are not finite, and a class or label that cannot be.
        """
        formats = FORMATS[self.kind]
        wanted = {name: formats[name] for name in (formats if names is None else names)}
        datasets, path = self._datasets(image_id, wanted), self._where[image_id]
        where = f"{path}: image {image_id!r}"
        try:
            # Before they are read: a small file can claim to hold more than there is memory.
            check_arrays(where, wanted, datasets, *self.size(image_id))
            arrays = {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
        except MemoryError as error:
            raise IrnError(f"{where} does not fit into memory ({error}); make smaller images") from None
        except DAMAGE as error:
            raise damaged(path, f"image {image_id!r}: {error}") from None
        for name, array in arrays.items():
            if array.dtype.kind != "f":
                continue
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
                arrays[name] = array.astype(np.float32, copy=False)
            if not np.isfinite(arrays[name]).all():
                remedy = "look for the mistake in the stage that made it"
                raise IrnError(f"{where}, array {name!r} holds numbers that are not finite; {remedy}")
        check_values(where, arrays, self.classes)
        return arrays

    def _group(self, image_id: str) -> h5py.Group:
        self.require([image_id])
        path = self._where[image_id]
        try:
            return member(path, self._file(path), image_id)
        except DAMAGE as error:
            raise damaged(path, f"image {image_id!r}: {error}") from None

    def _datasets(self, image_id: str, names: Iterable[str]) -> dict[str, h5py.Dataset]:
        """Those of the named arrays that the image has."""
        group, path = self._group(image_id), self._where[image_id]
        try:
            # A link out of the file that leads nowhere is not "in" the group.
            members = {name: member(path, group, name) for name in names if group.get(name, getlink=True) is not None}
        except DAMAGE as error:
            raise damaged(path, f"image {image_id!r}: {error}") from None
        return {name: item for name, item in members.items() if isinstance(item, h5py.Dataset)}

    def _file(self, path: Path) -> h5py.File:
        # HDF5 files do not survive a fork, so every process opens its own.
        key = (os.getpid(), path)
        if key not in self._files:
            self._files[key] = _open(path)
        return self._files[key]


def provenance_of(path: Path) -> dict[str, Any]:
    """How a cache file was made, as its writer recorded it; empty without. Raises IrnError as `CacheReader` does."""
    try:
        with _open(path) as file:
            return json.loads(file.attrs.get("provenance", "{}"))
    except (*DAMAGE, json.JSONDecodeError) as error:
        raise damaged(path, error) from None


def _is_count(side: np.ndarray) -> bool:
    """Whether an attribute is a whole number above 0; some programs write floats or arrays of one number."""
    if side.size != 1 or side.dtype.kind not in "uif":
        return False
    number = side.item()
    return bool(0 < number < 2**31 and number == int(number))


def _store(group: h5py.Group, name: str, spec: ArraySpec, array: np.ndarray) -> None:
    if spec.error:
        array = rounded(np.asarray(array, np.float32), spec.error)
    array = np.asarray(array).astype(spec.dtype)
    if array.size == 0:
        group.create_dataset(name, data=array)
        return
    # A chunk is one map: that is what is read at a time.
    chunks = (1, *array.shape[1:]) if array.ndim == 3 else array.shape
    group.create_dataset(
        name, data=array, chunks=chunks, compression="gzip", compression_opts=5, shuffle=True, fletcher32=True
    )


def _open(path: Path) -> h5py.File:
    if wrong_format := dictionaries_of_maps(path):
        raise wrong_format
    if not path.is_file():
        if path.is_dir():
            raise IrnError(f"{path}: a folder, where cache files are expected; name those in it, such as {path}/*.h5")
        raise IrnError(f"{path}: no such cache file; run the stage that makes it")
    try:
        file = with_small_cache(open_unlocked(path))
        version = file.attrs.get("format_version")
    except DAMAGE as error:
        raise damaged(path, error) from None
    if not np.array_equal(version, FORMAT_VERSION):
        file.close()
        raise IrnError(
            f"{path}: cache format_version is {'none' if version is None else version}, expected {FORMAT_VERSION};"
            " make it again with this version"
        )
    return file
