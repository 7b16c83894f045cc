"""The workflow on a real SLURM, which tests/slurm/cluster starts on this machine: one node, and a GPU that is none."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers import FINAL, ROOT, SMALL, read_all

from irn.workflow.stages import ALL_STAGES, STAGES

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
CLUSTER = Path(__file__).with_name("cluster")
# A final network's rules are like those of all others.
EVERY_KIND = SMALL | {"mask_rcnn": {**FINAL["mask_rcnn"], "labels": "pseudo"}, "shards": 2}  # type: ignore[dict-item]
GPU_RULES = {"train_cam", "make_cams", "train_irn", "infer_fields", "train_mask_rcnn", "predict_mask_rcnn"}
PER_IMAGE = {stage.name for stage in STAGES if stage.per_image}
ABSENT = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]
# Each job needs more than its first attempt may have; Python and Snakemake themselves take some 300 MB.
LIMITS = f"""
rule all:
    input: "memory", "time"

rule memory:
    output: touch("memory")
    resources: mem_mb=lambda wildcards, attempt: 600 * attempt, runtime=5
    shell: "'{sys.executable}' -c 'import time; held = bytearray(range(256)) * (3 << 20); time.sleep(8)'"

rule time:
    output: touch("time")
    resources: mem_mb=1000, runtime=lambda wildcards, attempt: attempt
    shell: "test {{resources.runtime}} -gt 1 || sleep 600"
"""

pytestmark = [
    pytest.mark.skipif(
        bool(ABSENT), reason=f"no {', '.join(ABSENT)} here; install Debian's slurm-wlm and munge to test on SLURM"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a SLURM to test on"),
]
Job = dict[str, str]


class Cluster:
    """A running SLURM and a copy of profiles/slurm that is adapted to it."""

    def __init__(self, folder: Path) -> None:
        script = f'lines=$("{CLUSTER}" start "{folder}") && eval "$lines" && echo "$SLURM_CONF" && echo "$PATH"'
        started = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert started.returncode == 0, started.stderr
        conf, path = started.stdout.splitlines()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
        self.environment = inherited | {"SLURM_CONF": conf, "PATH": path}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.profile = folder / "profile"
        self.profile.mkdir()
        text = (ROOT / "profiles/slurm/config.yaml").read_text()
        # As the profile's first comment says. The cluster has no accounts; gpu is requested, and not used.
        text = re.sub(r"^#(?=\S|  )", "", text, flags=re.M)
        text = re.sub(r"^ *slurm_account: .*\n", "", text, flags=re.M)
        text = text.replace("gpu_model: a100", "gpu_model: standin\n    gpu: 1").replace(
            "max-threads: 16", "max-threads: 1"
        )
        (self.profile / "config.yaml").write_text(text)

    def run(self, *command: object, seconds: float = 60) -> str:
        """What a command of SLURM prints."""
        words = [str(word) for word in command]
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=True, timeout=seconds
        ).stdout

    def command(self, snakefile: Path, folder: Path, *arguments: str, profile: Path | None = None) -> list[str]:
        """The command of Snakemake in a folder."""
        command = [
            SNAKEMAKE,
            "--snakefile",
            snakefile,
            "--directory",
            folder,
            "--workflow-profile",
            profile or self.profile,
        ]
        # squeue, since the cluster keeps no accounts for sacct. The executor looks after so many seconds, and then
        # waits 10 longer each time: it looks after 5 and 20, which is what most jobs take here.
        command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5", *arguments]
        return [str(word) for word in command]

    def start(self, snakefile: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Start Snakemake in a folder, with its output in snakemake.txt there."""
        with open(folder / "snakemake.txt", "wb") as file:
            return self.open(self.command(snakefile, folder, *arguments), stdout=file, stderr=file, cwd=ROOT)

    def open(self, command: Sequence[object], **how: Any) -> subprocess.Popen[bytes]:
        """Start a command, which ends at the latest with the tests."""
        process = subprocess.Popen([str(word) for word in command], env=self.environment, **how)
        self.processes.append(process)
        return process

    def kill(self) -> None:
        """End what is still at work."""
        for process in self.processes:
            process.kill()
            process.wait()

    def all_jobs(self) -> list[Job]:
        """What SLURM knows of each job, or task of an array, in their order."""
        lines = self.run("scontrol", "--details", "--oneliner", "show", "job").splitlines()
        jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines]
        return sorted((job for job in jobs if "WorkDir" in job), key=lambda job: int(job["JobId"]))

    def jobs(self, folder: Path) -> list[Job]:
        """What SLURM knows of those that Snakemake in `folder` submitted, with their rules."""
        return [
            job | {"rule": re.sub(r"^rule_|_wildcards_.*$", "", job["Comment"])}
            for job in self.all_jobs()
            if job["WorkDir"] == str(folder)
        ]


