# The command snakemake of .venv: what Snakemake would answer by a traceback is one line. `make env` installs it.
import atexit
import signal
import sys

from irn.errors import IrnError
from irn.workflow.snakemake_call import prepare


def interrupt(number, frame):
    """Let Snakemake end its jobs, and say last how to go on."""
    atexit.register(print, "snakemake: interrupted; the same command goes on from there", file=sys.stderr)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.default_int_handler(number, frame)


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


def run():
    try:
        prepare(sys.argv[1:])
    except IrnError as error:
        print(f"snakemake: {error}", file=sys.stderr)
        sys.exit(2)
    # The Snakefile imports the package of its own checkout.
    for name in [name for name in sys.modules if name.partition(".")[0] == "irn"]:
        del sys.modules[name]
    # It looks for the user's home when it is imported.
    from snakemake import cli
    from snakemake.logging import logger

    hold_the_profile(cli, logger)
    signal.signal(signal.SIGINT, interrupt)
    sys.exit(cli.main())


if __name__ == "__main__":
    run()
