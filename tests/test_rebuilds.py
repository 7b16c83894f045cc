"""What runs again after an edit: each row of the tables in docs/configuration.md, by a dry run on a finished small run."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml
from helpers import ROOT, SMALL, rules_to_run, run, snakemake

from irn.config import DEFAULTS, flat, read_config
from irn.store import READS, Plan

PAGE = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
KEYS = dict(re.findall(r"^\| `([a-z_.]+)` \| `[^`]*` \|.*\| ([^|]*) \|$", PAGE, re.M))
EDITS = dict(re.findall(r"^\| ((?:A|An|Any|The|IRNet's|Weights|Cores|What)\b[^|]+) \| ([^|]*) \|$", PAGE, re.M))

# For each key another value, with which a finished run of the demonstration is edited. Paths are below a folder of the fixture's.
VALUES: dict[str, Any] = {
    "run": "other",
    "seed": 1,
    "shards": 2,
    "gpus": 1,
    "precision": "bf16",
    "dataset.splits": ["train"],
    "dataset.labels_csv": Path("labels.csv"),
    "dataset.train_split": "train+val",
    "dataset.eval_split": "val",
    "dataset.class_masks": Path("masks"),
    "dataset.object_masks": Path("masks"),
    "dataset.demo.images": 25,
    "dataset.demo.size": 112,
    "dataset.demo.seed": 1,
    "backbone": "resnet34",
    "pretrained": Path("pretrained.pth"),
    "momentum": 0.5,
    "weight_decay": 0.5,
    "cam.epochs": 2,
    "cam.batch_size": 2,
    "cam.learning_rate": 0.1,
    "cam.head_factor": 2,
    "cam.crop_size": 48,
    "cam.long_side": [80, 96],
    "cam.scales": [1.0],
    "ir_labels.foreground_threshold": 0.4,
    "ir_labels.background_threshold": 0.1,
    "irn.epochs": 2,
    "irn.batch_size": 2,
    "irn.learning_rate": 0.2,
    "irn.head_factor": 2,
    "irn.crop_size": 96,
    "irn.scale": [0.9, 1.2],
    "irn.radius": 4,
    "irn.mean_split": "val",
    "walk.beta": 5,
    "walk.steps": 128,
    "walk.radius": 4,
    "labels.semantic_threshold": 0.2,
    "labels.instance_threshold": 0.35,
    "evaluate.cam_threshold": 0.3,
    "show.images": 3,
}
# These need a finished run on the user's own data.
VOC_VALUES: dict[str, Any] = {"dataset.root": Path("data"), "cam.external": [Path("cams.h5")]}


def listed(cell: str, plan_stages: list[str]) -> set[str]:
    """The rules that the last column of a row names, those behind an arrow included; notes follow a semicolon."""
    named = re.findall(r"`(\w+)`( →)?", cell.split(";")[0])
    assert named or cell.split(";")[0] == "nothing", cell
    found = {rule for rule, _ in named} | {rule for first, arrow in named if arrow for rule in behind(first)}
    found &= {*plan_stages, "link_results"}
    return found | ({"link_results"} if found else set())


def behind(stage: str) -> set[str]:
    """All stages that read from this one, directly or not."""
    direct = {other for other, reads in READS.items() if stage in reads}
    return direct.union(*(behind(other) for other in direct))


def as_config(key: str, value: Any) -> str:
    """A setting as Snakemake's command line takes it."""
    first, *rest = key.split(".")
    for name in reversed(rest):
        value = {name: value}
    return f"{first}={yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]}"


def to_do(folder: Path, *arguments: str) -> set[str]:
    """The stages that irn status says are to be made."""
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said):
        run("status", "--brief", "--configfile", "small.yaml", *arguments)
    return {stage for stage, state in re.findall(r"^(\w+) +(done|to do|\d+ of \d+)", said.getvalue(), re.M) if state != "done"}


