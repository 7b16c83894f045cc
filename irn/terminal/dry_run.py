"""What a dry run shows: a line a stage with the number of its jobs, and why they would run."""

import logging
import os
from typing import Any, TextIO

from irn.terminal.stages import NOT_STAGES
from irn.workflow.history import what_is_new
from irn.workflow.run import Run

# What Snakemake says of a job with missing files, and of one that reads what another job makes.
MISSING, UPDATED = "Missing output files", "Input files updated by another job"
UNSAID = ("Building DAG of jobs", "Assuming unrestricted", "Using profile", "Using workflow specific", "Reasons:")

LOCKED = "Error: Directory cannot be locked"


class DryRunDisplay(logging.Handler):
    """Takes the records of Snakemake's log in a dry run; others go to the handler that it replaces."""

    def __init__(self, replaced: logging.Handler, stream: TextIO, run: Run) -> None:
        super().__init__()
        self.replaced, self.stream, self.run = replaced, stream, run
        self.jobs: dict[str, int] = {}
        self.reasons: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(record)
            self.stream.flush()
        except BrokenPipeError:
            # As of `head`, which has read enough. Python flushes once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def _take(self, record: logging.LogRecord) -> None:
        event = str(getattr(record, "event", None) or "")
        message = record.getMessage()
        if message.startswith(LOCKED):
            print("notice: another snakemake is at work in this folder", file=self.stream)
        elif event == "run_info":
            self._take_counts(record)
        elif event == "job_info":
            self._take_job(record)
        elif message.startswith("This was a dry-run"):
            print(f"{sum(self.jobs.values())} jobs would run; this was a dry run (-n).", file=self.stream)
        elif record.levelno >= logging.WARNING or not (event or message.startswith(UNSAID) or "metadata" in message):
            self.replaced.handle(record)

    def _take_counts(self, record: Any) -> None:
        jobs = {rule: count for rule, count in record.stats.items() if rule not in NOT_STAGES}
        if not self.jobs:  # Snakemake counts before it lists the jobs, and once more at its end
            self.jobs = jobs
            return
        width = max(map(len, jobs), default=0)
        for rule, count in jobs.items():
            print(f"{rule:{width}} {count:>5}  {self.reasons.get(rule, '')}".rstrip(), file=self.stream)

    def _take_job(self, record: Any) -> None:
        if record.rule_name not in self.reasons or self.reasons[record.rule_name] == UPDATED:
            self.reasons[record.rule_name] = self._why(record)

    def _why(self, record: Any) -> str:
        """Why a job would run: what is new in its recipe if its files are missing, or else as Snakemake says."""
        first = record.reason.partition(";")[0].partition(":")[0]
        recipe = self.run.recipes.get(record.wildcards.get("key", ""))
        return what_is_new(recipe) if first == MISSING and recipe else first
