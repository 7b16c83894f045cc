"""The command line, made from the rows of commands and settings. Nothing heavy is imported until a command runs."""

import argparse
import importlib
import os
import re
import select
import sys
import textwrap
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

import shtab

from irn import __version__
from irn.errors import IrnError, nearest
from irn.io.account import suit_the_system
from irn.io.memory import keep_freed_memory
from irn.settings.checking import settings_of_options
from irn.settings.lookup import Setting, of_stage
from irn.workflow.argument_types import FileToWrite, file_to_write
from irn.workflow.command import Command
from irn.workflow.commands_without_rule import COMMANDS, GROUPS
from irn.workflow.options import Option

HELP_WIDTH = 100
MANY = 10  # choices, of which a message does not list all
INTERRUPTED = 130  # as shells have it
CLOSED = 141  # likewise, where nobody reads the output any more
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
    """Help of all commands, which lists them in groups at its end."""

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        yield from ()


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {_with_nearest(' '.join(message.split()))}; see {self.prog} --help\n")


class CommandParser(Parser):
    """The parser of a command, which tells of an unknown option before one that is missing: it may be meant for it."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the parser's own."""
        for word in args or ():
            if word == "--":
                break
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                near = nearest(name, self._option_string_actions)
                self.error(f"{name}: no such option" + (f"; did you mean {near}?" if near else ""))
        return super().parse_known_args(args, namespace)


def _with_nearest(message: str) -> str:
    """What argparse says of an invalid choice, with the nearest one in place of many."""
    choice = re.fullmatch(r"(.*)invalid choice: '(.*)' \(choose from (.*)\)", message)
    if choice is None:
        return message
    names = [name.strip("' ") for name in choice[3].split(",")]
    near = nearest(choice[2].lower(), names)
    if near:
        return f"{choice[1]}{choice[2]!r} is not known; did you mean {near}?"
    return message if len(names) < MANY else f"{choice[1]}{choice[2]!r} is not known"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns the exit code: 0, or, after one line on standard error, 2 for a user's mistake, 3 where some images could
    not be used, and 130 for a command that was interrupted; 141 where a reader of the output stopped early, as `head`.
    """
    suit_the_system()
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def _is_closed(stream: TextIO) -> bool:
    """Whether nobody reads any more what is written to a pipe."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _run(arguments: Sequence[str]) -> int:
    options = vars(build_parser().parse_args(arguments))
    command = COMMANDS[options.pop("command")]
    keep_freed_memory()
    try:
        _check_outputs(options)
        _take_settings(options, command)
        function = _function_of(command)
        if "processes" in options:
            function = partial(_in_processes, function, options.pop("processes"), arguments)
        function(**options)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        remedy = f"pip install 'irn[{EXTRAS[error.name]}]'"
        _complain(command, f"needs the package {error.name}, which is not installed; {remedy} brings it")
        return 2
    except (IrnError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
            raise
        _complain(command, _in_one_line(error, command))
        return error.exit_code if isinstance(error, IrnError) else 2
    except KeyboardInterrupt:
        goes_on = command.function.startswith("train_")
        again = "the same command goes on after the last whole epoch" if goes_on else "run the same command again"
        _complain(command, f"interrupted; {again}")
        return INTERRUPTED
    return 0


def _take_settings(options: dict[str, Any], command: Command) -> None:
    """Replace the options that are settings by `settings`, if the command has any."""
    settings = _settings_with_option(command)
    if settings:
        values = {setting.key: options.pop(setting.key) for setting in settings if setting.key in options}
        flags = {setting.key: setting.flag for setting in settings}
        options["settings"] = settings_of_options(values, flags, f"see irn {command.words} --help")


def _function_of(command: Command) -> Callable[..., None]:
    module = importlib.import_module(f"irn.commands.{command.function}")
    function: Callable[..., None] = getattr(module, command.function)
    return partial(function, command.network) if command.network else function


def _in_processes(function: Callable[..., None], processes: int, arguments: Sequence[str], **options: Any) -> None:
    """Run a command in this process, or have torchrun start several that share the work and run this again."""
    from irn.io.devices import hand_out_gpus
    from irn.io.processes import is_one_of_several, sharing_one_output, start

    if processes > 1 and not is_one_of_several():
        hand_out_gpus(processes, options["device"])
        start(processes, arguments)
        return
    with sharing_one_output():
        function(**options)


def _complain(command: Command, message: str) -> None:
    """Print what was wrong; one of several processes leaves that to the process that started them."""
    if "TORCHELASTIC_ERROR_FILE" in os.environ:
        from irn.io.processes import record

        record(message)
    else:
        print(f"irn {command.words}: {message}", file=sys.stderr)


def _in_one_line(error: Exception, command: Command) -> str:
    """The message for a mistake or a lack of memory; raises any other error."""
    message = " ".join(str(error).split())
    if not isinstance(error, MemoryError | RuntimeError):
        return message
    # torch raises a RuntimeError, of several kinds on GPUs.
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    if isinstance(error, RuntimeError) and not any(sign in message for sign in signs):
        raise error
    return f"not enough memory{message and f' ({message})'}; {_what_to_lower(command)}give the command more memory"


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
        parser_class=CommandParser,
    )
    for command in COMMANDS.values():
        subparser = commands.add_parser(command.words, help=command.help, description=command.help, allow_abbrev=False)
        for option in command.takes:
            _add_option(subparser, option)
        for setting in _settings_with_option(command):
            _add_setting(subparser, setting)
        subparser.set_defaults(command=command.name)
    return parser


