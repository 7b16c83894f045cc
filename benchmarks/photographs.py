"""Measure what more photographs of a class bring, with and without refinement.

    .venv/bin/python benchmarks/photographs.py --root VOC2012 --labels labels.csv --out photographs.csv

The data set is in VOC's layout, with one list `train` and masks of classes and objects. Half of its photographs,
drawn by chance, teach the objectness; of the other half come growing subsets with at least so many photographs of
each class, and subsets of the photographs of a few classes, in whose masks all others are void. Each is run by
configs/laptop.yaml, as it is and without refinement. Subsets of all classes are scored on the photographs of the
smallest of them. Results lie in results/ of the current folder, and what is there already is not computed again.
"""

import argparse
import csv
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from irn.cli import main as irn  # noqa: E402
from irn.workflow.recipes import RESULTS  # noqa: E402

SETTINGS = ROOT / "configs/laptop.yaml"
# What configs/laptop.yaml says of itself without refinement.
PLAIN = (
    "refine={objectness: none, cell_classifier: false}",
    "ir_labels={foreground_threshold: 0.45, background_threshold: 0.2}",
    "labels={semantic_threshold: 0.4, instance_threshold: 0.4}",
)
SCORES = {"semantic mIoU": "semantic labels, mIoU", "instance AP50": "instance labels, AP50"}
FIELDS = ("seed", "classes", "of a class", "photographs", "maps", "score", "value")
VOID = 255
PARTS = ("JPEGImages", "SegmentationClass", "SegmentationObject")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="VOC's layout, with a list train")
    parser.add_argument("--labels", type=Path, required=True, help="classes of its photographs")
    parser.add_argument("--of-a-class", type=int, nargs="+", default=[5, 10, 20, 40], help="photographs, ascending")
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 5], help="further subsets, of so few classes")
    parser.add_argument("--few", type=int, default=20, help="photographs of each of a few classes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as of snakemake")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--snakemake", nargs="*", default=[], metavar="WORD", help="further options, without their --")
    parser.add_argument("--out", type=Path, required=True, help="a table, a row a score")
    parser.add_argument("--chart", type=Path, help="an SVG of it")
    given = parser.parse_args()
    labels = pd.read_csv(given.labels, dtype={"image_id": str}).set_index("image_id")
    images = (given.root / "ImageSets/Segmentation/train.txt").read_text(encoding="utf-8").split()
    random.Random(0).shuffle(images)
    pool, others = images[::2], images[1::2]
    subsets = list(growing(labels.loc[pool], given.of_a_class))
    sets = [data_set(given, labels.loc[subset], f"all_{len(subset)}") for subset in subsets]
    few = [labels.columns[:count] for count in given.classes]
    sets += [data_set(given, of_classes(labels.loc[pool, names], given.few), f"only_{len(names)}") for names in few]
    objectness = learned(given, labels.loc[others])
    rows: list[tuple[object, ...]] = []
    for seed in given.seeds:
        for place in sets:
            table = pd.read_csv(place / "labels.csv", dtype={"image_id": str}).set_index("image_id")
            scored = subsets[0] if place.name.startswith("all") else list(table.index)
            for maps, entries in (("refined", [f"refine={{objectness: {objectness}}}"]), ("plain", PLAIN)):
                run = workflow(given, place, f"{place.name}_{maps}_{seed}", [*entries, f"seed={seed}"])
                about = (seed, table.shape[1], float(table.sum().median()), len(table), maps)
                rows += [(*about, score, value) for score, value in scores(run, place, scored)]
                with open(given.out, "w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([FIELDS, *rows])
    if given.chart:
        chart(pd.read_csv(given.out)).save(given.chart)


def growing(labels: pd.DataFrame, counts: Sequence[int]) -> Iterator[list[str]]:
    """For each count, the photographs of the one before and as many more as give each class so many, if there are."""
    taken: list[str] = []
    for count in counts:
        for image_id, row in labels.iterrows():
            if image_id not in taken and (labels.loc[taken, row.index[row == 1]].sum() < count).any():
                taken.append(str(image_id))
        yield list(taken)


def of_classes(labels: pd.DataFrame, count: int) -> pd.DataFrame:
    """Of a few classes, so many photographs of each."""
    return labels.loc[list(next(growing(labels[labels.any(axis=1)], [count])))]


def data_set(given: argparse.Namespace, labels: pd.DataFrame, name: str) -> Path:
    """A data set in VOC's layout of some photographs and classes, the other classes void in the masks."""
    place = (RESULTS / "photographs" / name).absolute()
    lists = place / "ImageSets/Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "train.txt").write_text("\n".join(labels.index) + "\n", encoding="utf-8")
    labels.to_csv(place / "labels.csv")
    whole = pd.read_csv(given.labels, nrows=0).columns[1:]
    for part in PARTS:
        (place / part).mkdir(exist_ok=True)
        for image_id in labels.index:
            suffix = ".jpg" if part == PARTS[0] else ".png"
            target, link = given.root.absolute() / part / f"{image_id}{suffix}", place / part / f"{image_id}{suffix}"
            if part == PARTS[1] and len(labels.columns) < len(whole):
                mask = np.array(Image.open(target))
                Image.fromarray(np.where(mask > labels.shape[1], VOID, mask).astype(np.uint8)).save(link)
            elif not link.is_symlink():
                link.symlink_to(target)
    return place


def learned(given: argparse.Namespace, labels: pd.DataFrame) -> Path:
    """The objectness that other photographs teach."""
    place = data_set(given, labels, "others")
    weights = place / "objectness.pt"
    if not weights.exists():
        tables = ["--manifest", place / "manifest.csv"]
        listed = ["--root", place, "--labels-csv", place / "labels.csv", "--out-labels", place / "listed.csv"]
        call("build-manifest", "--kind", "voc", *listed, "--splits", "train", "--out-manifest", place / "manifest.csv")
        masks = ["--class-masks", place / PARTS[1], "--backbone", "tf_efficientnet_lite0"]
        call("train-objectness", *tables, *masks, "--out", weights)
    return weights


def workflow(given: argparse.Namespace, place: Path, run: str, entries: Sequence[str]) -> Path:
    """The folder of a run, which is made."""
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", given.cores, "--configfile", str(SETTINGS)]
    command += [f"--{word}" for word in given.snakemake]
    data = f"dataset={{kind: voc, root: {place}, labels_csv: {place / 'labels.csv'}, splits: [train]}}"
    subprocess.run([*command, "--config", f"run={run}", data, *entries, *given.config], check=True)
    return RESULTS / run


def scores(run: Path, place: Path, scored: Sequence[str]) -> Iterator[tuple[str, float]]:
    """The means over classes of the labels of some photographs."""
    manifest = pd.read_csv(run / "build_manifest/manifest.csv", dtype=str)
    with tempfile.TemporaryDirectory() as folder:
        listed, table = Path(folder, "manifest.csv"), Path(folder, "scores.csv")
        manifest[manifest["image_id"].isin(scored)].to_csv(listed, index=False)
        caches = ["--label-caches", *sorted((run / "make_labels").glob("*.h5"))]
        masks = ["--class-masks", place / PARTS[1], "--object-masks", place / PARTS[2]]
        tables = ["--manifest", listed, "--labels", run / "build_manifest/labels.csv"]
        call("evaluate", *tables, *caches, *masks, "--out", table)
        found = pd.read_csv(table, dtype={"class": str})
    for row in found[found["class"] == "mean"].itertuples():
        yield f"{row.stage} {row.metric}", row.value


def call(*words: object) -> None:
    """Run a command of the package, which must succeed."""
    assert irn(list(map(str, words))) == 0


def chart(table: pd.DataFrame) -> alt.TopLevelMixin:
    """Scores of subsets of all classes by the photographs of a class: mean and standard deviation of the seeds."""
    kept = table[table["score"].isin(SCORES) & table["classes"].eq(table["classes"].max())]
    kept = kept.assign(what=kept["score"].map(SCORES))
    across = alt.X("of a class:Q", title="photographs of a class", scale=alt.Scale(type="log"))
    base = alt.Chart(kept, width=240, height=200).encode(x=across, color=alt.Color("maps:N", title="maps"))
    line = base.mark_line(point=True).encode(y=alt.Y("mean(value):Q", title=None, scale=alt.Scale(domainMin=0)))
    spread = base.mark_errorbar(extent="stdev").encode(y=alt.Y("value:Q", title=None))
    return alt.layer(line, spread).facet(facet=alt.Facet("what:N", title=None, sort=list(SCORES.values())), columns=2)


if __name__ == "__main__":
    main()
