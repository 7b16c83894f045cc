"""The wheel by itself: in an empty environment, away from the checkout, beside what its base or an extra requires."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, distributions, packages_distributions
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import yaml
from golden_cases import GOLDEN
from helpers import ROOT, save_png, smooth_image
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import irn
from irn.cli import EXTRAS
from irn.networks.deeplab import DeepLab
from irn.networks.mask_rcnn import MaskRcnn
from irn.settings.reading import read_config
from irn.settings.writing import as_yaml
from irn.weights.files import save_weights

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGE = GOLDEN / "network_image.png"
GOLDEN_CAMS = ["--manifest", GOLDEN / "manifest.csv", "--cams", GOLDEN / "cams.h5"]
# Without what brings the checkout to an interpreter.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--no-deps", "--no-index"]
    subprocess.run(command, check=True, env=CLEAN, capture_output=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A build leaves files beside its sources, and takes up those of earlier ones, so it gets a copy.
    source = folder / "source"
    shutil.copytree(ROOT / "irn", source / "irn", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "config.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, source)
    return next(folder.glob("*.whl"))


class Environment:
    """An environment that holds the wheel, and links to what it requires with some extras, as installed here."""

    def __init__(self, folder: Path, wheel: Path, extras: Iterable[str] = ()) -> None:
        self.folder = folder
        venv.create(folder / "venv")
        self.python = folder / "venv/bin/python"
        pip("--python", self.python, "install", wheel)
        site = next((folder / "venv").glob("lib/python*/site-packages"))
        installed = next(iter(distributions(name="irn", path=[str(site)])))
        for package in required(installed, {"", *extras}):
            for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
                if not (site / name).exists():
                    (site / name).symlink_to(str(package.locate_file(name)))

    def run(self, *command: object) -> "subprocess.CompletedProcess[str]":
        """Run a command in the environment's folder, without what this process has set."""
        words = [str(word) for word in command]
        return subprocess.run(words, cwd=self.folder, env=CLEAN, capture_output=True, text=True, check=False)

    def irn(self, *arguments: object) -> str:
        """What a command prints, which must succeed."""
        result = self.run(self.python.with_name("irn"), *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def refused(self, *arguments: object) -> str:
        """The one line that a refused command says; it must end with code 2 and leave no file."""
        before = sorted(self.folder.iterdir())
        result = self.run(self.python.with_name("irn"), *arguments)
        assert result.returncode == 2
        assert sorted(self.folder.iterdir()) == before
        (line,) = result.stderr.splitlines()
        return line


def required(package: Distribution, extras: set[str]) -> Iterator[Distribution]:
    """The distributions that one requires, with those that they require."""
    waiting, seen = [(package, extras)], set()
    while waiting:
        package, extras = waiting.pop()
        for line in package.requires or ():
            requirement = Requirement(line)
            if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                continue
            assert requirement.name != "irn"
            if str(requirement) not in seen:
                seen.add(str(requirement))
                found = distribution(requirement.name)
                waiting.append((found, {"", *requirement.extras}))
                yield found


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("base"), wheel)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    files = [path for path in (ROOT / "irn").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if not name.startswith("irn-")}
    assert held == {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files}
    assert {"irn/py.typed", "irn/report/templates/report.js", "irn/review/page/review.js"} < set(held)


class TestBase:
    def test_irn_is_that_of_the_wheel(self, base: Environment) -> None:
        path = base.run(base.python, "-c", "import irn; print(irn.__file__)").stdout
        assert Path(path).is_relative_to(base.folder)
        assert base.irn("--version") == f"irn {irn.__version__}\n"

    def test_config_and_status_know_the_demonstration(self, base: Environment) -> None:
        assert base.irn("config") == as_yaml(read_config())
        assert base.irn("status").startswith("run demo: 0 of ")

    def test_a_data_set_is_checked(self, base: Environment) -> None:
        save_png(base.folder / "data/images/a.png", smooth_image(np.random.default_rng(0), 20, 30))
        (base.folder / "data/labels.csv").write_text("image_id,cat\na,1\n", encoding="utf-8")
        assert "height 20 to 20, width 30 to 30" in base.irn("check-data", "--kind", "folder", "--root", "data")

    def test_a_network_predicts(self, base: Environment) -> None:
        save_weights(base.folder / "weights.pt", "mask_rcnn", MaskRcnn("resnet18", 1, 64, 8), {}, ["cat"], 64)
        base.irn("predict", "--weights", "weights.pt", "--images", IMAGE, "--out", "out", "--device", "cpu")
        assert (base.folder / "out/predictions.json").exists()
        assert [path.stem for path in (base.folder / "out/overlays").iterdir()] == [IMAGE.stem]

    def test_only_what_makes_tables_and_charts_needs_more(self, base: Environment) -> None:
        code = """if True:
            from importlib import import_module
            from irn.workflow.commands_without_rule import COMMANDS
            for function in sorted({command.function for command in COMMANDS.values()}):
                try:
                    import_module(f"irn.commands.{function}")
                except ModuleNotFoundError as error:
                    print(function, error.name)
        """
        result = base.run(base.python, "-c", code)
        assert result.returncode == 0, result.stderr
        missing = dict(line.split() for line in result.stdout.splitlines())
        assert set(missing) == {"ablation", "gather_scores", "report", "suggest_thresholds"}
        assert {EXTRAS[module] for module in missing.values()} == {"report"}


class TestExtras:
    @pytest.mark.parametrize(
        ("extra", "arguments"),
        [
            ("report", ["report", "--run", ".", "--out", "report.html"]),
            ("onnx", ["predict", "--weights", "deeplab.pt", "--onnx", "network.onnx"]),
            ("crf", ["make-ir-labels", *GOLDEN_CAMS, "--crf", "pydensecrf", "--out", "ir_labels.h5"]),
        ],
    )
    def test_a_missing_one_is_named_in_a_line(self, base: Environment, extra: str, arguments: list[str]) -> None:
        save_weights(base.folder / "deeplab.pt", "deeplab", DeepLab("resnet18", 1), {}, ["cat"], 64)
        told = re.fullmatch(
            r"irn (\S+): needs the package (\w+), which is not installed; pip install 'irn\[(\w+)\]' brings it",
            base.refused(*arguments),
        )
        assert told is not None
        command, package, named = told.groups()
        assert (command, named) == (arguments[0], extra)
        assert EXTRAS[package] == extra

    def test_the_report_of_a_run(self, wheel: Path, finished: Path, tmp_path: Path) -> None:
        environment = Environment(tmp_path, wheel, ["report"])
        environment.irn("report", "--run", finished / "results/small", "--out", "report.html")
        assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")

    def test_each_package_that_is_imported_late_comes_with_its_extra(self) -> None:
        names = packages_distributions()
        for module, extra in EXTRAS.items():
            listed = {Requirement(line).name for line in PROJECT["optional-dependencies"][extra]}
            if module in names or module != "pydensecrf":
                assert listed & set(map(canonicalize_name, names[module])), module


def test_what_the_package_requires_is_pinned() -> None:
    lines = [line for name in ("", "-crf") for line in (ROOT / f"requirements{name}.txt").read_text().splitlines()]
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}
    for line in [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]:
        requirement = Requirement(line)
        if requirement.name != PROJECT["name"]:
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, line


def test_the_citation_is_of_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == irn.__version__
