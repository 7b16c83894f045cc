"""How the display comes into Snakemake: it replaces the handler that writes Snakemake's log to the terminal."""

import logging
import sys
from typing import Any

from irn.io.progress import draws_on
from irn.terminal.display import RunDisplay
from irn.terminal.dry_run import DryRunDisplay
from irn.terminal.ending import ending
from irn.terminal.screen import Plain, Screen, Terminal
from irn.workflow.run import Run

REPLACED = "DefaultStreamHandler"  # its name in Snakemake
HELD = "held_lines"  # of the logger: what envs/run_snakemake.py held back until there is a log file


def attach(logger: logging.Logger, settings: Any, run: Run, keeps_going: bool = False) -> RunDisplay | None:
    """Show a run in Snakemake's place, unless an option asks for another output (--verbose, --quiet, --logger, -p).

    settings: Snakemake's settings of its output. Its log file stays as it is, and gets the lines that were held back.
    keeps_going: whether it has --keep-going.
    """
    display = _attach(logger, settings, run, keeps_going)
    # Snakemake takes it off before it ends; envs/run_snakemake.py asks it then.
    logger.display = display  # type: ignore[attr-defined]
    for line in getattr(logger, HELD, ()):
        logger.info(line)
    return display


def _attach(logger: logging.Logger, settings: Any, run: Run, keeps_going: bool) -> RunDisplay | None:
    replaced = next((handler for handler in logger.handlers if handler.name == REPLACED), None)
    if replaced is None or settings.verbose or settings.quiet or settings.printshellcmds or settings.debug_dag:
        return None
    if settings.dryrun:
        _replace(logger, replaced, DryRunDisplay(replaced, sys.stdout, run))
        return None
    is_terminal = draws_on(sys.stderr) and not settings.nocolor
    display = RunDisplay(
        _screen(is_terminal), replaced, run.folder, lambda: ending(run), seen_as=run.seen_as, keeps_going=keeps_going
    )
    _replace(logger, replaced, display)
    return display


def finish(run: Run, display: RunDisplay | None) -> None:
    """Say what is said at the end of a run that succeeded."""
    if display:
        display.end()
    screen = display.screen if display else Plain(sys.stderr)
    for line in ending(run):
        screen.say(line)


def _screen(is_terminal: bool) -> Screen:
    try:
        return Terminal(sys.stderr) if is_terminal else Plain(sys.stderr)
    except ImportError:
        # Snakemake of an environment without rich.
        return Plain(sys.stderr)


def _replace(logger: logging.Logger, handler: logging.Handler, display: logging.Handler) -> None:
    logger.removeHandler(handler)
    logger.addHandler(display)
