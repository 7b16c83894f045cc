"""The command line, made from irn/workflow/stages.py and irn/settings/values.py. Nothing heavy is imported until a command runs."""

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import shtab

from irn import __version__
from irn.errors import IrnError
from irn.io.memory import keep_freed_memory
from irn.settings.checking import settings_of_options
from irn.settings.table import Setting, of_stage
from irn.workflow.argument_types import FileToWrite, file_to_write
from irn.workflow.command import Command
from irn.workflow.commands import COMMANDS, GROUPS

HELP_WIDTH = 100
# The extras of pyproject.toml by the modules that they bring.
EXTRAS = {
    "altair": "report",
    "jinja2": "report",
    "onnx": "onnx",
    "pandas": "report",
    "pydensecrf": "crf",
    "vl_convert": "report",
}


class InGroups(argparse.RawDescriptionHelpFormatter):
    """Help of all commands, which stand in groups at its end."""

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        yield from ()


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, or 2 after one line on standard error for a mistake of the user's."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = vars(build_parser().parse_args(arguments))
    command = COMMANDS[options.pop("command")]
    keep_freed_memory()
    try:
        _check_outputs(options)
        if rows := _rows(command):
            given = {row.key: options.pop(row.key) for row in rows if row.key in options}
            options["settings"] = settings_of_options(
                given, {row.key: row.flag for row in rows}, f"see irn {command.words} --help"
            )
        module = importlib.import_module(f"irn.commands.{command.function}")
        function: Callable[..., None] = getattr(module, command.function)
        if command.network:
            function = partial(function, command.network)
        if "processes" in options:
            function = partial(_together, function, options.pop("processes"), arguments)
        function(**options)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        remedy = f"pip install 'irn[{EXTRAS[error.name]}]'"
        _say(f"irn {command.words}: ", f"needs the package {error.name}, which is not installed; {remedy} brings it")
        return 2
    except (IrnError, OSError, MemoryError, RuntimeError) as error:
        _say(f"irn {command.words}: ", _in_one_line(error, command))
        return 2
    return 0


def _together(function: Callable[..., None], processes: int, arguments: Sequence[str], **options: Any) -> None:
    """Run a command that several processes can share: in this one, or by torchrun in so many, which run this again."""
    from irn.io.devices import hand_out_gpus
    from irn.io.processes import is_one_of_several, sharing_one_output, start

    if processes > 1 and not is_one_of_several():
        hand_out_gpus(processes, options["device"])
        start(processes, arguments)
        return
    with sharing_one_output():
        function(**options)


def _say(who: str, said: str) -> None:
    """Say what was wrong: here, or where this is one of several processes by the one that started them."""
    if "TORCHELASTIC_ERROR_FILE" in os.environ:
        from irn.io.processes import record

        record(said)
    else:
        print(who + said, file=sys.stderr)


def _in_one_line(error: Exception, command: Command) -> str:
    """What to say of a mistake, or of a lack of memory; raises any other error."""
    said = " ".join(str(error).split())
    if isinstance(error, MemoryError | RuntimeError):
        # torch raises a RuntimeError, of several kinds on GPUs.
        signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
        if isinstance(error, RuntimeError) and not any(sign in said for sign in signs):
            raise error
        return f"not enough memory{said and f' ({said})'}; {_what_to_lower(command)}give the command more memory"
    return said


def build_parser() -> Parser:
    """All commands with their options."""
    about = "Weakly supervised instance segmentation with inter-pixel relations, stage by stage."
    parser = Parser(prog="irn", description=about, epilog=_groups(), formatter_class=InGroups)
    parser.add_argument("--version", action="version", version=f"irn {__version__}")
    parser.add_argument(
        "--print-completion",
        choices=shtab.SUPPORTED_SHELLS,
        default=argparse.SUPPRESS,
        action=shtab.completion_action(parser),
        help="print a script that completes commands, options and files in a shell",
    )
    commands = parser.add_subparsers(
        dest="command",
        required=True,
        title="commands",
        metavar="COMMAND",
        help="one of those below",
        parser_class=Parser,
    )
    for command in COMMANDS.values():
        own = commands.add_parser(command.words, help=command.help, description=command.help, allow_abbrev=False)
        for option in command.takes:
            told = option.keywords
            shown = (
                told["help"] if told.get("default") in (None, ()) else f"{told['help']} (default: {told['default']})"
            )
            added: Any = own.add_argument(option.flag, **{**told, "help": shown})
            if told.get("type") in (Path, file_to_write):
                added.complete = shtab.FILE
        for row in _rows(command):
            _add_setting(own, row)
        own.set_defaults(command=command.name)
    return parser


def _groups() -> str:
    """Every command with its help, in the groups of irn/workflow/stages.py."""
    lines = []
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        for command in commands:
            lines += textwrap.wrap(
                command.help, HELP_WIDTH, initial_indent=f"  {command.words:20}", subsequent_indent=" " * 22
            )
    return "\n".join([*lines[1:], "", "irn COMMAND --help says all of a command."])


def _rows(command: Command) -> list[Setting]:
    """The settings that are options of a command."""
    return [row for row in of_stage(command.name) if row.flag]


def _add_setting(parser: Parser, row: Setting) -> None:
    """An option that is checked later, by the words and ranges of the setting; it has its default where it is not given."""
    many = isinstance(row.default, tuple) or "list" in row.expected
    shown = " ".join(map(str, row.default)) if isinstance(row.default, tuple) else row.default
    told: dict[str, Any] = {"nargs": "+"} if many else {}
    meaning = row.meaning.replace("`", "") + ("" if row.default is None else f" (default: {shown})")
    metavar = row.flag.strip("-").replace("-", "_").upper()
    parser.add_argument(
        row.flag, dest=row.key, default=argparse.SUPPRESS, metavar=metavar, help=meaning.replace("%", "%%"), **told
    )


def _check_outputs(options: dict[str, Any]) -> None:
    """IrnError where a file to write is one that is read, or another one to write."""
    named: dict[str, str] = {}
    for name in sorted(options, key=lambda name: isinstance(options[name], FileToWrite)):
        values = options[name] if isinstance(options[name], list) else [options[name]]
        for path in (value for value in values if isinstance(value, Path)):
            flag, place = f"--{name.replace('_', '-')}", os.path.realpath(path)
            if isinstance(path, FileToWrite) and place in named:
                raise IrnError(f"{flag} {path}: {named[place]} is the same file, which would be replaced; name another")
            named[place] = flag


def _what_to_lower(command: Command) -> str:
    """The options that memory depends on, and the keys of those that are settings."""
    keys = {row.flag: f"{row.flag} ({row.key})" for row in _rows(command)} | {
        option.flag: option.flag for option in command.takes
    }
    sizes = [
        keys[flag] for flag in ("--batch-size", "--crop-size", "--long-side", "--scales", "--workers") if flag in keys
    ]
    parts = f"raise {keys['--accumulate']}, which computes a batch in parts, " if "--accumulate" in keys else ""
    return f"{parts}lower {' or '.join(sizes)}, or " if sizes else ""
