"""The display of a run: a handler of Snakemake's log that says what people want to know; the file has the rest."""

import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irn.io.bars import clock
from irn.terminal.failures import Failure, exit_code
from irn.terminal.screen import EVERY, FAILED, FAILED_IN_ASCII, OK, OK_IN_ASCII, Nowhere, Screen
from irn.terminal.stages import Stages, line_of_done

TICK = 0.5  # seconds between two looks at the logs, longer where there are many
JOBS_A_TICK = 20
RETRIED_WITHIN = 2.0  # seconds after a failure in which Snakemake says that it tries again
GO_ON = "Complete files are kept: the same command goes on from here."
# Messages without an event that are for people, by their beginnings.
SHOWN = ("Creating conda environment", "Environment for ", "Downloading and installing")
# Messages from before the workflow starts that are not.
UNSAID = ("Assuming unrestricted shared filesystem", "Using profile", "Using workflow specific profile")
NOTHING_TO_DO = "Nothing to be done"
RETRY = re.compile(r"Trying to restart job (\d+)\.")
INTERRUPTED = "Terminating processes on user request"
STOPPING = "Will exit after finishing"  # after SIGTERM, once for each job that ends
AFTER_FAILURES = ("Exiting because a job execution failed", "WorkflowError:\nAt least one job did not complete")


