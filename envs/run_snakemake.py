# The command snakemake of .venv: what Snakemake would answer by a traceback is one line. `make env` installs it.
import argparse
import atexit
import signal
import sys

INTERRUPTED = 130  # exit codes, as shells have the first
MISTAKE = 2
interrupts = []  # the signals that came


def interrupt(number, frame):
    """Let Snakemake end its jobs, and say last how to go on, unless the display of the run says it."""
    interrupts.append(number)
    atexit.register(say_how_to_go_on)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.default_int_handler(number, frame)


def display_says(what):
    """Whether the display of the run, which irn/terminal/attach.py keeps, says of itself that it is so."""
    logger = getattr(sys.modules.get("snakemake.logging"), "logger", None)
    return getattr(getattr(logger, "display", None), what, False)


def say_how_to_go_on():
    if not display_says("is_interrupted"):
        print("snakemake: interrupted; the same command goes on from there", file=sys.stderr)


def hold_the_profile(cli, logger):
    """Keep the line on profiles, which Snakemake prints before it has a log file, for irn/terminal/attach.py."""
    logger.held_lines = []

    def print_or_hold(*words, **options):
        line = " ".join(map(str, words))
        if line.startswith("Using ") and "profile" in line:
            logger.held_lines.append(line)
        else:
            print(*words, **options)

    cli.print = print_or_hold


def say_mistakes_in_a_line(modules, in_words):
    """Have the modules of Snakemake that print errors end with a line for those that users make."""

    def print_in_words(error, *more):
        words = in_words(error)
        if words is not None:
            refuse(words)
        print_as_before(error, *more)

    print_as_before = modules[0].print_exception
    for module in modules:
        module.print_exception = print_in_words


def refuse(words):
    print(f"snakemake: {words}", file=sys.stderr)
    sys.exit(MISTAKE)


def call():
    from irn.errors import IrnError
    from irn.workflow.snakemake_call import mistake_in_words, option_in_words, prepare

    def refuse_arguments(parser, message):
        refuse(option_in_words(message, parser._option_string_actions))

    try:
        prepare(sys.argv[1:])
    except IrnError as error:
        refuse(error)
    # The Snakefile imports the package of its own checkout.
    for name in [name for name in sys.modules if name.partition(".")[0] == "irn"]:
        del sys.modules[name]
    # It looks for the user's home when it is imported.
    from snakemake import api, cli
    from snakemake.logging import logger

    argparse.ArgumentParser.error = refuse_arguments
    hold_the_profile(cli, logger)
    say_mistakes_in_a_line((cli, api), mistake_in_words)
    cli.main()


def run():
    signal.signal(signal.SIGINT, interrupt)
    try:
        call()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as stop:
        if interrupts:
            sys.exit(INTERRUPTED)
        sys.exit(MISTAKE if stop.code == 1 and display_says("met_mistakes_alone") else stop.code)


if __name__ == "__main__":
    run()
