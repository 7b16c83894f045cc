"""The workflow on a real SLURM, which tests/slurm/cluster starts on this machine: one node, and a GPU that is none."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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
AtWork = tuple[Path, subprocess.Popen[bytes]]


class Cluster:
    """A running SLURM and a copy of profiles/slurm that is adapted to it."""

    def __init__(self, folder: Path) -> None:
        script = f'lines=$("{CLUSTER}" start "{folder}") && eval "$lines" && echo "$SLURM_CONF" && echo "$PATH"'
        started = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert started.returncode == 0, started.stderr
        conf, path = started.stdout.splitlines()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
        self.environment = inherited | {"SLURM_CONF": conf, "PATH": path}
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
        # squeue, since the cluster keeps no accounts for sacct; the seconds are what a job takes at least.
        command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "8", *arguments]
        return [str(word) for word in command]

    def start(self, snakefile: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Start Snakemake in a folder, with its output in snakemake.txt there."""
        command = self.command(snakefile, folder, *arguments)
        with open(folder / "snakemake.txt", "wb") as file:
            return subprocess.Popen(command, env=self.environment, stdout=file, stderr=file, cwd=ROOT)

    def jobs(self, folder: Path) -> list[Job]:
        """What SLURM knows of each job (or task of an array) that Snakemake in `folder` submitted, with its rule."""
        lines = self.run("scontrol", "--details", "--oneliner", "show", "job").splitlines()
        found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines]
        found = [job for job in found if job.get("WorkDir") == str(folder)]
        for job in found:
            job["rule"] = re.sub(r"^rule_|_wildcards_.*$", "", job["Comment"])
        return sorted(found, key=lambda job: int(job["JobId"]))


def finish(process: subprocess.Popen[bytes], folder: Path, seconds: float) -> str:
    """Wait until Snakemake has ended well; give what it printed."""
    code = process.wait(seconds)
    said = (folder / "snakemake.txt").read_text()
    assert code == 0, said
    return said


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until something holds while Snakemake is at work."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "Snakemake ended too early"
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def until_the_end(folder: Path, process: subprocess.Popen[bytes]) -> Iterator[AtWork]:
    """Let a process work beside the tests, at most as long as they do."""
    yield folder, process
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """SLURM, at work until the last test is done."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        yield Cluster(folder)
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=True, timeout=60)


@pytest.fixture(scope="session")
def limits(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    """Jobs that need more than they are first given, at work beside the others: SLURM's shortest time is a minute."""
    folder = tmp_path_factory.mktemp("limits")
    (folder / "Snakefile").write_text(LIMITS)
    process = cluster.start(folder / "Snakefile", folder)
    yield from until_the_end(folder, process)