class RunDisplay(logging.Handler):
    """Takes the records of Snakemake's log; those from before the workflow starts go to the handler that it replaces.

    results: the folder in which results are seen.
    ending: the lines to print where there was nothing to do.
    now: a clock, in seconds.
    seen_as: the place in the folder of results in which a file in the store is seen.
    keeps_going: whether stages that do not need a failed job still start (--keep-going).
    """

    def __init__(
        self,
        screen: Screen,
        replaced: logging.Handler,
        results: Path,
        ending: Callable[[], list[str]],
        now: Callable[[], float] = time.monotonic,
        *,
        seen_as: Callable[[Path], str],
        keeps_going: bool = False,
    ) -> None:
        super().__init__()
        self.screen, self.replaced, self.results, self.ending, self.now = screen, replaced, results, ending, now
        self.seen_as, self.keeps_going = seen_as, keeps_going
        self.stages = Stages()
        self.has_started = self.has_failed = self.is_interrupted = self.is_stopping = False
        self.codes: dict[str | None, int | None] = {}
        self.failures: dict[int, tuple[float, Failure]] = {}
        self.were_mistakes: set[bool] = set()  # of the jobs that failed, whether a message says what to do
        self.drawn = self.said = self.began = now()
        self.ended = threading.Event()
        self.ticker = threading.Thread(target=self._tick_until_the_end, daemon=True)

    @property
    def met_mistakes_alone(self) -> bool:
        """Whether jobs failed, each for a mistake that its last words tell."""
        return self.were_mistakes == {True}

    # ---- records

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(record)
        except Exception:  # Snakemake would end its jobs
            self.handleError(record)

    def _take(self, record: logging.LogRecord) -> None:
        event = str(getattr(record, "event", None) or "")
        if event == "workflow_started":
            self.has_started = True
        elif not self.has_started:
            if not record.getMessage().startswith(UNSAID):
                self.replaced.handle(record)
        elif event:
            take: Callable[[Any], None] | None = getattr(self, f"_take_{event}", None)
            if take:
                take(record)
            elif record.levelno >= logging.WARNING:
                self._say(record.getMessage())
        else:
            self._take_message(record)

    def _take_run_info(self, record: Any) -> None:
        self.stages.plan(record.stats)
        count = len(self.stages.jobs)
        if count:
            self._say(f"{count} stage{'' if count == 1 else 's'} to run; results appear in {self.results}/")
            self.ticker.start()

    def _take_job_info(self, record: Any) -> None:
        if record.rule_name not in self.stages.jobs:
            return
        log = Path(record.log[0]) if record.log else None
        output = self.seen_as(Path(record.output[0])) if record.output else None
        title = (record.rule_msg or record.rule_name).partition(", shard ")[0].rstrip(".")
        stage = self.stages.start(record.jobid, record.rule_name, title, log, output, self.now())
        if stage and not self.screen.redraws:
            number = self.stages.stages_done + len(self.stages.at_work)
            self._say(f"  {stage.title} ({number} of {len(self.stages.jobs)})")
        self._draw()

    def _take_job_finished(self, record: Any) -> None:
        stage = self.stages.finish(record.job_id, self.now())
        self._draw()
        if stage:
            mark = OK_IN_ASCII if self.screen.in_ascii else OK
            self._say(line_of_done(stage, self.screen.width, mark))

    def _take_error(self, record: Any) -> None:
        if getattr(record, "exception", "") == "RuleException":
            self.codes[record.threadName] = exit_code(record.getMessage())
        else:
            self._take_message(record)

    def _take_job_error(self, record: Any) -> None:
        if self.is_interrupted:
            return
        stage = self.stages.fail(record.jobid, self.now())
        title = stage.title if stage else record.rule_name
        written = [log for log in map(Path, record.log) if log.is_file() and log.stat().st_size]
        code = self.codes.pop(record.threadName, None)
        failure = Failure(title, next(iter(written), None), code, getattr(record, "rule_msg", None) or "")
        self.were_mistakes.add(bool(failure.message))
        self.failures[record.jobid] = (self.now(), failure)

    def _take_message(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        retried = RETRY.match(message)
        if retried and int(retried[1]) in self.failures:
            _, failure = self.failures.pop(int(retried[1]))
            self.stages.retry(int(retried[1]))
            self._say(f"  {failure.title} failed and is tried again")
        elif message.startswith(NOTHING_TO_DO):
            for line in [message, *self.ending()]:
                self._say(line)
        elif message.startswith(INTERRUPTED):
            self.is_interrupted = True
            self._end_drawing()
            self._say(f"Stopping what is at work. {GO_ON}")
        elif message.startswith(STOPPING):
            if not self.is_stopping:
                self._say(f"What is at work goes on to its end, then the run stops. {GO_ON}")
            self.is_stopping = True
        elif message.startswith("Complete log"):
            self._finish(message)
        elif message.startswith(AFTER_FAILURES) and (
            self.has_failed or self.failures or self.is_interrupted or self.is_stopping
        ):
            pass  # the job's own report says it
        elif record.levelno >= logging.WARNING or message.startswith(SHOWN):
            self._say(message)

    # ---- what is seen

    def tick(self) -> None:
        """Look at the logs, and show how far the jobs are."""
        now = self.now()
        self._report_failures(before=now - RETRIED_WITHIN)
        if now - self.drawn >= TICK * max(1, self.stages.running / JOBS_A_TICK):
            self.drawn = now
            if self.screen.redraws:
                self.stages.look()
            self._draw()
        if not self.screen.redraws and now - self.said >= EVERY and self.stages.running:
            self.stages.look()
            self._say("  " + "; ".join(self.stages.in_words(now)))

    def _report_failures(self, before: float) -> None:
        """Say which jobs failed for good before a time."""
        for number, (when, failure) in list(self.failures.items()):
            if when > before:
                continue
            del self.failures[number]
            lines = failure.lines(FAILED_IN_ASCII if self.screen.in_ascii else FAILED)
            if not self.has_failed and self.keeps_going:
                lines.append("    What does not need it goes on.")
            elif not self.has_failed and self.stages.running:
                lines.append("    What is at work goes on to its end, then the run stops.")
            self.has_failed = True
            for line in lines:
                self._say(line)

    def _draw(self) -> None:
        if not self.screen.redraws or self.ended.is_set():
            return
        now = self.now()
        rows = self.stages.rows(now, self.screen.width - 1, self.screen.in_ascii)
        done, count = self.stages.stages_done, len(self.stages.jobs)
        rows.append(f"  {done} of {count} stages done, {clock(now - self.began)} so far")
        self._on_screen(self.screen.draw, [row[: self.screen.width - 1] for row in rows])

    def _say(self, line: str) -> None:
        self.said = self.now()
        self._on_screen(self.screen.say, line)

    def _finish(self, message: str) -> None:
        """Say what is left to say when all jobs have ended."""
        self._report_failures(before=self.now())
        self._end_drawing()
        if self.has_failed:
            self._say(f"{GO_ON} Snakemake's log: {message.partition(': ')[2]}")

    def _end_drawing(self) -> None:
        self.ended.set()
        self._on_screen(self.screen.close)

    def _on_screen(self, show: Callable[..., None], *what: Any) -> None:
        """Show something. Without a terminal any more, or on a full disk, the jobs go on and nothing is said."""
        try:
            show(*what)
        except OSError:
            self.ended.set()
            self.screen = Nowhere()

    def _tick_until_the_end(self) -> None:
        while not self.ended.wait(TICK):
            with self.lock or threading.RLock():
                if not self.ended.is_set():
                    self.tick()

    def end(self) -> None:
        """Stop drawing, so that something else can be printed."""
        self.acquire()
        self._end_drawing()
        self.release()

    def close(self) -> None:
        if not self.is_interrupted:
            self._report_failures(before=self.now())
        self.end()
        super().close()
