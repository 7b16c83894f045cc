"""What to say of a job that failed: its last words, or why it could not have any, and where to read more."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from irn.io.progress import last_words

LINES = 8  # of a log, at most
KILLED = 128 + 9  # exit code of a shell whose command got SIGKILL
TERMINATED = 128 + 15
MISTAKES = (2, 3)  # exit codes of a command whose message says what to do
MESSAGE = re.compile(r"irn [a-z-]+: ")  # its beginning
ABOVE, IN_LOG = re.compile(r"(in the table|listed) above\b"), r"\1 in the log"
# In what SLURM says of a job.
OUT_OF_MEMORY, OUT_OF_TIME = "OUT_OF_MEMORY", "'TIMEOUT'"


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    title: its stage in words.
    log: what it printed, if it came so far.
    code: the exit code of its command, if that is known; it is not on a cluster.
    reason: what the cluster says, if it is on one.
    """

    title: str
    log: Path | None = None
    code: int | None = None
    reason: str = ""

    @cached_property
    def words(self) -> list[str]:
        """The last lines of its log."""
        return last_words(self.log, LINES) if self.log else []

    @property
    def message(self) -> str:
        """The line in which its command says what a user has to do; empty where it says none."""
        if self.code not in (None, *MISTAKES):
            return ""
        # What Python prints when it ends may be below; on a cluster an earlier message may be of another try.
        lines = [line for line in (self.words if self.code else self.words[-1:]) if MESSAGE.match(line)]
        return ABOVE.sub(IN_LOG, lines[-1]) if lines else ""

    def lines(self, mark: str) -> list[str]:
        """What is said of it."""
        message = self.message
        words = [message] if message else self._last_words()
        code = "" if message or self.code is None else f" (exit code {self.code})"
        lines = [f"{mark} {self.title} failed{code}", *(f"    {line}" for line in words)]
        if not message and (remedy := self._remedy(words)):
            lines.append(f"    {remedy}")
        return [*lines, f"    log: {self.log}"] if self.log else lines

    def _last_words(self) -> list[str]:
        if self.code in (KILLED, TERMINATED):
            return []  # the shell's line about it
        # Without the command of sbatch, which follows its message.
        reason = " ".join(self.reason.partition("\n    sbatch call:")[0].split())
        return [*self.words, reason] if reason else self.words

    def _remedy(self, words: list[str]) -> str:
        if self.code == KILLED or OUT_OF_MEMORY in self.reason:
            return (
                "It was killed, as happens when memory runs out: give it more memory, or take fewer --cores, a lower"
                " batch_size, crop_size or dataset.max_side."
            )
        if OUT_OF_TIME in self.reason:
            return "It ran out of time: the same command goes on from there; set-resources gives it more (docs/hpc.md)."
        if self.code == TERMINATED:
            return "Another program or the system has ended it: the same command goes on from there."
        if self.reason or any("CancelledError" in line or "KeyboardInterrupt" in line for line in words):
            return ""
        return "irn does not know this error; the log says where it happened." if self.log else ""


def exit_code(error: str) -> int | None:
    """The exit code in the error that Snakemake reports for a job's command."""
    if "SIGKILL" in error:
        return KILLED
    code = re.search(r"non-zero exit status (\d+)", error)
    return int(code[1]) if code else None
