"""The code in a key: all that a stage's command imports, near or far, except what cannot change what it makes."""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from irn.workflow.sources import keep_digests, what_counts

PACKAGE = Path(__file__).parents[1]
# Their own code only transports and reports; what they import counts.
CARRYING = ("irn.errors", "irn.io")
# What they decide is in a key by other means: settings by their values, weights by the stage that made them, the data
# set by its files. What they import counts only where a stage's own code imports it too.
CONTROLLING = ("irn.settings", "irn.workflow", "irn.weights", "irn.checks", "irn.cli")


class Source(NamedTuple):
    """A module's folder, a digest of what counts in it, and the names that it may import from this package."""

    room: Path
    digest: str
    imported: tuple[str, ...]


def code_fingerprint(*modules: str) -> str:
    """Twelve hexadecimal digits over the code of some modules of this package and of all that they import.

    Comments, docstrings, layout, errors that are raised and what is printed do not count: they make no output stale.
    """
    digests = "\n".join(f"{name} {digest}" for name, digest in sorted(counted_modules(*modules).items()))
    return hashlib.sha256(digests.encode()).hexdigest()[:12]


def counted_modules(*modules: str) -> dict[str, str]:
    """The modules that count, and the templates beside them, each with a digest of what counts in it.

    Raises FileNotFoundError for a module that does not exist: a key without its code would never change.
    """
    for module in modules:
        if _source_of(PACKAGE, module) is None:
            raise FileNotFoundError(f"no module {module}, whose code is to be part of a key")
    seen: dict[str, str] = {}
    visited: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in visited:
            continue
        visited.add(module)
        source = _source_of(PACKAGE, module)
        if source is None or _is_in(module, CONTROLLING):
            continue
        waiting += source.imported
        if not _is_in(module, CARRYING):
            seen[module] = source.digest
            seen |= _templates(source.room)
    keep_digests()
    return seen


@cache
def _templates(room: Path) -> dict[str, str]:
    """The templates of a room, each with a digest."""
    return {f"irn.{room.name}/{path.name}": _digest(path.read_bytes()) for path in room.glob("templates/*")}


def _is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return f"{module}.".startswith(tuple(f"{room}." for room in rooms))


@cache
def _source_of(package: Path, module: str) -> Source | None:
    """What counts of a module; None for a name that an import takes out of a module."""
    path = package.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return Source(path.parent, *what_counts(path.read_bytes())) if path.is_file() else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
