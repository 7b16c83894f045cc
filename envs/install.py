# What `make env` does: installs irn into .venv, a line a step. It runs before any package is there, by the Python that
# .venv is to have.
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

OLDEST = (3, 11)
FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
LOOK = 0.5  # seconds between two states of the line of a step
LAST = 12  # lines of the log that a failure shows

# commands: lists of words; goes_on: what to say where one fails and the rest does without; empty: all needs it.
Step = namedtuple("Step", "title commands goes_on")


def steps(root):
    python = str(root / ".venv/bin/python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pinned = str(root / "requirements.txt")
    return [
        Step("an empty environment", [[sys.executable, "-m", "venv", str(root / ".venv")]], ""),
        Step(
            "torch, on Linux with CUDA (2.4 GB)",
            [[*pip, "--constraint", pinned, "torch", "torchvision"]],
            "",
        ),
        Step(
            "other packages and irn itself (0.4 GB)",
            [[*pip, "-r", pinned], [*pip, "--no-build-isolation", "--no-deps", "-e", str(root)]],
            "",
        ),
        Step(
            "pydensecrf2, which few need",
            [[*pip, "-r", str(root / "requirements-crf.txt")]],
            "went on without it, as it needs a C++ compiler; only ir_labels.crf: pydensecrf asks for it",
        ),
        Step(
            "machine code of the fast loops",
            [[python, "-m", "irn.inference.precompile"]],
            "",
        ),
    ]


class Line:
    """The line of a step: on a terminal it shows the time and what is at work; elsewhere it is printed once."""

    def __init__(self, words):
        self.words, self.began, self.lives = words, time.monotonic(), sys.stdout.isatty()
        if not self.lives:
            print(words, flush=True)

    def show(self, log):
        if self.lives:
            row = f"  {self.words}  {clock(self.began)}  {in_words(lines_of(log)[-1:])}"
            print("\r" + row[: shutil.get_terminal_size().columns - 1] + "\033[K", end="", flush=True)

    def end(self, mark, more=()):
        if self.lives:
            print(f"\r{mark} {self.words}  {clock(self.began)}\033[K")
        for line in more:
            print(f"    {line}", flush=True)


def clock(began):
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes}:{seconds:02}"


def run(step, line, log):
    """Run the commands of a step; returns whether all went well."""
    # pip writes a line a package, and nothing while it downloads one.
    variables = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with open(log, "a", encoding="utf-8") as file:
        for command in step.commands:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=variables)
            while process.poll() is None:
                line.show(log)
                try:
                    process.wait(LOOK)
                except subprocess.TimeoutExpired:
                    continue
            if process.returncode:
                return False
    return True


def in_words(lines):
    """What pip is doing, from the last line of its log, in a few words; empty where that says nothing."""
    doing, what, *more = [*"".join(lines).split(), "", ""]
    if doing == "Installing":
        return "unpacking"
    if doing not in ("Downloading", "Collecting"):
        return ""
    name = what.partition("-")[0] if doing == "Downloading" else what.partition("=")[0]
    size = " ".join(more).strip() if doing == "Downloading" else ""
    return f"{doing.lower()} {name} {size}".rstrip()


def lines_of(log):
    return log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []


def last_words(log):
    """The lines of the log that pip calls errors, or its last ones, and what else pip does not say of an error."""
    lines = lines_of(log)
    errors = [line for line in lines if line.startswith(("ERROR:", "error:", "WARNING: Retrying"))]
    advice = "Is the package index within reach, and has it these versions for this Python? pip's own settings count."
    return [*errors[:LAST], advice] if errors else lines[-LAST:]


def install(steps, log):
    """Run all steps; returns an exit code."""
    began = time.monotonic()
    print("Installing irn into .venv, once: 2.8 GB to download, 6 GB on disk", flush=True)
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"")
    for number, step in enumerate(steps, 1):
        line = Line(f"{number} of {len(steps)}: {step.title}")
        try:
            is_done = run(step, line, log)
        except KeyboardInterrupt:
            line.end("✗", ["interrupted; the same command installs what is missing"])
            return INTERRUPTED
        if is_done:
            line.end("✓")
        elif step.goes_on:
            line.end("-", [f"{step.goes_on} ({log})"])
        else:
            line.end("✗", [*last_words(log), f"log: {log}"])
            return FAILED
    print(f"Installed in {clock(began)}", flush=True)
    return 0


def main():
    root = Path(__file__).resolve().parents[1]
    if sys.version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        advice = f"Python {oldest} or newer is needed: make env PYTHON=python{oldest}"
        print(f"{sys.executable} is Python {sys.version.split()[0]}; {advice}", file=sys.stderr)
        return MISTAKE
    # A terminal without these letters shows others.
    sys.stdout.reconfigure(errors="replace")
    code = install(steps(root), root / ".venv/install.log")
    if code == 0:
        snakemake = root / ".venv/bin/snakemake"
        snakemake.write_text(f'#!/bin/sh\nexec "{root}/.venv/bin/python" "{root}/envs/run_snakemake.py" "$@"\n')
    return code


if __name__ == "__main__":
    sys.exit(main())
