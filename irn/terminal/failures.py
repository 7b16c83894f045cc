"""What to say of a job that failed: its last words, or why it could not have any, and where to read more."""

import re
from pathlib import Path

from irn.io.progress import last_words

LINES = 8  # of a log, at most
KILLED = 128 + 9  # exit code of a shell whose command got SIGKILL
TERMINATED = 128 + 15
MISTAKE = 2  # exit code of a command whose message says what to do


def exit_code(error: str) -> int | None:
    """The exit code in the error that Snakemake reports for a job's command."""
    if "SIGKILL" in error:
        return KILLED
    code = re.search(r"non-zero exit status (\d+)", error)
    return int(code[1]) if code else None


def report_of_failure(title: str, log: Path | None, code: int | None, mark: str) -> list[str]:
    """The lines about a failed job."""
    words = last_words(log, LINES) if log else []
    if code == MISTAKE:
        # The message alone; what is above it is in the log.
        words = [line.replace(" more, in the table above)", " more, in the table in the log)") for line in words[-1:]]
    elif code in (KILLED, TERMINATED):
        words = []  # the shell's line about it
    lines = [f"{mark} {title} failed{'' if code in (None, MISTAKE) else f' (exit code {code})'}"]
    lines += [f"    {line}" for line in words]
    if remedy := _remedy(words, code):
        lines.append(f"    {remedy}")
    return [*lines, f"    log: {log}"] if log else lines


def _remedy(words: list[str], code: int | None) -> str:
    if code == KILLED:
        return (
            "It was killed, as happens when memory runs out: give it more memory, or take fewer --cores, a lower"
            " batch_size, crop_size or dataset.max_side."
        )
    if code == TERMINATED:
        return "Another program or the system has ended it: the same command goes on from there."
    if code == MISTAKE:
        return ""  # its message has one
    if any("CancelledError" in line or "KeyboardInterrupt" in line for line in words):
        return ""
    return "irn does not know this error; the log says where it happened."
