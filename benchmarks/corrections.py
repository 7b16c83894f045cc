"""Measure what corrected labels bring: true masks for the images most in doubt, and for as many drawn at random.

    .venv/bin/python benchmarks/corrections.py --out corrections.csv
    .venv/bin/python benchmarks/corrections.py --configfile voc.yaml --out corrections.csv --chart corrections.svg

For each seed a run without corrections and its doubt.csv, then a sweep of `dataset.corrected`. Scored are the images
that are corrected in none of them, so that the same images are compared, and a split that is not trained on, if there
is one. The data set needs masks of classes and objects as index PNGs. Results lie in results/ of the current folder,
and what is there already is not computed again.
"""

import argparse
import csv
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import altair as alt
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from irn.cli import main as irn  # noqa: E402
from irn.settings.reading import read_config  # noqa: E402
from irn.workflow.recipes import RESULTS, masks  # noqa: E402
from irn.workflow.run import Run  # noqa: E402

WAYS = ("most doubtful", "at random")
# The scores in the chart, with what they are called there.
DRAWN = {
    "semantic mIoU": "labels of other images, mIoU",
    "instance AP50": "labels of other images, AP50",
    "mask_rcnn AP50": "Mask R-CNN on held-out images, AP50",
}
FIELDS = ("seed", "chosen", "corrected", "images", "score", "value")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="default: the demonstration")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as of snakemake")
    parser.add_argument("--counts", type=int, nargs="+", default=[5, 10, 20, 40], help="corrected images")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cores", default="2")
    parser.add_argument("--snakemake", nargs="*", default=[], metavar="WORD", help="further options, without their --")
    parser.add_argument("--out", type=Path, required=True, help="a table, a row a score")
    parser.add_argument("--chart", type=Path, help="an SVG of it")
    given = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    for seed in given.seeds:
        rows += measured(given, seed)
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([FIELDS, *rows])
    if given.chart:
        chart(pd.read_csv(given.out)).save(given.chart)


def measured(given: argparse.Namespace, seed: int) -> Iterator[tuple[object, ...]]:
    """The scores of a seed: without corrections, and with each number of them chosen in each way."""
    base = workflow(given, f"uncorrected_{seed}", f"seed={seed}")
    with open(base / "doubt.csv", newline="", encoding="utf-8") as file:
        by_doubt = [row["image_id"] for row in csv.DictReader(file)]
    at_random = random.Random(seed).sample(sorted(by_doubt), len(by_doubt))
    orders = dict(zip(WAYS, (by_doubt, at_random), strict=True))
    entries = [*given.config, f"run={base.name}", f"seed={seed}"]
    manifest = Run(read_config(given.configfile or [ROOT / "config.yaml"], entries)).configurations[0]["build_manifest"]
    truth = [place for place in masks(manifest) if place]
    most = max(given.counts)
    others = set(by_doubt) - set(by_doubt[:most]) - set(at_random[:most])
    corrected = {
        (way, count): corrections(base.name, way, order[:count], truth)
        for way, order in orders.items()
        for count in given.counts
    }
    sweep = ", ".join(map(str, corrected.values()))
    swept = workflow(given, f"corrected_{seed}", f"seed={seed}", f"sweep={{dataset.corrected: [{sweep}]}}")
    folders = {(way, 0): base for way in WAYS}
    folders |= {key: swept / "configurations" / str(number) for number, key in enumerate(corrected, 1)}
    for (way, count), folder in folders.items():
        for images, score, value in scores(base, folder, others, truth):
            yield seed, way, count, images, score, value


def workflow(given: argparse.Namespace, run: str, *entries: str) -> Path:
    """The folder of a run, which is made."""
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", given.cores]
    command += [f"--{word}" for word in given.snakemake]
    if given.configfile:
        command += ["--configfile", *map(str, given.configfile)]
    subprocess.run([*command, "--config", *given.config, f"run={run}", *entries], check=True)
    return RESULTS / run


def corrections(run: str, way: str, image_ids: Sequence[str], truth: Sequence[Path]) -> Path:
    """A folder with the true masks of some images."""
    folder = RESULTS / "corrections" / run / f"{way.replace(' ', '_')}_{len(image_ids)}"
    shutil.rmtree(folder, ignore_errors=True)
    for place, name in zip(truth, ("SegmentationClass", "SegmentationObject"), strict=True):
        (folder / name).mkdir(parents=True)
        for image_id in image_ids:
            shutil.copy(place / f"{image_id}.png", folder / name)
    return folder


def scores(base: Path, folder: Path, others: set[str], truth: Sequence[Path]) -> Iterator[tuple[str, str, float]]:
    """Which images, what is scored, and the mean over classes: of labels of others, and of all on further splits."""
    manifest = pd.read_csv(base / "build_manifest/manifest.csv", dtype=str)
    trained = set(manifest[manifest["image_id"].isin(others)]["split"])
    with tempfile.TemporaryDirectory() as place:
        listed, table = Path(place, "manifest.csv"), Path(place, "scores.csv")
        manifest[manifest["image_id"].isin(others)].to_csv(listed, index=False)
        caches = sorted((folder / "make_labels").glob("*.h5"))
        words = ["evaluate", "--manifest", listed, "--labels", base / "build_manifest/labels.csv", "--out", table]
        words += ["--label-caches", *caches, "--class-masks", truth[0], "--object-masks", truth[1]]
        assert irn(list(map(str, words))) == 0
        yield from means(table, "not corrected")
    for images, score, value in means(folder / "evaluate/scores.csv"):
        if images not in trained:
            yield images, score, value


def means(table: Path, images: str = "") -> Iterator[tuple[str, str, float]]:
    """Of the scores that are means over classes: the images (by default their split), what is scored, and the value."""
    found = pd.read_csv(table, dtype={"class": str})
    for row in found[found["class"] == "mean"].itertuples():
        yield images or row.split, f"{row.stage} {row.metric}", row.value


def chart(table: pd.DataFrame) -> alt.TopLevelMixin:
    """What each number of corrected images adds to a score of the same seed: mean and standard deviation of the seeds.

    Of the labels of images that are not corrected, and of the network that learns from all labels.
    """
    labels = table["images"].eq("not corrected") & table["score"].isin(DRAWN)
    kept = table[labels | table["score"].eq("mask_rcnn AP50")]
    without = kept["value"].where(kept["corrected"].eq(0))
    without = without.groupby([kept["seed"], kept["chosen"], kept["score"]]).transform("max")
    gains = kept.assign(gain=kept["value"] - without, what=kept["score"].map(DRAWN))
    base = alt.Chart(gains, width=190, height=190).encode(
        x=alt.X("corrected:Q", title="corrected images"), color=alt.Color("chosen:N", title=None, sort=list(WAYS))
    )
    line = base.mark_line(point=True).encode(y=alt.Y("mean(gain):Q", title="change", axis=alt.Axis(format="+.2f")))
    spread = base.mark_errorbar(extent="stdev").encode(y=alt.Y("gain:Q", title="change"))
    return alt.layer(line, spread).facet(facet=alt.Facet("what:N", title=None, sort=list(DRAWN.values())), columns=3)


if __name__ == "__main__":
    main()
