"""Files that appear under their name only when they are whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from irn.errors import IrnError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; rename it to `path` on success, remove it on any error.

    The temporary name is `<path>.partial`, fixed, so that what a killed process left is overwritten by the next try.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        # The bytes must be on the disk before the name is: a reboot must not leave a whole-looking stub.
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """As `whole_file`, of a folder that does not exist yet or is empty; IrnError for one that holds something."""
    path = Path(path).absolute()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise IrnError(f"{path}: exists already and is not an empty folder; name a new one, or remove this one")
    partial = path.with_name(path.name + ".partial")
    missing = [folder for folder in path.parents if not folder.exists()]
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        # The bytes must be on the disk before the name is, as above.
        os.sync()
        partial.replace(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def dictionaries_of_maps(path: Path) -> IrnError | None:
    """What to say of a file or folder of `.npy` dictionaries that is given as a CAM cache; None of any other."""
    if not (path.suffix == ".npy" or (path.is_dir() and any(path.glob("*.npy")))):
        return None
    return IrnError(
        f"{path}: .npy dictionaries of class maps, as IRNet and its relatives write them with numpy.save, expected"
        " a CAM cache; make one with irn import-cams --manifest M --labels L --npy DIR --out F"
    )