def below(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [below(folder, item) for item in value]
    return str(folder / value) if isinstance(value, Path) else value


def stages_of(folder: Path, *settings: str) -> list[str]:
    with contextlib.chdir(folder):
        return Plan(read_config([Path("small.yaml")], settings)).stages


# ---- finished runs


@pytest.fixture(scope="module")
def voc(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run as one of the user's own data set in the VOC layout, at `data`, and of a backbone `pretrained.pth`."""
    folder = tmp_path_factory.mktemp("voc")
    shutil.copytree(finished / "results/small/make_demo_data/data", folder / "data")
    (folder / "pretrained.pth").write_bytes(b"a backbone")
    return taken_over(finished, folder, {"dataset": {"kind": "voc", "root": "data"}, "pretrained": "pretrained.pth"})


@pytest.fixture(scope="module")
def external(finished: Path, voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with CAMs from elsewhere, `cams.h5`."""
    folder = tmp_path_factory.mktemp("external")
    shutil.copy2(finished / "results/small/make_cams/0-of-1.h5", folder / "cams.h5")
    dataset = {"kind": "voc", "root": str(voc / "data")}
    return taken_over(finished, folder, {"dataset": dataset, "pretrained": str(voc / "pretrained.pth"), "cam": {"external": ["cams.h5"]}})


def taken_over(finished: Path, folder: Path, changes: dict[str, Any]) -> Path:
    """Make a folder in which a run with other settings is complete: its files are copies, and Snakemake marks them as made."""
    (folder / "small.yaml").write_text(yaml.safe_dump({**SMALL, **changes, "cam": {**SMALL["cam"], **changes.get("cam", {})}}))
    plans = []
    for place in (finished, folder):
        with contextlib.chdir(place):
            plan = Plan(read_config([Path("small.yaml")]))
            plans.append({stage: place / plan.folder(stage) for stage in plan.stages})
    old, new = plans
    for stage, target in new.items():
        if stage in old:
            shutil.copytree(old[stage], target, ignore=shutil.ignore_patterns("key.json"))
    for arguments in (["--touch", "--forceall"], []):
        result = snakemake(folder, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
    assert set(re.findall(r"\(Rule: (\w+)\)", result.stdout + result.stderr)) <= {"check_cams", "link_results", "all"}
    return folder


# ---- keys


@pytest.fixture(scope="module")
def settings(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each key an edit, as the command line takes it."""
    place = tmp_path_factory.mktemp("edits")
    shutil.copytree(voc / "data", place / "data")
    (place / "masks").mkdir()
    for name in ("labels.csv", "pretrained.pth", "cams.h5"):
        (place / name).touch()
    # The demonstration has no root.
    return {key: as_config(key, below(place, value)) for key, value in {**VALUES, **VOC_VALUES}.items()} | {
        "dataset.kind": f"dataset={{kind: voc, root: '{place / 'data'}'}}"
    }


@pytest.fixture(scope="module")
def reruns(finished: Path, voc: Path, settings: dict[str, str]) -> dict[str, set[str]]:
    """For each key the rules that a dry run lists after its edit."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda key: rules_to_run(voc if key in VOC_VALUES else finished, "--config", settings[key]), KEYS)
        return dict(zip(KEYS, found, strict=True))


@pytest.mark.parametrize("key", KEYS)
def test_the_table_of_keys_names_what_runs_again(
    finished: Path, voc: Path, settings: dict[str, str], reruns: dict[str, set[str]], key: str
) -> None:
    folder = voc if key in VOC_VALUES else finished
    assert reruns[key] == listed(KEYS[key], stages_of(folder, settings[key]))
    assert reruns[key] - {"link_results"} == to_do(folder, "--config", settings[key])


def test_the_table_has_every_key() -> None:
    assert set(KEYS) == set(flat(yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))))


def test_the_table_of_what_lies_behind() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]*) \|$", PAGE, re.M)
    table = {rule: set(re.findall(r"`(\w+)`", cell)) for names, cell in rows for rule in re.findall(r"`(\w+)`", names)}
    assert set(table) == set(READS)
    for rule, direct in table.items():
        assert direct.union(*(behind(other) for other in direct)) == behind(rule), rule


def test_a_backbone_that_becomes_imagenets_is_downloaded(finished: Path) -> None:
    assert rules_to_run(finished, "--config", "pretrained=imagenet") == {"download_backbone", *listed("`train_cam` →", list(READS))} - {
        "check_cams"
    }


def test_scoring_another_split_that_has_labels_scores_alone(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    plans = [
        Plan(read_config([Path("small.yaml")], [f"dataset={{train_split: train+val, eval_split: {name}}}"])) for name in ("train", "val")
    ]
    assert [stage for stage in plans[0].stages if plans[0].folder(stage) != plans[1].folder(stage)] == ["evaluate"]


def test_with_external_cams_scoring_another_split_never_trains(external: Path) -> None:
    rules = {"check_cams", "make_ir_labels", "infer_fields", "random_walk", "make_labels", "evaluate", "show", "link_results"}
    assert rules_to_run(external, "--config", "dataset={eval_split: val}") == rules


def test_a_mistake_in_external_cams_ends_the_run_before_anything_is_made_from_them(voc: Path) -> None:
    shutil.copy(voc / "results/small/make_cams/0-of-1.h5", voc / "Bob's bad.h5")
    with h5py.File(voc / "Bob's bad.h5", "r+") as cache:
        image_id = next(iter(cache))
        cache[image_id].attrs["height"] = 1
    result = snakemake(voc, "--config", "run=bad", "cam={external: [Bob's bad.h5]}")
    said = result.stdout + result.stderr
    assert result.returncode == 1
    assert f"irn check-cams: Bob's bad.h5: image '{image_id}' is 1 x " in said
    assert re.findall(r"^Job \d+: (.*)$", said, re.M) == ["Checking the CAMs from elsewhere"]
    text = (ROOT / "rules/data.smk").read_text(encoding="utf-8")
    assert [rule.split(":")[0] for rule in re.split(r"^rule ", text, flags=re.M) if "localrule: True" in rule] == [
        "build_manifest", "check_cams", "download_backbone",
    ]  # fmt: skip


# ---- edits of other things: each is a block inside which it holds, and gives what the dry run is told


@contextmanager
def added(path: Path) -> Iterator[None]:
    path.write_bytes(b"new")
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def gone(path: Path) -> Iterator[None]:
    path = path.resolve()
    with tempfile.TemporaryDirectory(dir=path.parents[1]) as aside:
        path.rename(Path(aside) / path.name)
        try:
            yield
        finally:
            (Path(aside) / path.name).rename(path)


@contextmanager
def newer(path: Path) -> Iterator[None]:
    before = path.stat()
    os.utime(path)
    try:
        yield
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def other_content(path: Path) -> Iterator[None]:
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def edited_source(name: str, old: str, new: str) -> Iterator[dict[str, Any]]:
    """A copy of the checkout in which one file was edited."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for part in ("irn", "rules", "profiles", "Snakefile", "config.yaml"):
            take = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            take(ROOT / part, copy / part)
        text = (copy / name).read_text(encoding="utf-8")
        assert old in text
        (copy / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        yield {"checkout": copy}


@contextmanager
def upgraded(library: str) -> Iterator[dict[str, Any]]:
    """Python finds another version of a library installed."""
    with tempfile.TemporaryDirectory() as site:
        about = Path(site) / f"{library}-999.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: 999.0\n", encoding="utf-8")
        environment = {"PYTHONPATH": os.pathsep.join([site, *filter(None, [os.environ.get("PYTHONPATH")])])}
        code = f"from importlib.metadata import version; assert version('{library}') == '999.0'"
        subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, check=True)
        yield {"environment": environment}


@contextmanager
def options(*arguments: str) -> Iterator[dict[str, Any]]:
    yield {"arguments": arguments}


@contextmanager
def profile(option: str) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        text = "retries: 2\nkeep-going: true\nset-threads: [train_cam=2]\nrerun-triggers: [mtime, params, code]\n"
        (Path(place) / "config.yaml").write_text(text, encoding="utf-8")
        yield {"arguments": [option, place]}


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


Edit = Callable[[Path], AbstractContextManager[dict[str, Any] | None]]
# The beginning of the row, the finished run in which it is tried, and the edit, given its folder.
CASES: list[tuple[str, str, Edit]] = [
    ("An image added", "voc", lambda f: added(f / "data/JPEGImages/new.jpg")),
    ("An image added", "voc", lambda f: newer(first(f, "data/JPEGImages/*"))),
    ("An image added", "voc", lambda f: gone(first(f, "data/JPEGImages/*"))),
    ("A label changed", "voc", lambda f: newer(first(f, "data/Annotations/*"))),
    ("A label changed", "voc", lambda f: newer(f / "data/classes.txt")),
    ("A list of images changed", "voc", lambda f: newer(f / "data/ImageSets/Segmentation/train.txt")),
    ("A mask added", "voc", lambda f: added(f / "data/SegmentationClass/new.png")),
    ("A mask added", "voc", lambda f: newer(first(f, "data/SegmentationObject/*"))),
    ("A mask added", "voc", lambda f: gone(first(f, "data/SegmentationObject/*"))),
    ("The content of the file named by `pretrained`", "voc", lambda f: other_content(f / "pretrained.pth")),
    ("A file named by `cam.external` replaced", "external", lambda f: newer(f / "cams.h5")),
    ("A CAM cache deleted", "finished", lambda f: gone(f / "results/small/make_cams/0-of-1.h5")),
    ("An IR label cache deleted", "finished", lambda f: gone(f / "results/small/make_ir_labels/0-of-1.h5")),
    ("Any other cache deleted", "finished", lambda f: gone(f / "results/small/random_walk/0-of-1.h5")),
    ("The classifier's weights in the store replaced", "voc", lambda f: newer(f / "results/small/train_cam/weights.pt")),
    ("The same from scratch", "finished", lambda f: newer(f / "results/small/train_cam/weights.pt")),
    ("IRNet's weights in the store replaced", "finished", lambda f: newer(f / "results/small/train_irn/weights.pt")),
    ("Weights in the store deleted", "finished", lambda f: gone(f / "results/small/train_irn/weights.pt")),
    ("A module of the package", "finished", lambda f: edited_source("irn/ops/walk.py", "\nimport ", "\nNUMBER = 1\nimport ")),
    ("A comment, a docstring", "finished", lambda f: edited_source("irn/ops/walk.py", '"""', '"""Surely: ')),
    ("A comment, a docstring", "finished", lambda f: edited_source("irn/ops/walk.py", "\ndef ", "\n# A comment.\n\n\n\ndef ")),
    ("The command of a rule", "finished", lambda f: edited_source("rules/labels.smk", '"irn make-labels"', '"irn  make-labels"')),
    ("A library upgraded", "finished", lambda f: upgraded("torch")),
    ("Cores, threads", "finished", lambda f: options("--cores", "1", "--set-threads", "random_walk=3")),
    ("Cores, threads", "finished", lambda f: options("--set-resources", "random_walk:mem_mb=99", "train_cam:runtime=9")),
    ("Cores, threads", "finished", lambda f: options("--resources", "gpu=2", "mem_mb=9000")),
    ("A profile", "finished", lambda f: profile("--profile")),
    ("A profile", "finished", lambda f: profile("--workflow-profile")),
    ("What is printed", "finished", lambda f: options("--verbose")),
    ("What is printed", "finished", lambda f: options("--printshellcmds", "--quiet", "progress")),
    ("An edit taken back", "finished", lambda f: edited_source("irn/ops/walk.py", "", "")),
]  # fmt: skip


@pytest.mark.parametrize(("row", "base", "edit"), CASES, ids=[f"{number}: {row}" for number, (row, _, _) in enumerate(CASES)])
def test_the_table_of_other_edits_names_what_runs_again(request: pytest.FixtureRequest, row: str, base: str, edit: Edit) -> None:
    folder: Path = request.getfixturevalue(base)
    cell = next(cell for name, cell in EDITS.items() if name.startswith(row))
    with edit(folder) as told:
        arguments = (told or {}).pop("arguments", ())
        found = rules_to_run(folder, *arguments, **(told or {}))
        assert found == listed(cell, stages_of(folder))
        if told is None:
            assert found - {"link_results"} == to_do(folder)


def test_every_row_of_other_edits_is_tried() -> None:
    assert [name for name in EDITS if not any(name.startswith(row) for row, _, _ in CASES)] == []
    assert len(EDITS) == 21


def test_the_time_of_a_pretrained_file_does_not_count(voc: Path) -> None:
    with newer(voc / "pretrained.pth"):
        assert rules_to_run(voc) == set()


def test_tables_of_a_folder_of_images_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    names = ("data/images/a.png", "data/labels.csv", "data/splits.csv", "lists/own.txt", "own.csv")
    for name in names:
        (tmp_path / name).touch()

    def folder() -> Path:
        settings = "dataset={kind: folder, root: data, splits: [lists/own.txt], labels_csv: own.csv}"
        return Plan(read_config(entries=[settings])).folder("build_manifest")

    before = folder()
    for name in names:
        with other_content(tmp_path / name):
            assert folder() == before
        with newer(tmp_path / name):
            assert folder() != before
    assert folder() == before
