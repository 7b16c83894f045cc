"""What is checked and set before Snakemake starts its jobs: its own answers to such mistakes are tracebacks, or none.

`make env` puts a command `snakemake` into .venv/bin that does this first (envs/run_snakemake.py).
"""

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from irn.errors import IrnError, did_you_mean
from irn.io.account import suit_the_system
from irn.settings.reading import read_file

FILES = ("--configfile", "--configfiles")
ENTRIES = ("--config", "-C")
UNTIL, FORCERUN, OMIT_FROM = ("--until", "-U"), ("--forcerun", "-R"), ("--omit-from", "-O")
_ENTRY = re.compile(r"[A-Za-z_]\w*=")


def prepare(arguments: Sequence[str]) -> None:
    """Give the user a home, a cache and a name where the system has none; IrnError for mistakes in arguments."""
    suit_the_system()
    _find_a_home()
    for options in (FILES, ENTRIES):
        _check_named_once(arguments, options)
    for path in _values(arguments, FILES):
        _check_file(path)
    for entry in _values(arguments, ENTRIES):
        _check_entry(entry)
    for name in _values(arguments, ("--workflow-profile",)):
        _check_profile(name, Path(next(_values(arguments, ("--snakefile", "-s")), "Snakefile")).parent)
    _check_until(list(_values(arguments, UNTIL)))
    folder = Path(next(_values(arguments, ("--directory", "-d")), "."))
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise IrnError(
            f"{folder.absolute()}: cannot be written to, and the workflow writes results/ and .snakemake/ there; go to"
            " another folder, or name one by --directory"
        )


def check_stages(arguments: Sequence[str], stages: Collection[str]) -> None:
    """IrnError for a stage that an option names and the run does not have: Snakemake runs nothing then, or all.

    stages: the names of those that it has.
    """
    from irn.workflow.stages import ALL_STAGES

    for options in (UNTIL, FORCERUN, OMIT_FROM):
        for name in _values(arguments, options):
            if name in ALL_STAGES and name not in stages:
                raise IrnError(
                    f"snakemake: {options[0]} {name}: this run does not have that stage, which needs"
                    f" {ALL_STAGES[name].needs}; set that, or leave {name} out"
                )
            if name not in {"all", *ALL_STAGES} and "/" not in name:
                hint = did_you_mean(name, ALL_STAGES, "name a stage, such as make_labels")
                raise IrnError(f"snakemake: {options[0]} {name}: there is no stage of this name; {hint}")


def mistake_in_words(error: Exception) -> str | None:
    """The line on an error of Snakemake's that is a user's mistake; None for any other."""
    from irn.workflow.stages import ALL_STAGES

    kind, message = type(error).__name__, " ".join(str(error).split())
    if kind == "LockException":
        return (
            f"{Path.cwd()}: another snakemake is at work in this folder; wait for its end. If none is, since one was"
            " killed, give the same command once more with --unlock, and then without"
        )
    if kind == "MissingRuleException":
        target = message.removeprefix("No rule to produce ").partition(" (if you use")[0]
        otherwise = "name a rule, such as export_coco, or nothing for the whole run"
        hint = did_you_mean(target, ["all", *ALL_STAGES], otherwise)
        return f"{target}: there is no rule of this name, and none that makes such a file; {hint}"
    if message.startswith("Target rules may not contain wildcards"):
        names = [name for name in sys.argv[1:] if name in ALL_STAGES and not ALL_STAGES[name].on_request]
        return f"{', '.join(names)}: not a rule to ask for by name; write --until before it, which stops the run there"
    if kind == "ValueError" and _is_about_arguments(error):
        return f"an option has a value that cannot be read ({message}); see snakemake --help"
    return message.removeprefix("Error: ") if kind == "CliException" else None


def _is_about_arguments(error: Exception) -> bool:
    """Whether an error was raised while Snakemake read its arguments."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == "parse_args" and Path(frame.filename).name == "cli.py" for frame in frames)


def option_in_words(message: str, options: Iterable[str]) -> str:
    """The line on an option that Snakemake does not take, from what argparse says of it."""
    unknown = message.removeprefix("unrecognized arguments: ").split()[0]
    hint = did_you_mean(unknown, options if unknown.startswith("-") else (), "see snakemake --help")
    return f"{' '.join(message.split())}; {hint}"


def _check_named_once(arguments: Sequence[str], options: Sequence[str]) -> None:
    named = [argument for argument in arguments if argument.partition("=")[0] in options]
    if len(named) > 1:
        what = "files" if options is FILES else "entries"
        raise IrnError(
            f"{options[0]} is given {len(named)} times, and only the last would count; write all {what} after one"
            f" {options[0]}, with blanks between them"
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


def _check_profile(name: str, checkout: Path) -> None:
    """Snakemake passes over a profile that is not there, and runs on the computer where it was started."""
    places = (Path(name), Path("profiles", name), checkout / "profiles" / name)
    if name != "none" and not any(place.exists() for place in places):
        raise IrnError(f"--workflow-profile {name}: no such folder; expected one such as profiles/slurm")


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
    if set(entry) & set("{}[]"):
        raise IrnError(
            f"--config {entry}: a part of an entry, which the shell has split; put quotes around the whole, such as"
            " 'walk={beta: 5}'"
        )
    key, equals, value = entry.partition("=")
    sections = key.split(".")
    if equals and len(sections) > 1 and all(part.isidentifier() for part in sections):
        nested = f"{sections[-1]}: {value}"
        for section in reversed(sections[1:-1]):
            nested = f"{section}: {{{nested}}}"
        raise IrnError(f"--config {entry}: dots do not nest here; write --config '{sections[0]}={{{nested}}}'")
    raise IrnError(f"--config {entry}: expected KEY=VALUE, such as run=other or 'walk={{beta: 5}}'")


def _check_until(rules: Sequence[str]) -> None:
    """Snakemake forgets a rule to run until where another one is made on the way to it, and fails at the end."""
    from irn.workflow.stages import ALL_STAGES, behind

    for name in ALL_STAGES.keys() & {*rules}:
        later = [rule for rule in rules if rule in behind(name)]
        if later:
            raise IrnError(f"--until {' '.join(rules)}: {name} is made on the way to {later[-1]}; leave {name} out")


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