def finish(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Wait until Snakemake has ended well; give what it printed."""
    code = process.wait(900)
    said = (folder / "snakemake.txt").read_text()
    assert code == 0, said
    return said


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something holds while Snakemake is at work."""
    end = time.monotonic() + 600
    while not condition():
        assert process.poll() is None, "Snakemake ended too early"
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


# ---- the runs, each in a folder of its own


def more_than_was_given(cluster: Cluster, folder: Path) -> list[Job]:
    """Jobs that need more than they are first given: SLURM's shortest time is a minute."""
    (folder / "Snakefile").write_text(LIMITS)
    finish(cluster.start(folder / "Snakefile", folder), folder)
    return cluster.jobs(folder)


def small(cluster: Cluster, folder: Path) -> tuple[Path, list[Job]]:
    """The small run in two shards."""
    (folder / "small.yaml").write_text(yaml.safe_dump(EVERY_KIND))
    finish(cluster.start(ROOT / "Snakefile", folder, "--configfile", str(folder / "small.yaml")), folder)
    return folder, cluster.jobs(folder)


def within_a_job(cluster: Cluster, folder: Path) -> tuple[list[Job], str, list[Job]]:
    """Snakemake as a job of SLURM itself, up to CAMs, on a site that takes --gres; gives its jobs.

    Then more shards than the three jobs that the cluster's arrays have at most; gives what was printed, and the jobs.
    """
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL | {"shards": 2}))
    profile = folder / "profile"
    profile.mkdir()
    text = (cluster.profile / "config.yaml").read_text()
    # As docs/hpc.md says.
    text = text.replace("gpu_model: standin\n    gpu: 1", "gpu: 0\n    gres: gpu:standin:1")
    assert "gres" in text
    (profile / "config.yaml").write_text(text)
    arguments = ["--configfile", str(folder / "small.yaml"), "--until", "make_cams"]
    command = cluster.command(ROOT / "Snakefile", folder, *arguments, profile=profile)
    head = ["--partition", "main", "--cpus-per-task", 2, "--mem", "2000", "--time", 30, "--chdir", ROOT]
    head += ["--output", folder / "snakemake.txt", "--wrap", shlex.join(command)]
    finish(cluster.open(["sbatch", "--wait", *head], stdout=subprocess.DEVNULL), folder)
    assert (folder / "results/small/make_cams/1-of-2.h5").is_file(), (folder / "snakemake.txt").read_text()
    jobs = cluster.jobs(folder)
    said = finish(cluster.start(ROOT / "Snakefile", folder, *arguments, "--config", "shards=4"), folder)
    return jobs, said, cluster.jobs(folder)[len(jobs) :]


