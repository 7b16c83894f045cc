"""Generated tables in the docs are up to date; commands, files and functions named there exist; the site builds."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, run, save_png
from snakemake.cli import parse_args
from warm import run_snakemake

from irn.cli import build_parser
from irn.settings.reading import read_config
from irn.workflow.run import Run, check_data
from irn.workflow.stages import ALL_STAGES

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "notes" not in path.parts),
]


def commands() -> list[str]:
    """The lines of all shell examples, without their comments, each once."""
    lines: list[str] = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            lines += [shlex.join(shlex.split(line, comments=True)) for line in block.replace("\\\n", " ").splitlines()]
    return list(dict.fromkeys(line for line in lines if line))


# What reports on a finished run is in tests/test_report.py.
WORKFLOW = [line for line in commands() if line.startswith(".venv/bin/snakemake ") and " --report " not in line]
ALONE = [line for line in commands() if line.startswith(".venv/bin/irn ")]


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    names: dict[str, object] = {"__file__": str(ROOT / "docs/tables.py"), "__name__": "tables"}
    exec(compile((ROOT / "docs/tables.py").read_text(), str(ROOT / "docs/tables.py"), "exec"), names)
    return names["pages"]()  # type: ignore[operator]


@pytest.mark.parametrize(
    "name",
    [
        "docs/configuration.md",
        "docs/store.md",
        "docs/formats.md",
        "docs/hpc.md",
        "docs/commands.md",
        "configs/schema.json",
    ],
)
def test_the_pages_hold_what_the_code_says(pages: dict[Path, str], name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == pages[ROOT / name], "bring it up to date with make tables"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_functions_and_links_of_the_docs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:irn|rules|tests|docs|benchmarks|configs|profiles|envs)/[\w./]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    for path, names in re.findall(r"`(irn/[\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)", text):
        nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert {part for name in re.findall(r"[\w.]+", names) for part in name.split(".")} <= defined, path


@pytest.mark.parametrize("line", ALONE)
def test_every_command_has_the_options_of_the_docs(line: str) -> None:
    try:
        build_parser().parse_args(shlex.split(line)[1:])
    except SystemExit as stop:
        assert stop.code == 0, line  # noqa: PT017


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the docs assume it: a checkout, with the data sets and files that they mention."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("Snakefile", "rules", "irn", "envs", "configs", "profiles", "config.yaml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "configs/laptop.yaml", folder / "my_config.yaml")
    (folder / "my_changes.yaml").write_text(f"dataset: {{root: {folder / 'VOCdevkit/VOC2012'}}}\n", encoding="utf-8")
    run("make-demo-data", "--out", folder / "VOCdevkit/VOC2012", "--images", 24, "--size", 64)
    images = sorted((folder / "VOCdevkit/VOC2012/JPEGImages").iterdir())
    (folder / "my_images").mkdir()
    (folder / "my_images/images").symlink_to(images[0].parent)
    rows = [f"{path.stem},{number % 2},{number % 3 // 2}" for number, path in enumerate(images)]
    (folder / "my_images/labels.csv").write_text("\n".join(["image_id,cat,dog", *rows, ""]), encoding="utf-8")
    coco = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    for split in ("train2014", "val2014"):
        save_png(folder / "coco" / split / "a.png", np.zeros((8, 8, 3), np.uint8))
        (folder / "coco/annotations").mkdir(exist_ok=True)
        (folder / f"coco/annotations/instances_{split}.json").write_text(json.dumps(coco), encoding="utf-8")
    (folder / "their_maps.h5").write_bytes(b"")
    save_png(folder / "corrected/demo/SegmentationClass/demo_0001.png", np.zeros((8, 8), np.uint8))
    return folder


def signature(line: str) -> tuple[object, ...]:
    """The configuration and profile that a call names, and whether it names stages; calls alike differ in settings."""
    words = shlex.split(line)[1:]
    return (
        *(word for word in words if re.fullmatch(r"(configs|profiles)/[\w.]+", word)),
        not ALL_STAGES.keys() & words,
    )


# The longest call of each signature.
DRY_RUNS = {signature(line): line for line in sorted(WORKFLOW, key=len)}


@pytest.mark.parametrize("line", DRY_RUNS.values())
def test_calls_of_the_workflow_in_the_docs_can_run(checkout: Path, line: str) -> None:
    words = shlex.split(line)[1:]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    result = run_snakemake(["-n", *(word for word in words if word != "-n")], checkout, clean)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


@pytest.mark.parametrize("line", WORKFLOW)
def test_every_call_of_the_workflow_in_the_docs_has_options_settings_and_targets_that_there_are(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(checkout)
    _, options = parse_args(shlex.split(line)[1:])
    assert set(options.targets) <= set(ALL_STAGES)
    run = Run(read_config([Path(name) for name in options.configfile or ()], options.config or ()))
    check_data(run)
    assert set(options.targets) <= {recipe.stage.name for recipe in run.recipes.values()}


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
        "--site-dir",
        str(tmp_path),
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "index.html").exists()
