"""What commands take that compute little: on one small image, for pictures, and the workflow before it works."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from inputs import VOC, scene
from PIL import Image

from cases.common import Case, Finding, Measures, Sides, must, time
from irn.data.tables import write_manifest
from irn.io.cache import CacheWriter
from irn.ops.labels import synthesise_labels
from irn.ops.walk import walk_instances
from irn.records import ImageRecord
from irn.settings.settings import Walk

SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
ALONE = "nothing to compare with"
KINDS = ("cam", "field", "walk", "label")


def _run(command: list[Any]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment, check=False
    )
    must(
        result.returncode == 0,
        f"{command[0]} ended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-500:]}",
    )


def _irn(folder: Path, command: str, *kinds: str, **options: Any) -> Callable[[], None]:
    """A command that reads the caches of these kinds in `folder`."""
    flags = {"cam": "--cams", "field": "--fields", "walk": "--walks", "label": "--label-caches"}
    words = [word for kind in kinds for word in (flags[kind], folder / f"{kind}.h5")]
    words += [word for name, given in options.items() for word in (f"--{name.replace('_', '-')}", given)]

    def run() -> None:
        out = folder / f"{command}.out"
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
        _run([sys.executable, "-m", "irn", command, *words, "--out", out])

    return run


def _write_data(folder: Path, size: tuple[int, int], count: int) -> dict[str, Path]:
    """Drawn images with masks, the caches of all stages, and both tables, whose paths are returned."""
    tables = {"manifest": folder / "manifest.csv", "labels": folder / "labels.csv"}
    if tables["labels"].exists():
        return tables
    (folder / "masks").mkdir()
    records = []
    with ExitStack() as stack:
        caches = {
            kind: stack.enter_context(CacheWriter(folder / f"{kind}.h5", kind, {"stage": "bench"})) for kind in KINDS
        }
        for index in range(count):
            s, name = scene(index, *size), f"{index:02d}"
            field = {"boundary": s.boundary, "displacement": s.displacement}
            walks = walk_instances({"classes": s.classes, "cam": s.cam}, field, Walk())
            label = synthesise_labels(walks["walk"], walks["walk_class"], *size, 0.25, 0.25)
            for cache, arrays in zip(caches.values(), (s.cams(), field, walks, label), strict=True):
                cache.write(name, *size, arrays)
            Image.fromarray(s.pixels).save(folder / f"{name}.png")
            Image.fromarray(s.class_mask).save(folder / f"masks/{name}.png")
            records.append(ImageRecord(name, folder / f"{name}.png", *size, "train"))
    write_manifest(tables["manifest"], records)
    tables["labels"].write_text("image_id,a,b\n" + "".join(f"{record.image_id},1,1\n" for record in records))
    return tables


def _start_sides(quick: bool, folder: Path) -> Sides:
    tables = _write_data(folder, (48, 64), 1)
    return {
        "--help": lambda: _run([sys.executable, "-m", "irn", "--help"]),
        "make-ir-labels": _irn(folder, "make-ir-labels", "cam", manifest=tables["manifest"]),
        "random-walk": _irn(folder, "random-walk", "cam", "field"),
        "make-labels": _irn(folder, "make-labels", "walk"),
        "evaluate": _irn(folder, "evaluate", "cam", "label", **tables, class_masks=folder / "masks"),
        "show": _irn(folder, "show", *KINDS, **tables),
    }


def _start_judge(m: Measures) -> tuple[str, list[Finding]]:
    return ALONE, [
        time(f"irn {command} on one small image" if command != "--help" else "irn --help", m[command])
        for command in COMMANDS
    ]


def _pictures_sides(quick: bool, folder: Path) -> Sides:
    tables = _write_data(folder, (48, 64) if quick else VOC, 2 if quick else 12)
    return {"show": _irn(folder, "show", *KINDS, **tables)}


def _pictures_judge(m: Measures) -> tuple[str, list[Finding]]:
    return ALONE, [time("irn show, 12 pictures of all stages", m["show"])]


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
    snakemake = [
        Path(sys.executable).with_name("snakemake"),
        "--snakefile",
        SNAKEFILE,
        "--directory",
        folder,
        "--cores",
        "2",
    ]
    return {"snakemake -n": lambda: _run([*snakemake, "-n", "--configfile", settings])}


def _dry_run_judge(m: Measures) -> tuple[str, list[Finding]]:
    return ALONE, [time("snakemake -n for 10,582 images", m["snakemake -n"])]


COMMANDS = ("--help", "make-ir-labels", "random-walk", "make-labels", "evaluate", "show")
CASES = {
    "start": Case("Commands on one image of 48 x 64 pixels", _start_sides, COMMANDS, _start_judge),
    "pictures": Case("Pictures of 12 images, 375 x 500", _pictures_sides, ("show",), _pictures_judge),
    "dry_run": Case("Dry run of the workflow, 10,582 images", _dry_run_sides, ("snakemake -n",), _dry_run_judge),
}
