"""HDF5 files on disks that may be full and from hands that may have damaged them."""

import io
import os
from pathlib import Path
from typing import Any

import h5py

from irn.errors import IrnError

STRUCTURE = 2**18  # bytes of a file's structure that are kept in memory
# What h5py raises where bytes are wrong. KeyError: a name whose header it cannot read; UnicodeDecodeError: broken text.
DAMAGE = (OSError, RuntimeError, KeyError, UnicodeDecodeError)


class Disk(io.FileIO):
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


def open_unlocked(path: Path) -> h5py.File:
    """Open a file to read, locked or not, on any file system: it appeared when it was whole and stays so."""
    try:
        # A process cannot open a file in two ways at once, so the usual way comes first.
        return h5py.File(path, "r")
    except OSError as error:
        if "lock" not in str(error):
            raise
        return h5py.File(path, "r", locking=False)


def with_small_cache(file: h5py.File) -> h5py.File:
    """The file, of whose structure HDF5 keeps little in memory.

    Each image is read or written once, and the 2 MB that HDF5 keeps by default take 40 MB of the process.
    """
    config = file.id.get_mdc_config()
    config.set_initial_size, config.initial_size = True, STRUCTURE
    config.min_size = config.max_size = STRUCTURE
    file.id.set_mdc_config(config)
    return file


def member(path: Path, group: h5py.Group, name: str) -> Any:
    """A member of a group; IrnError where its content lies in another file: a cache from elsewhere could name any."""
    item = None if isinstance(group.get(name, getlink=True), h5py.ExternalLink) else group[name]
    if item is None or (isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)):
        where = f"{path}: {group.name.rstrip('/')}/{name}"
        raise IrnError(f"{where} lies in another file; write the numbers themselves into the cache")
    return item


def damaged(path: Path, reason: object) -> IrnError:
    """What to say of a cache that h5py cannot read."""
    if isinstance(reason, OSError) and not os.access(path, os.R_OK):
        return IrnError(f"{path}: may not be read; ask its owner for the right to read it, or give a file of your own")
    why = " ".join(str(reason).split())
    if "file signature not found" in why and path.suffix != ".h5":
        return IrnError(f"{path}: not an HDF5 file, as caches are; name one, such as make_labels/0-of-1.h5")
    remedy = "copy it again, or move it away and make it again"
    return IrnError(f"{path}: the cache is damaged ({why}) or its disk cannot be read; {remedy}")
