"""The HDF5 caches: the only place that knows their format (docs/caches.md).

One file a shard, one group an image named by its id, with attributes `height` and `width` of the original image.
Every array is compressed with gzip, shuffled and carries a Fletcher-32 checksum, all of which plain h5py reads.
"""

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import h5py
import numpy as np

from irn.errors import IrnError
from irn.files import whole_file
from irn.tables import MAX_CLASSES, read_manifest

FORMAT_VERSION = 1
STRIDE = 4

# What h5py raises where bytes are wrong: KeyError for a name whose header it cannot read, UnicodeDecodeError for text that is none.
DAMAGE = (OSError, RuntimeError, KeyError, UnicodeDecodeError)


class ArraySpec(NamedTuple):
    """Dimensions by name, NumPy kinds that readers accept, number type written, and by how much rounding may change a value (0: exact)."""

    dims: tuple[str | int, ...]
    kinds: str
    dtype: str
    error: float = 0.0


# Errors stay inside the tolerances of the published numbers. 2^-12 is half of the smallest step that values are rounded to.
FORMATS: dict[str, dict[str, ArraySpec]] = {
    "cam": {
        "classes": ArraySpec(("K",), "ui", "uint16"),
        "cam": ArraySpec(("K", "h", "w"), "f", "float16", 4e-4),
        "high_res": ArraySpec(("K", "height", "width"), "f", "float16", 4e-4),
    },
    "ir_label": {"label": ArraySpec(("height", "width"), "ui", "uint8")},
    "field": {
        "boundary": ArraySpec(("h", "w"), "f", "float16", 2**-12),
        # Exact: in a noisy field an error of 2^-20 cells leads one cell in fifty to another instance.
        "displacement": ArraySpec((2, "h", "w"), "f", "float32"),
    },
    "walk": {
        "walk": ArraySpec(("M", "h", "w"), "f", "float32"),
        "walk_class": ArraySpec(("M",), "ui", "uint16"),
        "walk_instance": ArraySpec(("M",), "ui", "uint16"),
    },
    "label": {
        "semantic": ArraySpec(("height", "width"), "ui", "uint8"),
        "instance_map": ArraySpec(("height", "width"), "ui", "uint16"),
        "instance_class": ArraySpec(("N",), "ui", "uint16"),
        "instance_score": ArraySpec(("N",), "f", "float32"),
    },
}


