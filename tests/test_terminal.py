"""What a run shows while it lives: records of Snakemake's log go in, lines come out."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import ROOT

from irn.io import processor
from irn.io.bars import Pace, clock, progress_line
from irn.io.progress import FOLLOWED, done_in, progress, reached_in
from irn.settings.reading import check_config
from irn.settings.settings import Settings
from irn.terminal.attach import REPLACED, attach
from irn.terminal.display import RunDisplay
from irn.terminal.dry_run import DryRunDisplay
from irn.terminal.ending import faster, next_steps, score_table
from irn.workflow.run import Run

STATS = {"train_cam": 1, "make_cams": 2, "all": 1, "total": 4}


class Screen:
    """A terminal that keeps what it shows."""

    in_ascii = False

    def __init__(self, redraws: bool, width: int) -> None:
        self.redraws, self.width = redraws, width
        self.said: list[str] = []
        self.rows: Sequence[str] = ()

    def say(self, line: str) -> None:
        self.said.append(line)

    def draw(self, rows: Sequence[str]) -> None:
        self.rows = rows

    def close(self) -> None:
        self.rows = ()


class Watched:
    """A run whose events a test tells, with its screen and its clock."""

    def __init__(self, folder: Path, redraws: bool = True, width: int = 80, keeps_going: bool = False) -> None:
        self.folder, self.time = folder, 0.0
        self.screen = Screen(redraws, width)
        self.replaced: list[str] = []
        replaced = logging.Handler()
        replaced.emit = lambda record: self.replaced.append(record.getMessage())  # type: ignore[method-assign]
        self.display = RunDisplay(
            self.screen,
            replaced,
            Path("results/demo"),
            lambda: ["scores"],
            lambda: self.time,
            seen_as=lambda file: str(Path(file.parts[2], *file.parts[4:])),
            keeps_going=keeps_going,
        )
        self.display.ticker.start = lambda: None  # type: ignore[method-assign]

    def tell(self, message: str = "", level: int = logging.INFO, **extra: Any) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
        vars(record).update(extra)
        self.display.handle(record)

    def start(self) -> None:
        self.tell(event="workflow_started")
        self.tell("Building DAG of jobs...")
        self.tell("Job stats: ...", event="run_info", stats=STATS)

    def job(self, number: int, rule: str, message: str, output: str) -> Path:
        """Start a job; gives its log."""
        log, outputs = self.folder / f"{number}.log", [f"results/store/{rule}/0a1b/{output}"]
        names = {"rule_name": rule, "rule_msg": message, "log": [str(log)], "output": outputs}
        self.tell(f"Rule: {rule}", event="job_info", jobid=number, reason="Missing output files: a", **names)
        return log

    def fail(self, number: int, rule: str, code: str = "", reason: str | None = None) -> None:
        """Let a job fail: with a code here, with a reason on a cluster."""
        if code:
            command = f"CalledProcessError:\nCommand 'irn() {{ ...' {code}"
            self.tell(command, logging.ERROR, event="error", exception="RuleException")
        names = {"rule_name": rule, "rule_msg": reason, "log": [str(self.folder / f"{number}.log")]}
        self.tell("Error in rule", logging.ERROR, event="job_error", jobid=number, **names)

    def after(self, seconds: float) -> None:
        self.time += seconds
        self.display.tick()


@pytest.fixture
def run(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


TRAINING = (1, "train_cam", "Training the classifier", "weights.pt")


class TestProgress:
    def test_a_stage_at_work_is_a_row_with_steps_bar_and_time_left(self, run: Watched) -> None:
        run.start()
        assert run.screen.said == ["2 stages to run; results appear in results/demo/"]
        log = run.job(*TRAINING)
        run.after(2)
        assert run.screen.rows[0].split() == ["Training", "the", "classifier", "─" * 10, "0:02", "so", "far"]
        log.write_text("training: 0 of 420 steps\n", encoding="utf-8")
        run.after(1)
        log.write_text(
            "training: 0 of 420 steps\ntraining: 210 of 420 steps, 5.2 a second, 0:40 left\n", encoding="utf-8"
        )
        run.after(40)
        assert "━━━━━─────  210 of 420 steps    0:40 left" in run.screen.rows[0]
        assert run.screen.rows[-1].strip() == "0 of 2 stages done, 0:43 so far"
        log.write_text("training: 420 steps in 1:20\n", encoding="utf-8")
        run.time = 80
        run.tell("Finished jobid: 1", event="job_finished", job_id=1)
        assert run.screen.said[1:] == [
            "✓ Training the classifier                420 steps    1:20  train_cam/weights.pt"
        ]
        assert [row.strip() for row in run.screen.rows] == ["1 of 2 stages done, 1:20 so far"]

    def test_shards_are_one_row_and_their_images_are_added(self, run: Watched) -> None:
        run.start()
        for number in (2, 3):
            message = f"Making class attention maps, shard {number}-of-2 of train"
            log = run.job(number, "make_cams", message, f"{number}-of-2.h5")
            log.write_text("make cams: 50 of 100 images\n", encoding="utf-8")
        run.after(10)
        assert len(run.screen.rows) == 2
        assert "Making class attention maps         ━━━━━───── 100 of 200 images" in run.screen.rows[0]
        for number in (2, 3):
            (run.folder / f"{number}.log").write_text("make cams: 100 images in 0:20\n", encoding="utf-8")
            assert len(run.screen.said) == 1
            run.tell(event="job_finished", job_id=number)
        assert run.screen.said[1].split()[-4:] == ["200", "images", "0:10", "make_cams/"]

    def test_images_are_counted_before_it_is_known_how_many_all_jobs_have(self, run: Watched) -> None:
        run.start()
        log = run.job(2, "make_cams", "Making class attention maps, shard 0-of-1 of train", "0-of-1.h5")
        run.after(1)
        assert "0 of 2 jobs" in run.screen.rows[0]
        log.write_text("make cams: 60 of 130 images\n", encoding="utf-8")
        run.after(1)
        assert run.screen.rows[0].split()[5:7] == ["60", "images"]
        log.write_text("make cams: 130 images in 0:20\n", encoding="utf-8")
        run.tell(event="job_finished", job_id=2)
        log = run.job(3, "make_cams", "Making class attention maps, shard 0-of-1 of val", "0-of-1.h5")
        log.write_text("make cams: 0 of 50 images\n", encoding="utf-8")
        run.after(1)
        assert "130 of 180 images" in run.screen.rows[0]

    def test_time_in_which_no_job_of_a_stage_runs_does_not_count(self, run: Watched) -> None:
        run.start()
        message = "Making class attention maps, shard 0-of-1 of "
        run.job(2, "make_cams", message + "train", "train/0-of-1.h5").write_text("make cams: 100 images in 0:40\n")
        run.after(40)
        run.tell(event="job_finished", job_id=2)
        run.after(600)
        assert [row.strip() for row in run.screen.rows] == ["0 of 2 stages done, 10:40 so far"]
        log = run.job(3, "make_cams", message + "val", "val/0-of-1.h5")
        assert run.screen.rows[0].endswith("0:40 left")
        log.write_text("make cams: 25 of 50 images\n", encoding="utf-8")
        run.after(10)
        assert run.screen.rows[0].endswith("0:17 left")
        log.write_text("make cams: 50 images in 0:21\n", encoding="utf-8")
        run.after(11)
        run.tell(event="job_finished", job_id=3)
        assert run.screen.said[1].split()[-4:] == ["150", "images", "1:01", "make_cams/"]

    def test_a_second_loop_is_named_and_has_a_time_of_its_own(self, run: Watched) -> None:
        run.start()
        log = run.job(*TRAINING)
        log.write_text("training: 400 of 420 steps\n", encoding="utf-8")
        run.after(1)
        log.write_text("training: 420 steps in 1:00\nmean displacement: 0 of 50 images\n", encoding="utf-8")
        run.after(100)
        log.write_text("mean displacement: 25 of 50 images\n", encoding="utf-8")
        run.after(5)
        assert run.screen.rows[0].startswith("  Training the classifier: mean dis..")
        assert run.screen.rows[0].endswith("0:05 left")

    @pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
    def test_no_row_is_wider_than_the_terminal(self, tmp_path: Path, width: int) -> None:
        run = Watched(tmp_path, width=width)
        run.start()
        run.job(*TRAINING).write_text("training: 10000 of 10582 steps\n", encoding="utf-8")
        run.after(5)
        assert all(len(row) < width for row in run.screen.rows)
        assert run.screen.rows[0].startswith("  Train")
        run.tell(event="job_finished", job_id=1)
        assert len(run.screen.said[1]) <= width

    def test_without_a_terminal_there_is_a_line_a_minute_at_most(self, tmp_path: Path) -> None:
        run = Watched(tmp_path, redraws=False)
        run.start()
        run.job(*TRAINING).write_text("training: 0 of 420 steps\n", encoding="utf-8")
        assert run.screen.said[1:] == ["  Training the classifier (1 of 2)"]
        for _ in range(130):
            run.after(1)
            steps = 2 * int(run.time)
            (tmp_path / "1.log").write_text(f"training: {steps} of 420 steps\n", encoding="utf-8")
        assert run.screen.said[2:] == [
            "  Training the classifier, 118 of 420 steps, 1:00 so far",
            "  Training the classifier, 238 of 420 steps, 1:31 left",
        ]

    def test_the_rest_of_snakemakes_log_is_not_shown(self, run: Watched) -> None:
        run.tell("Assuming unrestricted shared filesystem usage.")
        run.start()
        for message in ("Using shell: /usr/bin/bash", "Select jobs to execute...", "Elapsed time: 0:00:56"):
            run.tell(message)
        run.tell("host", event="resources_info")
        run.tell("Complete log(s): x")
        assert len(run.screen.said) == 1
        assert run.replaced == []

    def test_what_is_not_of_a_run_is_left_to_snakemake(self, run: Watched) -> None:
        run.tell("Congratulations, your workflow is in a good condition!")
        assert run.replaced == ["Congratulations, your workflow is in a good condition!"]

    def test_warnings_and_errors_of_snakemake_itself_are_shown(self, run: Watched) -> None:
        run.start()
        run.tell("MissingInputException: no such file", logging.ERROR, event="error", exception="MissingInputException")
        run.tell("the disk is slow", logging.WARNING)
        assert run.screen.said[1:] == ["MissingInputException: no such file", "the disk is slow"]

    def test_when_there_is_nothing_to_do_the_scores_are_shown(self, run: Watched) -> None:
        run.tell(event="workflow_started")
        run.tell("Nothing to be done (all requested files are present and up to date).")
        assert run.screen.said == ["Nothing to be done (all requested files are present and up to date).", "scores"]


class TestFailures:
    def end(self, run: Watched) -> list[str]:
        """What is said of a run whose jobs have all ended."""
        run.tell("Shutting down, this might take some time.")
        run.tell("Exiting because a job execution failed. Look above for error messages", logging.ERROR)
        run.tell("Complete log(s): /tmp/x.snakemake.log")
        error = "WorkflowError:\nAt least one job did not complete successfully."
        run.tell(error, logging.ERROR, event="error", exception="WorkflowError")
        return run.screen.said[1:]

    def test_a_mistake_is_told_once_with_its_remedy(self, run: Watched) -> None:
        run.start()
        log = run.job(*TRAINING)
        message = "irn train-cam: the loss is nan at step 2 of 5; lower the learning rate"
        log.write_text(f"training: 0 of 5 steps\nbackbone: resnet18\n{message}\n", encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 2.")
        assert self.end(run) == [
            "✗ Training the classifier failed",
            f"    {message}",
            f"    log: {log}",
            "Complete files are kept: the same command goes on from here. Snakemake's log: /tmp/x.snakemake.log",
        ]
        assert run.display.met_mistakes_alone

    def test_other_errors_are_told_by_their_last_lines(self, run: Watched) -> None:
        run.start()
        trace = "".join(f"line {number}\n" for number in range(50)) + "ZeroDivisionError: division by zero\n"
        run.job(*TRAINING).write_text(trace, encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 1.")
        said = self.end(run)
        assert said[0] == "✗ Training the classifier failed (exit code 1)"
        assert said[1:9] == [
            *(f"    line {number}" for number in range(43, 50)),
            "    ZeroDivisionError: division by zero",
        ]
        assert not run.display.met_mistakes_alone

    @pytest.mark.parametrize("below", ["", "Exception ignored in: <function x>\nresource_tracker: 1 leaked object\n"])
    def test_a_mistake_is_told_whatever_python_says_when_it_ends(self, run: Watched, below: str) -> None:
        run.start()
        message = "irn predict: 2 images cannot be read, listed above; mend them"
        run.job(*TRAINING).write_text(f"a.jpg is cut\n{message}\n{below}", encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 3.")
        said = self.end(run)
        assert said[:2] == ["✗ Training the classifier failed", f"    {message.replace('above', 'in the log')}"]
        assert not any("irn does not know" in line for line in said)
        assert run.display.met_mistakes_alone

    def test_a_mistake_on_a_cluster_is_told_as_elsewhere(self, run: Watched) -> None:
        run.start()
        log = run.job(*TRAINING)
        log.write_text("irn train-cam: no; do that\n", encoding="utf-8")
        run.fail(1, "train_cam", reason="SLURM-job '12' failed, SLURM status is: 'FAILED'. Reason: Step 0: NonZero.")
        assert self.end(run)[:3] == [
            "✗ Training the classifier failed",
            "    irn train-cam: no; do that",
            f"    log: {log}",
        ]
        assert run.display.met_mistakes_alone

    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            ("SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'. Reason: Unknown.", "give it more memory"),
            ("SLURM-job '12' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown.", "It ran out of time"),
            (
                "SLURM sbatch failed. The error message was 'invalid\npartition'.\n    sbatch call:\n  x",
                "invalid partition",
            ),
        ],
    )
    def test_what_the_cluster_says_is_told_once(self, run: Watched, reason: str, told: str) -> None:
        run.start()
        run.job(*TRAINING)
        run.fail(1, "train_cam", reason=reason)
        said = self.end(run)
        assert sum(told in line for line in said) == 1
        assert not any("irn does not know" in line or "log: " in line[:9] or "sbatch call" in line for line in said)
        assert not run.display.met_mistakes_alone

    def test_with_keep_going_the_rest_goes_on(self, tmp_path: Path) -> None:
        run = Watched(tmp_path, keeps_going=True)
        run.start()
        run.job(*TRAINING).write_text("irn train-cam: no; do that\n", encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 2.")
        run.after(3)
        assert run.screen.said[-1].strip() == "What does not need it goes on."

    def test_a_run_that_is_ended_from_outside_says_so_once_and_how_to_go_on(self, run: Watched) -> None:
        run.start()
        run.job(*TRAINING)
        for _ in range(3):
            run.tell("Will exit after finishing currently running jobs (scheduler).")
        run.tell(event="job_finished", job_id=1)
        said = self.end(run)
        assert said[0].startswith("What is at work goes on to its end, then the run stops. Complete files are kept")
        assert [line.split()[0] for line in said[1:]] == ["✓"]

    def test_a_failure_is_told_although_the_scheduler_stops_at_once(self, run: Watched) -> None:
        run.start()
        run.job(*TRAINING).write_text("irn train-cam: no; do that\n", encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 2.")
        run.display.close()
        assert run.screen.said[1:3] == ["✗ Training the classifier failed", "    irn train-cam: no; do that"]

    def test_a_full_disk_or_a_lost_terminal_does_not_end_the_run(self, run: Watched) -> None:
        run.start()

        def say(line: str) -> None:
            raise OSError(5, "Input/output error")

        run.screen.say = say  # type: ignore[method-assign]
        run.job(*TRAINING)
        run.tell(event="job_finished", job_id=1)
        run.job(2, "make_cams", "Making class attention maps", "0-of-1.h5")
        run.display.close()

    def test_a_table_that_is_only_in_the_log_is_not_called_above(self, run: Watched) -> None:
        run.start()
        said = "file  problem\nirn build-manifest: a.csv: no; do that (2 more, in the table above)\n"
        run.job(*TRAINING).write_text(said, encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 2.")
        assert self.end(run)[1].endswith("a.csv: no; do that (2 more, in the table in the log)")

    @pytest.mark.parametrize("code", ["died with <Signals.SIGKILL: 9>.", "returned non-zero exit status 137."])
    def test_a_killed_job_has_probably_too_little_memory(self, run: Watched, code: str) -> None:
        run.start()
        run.job(*TRAINING).write_text("training: 3 of 5 steps\nline 1: 975 Killed  python\n", encoding="utf-8")
        run.fail(1, "train_cam", code)
        said = self.end(run)
        assert "give it more memory" in said[1]
        assert not any("975" in line for line in said)

    def test_a_job_that_was_ended_from_outside_goes_on_later(self, run: Watched) -> None:
        run.start()
        run.job(*TRAINING).write_text("training: 3 of 5 steps\nTerminated\n", encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 143.")
        assert "has ended it: the same command goes on" in self.end(run)[1]

    def test_a_job_that_is_tried_again_has_not_failed(self, run: Watched) -> None:
        run.start()
        run.job(*TRAINING).write_text("slurmstepd: error: Detected 1 oom_kill event\n", encoding="utf-8")
        run.fail(1, "train_cam", "returned non-zero exit status 1.")
        run.tell("Trying to restart job 1.")
        run.after(5)
        run.job(*TRAINING)
        run.after(5)
        assert run.screen.said[1:] == ["  Training the classifier failed and is tried again"]
        assert len(run.screen.rows) == 2

    def test_a_failure_is_told_while_others_are_at_work(self, run: Watched) -> None:
        run.start()
        run.job(*TRAINING).write_text("irn train-cam: no; do that\n", encoding="utf-8")
        run.job(2, "make_cams", "Making class attention maps, shard 0-of-2 of train", "0-of-2.h5")
        run.fail(1, "train_cam", "returned non-zero exit status 2.")
        run.after(1)
        assert len(run.screen.said) == 1
        run.after(2)
        assert run.screen.said[-1].strip() == "What is at work goes on to its end, then the run stops."
        assert [row.split()[0] for row in run.screen.rows] == ["Making", "0"]

    def test_the_time_left_is_that_of_the_jobs_that_did_not_fail(self, run: Watched) -> None:
        run.start()
        logs = [run.job(number, "make_cams", "Making class attention maps", f"{number}.h5") for number in (2, 3)]
        for log in logs:
            log.write_text("make cams: 10 of 100 images\n", encoding="utf-8")
        run.after(10)
        run.fail(2, "make_cams", "returned non-zero exit status 2.")
        run.after(10)
        logs[1].write_text("make cams: 60 of 100 images\n", encoding="utf-8")
        run.after(50)
        assert run.screen.rows[0].endswith("0:40 left")

    def test_an_interrupted_run_says_how_to_go_on_and_no_more(self, run: Watched) -> None:
        run.start()
        run.job(*TRAINING).write_text("KeyboardInterrupt\n", encoding="utf-8")
        run.tell("Terminating processes on user request, this might take some time.")
        run.fail(1, "train_cam", "returned non-zero exit status 130.")
        assert self.end(run) == [
            "Stopping what is at work. Complete files are kept: the same command goes on from here."
        ]


class TestLogs:
    """The lines by which a job tells the display of a run how far it is."""

    @pytest.fixture
    def log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setenv(FOLLOWED, "0")
        path = tmp_path / "stage.log"
        with open(path, "w", encoding="utf-8") as file:
            self.errors = file
            yield path

    def test_what_a_job_writes_is_read_again(self, log: Path) -> None:
        with redirect_stderr(self.errors):
            steps = progress(iter(range(250)), 420, "training", "step", done=170)
            assert reached_in(log) is None
            for number in range(100):
                assert next(steps) == number
        reached = reached_in(log)
        assert reached is not None
        assert 265 <= reached.done <= 270
        assert (reached.what, reached.total, reached.unit) == ("training", 420, "step")
        assert done_in(log) is None
        with redirect_stderr(self.errors):
            list(steps)
        done = done_in(log)
        assert done is not None
        assert (done.done, done.unit) == (420, "step")
        assert len(log.read_text().splitlines()) <= 102

    def test_one_image_is_not_images(self, log: Path) -> None:
        with redirect_stderr(self.errors):
            list(progress([0], 1, "predict"))
        assert log.read_text() == "predict: 0 of 1 image\npredict: 1 image in 0:00\n"

    def test_other_lines_are_not_taken_for_progress(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("notice: 3 of 20 images have none, which is much\nfolder: masks of 24 of 24 images\n")
        assert reached_in(log) is None
        assert reached_in(tmp_path / "none") is None


class TestBars:
    @pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7384, "2:03:04")])
    def test_times(self, seconds: float, text: str) -> None:
        assert clock(seconds) == text

    def test_time_left_comes_from_what_was_done_since_the_first_look(self) -> None:
        pace = Pace()
        assert pace.left(0.5, 100) is None
        assert pace.left(0.75, 110) == 10

    def test_time_left_follows_a_change_of_pace_within_half_a_minute(self) -> None:
        pace = Pace()
        for second in range(41):
            fast = pace.left(0.01 * second, second)
        assert fast == pytest.approx(60)
        for second in range(1, 31):
            slow = pace.left(0.4 + 0.005 * second, 40 + second)
        assert slow == pytest.approx(0.45 / 0.005)

    def test_time_left_of_steps_that_take_longer_than_it_is_watched(self) -> None:
        pace = Pace()
        assert [pace.left(share, now) for share, now in ((0, 0), (0.25, 90), (0.25, 120), (0.5, 180))] == [
            None,
            270,
            360,
            180,
        ]

    def test_ascii(self) -> None:
        line = progress_line("training", 0.5, "1 of 2 steps", "", 60, in_ascii=True, column=8)
        assert line.isascii()
        assert "####....".strip("#.") == ""
        assert line.count("#") == line.count(".")


class TestDryRun:
    def test_a_line_a_stage_says_how_often_and_why(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        recipes: Any = {}
        display = DryRunDisplay(logging.Handler(), sys.stdout, SimpleNamespace(recipes=recipes))  # type: ignore[arg-type]

        def tell(message: str, **extra: Any) -> None:
            record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
            vars(record).update(extra)
            display.handle(record)

        tell("Job stats", event="run_info", stats=STATS)
        for reason in ("Input files updated by another job: a", "Forced execution"):
            tell("Rule", event="job_info", rule_name="make_cams", reason=reason, wildcards={})
        tell("Job stats", event="run_info", stats=STATS)
        tell("Reasons:\n    (check individual jobs above for details)")
        tell("This was a dry-run (flag -n). The order of jobs does not reflect the order of execution.")
        assert capsys.readouterr().out.splitlines() == [
            "train_cam     1",
            "make_cams     2  Forced execution",
            "3 jobs would run; this was a dry run (-n).",
        ]


class TestAttaching:
    @pytest.mark.parametrize("option", ["verbose", "quiet", "printshellcmds", "debug_dag"])
    def test_options_for_another_output_leave_snakemakes(self, option: str, tmp_path: Path) -> None:
        options = {"verbose": False, "quiet": set(), "printshellcmds": False, "debug_dag": False, "nocolor": False}
        logger = self.logger()
        before = list(logger.handlers)
        settings = SimpleNamespace(dryrun=False, **{**options, option: True})
        assert attach(logger, settings, self.a_run()) is None
        assert logger.handlers == before

    def test_another_plugin_for_the_terminal_stays(self) -> None:
        logger = self.logger()
        logger.handlers[0].name = "rich"
        settings = SimpleNamespace(verbose=False, quiet=set(), printshellcmds=False, debug_dag=False, dryrun=False)
        assert attach(logger, settings, self.a_run()) is None

    def test_the_display_replaces_the_terminals_handler_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logger = self.logger()
        file = logging.NullHandler()
        logger.addHandler(file)
        settings = SimpleNamespace(
            verbose=False, quiet=set(), printshellcmds=False, debug_dag=False, dryrun=False, nocolor=True
        )
        display = attach(logger, settings, self.a_run())
        assert logger.handlers == [file, display]
        assert display is not None
        assert not display.screen.redraws

    @pytest.mark.parametrize("verbose", [False, True])
    def test_the_profile_is_told_in_the_log_file_alone_unless_all_is_to_be_seen(
        self, verbose: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logger, line = self.logger(), "Using workflow specific profile profiles/default for setting defaults."
        vars(logger)["held_lines"] = [line]
        file = logging.FileHandler(tmp_path / "snakemake.log")
        logger.addHandler(file)
        settings = SimpleNamespace(
            verbose=verbose, quiet=set(), printshellcmds=False, debug_dag=False, dryrun=False, nocolor=True
        )
        attach(logger, settings, self.a_run())
        file.close()
        assert (tmp_path / "snakemake.log").read_text() == line + "\n"
        assert capsys.readouterr().err == (line + "\n" if verbose else "")

    def logger(self) -> logging.Logger:
        logger = logging.Logger("snakemake")
        handler = logging.StreamHandler()
        handler.name = REPLACED
        logger.addHandler(handler)
        return logger

    def a_run(self) -> Run:
        return SimpleNamespace(folder=Path("results/demo"), seen_as=str)  # type: ignore[return-value]


@pytest.mark.parametrize(("labels", "offered"), [("none", "train a network"), ("both", "by the network")])
@pytest.mark.parametrize("kind", ["demo", "voc"])
def test_what_to_do_next_is_in_pages_that_exist(kind: str, labels: str, offered: str) -> None:
    steps = next_steps(Settings(dataset={"kind": kind}, mask_rcnn={"labels": labels}))  # type: ignore[arg-type]
    assert all((ROOT / page).is_file() for _, page in steps)
    assert [what for what, page in steps if page.endswith("networks.md") and offered in what]
    assert ("docs/photographs.md" in [page for _, page in steps]) == (kind == "demo")


@pytest.mark.parametrize(
    ("flags", "settings", "offered"),
    [
        ("avx512f amx_bf16", {}, True),
        ("avx512f", {}, False),
        (None, {}, False),
        ("avx512_bf16", {"precision": "bf16"}, False),
    ],
)
def test_bfloat16_is_offered_where_the_processor_has_it_and_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str | None, settings: dict[str, str], offered: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse\n", encoding="utf-8")
    monkeypatch.setattr(processor, "CPUINFO", cpuinfo)
    for driver, gpus in ((tmp_path / "none", 1), (tmp_path, 0)):
        monkeypatch.setattr(processor, "GPU_DRIVER", driver)
        steps = faster(check_config({"dataset": {"kind": "demo"}, "gpus": gpus, **settings}))
        assert [page for _, page in steps] == ["docs/performance.md"] * offered
    assert not faster(check_config({"dataset": {"kind": "demo"}, "gpus": 1, **settings}))


def test_scores_are_a_line_for_each_stage(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(
        "stage,split,metric,class,value,images\n"
        "cam,train,mIoU,mean,0.199554,20\ncam,train,IoU,hare,0.342033,20\n"
        "instance,train,AP50,mean,0.25,20\ninstance,train,AP70,mean,,20\ninstance,train,AP,mean,,20\n",
        encoding="utf-8",
    )
    assert score_table(path) == [
        "  split  stage     mIoU   AP50   AP",
        "  train  cam       0.200",
        "  train  instance         0.250  undefined",
    ]
