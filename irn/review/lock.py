"""One review at a time on a folder of corrections: two would each write a table without the other's decisions."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from irn.errors import IrnError


@contextmanager
def only_review(folder: Path) -> Iterator[None]:
    """Keep other reviews off a folder of corrections, which need not exist; one that stays empty is removed again.

    Raises IrnError while there is another review, and for a file in its place.
    """
    if folder.exists() and not folder.is_dir():
        raise IrnError(f"{folder}: is a file, expected a folder for the corrections; give another with --out")
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".review.lock"
    try:
        with FileLock(path, blocking=False):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
    except Timeout:
        raise IrnError(
            f"{folder}: another irn review is open on this folder; end that one, or give another folder with --out"
        ) from None
    finally:
        for place in missing:
            with suppress(OSError):
                place.rmdir()
