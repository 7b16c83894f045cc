"""How long a command and the workflow take before they work."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from inputs import scene
from PIL import Image

from cases.common import Case, Finding, Measures, Sides, must, time
from irn.io.cache import CacheWriter

SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
ALONE = "nothing to compare with"


def _run(command: list[Any]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    must(result.returncode == 0, f"{command[0]} ended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-500:]}")


def _start_sides(quick: bool, folder: Path) -> Sides:
    with (
        CacheWriter(folder / "cams.h5", "cam", {"stage": "bench"}) as cams,
        CacheWriter(folder / "fields.h5", "field", {"stage": "bench"}) as fields,
    ):
        for seed in range(2):
            s = scene(seed, 48, 64)
            cams.write(str(seed), 48, 64, s.cams())
            fields.write(str(seed), 48, 64, {"boundary": s.boundary, "displacement": s.displacement})
    files = ["--cams", folder / "cams.h5", "--fields", folder / "fields.h5", "--out", folder / "walks.h5", "--device", "cpu"]
    irn = [sys.executable, "-m", "irn", "random-walk"]
    return {"--help": lambda: _run([*irn, "--help"]), "tiny shard": lambda: _run([*irn, *files])}


def _start_judge(m: Measures) -> tuple[str, list[Finding]]:
    return ALONE, [time("irn random-walk --help", m["--help"]), time("irn random-walk on a tiny shard", m["tiny shard"])]


def _dry_run_sides(quick: bool, folder: Path) -> Sides:
    images = folder / "data/images"
    images.mkdir(parents=True, exist_ok=True)
    names = [f"{index:06d}" for index in range(40 if quick else 10582)]
    Image.new("RGB", (32, 32)).save(folder / "one.jpg")
    for name in names:
        (images / f"{name}.jpg").unlink(missing_ok=True)
        os.link(folder / "one.jpg", images / f"{name}.jpg")
    (folder / "data/labels.csv").write_text("image_id,thing\n" + "".join(f"{name},1\n" for name in names))
    settings = folder / "settings.yaml"
    settings.write_text("dataset: {kind: folder, root: data}\n")
    snakemake = [Path(sys.executable).with_name("snakemake"), "--snakefile", SNAKEFILE, "--directory", folder, "--cores", "2"]
    return {"snakemake -n": lambda: _run([*snakemake, "-n", "--configfile", settings])}


def _dry_run_judge(m: Measures) -> tuple[str, list[Finding]]:
    return ALONE, [time("snakemake -n for 10,582 images", m["snakemake -n"])]


CASES = {
    "start": Case("Start of a stage", _start_sides, ("--help", "tiny shard"), _start_judge),
    "dry_run": Case("Dry run of the workflow, 10,582 images", _dry_run_sides, ("snakemake -n",), _dry_run_judge),
}