def cells(pixels: int) -> int:
    """How many cells of stride 4 cover so many pixels."""
    return -(-pixels // STRIDE)


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
        self._disk = self._stack.enter_context(_Disk(partial, "w+"))
        self._stack.callback(self._disk.check)
        # The newest layout has checksums on its own structures too, the old one has none.
        self._file = self._stack.enter_context(h5py.File(self._disk, "w", libver="latest", track_order=True))
        self._file.attrs["format_version"] = FORMAT_VERSION
        self._file.attrs["stage"] = self.provenance["stage"]
        self._file.attrs["provenance"] = json.dumps(self.provenance, sort_keys=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, image_id: str, height: int, width: int, arrays: dict[str, np.ndarray]) -> None:
        """Add one image; `arrays` holds exactly the arrays of this kind of cache, rounded here to the steps of `FORMATS`."""
        formats = FORMATS[self.kind]
        check_arrays(f"image {image_id!r}", formats, arrays, height, width)
        group = self._file.create_group(image_id)
        group.attrs["height"], group.attrs["width"] = height, width
        for name, spec in formats.items():
            _store(group, name, spec, arrays[name])
        self._disk.check()


class _Disk(io.FileIO):
    """A file that keeps its first error for `check`: HDF5 goes on after a failed write, and may crash later."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, or nothing more after an error."""
        rest = memoryview(data).cast("B")
        while len(rest) and self.error is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file to `size`, or do nothing after an error."""
        try:
            return super().truncate(size) if self.error is None else 0
        except OSError as error:
            self.error = error
            return 0

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self.error is not None:
            raise self.error


class CacheReader:
    """Read images by id from one or more cache files of one kind; files are opened by the process that reads.

    Raises IrnError on opening for a file that is missing, no HDF5 file or of another format version, and for an id that two files hold.
    """

    def __init__(self, paths: Sequence[Path], kind: str) -> None:
        self.paths, self.kind = [Path(path) for path in paths], kind
        self._where: dict[str, Path] = {}
        self._files: dict[tuple[int, Path], h5py.File] = {}
        for path in self.paths:
            try:
                with _open(path) as file:
                    ids = list(file)
            except DAMAGE as error:
                raise _damaged(path, error) from None
            for image_id in ids:
                if image_id in self._where:
                    raise IrnError(f"{path}: image {image_id!r} is also in {self._where[image_id]}; give each image in one cache file only")
                self._where[image_id] = path

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}

    @property
    def ids(self) -> list[str]:
        """Image ids, file after file, in the order in which they were written."""
        return list(self._where)

    def listed(self, manifest: Path | None, split: str | None) -> list[str]:
        """Ids of a split of the manifest, or, without one, of the first file; IrnError for a split without a manifest."""
        if manifest is not None:
            return [record.image_id for record in read_manifest(manifest, split)]
        if split is not None:
            raise IrnError(f"--split {split}: caches know of no splits; give the manifest too, with --manifest")
        return [image_id for image_id, path in self._where.items() if path == self.paths[0]]

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._where

    def require(self, image_ids: Iterable[str]) -> None:
        """Raise IrnError when an image is in none of the files."""
        missing = [image_id for image_id in image_ids if image_id not in self._where]
        if missing:
            files = ", ".join(str(path) for path in self.paths)
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise IrnError(f"{files}: image {missing[0]!r}{more} is missing; run the stage that makes this {self.kind} cache for it")

    def size(self, image_id: str) -> tuple[int, int]:
        """(height, width) of the original image in pixels."""
        group = self._group(image_id)
        try:
            return int(group.attrs["height"]), int(group.attrs["width"])
        except DAMAGE as error:
            raise _damaged(self._where[image_id], f"image {image_id!r}: {error}") from None

    def require_size(self, image_id: str, height: int, width: int, source: str) -> None:
        """Raise IrnError when the image has other (height, width) here than `source` says."""
        size = self.size(image_id)
        if size != (height, width):
            path = self._where[image_id]
            found = f"{size[0]} x {size[1]} pixels, {source} says {height} x {width}"
            raise IrnError(f"{path}: image {image_id!r} is {found}; make both from the same images")

    def read(self, image_id: str, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """The named arrays of one image (all by default), floats as float32.

        Raises IrnError for an image that is missing, a failed checksum, or an array that is missing or has another shape
        or number type than the format says, numbers that are not finite, or a class that label maps cannot hold.
        """
        formats = FORMATS[self.kind]
        chosen = {name: formats[name] for name in (formats if names is None else names)}
        datasets, path = self._datasets(image_id, chosen), self._where[image_id]
        try:
            arrays = {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
        except DAMAGE as error:
            raise _damaged(path, f"image {image_id!r}: {error}") from None
        where = f"{path}: image {image_id!r}"
        check_arrays(where, chosen, arrays, *self.size(image_id))
        arrays = {name: a.astype(np.float32, copy=False) if a.dtype.kind == "f" else a for name, a in arrays.items()}
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise IrnError(f"{where}, array {name!r} holds numbers that are not finite; look for the mistake in the stage that made it")
            # Such a class would turn into another one in a map of bytes.
            if "class" in name and array.size and not 0 <= array.min() <= array.max() < MAX_CLASSES:
                raise IrnError(
                    f"{where}, array {name!r} holds {array.min()} to {array.max()}; expected zero-based class indices below {MAX_CLASSES}"
                )
        return arrays

    def check(self, image_id: str) -> None:
        """Raise IrnError for arrays of an image that `read` would refuse by shape or number type, without reading them."""
        formats = FORMATS[self.kind]
        arrays = self._datasets(image_id, formats)
        check_arrays(f"{self._where[image_id]}: image {image_id!r}", formats, arrays, *self.size(image_id))

    def provenance(self) -> list[dict[str, Any]]:
        """What made each file; empty for files that came from elsewhere."""
        found = []
        for path in self.paths:
            try:
                found.append(json.loads(self._file(path).attrs.get("provenance", "{}")))
            except (*DAMAGE, ValueError) as error:
                raise _damaged(path, f"provenance: {error}") from None
        return found

    def _group(self, image_id: str) -> h5py.Group:
        self.require([image_id])
        path = self._where[image_id]
        try:
            return self._file(path)[image_id]
        except DAMAGE as error:
            raise _damaged(path, f"image {image_id!r}: {error}") from None

    def _datasets(self, image_id: str, names: Iterable[str]) -> dict[str, h5py.Dataset]:
        """Those of the named arrays that the image has."""
        group = self._group(image_id)
        try:
            found = {name: group[name] for name in names if name in group}
        except DAMAGE as error:
            raise _damaged(self._where[image_id], f"image {image_id!r}: {error}") from None
        return {name: item for name, item in found.items() if isinstance(item, h5py.Dataset)}

    def _file(self, path: Path) -> h5py.File:
        # HDF5 files do not survive a fork, so every process opens its own.
        key = (os.getpid(), path)
        if key not in self._files:
            self._files[key] = _open(path)
        return self._files[key]


def check_arrays(
    where: str, formats: dict[str, ArraySpec], arrays: Mapping[str, np.ndarray | h5py.Dataset], height: int, width: int
) -> None:
    """Raise IrnError, naming `where`, unless every array has the shape and number type of `formats` and they agree on K, M and N."""
    sizes: dict[str | int, int] = {"height": height, "width": width, "h": cells(height), "w": cells(width)}
    for name, spec in formats.items():
        remedy = "delete the file and make it again"
        if name not in arrays:
            raise IrnError(f"{where}: array {name!r} is missing; give a cache of the right kind, or {remedy}")
        array = arrays[name]
        expected = tuple(dim if isinstance(dim, int) else sizes.get(dim, dim) for dim in spec.dims)
        same = array.ndim == len(expected) and all(isinstance(e, str) or e == n for e, n in zip(expected, array.shape, strict=True))
        if not same:
            wanted = str(expected).replace("'", "")
            raise IrnError(f"{where}: array {name!r} has shape {array.shape}, expected {wanted}; {remedy}")
        if array.dtype.kind not in spec.kinds:
            wanted = "a float type" if "f" in spec.kinds else "an integer type"
            raise IrnError(f"{where}: array {name!r} has number type {array.dtype}, expected {wanted}; {remedy}")
        sizes.update({dim: n for dim, n in zip(spec.dims, array.shape, strict=True) if isinstance(dim, str)})


def _store(group: h5py.Group, name: str, spec: ArraySpec, array: np.ndarray) -> None:
    if spec.error:
        array = _rounded(np.asarray(array, np.float32), spec.error)
    array = np.asarray(array).astype(spec.dtype)
    if array.size == 0:
        group.create_dataset(name, data=array)
        return
    # A chunk is one map: that is what is read at a time.
    chunks = (1, *array.shape[1:]) if array.ndim == 3 else array.shape
    group.create_dataset(name, data=array, chunks=chunks, compression="gzip", compression_opts=5, shuffle=True, fletcher32=True)


def _rounded(array: np.ndarray, error: float) -> np.ndarray:
    """The nearest multiple of 2^-10 where that is within `error`, else of 2^-11, both of them exact in float16 for values in [0, 1]."""
    coarse, fine = (np.round(array * steps) / np.float32(steps) for steps in (1024, 2048))
    return np.where(np.abs(coarse - array) <= np.float32(error), coarse, fine)


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise IrnError(f"{path}: no such cache file; run the stage that makes it")
    try:
        file = h5py.File(path, "r")
        version = file.attrs.get("format_version")
    except DAMAGE as error:
        raise _damaged(path, error) from None
    if not np.array_equal(version, FORMAT_VERSION):
        file.close()
        found = "none" if version is None else str(version)
        raise IrnError(f"{path}: cache format_version is {found}, expected {FORMAT_VERSION}; delete the file and make it again")
    return file


def _damaged(path: Path, reason: object) -> IrnError:
    return IrnError(f"{path}: the cache is damaged ({' '.join(str(reason).split())}); delete the file and make it again")
