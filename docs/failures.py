"""Draw docs/images/failures.png: stages of the demonstration as they usually look, and the same with a wrong setting.

Runs `snakemake` once for each setting; the runs share everything that they have in common.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from irn.commands.report import CACHES  # noqa: E402
from irn.data.images import read_record  # noqa: E402
from irn.data.tables import images_of, read_classes  # noqa: E402
from irn.io.cache import CacheReader  # noqa: E402
from irn.pictures.panels import ARRAYS, Panel, Scene, panels_of  # noqa: E402
from irn.pictures.text import INK, WHITE, font  # noqa: E402


class Failure(NamedTuple):
    """What one sees, in which tile of which image, and the settings that make it so."""

    seen: str
    tile: str
    image: str
    settings: dict[str, dict[str, Any]]


FAILURES = (
    Failure(
        "nearly all unsure",
        "ir_label",
        "demo_0041",
        {"ir_labels": {"foreground_threshold": 0.7, "background_threshold": 0.01}},
    ),
    Failure(
        "background on the object",
        "ir_label",
        "demo_0041",
        {"ir_labels": {"foreground_threshold": 0.8, "background_threshold": 0.7}},
    ),
    Failure("masks too small", "semantic", "demo_0041", {"labels": {"semantic_threshold": 0.8}}),
    Failure("masks too large", "semantic", "demo_0041", {"labels": {"semantic_threshold": 0.1}}),
    Failure("scores cross boundaries", "semantic", "demo_0041", {"walk": {"beta": 1}}),
    Failure("two objects in one mask", "instances", "demo_0229", {"walk": {"centroid_length": 8}}),
)


def main() -> None:
    usual = run("demo", {})
    rows = []
    for number, failure in enumerate(FAILURES):
        wrong = run(f"failure_{number}", failure.settings, failure.tile)
        pictures = [tile_of(folder, failure) for folder in (usual, wrong)]
        rows.append((failure, tile_of(usual, failure._replace(tile="image")), *pictures))
    draw(rows).quantize(256).save(ROOT / "docs/images/failures.png", optimize=True)


def run(name: str, settings: dict[str, dict[str, Any]], tile: str = "") -> Path:
    """Run the workflow as far as the tile needs, and return the run's folder."""
    until = {"cam": "make_cams", "ir_label": "make_ir_labels"}.get(tile, "make_labels")
    overrides = [f"{section}={json.dumps(values)}" for section, values in settings.items()]
    command = [
        str(Path(sys.executable).with_name("snakemake")),
        "--cores",
        "2",
        "--until",
        until,
        "--config",
        f"run={name}",
        "mask_rcnn={labels: none}",
        *overrides,
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "results" / name


def tile_of(folder: Path, failure: Failure) -> Panel:
    """The first tile of a kind of an image in a run."""
    kinds = {"image": (), "cam": ("cam",), "ir_label": ("ir_label",)}.get(failure.tile, ("field", "walk", "label"))
    record = next(
        record for record in images_of(folder / "build_manifest/manifest.csv") if record.image_id == failure.image
    )
    table = read_classes(folder / "build_manifest/labels.csv")
    arrays = {
        kind: CacheReader(sorted((folder / CACHES[kind]).glob("*.h5")), kind).image(record, ARRAYS[kind])
        for kind in kinds
    }
    scene = Scene(record, read_record(record), arrays, table.present[record.image_id], table.names, centroid_length=1.0)
    return next(tile for tile in panels_of(scene) if tile.kind == failure.tile)


def draw(rows: list[tuple[Failure, Panel, Panel, Panel]]) -> Image.Image:
    """A row for each failure: the image, what it usually looks like, and what is wrong."""
    height, width = (max(tile.pixels.shape[side] for _, *tiles in rows for tile in tiles) for side in (0, 1))
    height, width = height + 28, width + 8
    page = Image.new("RGB", (3 * width, len(rows) * height), WHITE)
    pen = ImageDraw.Draw(page)
    for row, (failure, *tiles) in enumerate(rows):
        for column, (tile, words) in enumerate(zip(tiles, ("image", "usual", failure.seen), strict=True)):
            pen.text((column * width + 2, row * height + 20), words, INK, font(15), anchor="ls")
            page.paste(Image.fromarray(tile.pixels), (column * width + 2, row * height + 24))
    return page


if __name__ == "__main__":
    main()