def requeued_and_stopped(cluster: Cluster, folder: Path) -> tuple[list[tuple[int, int]], list[Job]]:
    """A training that is requeued once and cancelled once.

    Gives, for each, the epochs that were done and those that it went on after; and its jobs.
    """
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL | {"cam": {**SMALL["cam"], "epochs": 20}}))
    arguments = ["--configfile", str(folder / "small.yaml"), "--until", "train_cam"]
    process = cluster.start(ROOT / "Snakefile", folder, *arguments)

    def epochs() -> int:
        files = list(folder.glob("results/store/train_cam/*/weights.pt.checkpoint"))
        return int(torch.load(files[0], weights_only=True)["epochs"]) if files else 0

    def went_on() -> int:
        # Snakemake removes the log when the job starts anew.
        log = folder / "results/small/train_cam/train_cam.log"
        said = re.search(r"going on after epoch (\d+)", log.read_text() if log.exists() else "")
        return int(said[1]) if said else 0

    def jobs() -> list[Job]:
        return [job for job in cluster.jobs(folder) if job["rule"] == "train_cam"]

    wait_for(lambda: epochs() > 0, process)
    first, done = jobs()[0]["JobId"], epochs()
    cluster.run("scontrol", "requeue", first)
    wait_for(lambda: jobs()[0]["JobState"] == "PENDING", process)
    # SLURM would wait for two minutes.
    cluster.run("scontrol", "update", f"JobId={first}", "StartTime=now")
    wait_for(lambda: went_on() > 0, process)
    times = [(done, went_on())]
    wait_for(lambda: epochs() > went_on(), process)
    done = epochs()
    cluster.run("scancel", first)
    finish(process, folder)
    return [*times, (done, went_on())], jobs()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """SLURM, at work until the last test is done."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        yield Cluster(folder)
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=True, timeout=60)


@pytest.fixture(scope="session")
def runs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """The runs above, all at work at once beside the tests, by their names."""
    functions = (more_than_was_given, small, within_a_job, requeued_and_stopped)
    with ThreadPoolExecutor(len(functions)) as threads:
        try:
            yield {
                function.__name__: threads.submit(function, cluster, tmp_path_factory.mktemp(function.__name__))
                for function in functions
            }
        finally:
            cluster.kill()


@pytest.fixture(scope="session")
def on_slurm(runs: dict[str, Future[Any]]) -> tuple[Path, list[Job]]:
    """A folder in which the small run in two shards is complete, and its jobs."""
    folder, jobs = runs["small"].result()
    return folder, jobs


def test_jobs_are_submitted(cluster: Cluster, runs: dict[str, Future[Any]]) -> None:
    end = time.monotonic() + 120
    # Snakemake that is a job itself is at work elsewhere.
    while len({job["WorkDir"] for job in cluster.all_jobs()} - {str(ROOT)}) < len(runs):
        assert not any(run.done() for run in runs.values())
        assert time.monotonic() < end, "in vain"
        time.sleep(0.5)


def test_gpu_rules_hold_a_gpu_and_no_others_do(on_slurm: tuple[Path, list[Job]]) -> None:
    jobs = on_slurm[1]
    held = {(job["rule"], job["JOB_GRES"], job["Partition"]) for job in jobs}
    assert {rule for rule, gpu, _ in held if gpu != "(null)"} == GPU_RULES
    assert {(gpu, partition) for rule, gpu, partition in held if rule in GPU_RULES} == {("gpu:standin:1", "gpu")}
    assert {partition for rule, _, partition in held if rule not in GPU_RULES} == {"main"}


def test_each_job_asks_for_what_its_stage_needs(on_slurm: tuple[Path, list[Job]]) -> None:
    for job in on_slurm[1]:
        if job["Restarts"] == "0" and job["JobState"] == "COMPLETED":
            stage, (base, each) = ALL_STAGES[job["rule"]], ALL_STAGES[job["rule"]].resources.memory
            hours, minutes = divmod(stage.resources.minutes, 60)
            # Those of an array ask for a megabyte more.
            assert int(job["MinMemoryNode"].removesuffix("M")) - (base + each) in (0, 1), stage.name
            assert job["NumCPUs"] == "1", stage.name
            assert job["TimeLimit"] == f"{hours:02}:{minutes:02}:00", stage.name


def test_shards_are_jobs_of_their_own_and_start_as_arrays(on_slurm: tuple[Path, list[Job]]) -> None:
    done = [job for job in on_slurm[1] if job["JobState"] == "COMPLETED"]
    for rule in {job["rule"] for job in done}:
        assert sum(job["rule"] == rule for job in done) == (2 if rule in PER_IMAGE else 1), rule
    # What follows training starts together.
    for rule in ("make_cams", "infer_fields"):
        assert {job.get("ArrayTaskId") for job in done if job["rule"] == rule} == {"1", "2"}


def test_what_needs_internet_access_or_reads_the_users_data_is_not_a_job(on_slurm: tuple[Path, list[Job]]) -> None:
    folder, jobs = on_slurm
    assert not {"download_backbone", "build_manifest"} & {job["rule"] for job in jobs}
    assert (folder / "results/small/scores.csv").is_file()


def test_labels_equal_those_of_a_local_run(on_slurm: tuple[Path, list[Job]], finished: Path) -> None:
    files = [on_slurm[0] / f"results/small/make_labels/{index}-of-2.h5" for index in range(2)]
    here, there = read_all(finished / "results/small/make_labels/0-of-1.h5", "label"), read_all(files, "label")
    assert set(here) == set(there)
    for image_id in here:
        for name in here[image_id]:
            assert here[image_id][name].dtype == there[image_id][name].dtype
            assert here[image_id][name].tobytes() == there[image_id][name].tobytes(), (image_id, name)


def test_a_job_over_its_memory_or_time_is_tried_again_with_more(runs: dict[str, Future[Any]]) -> None:
    jobs = runs["more_than_was_given"].result()
    memory = [(job["JobState"], job["MinMemoryNode"]) for job in jobs if job["rule"] == "memory"]
    assert [asked for _, asked in memory] == ["600M", "1200M"]
    assert memory[0][0] != "COMPLETED"
    assert memory[1][0] == "COMPLETED"
    times = [(job["JobState"], job["TimeLimit"]) for job in jobs if job["rule"] == "time"]
    assert times == [("TIMEOUT", "00:01:00"), ("COMPLETED", "00:02:00")]


def test_a_training_that_is_stopped_or_requeued_loses_at_most_an_epoch(runs: dict[str, Future[Any]]) -> None:
    times, jobs = runs["requeued_and_stopped"].result()
    assert len(times) == 2
    assert all(went_on >= done > 0 for done, went_on in times)
    # The rule's own numbers: what is tried again has more memory and more time.
    tried = [(job["JobState"], job["Restarts"], job["MinMemoryNode"], job["TimeLimit"]) for job in jobs]
    assert tried == [("CANCELLED", "1", "16000M", "04:00:00"), ("COMPLETED", "0", "32000M", "08:00:00")]


def test_a_limit_under_which_an_array_would_wait_for_ever_is_refused(
    cluster: Cluster, on_slurm: tuple[Path, list[Job]]
) -> None:
    folder = on_slurm[0]
    process = cluster.start(
        ROOT / "Snakefile",
        folder,
        "--configfile",
        str(folder / "small.yaml"),
        "--config",
        "shards=3",
        "--resources",
        "gpu=1",
    )
    assert process.wait(60) == 2
    said = (folder / "snakemake.txt").read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("snakemake: a limit on gpu holds shards back")


def test_shards_beyond_the_size_of_an_array_are_jobs_by_themselves(runs: dict[str, Future[Any]]) -> None:
    _, said, jobs = runs["within_a_job"].result()
    assert "snakemake: SLURM's arrays hold 3 jobs here; those of make_cams" in said
    assert [(job["rule"], job["JobState"], job.get("ArrayTaskId")) for job in jobs] == [
        ("make_cams", "COMPLETED", None)
    ] * 4


def test_snakemake_can_be_a_job_itself(runs: dict[str, Future[Any]]) -> None:
    jobs, _, _ = runs["within_a_job"].result()
    done = [job["rule"] for job in jobs if job["JobState"] == "COMPLETED"]
    assert sorted(done) == ["make_cams", "make_cams", "make_demo_data", "train_cam"]
    # A job has what its rule asks for, not what the job around Snakemake has.
    assert {job["MinMemoryNode"] for job in jobs if job["rule"] == "train_cam"} == {"16000M"}
    assert {job["NumCPUs"] for job in jobs if job["rule"] == "train_cam"} == {"1"}


def test_a_site_that_takes_gres(runs: dict[str, Future[Any]]) -> None:
    jobs = [job for job in runs["within_a_job"].result()[0] if job["rule"] in GPU_RULES]
    assert {job["JOB_GRES"] for job in jobs} == {"gpu:standin:1"}
    # SLURM's versions differ in what follows gres.
    assert {job.get("TresPerNode", "")[len("gres/") :] for job in jobs} == {"gpu:standin:1"}
    # What --gpus would say.
    assert not any("TresPerJob" in job for job in jobs)