@pytest.fixture(scope="session")
def small(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    """The small run in two shards, at work."""
    folder = tmp_path_factory.mktemp("workflow")
    (folder / "small.yaml").write_text(yaml.safe_dump(EVERY_KIND))
    process = cluster.start(ROOT / "Snakefile", folder, "--configfile", str(folder / "small.yaml"))
    yield from until_the_end(folder, process)


@pytest.fixture(scope="session")
def within(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    """Snakemake as a job of SLURM itself, up to CAMs, on a site that takes --gres, at work."""
    folder = tmp_path_factory.mktemp("within")
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
    process = subprocess.Popen(
        [str(word) for word in ("sbatch", "--wait", *head)], env=cluster.environment, stdout=subprocess.DEVNULL
    )
    yield from until_the_end(folder, process)


@pytest.fixture(scope="session")
def on_slurm(cluster: Cluster, small: AtWork) -> tuple[Path, list[Job]]:
    """A folder in which the small run in two shards is complete, and its jobs."""
    folder, process = small
    finish(process, folder, 900)
    return folder, cluster.jobs(folder)


@pytest.fixture(scope="session")
def within_a_job(cluster: Cluster, within: AtWork) -> tuple[Path, list[Job]]:
    """A folder in which Snakemake ran as a job of SLURM itself, and its jobs."""
    folder, process = within
    finish(process, folder, 600)
    assert (folder / "results/small/make_cams/1-of-2.h5").is_file(), (folder / "snakemake.txt").read_text()
    return folder, cluster.jobs(folder)


@pytest.fixture(scope="session")
def beyond(cluster: Cluster, within_a_job: tuple[Path, list[Job]]) -> Iterator[AtWork]:
    """More shards than the three jobs that the cluster's arrays have at most, at work."""
    folder = within_a_job[0]
    arguments = ["--configfile", str(folder / "small.yaml"), "--config", "shards=4", "--until", "make_cams"]
    process = cluster.start(ROOT / "Snakefile", folder, *arguments)
    yield from until_the_end(folder, process)


def test_jobs_are_submitted(cluster: Cluster, limits: AtWork, small: AtWork, within: AtWork) -> None:
    for folder, process in (limits, small, within):
        wait_for(lambda folder=folder: bool(cluster.jobs(folder)), process, 120)


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


def test_a_job_over_its_memory_or_time_is_tried_again_with_more(cluster: Cluster, limits: AtWork) -> None:
    folder, process = limits
    finish(process, folder, 300)
    jobs = cluster.jobs(folder)
    memory = [(job["JobState"], job["MinMemoryNode"]) for job in jobs if job["rule"] == "memory"]
    assert [asked for _, asked in memory] == ["600M", "1200M"]
    assert memory[0][0] != "COMPLETED"
    assert memory[1][0] == "COMPLETED"
    times = [(job["JobState"], job["TimeLimit"]) for job in jobs if job["rule"] == "time"]
    assert times == [("TIMEOUT", "00:01:00"), ("COMPLETED", "00:02:00")]


def test_a_training_that_is_stopped_or_requeued_loses_at_most_an_epoch(
    cluster: Cluster, on_slurm: tuple[Path, list[Job]], beyond: AtWork
) -> None:
    folder, before = on_slurm
    process = cluster.start(
        ROOT / "Snakefile",
        folder,
        "--configfile",
        str(folder / "small.yaml"),
        "--config",
        "cam={epochs: 20}",
        "--until",
        "train_cam",
    )

    def epochs() -> int:
        found = list(folder.glob("results/store/train_cam/*/weights.pt.checkpoint"))
        return int(torch.load(found[0], weights_only=True)["epochs"]) if found else 0

    def went_on() -> int:
        # Snakemake removes the log when the job starts anew.
        log = folder / "results/small/train_cam/train_cam.log"
        said = re.search(r"going on after epoch (\d+)", log.read_text() if log.exists() else "")
        return int(said[1]) if said else 0

    def jobs() -> list[Job]:
        known = {job["JobId"] for job in before}
        return [job for job in cluster.jobs(folder) if job["JobId"] not in known]

    try:
        # The shards beyond an array may have the GPU first.
        wait_for(lambda: epochs() > 0, process, 300)
        first, done = jobs()[0]["JobId"], epochs()
        cluster.run("scontrol", "requeue", first)
        wait_for(lambda: jobs()[0]["JobState"] == "PENDING", process, 60)
        # SLURM would wait for two minutes.
        cluster.run("scontrol", "update", f"JobId={first}", "StartTime=now")
        wait_for(lambda: went_on() > 0, process, 120)
        assert went_on() >= done
        wait_for(lambda: epochs() > went_on(), process, 60)
        done = epochs()
        cluster.run("scancel", first)
        finish(process, folder, 300)
    finally:
        process.kill()
        process.wait()
    assert went_on() >= done
    # The rule's own numbers: what is tried again has more memory and more time.
    tried = [(job["JobState"], job["Restarts"], job["MinMemoryNode"], job["TimeLimit"]) for job in jobs()]
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


def test_shards_beyond_the_size_of_an_array_are_jobs_by_themselves(
    cluster: Cluster, within_a_job: tuple[Path, list[Job]], beyond: AtWork
) -> None:
    before, (folder, process) = within_a_job[1], beyond
    said = finish(process, folder, 300)
    assert "snakemake: SLURM's arrays hold 3 jobs here; those of make_cams" in said
    known = {job["JobId"] for job in before}
    jobs = [job for job in cluster.jobs(folder) if job["JobId"] not in known and job["rule"] == "make_cams"]
    assert [(job["rule"], job["JobState"], job.get("ArrayTaskId")) for job in jobs] == [
        ("make_cams", "COMPLETED", None)
    ] * 4


def test_snakemake_can_be_a_job_itself(within_a_job: tuple[Path, list[Job]]) -> None:
    _, jobs = within_a_job
    done = [job["rule"] for job in jobs if job["JobState"] == "COMPLETED"]
    assert sorted(done) == ["make_cams", "make_cams", "make_demo_data", "train_cam"]
    # A job has what its rule asks for, not what the job around Snakemake has.
    assert {job["MinMemoryNode"] for job in jobs if job["rule"] == "train_cam"} == {"16000M"}
    assert {job["NumCPUs"] for job in jobs if job["rule"] == "train_cam"} == {"1"}


def test_a_site_that_takes_gres(within_a_job: tuple[Path, list[Job]]) -> None:
    jobs = [job for job in within_a_job[1] if job["rule"] in GPU_RULES]
    assert {job["JOB_GRES"] for job in jobs} == {"gpu:standin:1"}
    # SLURM's versions differ in what follows gres.
    assert {job.get("TresPerNode", "")[len("gres/") :] for job in jobs} == {"gpu:standin:1"}
    # What --gpus would say.
    assert not any("TresPerJob" in job for job in jobs)
