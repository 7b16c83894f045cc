"""What is checked and set before Snakemake starts: its own answers to such mistakes are tracebacks.

`make env` puts a command `snakemake` into .venv/bin that does this first (envs/run_snakemake.py).
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from irn.errors import IrnError
from irn.io.account import suit_the_system
from irn.settings.reading import read_file

FILES = ("--configfile", "--configfiles")
ENTRIES = ("--config", "-C")
_ENTRY = re.compile(r"[A-Za-z_]\w*=")


def prepare(arguments: Sequence[str]) -> None:
    """Give the user a home, a cache and a name where the system has none; IrnError for mistakes in arguments."""
    suit_the_system()
    _find_a_home()
    for path in _values(arguments, FILES):
        _check_file(path)
    for entry in _values(arguments, ENTRIES):
        _check_entry(entry)
    folder = Path(next(_values(arguments, ("--directory", "-d")), "."))
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise IrnError(
            f"{folder.absolute()}: cannot be written to, and the workflow writes results/ and .snakemake/ there; go to"
            " another folder, or name one by --directory"
        )


def _values(arguments: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """The values of some options: what follows them up to the next option."""
    takes = False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("-"):
            takes = argument in options
            if equals and name in options:
                yield value
        elif takes:
            yield argument


def _check_file(name: str) -> None:
    from irn.workflow.stages import ALL_STAGES

    if name in {"all", *ALL_STAGES} and not Path(name).exists():
        raise IrnError(
            f"--configfile {name}: a rule's name, where files are expected; write it first: snakemake {name} --cores 2"
            " --configfile FILE"
        )
    with suppress(OSError, ValueError):  # JSON that is not YAML is fine
        json.loads(Path(name).read_text(encoding="utf-8"))
        return
    read_file(Path(name))


def _check_entry(entry: str) -> None:
    from irn.workflow.stages import ALL_STAGES

    if _ENTRY.match(entry):
        return
    if entry in {"all", *ALL_STAGES}:
        raise IrnError(f"--config {entry}: a rule's name, where KEY=VALUE is expected; write it before --config")
    key, equals, value = entry.partition("=")
    sections = key.split(".")
    if equals and len(sections) > 1 and all(part.isidentifier() for part in sections):
        nested = f"{sections[-1]}: {value}"
        for section in reversed(sections[1:-1]):
            nested = f"{section}: {{{nested}}}"
        raise IrnError(f"--config {entry}: dots do not nest here; write --config '{sections[0]}={{{nested}}}'")
    raise IrnError(f"--config {entry}: expected KEY=VALUE, such as run=other or 'walk={{beta: 5}}'")


def _find_a_home() -> None:
    """Set HOME where there is none, and the folder of caches where that cannot be written to."""
    temporary = Path(tempfile.gettempdir()) / f"irn-{os.getuid()}"
    try:
        home = Path.home()
    except RuntimeError:
        home = temporary
        os.environ["HOME"] = str(home)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "snakemake"
    existing = next((folder for folder in (cache, *cache.parents) if folder.exists()), Path("/"))
    if not os.access(existing, os.W_OK):
        os.environ["XDG_CACHE_HOME"] = str(temporary)
    temporary.mkdir(mode=0o700, exist_ok=True)
