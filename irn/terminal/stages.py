"""The stages of a run as they start, go on and end: events go in, lines come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from irn.io.bars import NAME, Pace, Reached, clock, fitted, in_units, progress_line
from irn.io.progress import done_in, reached_in

NARROW = 64  # columns below which a line does not say what was made
COUNT, TIME = 12, 7
QUEUED = 5  # seconds after which a job without a log waits for a cluster
NOT_STAGES = ("all", "total")  # in Snakemake's counts of jobs


@dataclass
class Job:
    """A job at work. In one with several loops, `reached` is about the present one and `first` about the first."""

    log: Path | None
    reached: Reached | None = None
    first: Reached | None = None
    is_queued: bool = False

    def look(self) -> bool:
        """Read in the log how far it is; returns whether a loop has begun."""
        before = self.reached
        self.is_queued = self.log is not None and not self.log.exists()
        self.reached = (reached_in(self.log) if self.log else None) or before
        if self.reached is None:
            return False
        if self.first is None or self.first.what == self.reached.what:
            self.first = self.reached
        else:
            self.first = self.first._replace(done=self.first.total)
        return before is None or before.what != self.reached.what


@dataclass
class Stage:
    """A rule with all its jobs: the splits and shards, and those of several seeds and settings.

    worked: seconds during which jobs were at work, up to the last moment when none was; since: when those now at work
    began.
    """

    rule: str
    title: str
    jobs: int
    worked: float = 0.0
    since: float = 0.0
    running: dict[int, Job] = field(default_factory=dict)
    done: int = 0
    failed: set[int] = field(default_factory=set)
    count: dict[str, int] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)

    @property
    def share(self) -> float:
        """What is done of the stage, from 0 to 1, without jobs that failed."""
        reached = sum(job.reached.share for job in self.running.values() if job.reached)
        return (self.done + reached) / max(1, self.jobs - len(self.failed))

    def start(self, number: int, job: Job, now: float) -> None:
        """Take a job that starts."""
        if not self.running:
            self.since = now
        self.running[number] = job

    def end(self, number: int, now: float) -> Job:
        """Take a job that ended, well or not."""
        job = self.running.pop(number)
        if not self.running:
            self.worked += now - self.since
        return job

    def seconds(self, now: float) -> float:
        """How long at least one of its jobs has been at work."""
        return self.worked + (now - self.since if self.running else 0.0)

    def count_of_running(self, now: float) -> str:
        """How far it is: in images or steps, in jobs where their logs say nothing, or still queued."""
        if now - self.since > QUEUED and all(job.is_queued for job in self.running.values()):
            return "queued"
        if self.jobs > 1:
            return self._count_of_jobs()
        return next((job.reached.in_words for job in self.running.values() if job.reached), "")

    def _count_of_jobs(self) -> str:
        """What all jobs together have gone through; of how many, once each job has said its own number."""
        firsts = [job.first for job in self.running.values() if job.first]
        units = {first.unit for first in firsts} | self.count.keys()
        if len(units) != 1:
            return f"{self.done} of {self.jobs} jobs"
        (unit,) = units
        ended = self.count.get(unit, 0)
        done = ended + sum(first.done for first in firsts)
        if self.done + len(firsts) < self.jobs:
            return in_units(done, unit)
        return Reached("", done, ended + sum(first.total for first in firsts), unit).in_words

    def name(self) -> str:
        """Its title, with the loop that a single job is in where that is not its first."""
        loops = [
            job.reached.what
            for job in self.running.values()
            if job.reached and job.first and job.reached.what != job.first.what
        ]
        return f"{self.title}: {loops[0]}" if self.jobs == 1 and loops else self.title

    def time(self, now: float) -> str:
        """The time left, or as long as that is not known how long it has been at work."""
        seconds = self.seconds(now)
        left = self.pace.left(self.share, seconds)
        return f"{clock(seconds)} so far" if left is None else f"{clock(left)} left"

    def made(self) -> str:
        """What it made, seen from the folder of the run."""
        return self.outputs[0] if len(self.outputs) == 1 else f"{self.rule}/"


class Stages:
    """All stages of a run, in the order in which they start."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.at_work: dict[str, Stage] = {}
        self.stages_done = 0

    @property
    def running(self) -> int:
        """How many jobs are at work."""
        return sum(len(stage.running) for stage in self.at_work.values())

    def plan(self, jobs: Mapping[str, int]) -> None:
        """Take the number of jobs of each rule."""
        self.jobs = {rule: count for rule, count in jobs.items() if rule not in NOT_STAGES}

    def start(
        self, number: int, rule: str, title: str, log: Path | None, output: str | None, now: float
    ) -> Stage | None:
        """Take a job that starts, with what it makes as it is seen; returns its stage if that starts with it."""
        stage = self.at_work.get(rule)
        is_first = stage is None
        if stage is None:
            stage = self.at_work[rule] = Stage(rule, title, self.jobs.get(rule, 1))
        stage.start(number, Job(log), now)
        if output and output not in stage.outputs:
            stage.outputs.append(output)
        return stage if is_first else None

    def finish(self, number: int, now: float) -> Stage | None:
        """Take a job that ended well; returns its stage if that is done with it."""
        stage = self._stage_of(number)
        if stage is None:
            return None
        job = stage.end(number, now)
        through = done_in(job.log) if job.log else None
        if through:
            stage.count[through.unit] = stage.count.get(through.unit, 0) + through.total
        stage.done += 1
        if stage.done < stage.jobs:
            return None
        self.stages_done += 1
        return self.at_work.pop(stage.rule)

    def fail(self, number: int, now: float) -> Stage | None:
        """Take a job that failed; returns its stage."""
        stage = self._stage_of(number)
        if stage:
            stage.end(number, now)
            stage.failed.add(number)
            stage.pace = Pace()
        return stage

    def retry(self, number: int) -> None:
        """Take a job that failed and is tried again."""
        for stage in self.at_work.values():
            if number in stage.failed:
                stage.failed.remove(number)
                stage.pace = Pace()

    def look(self) -> None:
        """Read in the logs how far each job is."""
        for stage in self.at_work.values():
            looks = [job.look() for job in stage.running.values()]
            if stage.jobs == 1 and any(looks):
                stage.pace = Pace()

    def rows(self, now: float, width: int, in_ascii: bool = False) -> list[str]:
        """A line for each stage at work."""
        lines = []
        for stage in filter(lambda stage: stage.running, self.at_work.values()):
            words = (stage.name(), stage.share, stage.count_of_running(now), stage.time(now))
            lines.append("  " + progress_line(*words, width - 2, in_ascii))
        return lines

    def in_words(self, now: float) -> list[str]:
        """How far each stage at work is, where nothing can be redrawn."""
        lines = []
        for stage in filter(lambda stage: stage.running, self.at_work.values()):
            lines.append(", ".join(filter(None, [stage.name(), stage.count_of_running(now), stage.time(now)])))
        return lines

    def _stage_of(self, number: int) -> Stage | None:
        return next((stage for stage in self.at_work.values() if number in stage.running), None)


def line_of_done(stage: Stage, width: int, mark: str) -> str:
    """What a stage went through, how long its jobs took, and what it made."""
    count = ", ".join(in_units(number, unit) for unit, number in stage.count.items())
    time, made = clock(stage.worked), stage.made()
    if width < NARROW:
        return f"{mark} {fitted(stage.title, width - TIME - 3)} {time:>{TIME}}"
    line = f"{mark} {fitted(stage.title, NAME)} {count:>{COUNT}} {time:>{TIME}}  "
    return line + (made if len(line + made) <= width else f"{stage.rule}/")
