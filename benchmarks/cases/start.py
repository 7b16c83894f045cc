"""How long a command and the workflow take before they work."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inputs import scene
from PIL import Image

from cases.common import Case, Finding, Measures, Sides, must, time
from irn.data.tables import ImageRecord, write_manifest
from irn.io.cache import CacheWriter
from irn.ops.labels import synthesise_labels
from irn.ops.walk import walk_instances

SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
ALONE = "nothing to compare with"


def _run(command: list[Any]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    must(result.returncode == 0, f"{command[0]} ended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-500:]}")


def _start_sides(quick: bool, folder: Path) -> Sides:
    s, size = scene(0, 48, 64), (48, 64)
    walks = walk_instances({"classes": s.classes, "cam": s.cam}, {"boundary": s.boundary, "displacement": s.displacement}, 10.0, 256, 5)
    made = {
        "cam": s.cams(),
        "field": {"boundary": s.boundary, "displacement": s.displacement},
        "walk": walks,
        "label": synthesise_labels(walks["walk"], walks["walk_class"], *size, 0.25, 0.25),
    }
    if not (folder / "labels.csv").exists():
        for kind, arrays in made.items():
            with CacheWriter(folder / f"{kind}.h5", kind, {"stage": "bench"}) as cache:
                cache.write("one", *size, arrays)
        (folder / "masks").mkdir()
        Image.fromarray(s.pixels).save(folder / "one.png")
        Image.fromarray(s.class_mask).save(folder / "masks/one.png")
        write_manifest(folder / "manifest.csv", [ImageRecord("one", folder / "one.png", *size, "train")])
        (folder / "labels.csv").write_text("image_id,a,b\none,1,1\n")

    def irn(command: str, *kinds: str, **options: Any) -> Callable[[], None]:
        flags = {"cam": "--cams", "field": "--fields", "walk": "--walks", "label": "--label-caches"}
        words = [word for kind in kinds for word in (flags[kind], folder / f"{kind}.h5")]
        words += [word for name, given in options.items() for word in (f"--{name.replace('_', '-')}", given)]

        def run() -> None:
            out = folder / f"{command}.out"
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
            _run([sys.executable, "-m", "irn", command, *words, "--out", out])

        return run

    tables = {"manifest": folder / "manifest.csv", "labels": folder / "labels.csv"}
    return {
        "--help": lambda: _run([sys.executable, "-m", "irn", "--help"]),
        "make-ir-labels": irn("make-ir-labels", "cam", manifest=tables["manifest"]),
        "random-walk": irn("random-walk", "cam", "field"),
        "make-labels": irn("make-labels", "walk"),
        "evaluate": irn("evaluate", "cam", "label", **tables, class_masks=folder / "masks"),
        "show": irn("show", "cam", "field", "walk", "label", **tables),
    }


def _start_judge(m: Measures) -> tuple[str, list[Finding]]:
    return ALONE, [time(f"irn {command} on one small image" if command != "--help" else "irn --help", m[command]) for command in COMMANDS]


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


COMMANDS = ("--help", "make-ir-labels", "random-walk", "make-labels", "evaluate", "show")
CASES = {
    "start": Case("Commands on one image of 48 x 64 pixels", _start_sides, COMMANDS, _start_judge),
    "dry_run": Case("Dry run of the workflow, 10,582 images", _dry_run_sides, ("snakemake -n",), _dry_run_judge),
}
