"""What an account or a system may lack, and what Snakemake itself would answer by a traceback."""

import contextlib
import io
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, data_of_squares, run
from warm import run_snakemake

from irn.cli import main
from irn.errors import IrnError
from irn.io import account, parallel
from irn.settings.reading import check_config
from irn.workflow import snakemake_call
from irn.workflow.command import Stage
from irn.workflow.job import arrays_within
from irn.workflow.run import Run
from irn.workflow.snakemake_call import check_stages, mistake_in_words, prepare
from irn.workflow.stages import ALL_STAGES

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


@pytest.fixture
def without_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --user 12345`."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_user_without_a_name_gets_one(without_name: None) -> None:
    account.suit_the_system()
    assert os.environ["LOGNAME"] == f"user{os.getuid()}"


def test_letters_that_the_output_cannot_show_are_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = data_of_squares(tmp_path / "data", {"a": (40, 40), "b": (40, 40)})
    data.labels.write_text(data.labels.read_text().replace("dark", "L\u00f6we").replace("bright", "\u732b"), "utf-8")
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    run("check-data", "--kind", "folder", "--root", data.folder)
    output.flush()
    assert b"L\\xf6we" in output.buffer.getvalue()


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_command_does_its_work_where_an_output_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    data = data_of_squares(tmp_path / "data", {"a": (40, 40), "b": (40, 40)})
    monkeypatch.setattr(sys, closed, None)
    run("check-data", "--kind", "folder", "--root", data.folder, "--json", tmp_path / "check.json")
    assert (tmp_path / "check.json").is_file()
    assert main(["check-data", "--kind", "folder", "--root", str(tmp_path / "nowhere")]) == 2
    getattr(sys, closed).close()


def test_without_shared_memory_one_process_computes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", no_locks)
    assert list(parallel.map_in_order(abs, [-1, 2], 2, str)) == [1, 2]
    assert "computing in one process" in capsys.readouterr().err


def test_workers_leave_control_c_to_the_process_that_waits_for_them() -> None:
    pids = list(parallel.map_in_order(_pid_if_it_ignores_interrupts, range(2), 2, str))
    assert all(pids)
    assert multiprocessing.current_process().pid not in pids


def _pid_if_it_ignores_interrupts(_: int) -> int:
    return os.getpid() if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else 0


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("train-cam", "the same command goes on after the last whole epoch"),
        ("export-coco", "run the same command again"),
    ],
)
def test_control_c_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, again: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("irn.cli._function_of", lambda command: interrupted)
    options = ["--manifest", "m", "--labels", "l", "--out", "o"]
    more = ["--from-scratch"] if command == "train-cam" else ["--label-caches", "c"]
    assert main([command, *options, *more]) == 130
    assert capsys.readouterr().err == f"irn {command}: interrupted; {again}\n"


# ---- Snakemake's arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--configfile", "nowhere.yaml"], "nowhere.yaml: cannot be read (No such file or directory)"),
        (["--configfile", "fine.yaml", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--configfile=nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--configfile", "broken.yaml"], "broken.yaml: not readable as YAML"),
        (["--configfile", "list.yaml"], "list.yaml: expected keys with values"),
        (["--configfile", "fine.yaml", "build_manifest"], "--configfile build_manifest: a rule's name"),
        (["--config", "dataset.root=x"], "dots do not nest here; write --config 'dataset={root: x}'"),
        (["--config", "run=a", "dataset.demo.size=9"], "write --config 'dataset={demo: {size: 9}}'"),
        (["--config", "run:7"], "--config run:7: expected KEY=VALUE"),
        (["-C", "all"], "--config all: a rule's name"),
        (["--config", "run=a", "--config", "seed=1"], "--config is given 2 times, and only the last would count"),
        (["--configfile", "fine.yaml", "--configfile=fine.yaml"], "write all files after one --configfile"),
        (["--config", "walk={beta:", "5}"], "--config 5}: a part of an entry, which the shell has split"),
        (["--workflow-profile", "profiles/slrm"], "--workflow-profile profiles/slrm: no such folder"),
    ],
)  # fmt: skip
def test_mistakes_in_arguments_of_snakemake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.yaml").write_text("run: 7\n")
    (tmp_path / "broken.yaml").write_text("run: [7\n")
    (tmp_path / "list.yaml").write_text("- 7\n")
    with pytest.raises(IrnError) as error:
        prepare(["--cores", "2", *arguments, "-n"])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_right_arguments_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.yaml").write_text("run: 7\n")
    (tmp_path / "fine.json").write_text('{\t"run": "a"}')
    prepare(["build_manifest", "--cores", "2", "--configfile", "fine.yaml", "fine.json", "--config", "run=7", "-n"])


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snakemake_call.os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(IrnError, match=r"cannot be written to, and the workflow writes results/.* by --directory"):
        prepare(["--directory", str(tmp_path)])


def test_without_a_home_there_is_one_and_without_a_cache_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_name: None
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(snakemake_call.tempfile, "gettempdir", lambda: str(tmp_path))
    prepare([])
    assert Path(os.environ["HOME"]).is_dir()
    monkeypatch.setattr(snakemake_call.os, "access", lambda path, mode: ".cache" not in str(path) and path != home)
    home = Path(os.environ["HOME"])
    prepare([])
    assert os.access(os.environ["XDG_CACHE_HOME"], os.R_OK)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--configfile", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["export_cocoo"], "export_cocoo: there is no rule of this name, .*; did you mean export_coco?"),
        (
            ["results/demo/report.html"],
            "results/demo/report.html: .* none that makes such a file; name a rule, such as",
        ),
        (["make_labels"], "make_labels: not a rule to ask for by name; write --until before it"),
        (["--until", "make_cams", "evaluate"], "--until make_cams evaluate: make_cams is made on the way to evaluate"),
        (
            ["--until", "refine_cams"],
            "--until refine_cams: this run does not have that stage, which needs refine.objectn",
        ),
        (["-O", "make_camz"], "--omit-from make_camz: there is no stage of this name; did you mean make_cams?"),
        (["--cors", "2"], "unrecognized arguments: --cors.*; did you mean --cores?"),
        (["--cores", "two"], "Error parsing number of cores"),
        (["--set-threads", "make_labels"], "an option has a value that cannot be read"),
    ],
)
def test_the_command_says_one_line(tmp_path: Path, arguments: Sequence[str], said: str) -> None:
    told = run_snakemake([*arguments, "-n", "--directory", str(tmp_path)], ROOT, os.environ)
    assert told.returncode == 2
    assert told.stdout == ""
    assert told.stderr.count("\n") == 1
    assert re.match(f"snakemake: {said}", told.stderr)


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("refine_cams", {"refine": {"sharing_steps": 2}}),
        ("train_cell_classifier", {"refine": {"cell_classifier": True, "objectness": "packaged"}}),
        ("download_backbone", {"pretrained": "imagenet"}),
        ("predict_deeplab_gt", {"deeplab": {"labels": "ground_truth"}}),
        ("ablation", {"ablation": True}),
        ("gather_scores", {"seeds": [0, 1]}),
    ],
)
@pytest.mark.parametrize("option", ["--until", "-R", "--omit-from"])
def test_a_stage_that_a_run_lacks_is_refused_with_the_settings_that_bring_it(
    option: str, stage: str, settings: dict[str, Any]
) -> None:
    def check(config: dict[str, Any]) -> None:
        run = Run(check_config({"dataset": {"kind": "demo"}, "pretrained": None, **config}))
        arguments = [option, "export_coco", "make_labels", stage, "-n"]
        check_stages(arguments, {recipe.stage.name for recipe in run.recipes.values()})

    with pytest.raises(IrnError, match=f"{stage}: this run does not have that stage, which needs ") as error:
        check({})
    assert all(key in str(error.value) for key in settings)
    check(settings)


def test_every_stage_that_a_run_may_lack_says_what_it_needs() -> None:
    assert all(stage.needs for stage in ALL_STAGES.values() if stage.when is not Stage.when)


def test_a_folder_in_which_another_snakemake_is_at_work() -> None:
    error = type("LockException", (Exception,), {})("Error: Directory cannot be locked. ...")
    assert "another snakemake is at work in this folder; wait for its end" in str(mistake_in_words(error))


def test_an_error_that_nobody_knows_stays_as_it_is() -> None:
    assert mistake_in_words(ValueError("math domain error")) is None


def test_control_c_before_the_first_job_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / "envs/run_snakemake.py"), "-n", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        # What Python says of its imports tells how far it is.
        next(line for line in process.stderr if line.rstrip().endswith(" snakemake.logging"))
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert process.returncode == 130
    assert said == ["snakemake: interrupted; the same command goes on from there\n"]


# ---- what a configuration names


def test_numbers_where_text_is_due_are_text() -> None:
    settings = check_config({"run": 7, "dataset": {"kind": "demo", "train_split": 2014, "eval_split": 2015}})
    assert (settings.run, settings.dataset.train_split, settings.dataset.eval_split) == ("7", "2014", "2015")


@pytest.mark.parametrize(
    "config",
    [
        {"backbone": "resnet18", "accumulate": 4, "cam": {"batch_size": 4, "crop_size": 16}},
        {"backbone": "resnest14d", "cam": {"batch_size": 1}},
        {"backbone": "resnet18", "mask_rcnn": {"labels": "pseudo", "batch_size": 1, "crop_size": 32}},
    ],
)
def test_batch_norm_from_scratch_with_one_value_is_refused(config: dict[str, object]) -> None:
    config = {"dataset": {"kind": "demo"}, "pretrained": None, **config}
    with pytest.raises(IrnError, match=r"batch_size is \d with accumulate: \d, so that batch norm.* raise"):
        check_config(config)
    check_config({**config, "pretrained": "imagenet"})


def test_batch_norm_that_fails_in_a_training_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_of_squares(tmp_path / "data", {"a": (40, 40), "b": (40, 40)})
    command = ["train-cam", "--manifest", data.manifest, "--labels", data.labels, "--out", tmp_path / "w.pt"]
    command += ["--from-scratch", "--backbone", "resnet18", "--batch-size", 1, "--crop-size", 16, "--device", "cpu"]
    with contextlib.chdir(tmp_path):
        assert main([str(word) for word in [*command, "--workers", 0]]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("irn train-cam: --batch-size 1, --accumulate 1: batch norm")
    )


# ---- SLURM's arrays


def test_rules_with_more_jobs_than_an_array_holds_are_told_apart() -> None:
    run = Run(check_config({"dataset": {"kind": "demo", "eval_split": "val"}, "shards": 2}))
    fitting, larger = arrays_within(run.recipes.values(), "all", 3)
    assert "make_cams" in larger  # two splits of two shards
    assert "train_cam" in fitting
    assert arrays_within(run.recipes.values(), "make_cams; train_cam", 4) == (["train_cam", "make_cams"], [])
