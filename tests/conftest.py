"""Fixtures that several test files share; each is made once."""

import os

# Arrays are small here: threads would cost more than they give, most of all where cores are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import functools
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vl_convert
import yaml
from filelock import FileLock
from golden_cases import GOLDEN, NetworkCase, release_checkpoint
from helpers import SMALL, run, snakemake
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from irn.data.images import read_image

torch.set_num_threads(1)
# Hundreds of processes start, and each would compile the package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell that starts the tests in the background has them, and all that they start, ignore Control-C, which some send.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The JavaScript of reports takes two seconds to put together.
vl_convert.javascript_bundle = functools.cache(vl_convert.javascript_bundle)
# The same examples each time. FUZZ=10000 pytest tests/test_fuzz.py tries as many others, and other ones each time.
MANY = int(os.environ.get("FUZZ", "0"))
settings.register_profile("irn", max_examples=MANY or 60, derandomize=not MANY, deadline=None, database=None)
settings.load_profile("irn")
# The jobs that the first test on SLURM submits take minutes; meanwhile the same process tests these files. The first of
# them makes the finished run, for which another process would wait.
BESIDE_SLURM = (
    "test_workflow",
    "test_final_networks",
    "test_rebuilds",
    "test_parts",
    "test_backbones",
    "test_kills",
    "test_new_network",
    "test_cli",
)
# What takes longest comes first, so that no process is left with it when the others are done.
LONGEST = (
    "test_training",
    "test_golden",
    "test_notebook",
    "test_install",
    "test_report",
    "test_docs",
    "test_review",
    "test_benchmarks",
)
ORDER = {name: place for place, name in enumerate((*BESIDE_SLURM, *LONGEST), 1)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place_of)


def place_of(item: pytest.Item) -> int:
    if item.path.stem == "test_slurm":
        return 0 if item.name == "test_jobs_are_submitted" else len(ORDER) + 2
    return ORDER.get(item.path.stem, len(ORDER) + 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With several processes (-n), each takes whole files in this order."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).stem
        if file in ("test_golden", "test_notebook"):
            return "network_case"
        return "slurm" if file in ("test_slurm", *BESIDE_SLURM) else file


@pytest.fixture(scope="session")
def network_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkCase]:
    """The checkpoints of the golden network case, imported by the command."""
    folder = tmp_path_factory.mktemp("network")
    files = [folder / name for name in ("cam.pth", "irn.pth", "cam.pt", "irn.pt")]
    torch.save(release_checkpoint("cam"), files[0])
    torch.save(release_checkpoint("irn"), files[1])
    run("import-weights", "--cam", files[0], "--irn", files[1], "--out-cam", files[2], "--out-irn", files[3])
    height, width = read_image(GOLDEN / "network_image.png").shape[:2]
    manifest, labels = folder / "manifest.csv", folder / "labels.csv"
    row = f"scene,{GOLDEN / 'network_image.png'},{height},{width},train\n"
    manifest.write_text(f"image_id,path,height,width,split\n{row}", encoding="utf-8")
    present = np.isin(np.arange(20), np.load(GOLDEN / "network.npz")["keys"]).astype(int)
    names = [f"class_{index}" for index in range(20)]
    labels.write_text(f"image_id,{','.join(names)}\nscene,{','.join(map(str, present))}\n", encoding="utf-8")
    yield NetworkCase(*files, manifest, labels)
    # 0.4 GB, which the next sessions' folders would keep.
    for file in files:
        file.unlink()


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """A folder that `fill` fills for all processes of pytest: the first that asks does it, and the others wait."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small run of the demonstration is complete; tests leave it as it is."""
    return once(tmp_path_factory, "finished", run_demonstration)


def run_demonstration(folder: Path) -> None:
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout + result.stderr