def _groups() -> str:
    """Every command with its help, in groups."""
    lines = []
    column = max(len(command.words) for command in COMMANDS.values()) + 2
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        for command in commands:
            lines += textwrap.wrap(
                command.help,
                HELP_WIDTH,
                initial_indent=f"  {command.words:{column}}",
                subsequent_indent=" " * (column + 2),
            )
    return "\n".join([*lines[1:], "", "irn COMMAND --help describes a command."])


def _settings_with_option(command: Command) -> list[Setting]:
    """The settings that are options of a command."""
    return [setting for setting in of_stage(command.name) if setting.flag]


def _add_option(parser: Parser, option: Option) -> None:
    keywords = dict(option.keywords)
    if keywords.get("default") not in (None, ()):
        keywords["help"] += f" (default: {keywords['default']})"
    action: Any = parser.add_argument(option.flag, **keywords)
    if keywords.get("type") in (Path, file_to_write):
        action.complete = shtab.FILE


def _add_setting(parser: Parser, setting: Setting) -> None:
    """Add the option of a setting. Its value is checked later, by the rules of settings; the default is theirs too."""
    is_list = isinstance(setting.default, tuple) or "list" in setting.expected
    default = " ".join(map(str, setting.default)) if isinstance(setting.default, tuple) else setting.default
    meaning = setting.meaning.replace("`", "") + ("" if setting.default is None else f" (default: {default})")
    keywords: dict[str, Any] = {"nargs": "+"} if is_list else {}
    parser.add_argument(
        setting.flag,
        dest=setting.key,
        default=argparse.SUPPRESS,
        metavar=setting.flag.strip("-").replace("-", "_").upper(),
        help=meaning.replace("%", "%%"),
        **keywords,
    )


def _check_outputs(options: dict[str, Any]) -> None:
    """Raise IrnError if a file to write is also read, or is to be written twice."""
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
    names = {setting.flag: f"{setting.flag} ({setting.key})" for setting in _settings_with_option(command)}
    names |= {option.flag: option.flag for option in command.takes}
    flags = ("--batch-size", "--crop-size", "--max-side", "--long-side", "--scales", "--workers")
    sizes = [names[flag] for flag in flags if flag in names]
    parts = f"raise {names['--accumulate']}, which computes a batch in parts, " if "--accumulate" in names else ""
    return f"{parts}lower {' or '.join(sizes)}, or " if sizes else ""
