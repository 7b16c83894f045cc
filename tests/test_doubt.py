"""irn/commands/find_doubt.py and exports of the most doubtful: which labels to look at first."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from exported_labels import LABELS, Labels
from helpers import Arrays, Sample, label_of, refused, run, write_data

from irn.errors import IrnError
from irn.grid import cells
from irn.io.cache import CacheWriter
from irn.ops.doubt import Signs, agreement, in_words, ranks, steepness
from irn.settings.reading import read_config
from irn.workflow.job import command
from irn.workflow.recipes import Recipe
from irn.workflow.run import Run

NAMES = ["cat", "dog", "cow"]


# ---- the signs and their twins


def slow_agreement(ir_label: np.ndarray, semantic: np.ndarray, present: list[int]) -> float:
    sure = ir_label != 255
    values = []
    for value in [0, *(index + 1 for index in present)]:
        in_ir_label, in_label = sure & (ir_label == value), sure & (semantic == value)
        if (in_ir_label | in_label).any():
            values.append((in_ir_label & in_label).sum() / (in_ir_label | in_label).sum())
        elif value:
            values.append(0)
    return float(np.mean(values)) if values else 0.0


def slow_steepness(semantic: np.ndarray, score: np.ndarray) -> float:
    height, width = semantic.shape
    differences = [
        abs(float(score[y, x]) - float(score[v, u]))
        for y in range(height)
        for x in range(width)
        for v, u in ((y, x + 1), (y + 1, x))
        if v < height and u < width and semantic[y, x] != semantic[v, u]
    ]
    return float(np.mean(differences)) * (height * width) ** 0.5 if differences else 0.0


def slow_ranks(signs: list[Signs]) -> list[list[float]]:
    doubt = [(sign.classes, -sign.agreement, -sign.steepness) for sign in signs]
    return [
        [sum((other[n] < mine[n]) + (other[n] == mine[n]) / 2 for other in doubt) / len(doubt) for n in range(3)]
        for mine in doubt
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_signs_equal_their_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (rng.integers(1, 9), rng.integers(1, 9))
    ir_label, semantic = rng.choice([0, 1, 3, 255], shape), rng.choice([0, 1, 2, 3], shape)
    present = sorted(rng.choice(4, rng.integers(0, 4), replace=False).tolist())
    assert agreement(ir_label, semantic, present, 4) == pytest.approx(slow_agreement(ir_label, semantic, present))
    score = rng.random(shape).astype(np.float32)
    assert steepness(semantic, score) == pytest.approx(slow_steepness(semantic, score), rel=1e-5)
    signs = [Signs(*row) for row in np.round(rng.random((7, 3)) * 3).tolist()]
    np.testing.assert_allclose(ranks(signs), slow_ranks(signs))


class TestSigns:
    def test_a_pixel_alone_has_no_outline(self):
        assert steepness(np.ones((1, 1), int), np.ones((1, 1), np.float32)) == 0
        assert agreement(np.ones((1, 1), int), np.ones((1, 1), int), [0], 1) == 1

    def test_nothing_sure_agrees_with_nothing(self):
        assert agreement(np.full((4, 5), 255), np.ones((4, 5), int), [0], 1) == 0

    def test_a_class_that_was_missed_altogether_does_not_agree(self):
        empty = np.zeros((4, 5), int)
        assert agreement(empty, empty, [], 2) == 1
        assert agreement(empty, empty, [1], 2) == 0.5

    def test_an_enlarged_image_is_as_steep(self):
        semantic, score = np.zeros((40, 40), int), np.linspace(0, 1, 40)[None].repeat(40, 0)
        semantic[:, 20:] = 1
        twice = steepness(semantic.repeat(2, 0).repeat(2, 1), np.linspace(0, 1, 80)[None].repeat(80, 0))
        assert twice == pytest.approx(steepness(semantic, score), rel=0.02)

    def test_of_no_image_and_of_one_there_are_ranks_too(self):
        assert ranks([]).shape == (0, 3)
        assert ranks([Signs(2, 0.5, 7)]).tolist() == [[0.5, 0.5, 0.5]]

    def test_why_names_what_is_odd_or_else_what_is_oddest(self):
        assert in_words(Signs(3, 0.25, 9), np.array([0.9, 0.95, 0.5])) == (
            "label and IR label disagree (IoU 0.25); 3 classes"
        )
        assert in_words(Signs(1, 0.9, 9), np.array([0.1, 0.2, 0.3])) == "soft outlines"
        assert in_words(Signs(1, 0.9, 0), np.array([0.1, 0.2, 0.9])) == "no outline"


# ---- the command


class Doubted:
    """Images of a split, their caches, and the command on them. By default all labels are right and steep."""

    def __init__(self, folder: Path, present: dict[str, list[int]], size: tuple[int, int] = (16, 24)) -> None:
        self.folder, self.size, self.present = folder, size, present
        pixels = np.zeros((*size, 3), np.uint8)
        data = write_data(folder, NAMES, {image_id: Sample(pixels, classes) for image_id, classes in present.items()})
        self.tables = ["--manifest", data.manifest, "--labels", data.labels]
        self.ir_labels = {image_id: {"label": self.right(classes)} for image_id, classes in present.items()}
        self.labels = {
            image_id: label_of(self.right(classes), range(3), [1.0] * 3) for image_id, classes in present.items()
        }
        self.walks = {image_id: self.walk(classes) for image_id, classes in present.items()}

    def right(self, classes: list[int]) -> np.ndarray:
        """A stripe for each class."""
        label = np.zeros(self.size, int)
        for number, index in enumerate(classes):
            label[8 * number : 8 * number + 4, 4:] = index + 1
        return label

    def walk(self, classes: list[int], blur: float = 0.0) -> Arrays:
        """Maps as high as 1 on the stripes and `blur` elsewhere."""
        grid = tuple(map(cells, self.size))
        maps = np.full((len(classes), *grid), blur, np.float32)
        for number in range(len(classes)):
            maps[number, 2 * number : 2 * number + 1, 1:] = 1
        return {"walk": maps, "walk_class": np.array(classes, int), "walk_instance": np.zeros(len(classes), int)}

    def write(self) -> None:
        for kind, arrays in (("ir_label", self.ir_labels), ("walk", self.walks), ("label", self.labels)):
            with CacheWriter(self.folder / f"{kind}.h5", kind, {"stage": "test"}) as cache:
                for image_id in arrays:
                    cache.write(image_id, *self.size, arrays[image_id])

    def command(self, *options: object) -> list[object]:
        caches = [flag for kind in ("ir_label", "walk", "label") for flag in self.option(kind)]
        return ["find-doubt", *self.tables, *caches, "--out", self.folder / "doubt.csv", "--workers", 0, *options]

    def option(self, kind: str) -> list[object]:
        flag = {"ir_label": "--ir-labels", "walk": "--walks", "label": "--label-caches"}[kind]
        return [flag, self.folder / f"{kind}.h5"]

    def table(self, *options: object) -> dict[str, dict[str, str]]:
        self.write()
        run(*self.command(*options))
        with open(self.folder / "doubt.csv", encoding="utf-8") as file:
            return {row["image_id"]: row for row in csv.DictReader(file)}


def test_each_sign_brings_an_image_to_the_top(tmp_path: Path) -> None:
    doubted = Doubted(tmp_path, {"good": [0], "fine": [1], "blurred": [0], "two": [0, 2], "unlike": [1], "right": [2]})
    doubted.walks["blurred"] = doubted.walk([0], blur=0.9)
    doubted.ir_labels["unlike"] = {"label": doubted.right([])}
    table = doubted.table()
    assert set(list(table)[:3]) == {"blurred", "two", "unlike"}
    doubt = [float(row["doubt"]) for row in table.values()]
    assert doubt == sorted(doubt, reverse=True)
    assert 0 < doubt[-1] <= doubt[0] < 1
    assert "soft outlines" in table["blurred"]["why"]
    assert "2 classes" in table["two"]["why"]
    assert table["unlike"]["why"].startswith("label and IR label disagree")
    assert table["two"]["classes"] == "2"
    assert float(table["unlike"]["agreement"]) < float(table["good"]["agreement"]) == 1


def test_corrected_images_come_last_and_those_without_a_class_before_them(tmp_path: Path) -> None:
    doubted = Doubted(tmp_path, {"corrected": [0, 1], "none": [], "good": [0], "blurred": [0]})
    doubted.walks["blurred"] = doubted.walk([0], blur=0.9)
    with CacheWriter(tmp_path / "corrected.h5", "ir_label", {"stage": "test"}) as cache:
        cache.write("corrected", *doubted.size, {"label": doubted.right([1])})
    table = doubted.table("--corrected", tmp_path / "corrected.h5")
    assert list(table) == ["blurred", "good", "none", "corrected"]
    assert [row["doubt"] for row in table.values()][2:] == ["0.0000", "0.0000"]
    assert table["corrected"]["why"] == "corrected"
    assert table["none"]["why"] == "no class"
    # What was corrected has no part in the ranks of others.
    assert [float(table[image_id]["doubt"]) for image_id in ("blurred", "good")] == [0.5833, 0.4167]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 2)])
def test_images_without_an_outline_or_anything_sure(tmp_path: Path, size: tuple[int, int]) -> None:
    doubted = Doubted(tmp_path, {"full": [0], "void": [1], "empty": [2], "none": []}, size)
    doubted.labels["full"] = label_of(np.ones(size, int), [0], [1.0])
    doubted.labels["empty"] = label_of(np.zeros(size, int), [], [])
    doubted.ir_labels["void"] = {"label": np.full(size, 255)}
    table = doubted.table()
    assert list(table)[-1] == "none"
    assert table["void"]["agreement"] == "0"
    assert table["full"]["steepness"] == "0"
    assert all(0 < float(row["doubt"]) < 1 for image_id, row in table.items() if image_id != "none")


def test_nobody_doubts_when_no_image_has_a_class(tmp_path: Path) -> None:
    assert [row["why"] for row in Doubted(tmp_path, {"a": [], "b": []}).table().values()] == ["no class", "no class"]


def test_the_same_in_several_processes(tmp_path: Path) -> None:
    doubted = Doubted(tmp_path, {f"i{number}": [number % 3] for number in range(5)})
    assert doubted.table() == doubted.table("--workers", 2)


def test_what_a_cache_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubted = Doubted(tmp_path, {"a": [0], "b": [1]})
    del doubted.walks["b"]
    doubted.write()
    said = refused(capsys, tmp_path, *doubted.command())
    assert said.startswith(f"irn find-doubt: {tmp_path}/walk.h5: image 'b' is missing")
    said = refused(capsys, tmp_path, *doubted.command("--split", "val"))
    assert "no image has split 'val'" in said


# ---- exports of the most doubtful

ORDER = ["noise.2", "holes", "one-pixel", "nothing", "tiny", "fragments"]


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    doubted = Labels(tmp_path)
    write_table(doubted.folder / "doubt.csv", ORDER)
    return doubted


def write_table(path: Path, ids: list[str]) -> None:
    path.write_text("image_id,doubt\n" + "".join(f"{name},{1 / n}\n" for n, name in enumerate(ids, 1)))


def of_training(labels: Labels, *options: object) -> list[object]:
    return ["--split", "train", "--doubt", labels.folder / "doubt.csv", *options]


def test_every_export_takes_the_first_in_the_order_of_doubt(labels: Labels) -> None:
    first = of_training(labels, "--doubtful", 3)
    assert [image["name"] for image in labels.exported(*first)["images"]] == ORDER[:3]
    run(*labels.label_studio(*first))
    tasks = json.loads((labels.folder / "out/tasks.json").read_text(encoding="utf-8"))
    assert [task["data"]["image_id"] for task in tasks] == ORDER[:3]
    for export in (labels.voc, labels.yolo, labels.labelme):
        run(*export(*first))
    for folder in ("voc/SegmentationClass", "voc/SegmentationObject", "yolo/images/train", "labelme"):
        assert {path.stem for path in (labels.folder / "out" / folder).iterdir()} == set(ORDER[:3])


def test_ids_of_images_do_not_depend_on_how_many_are_exported(labels: Labels) -> None:
    everything = {image["name"]: image["id"] for image in labels.exported()["images"]}
    few = {image["name"]: image["id"] for image in labels.exported(*of_training(labels, "--doubtful", 2))["images"]}
    assert few == {name: everything[name] for name in ORDER[:2]}


def test_a_table_alone_says_which_images_and_in_which_order(labels: Labels) -> None:
    (labels.folder / "doubt.csv").write_text("image_id\ntiny\nall\n", encoding="utf-8")
    exported = labels.exported("--doubt", labels.folder / "doubt.csv")
    assert [image["name"] for image in exported["images"]] == ["tiny", "all"]


def test_more_than_there_are_is_a_notice(labels: Labels, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(labels.exported(*of_training(labels, "--doubtful", 50))["images"]) == len(LABELS) - 1
    said = capsys.readouterr().out
    assert f"notice: --doubtful 50: {labels.folder}/doubt.csv has 6 images, all of which are exported" in said


@pytest.mark.parametrize("command", [Labels.coco, Labels.voc, Labels.yolo, Labels.label_studio, Labels.labelme])
def test_bad_counts_and_tables_are_refused(labels, capsys, command):
    def said(*options: object) -> str:
        return refused(capsys, labels.folder, *command(labels, *options)).split(": ", 1)[1]

    table = labels.folder / "doubt.csv"
    for count in (0, -3, 2.5, "many"):
        assert said(*of_training(labels, f"--doubtful={count}")).startswith(
            f"--doubtful is '{count}'; expected a whole"
        )
    assert said("--doubtful", 2).startswith("--doubtful 2: the table is missing; give results/<run>/doubt.csv")
    assert said("--split", "val", "--doubt", table).startswith(
        f"{table}: image 'noise.2' is not in {labels.manifest} with split val; give the doubt.csv of the run"
    )
    write_table(table, ["of another run"])
    assert said("--doubt", table).startswith(f"{table}: image 'of another run' is not in {labels.manifest}; give")
    table.write_text("image,doubt\nholes,0.5\n", encoding="utf-8")
    assert "column 'image_id' is missing" in said("--doubt", table)
    table.write_text("image_id,doubt\nholes,high\n", encoding="utf-8")
    assert "column 'doubt'" in said("--doubt", table)
    assert said("--doubt", labels.folder / "gone.csv").startswith(f"{labels.folder}/gone.csv: no such file")


# ---- in the workflow


def test_a_run_ends_with_its_table_and_the_report_shows_it(finished: Path) -> None:
    folder = finished / "results/small"
    with open(folder / "doubt.csv", encoding="utf-8") as file:
        listed = [row["image_id"] for row in csv.DictReader(file)]
    with open(folder / "build_manifest/manifest.csv", encoding="utf-8") as file:
        trained = [row["image_id"] for row in csv.DictReader(file) if row["split"] == "train"]
    assert sorted(listed) == sorted(trained)
    page = (folder / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="first">') : page.index('<section id="gallery">')]
    assert re.findall(r"<h3>(.*?)</h3>", section) == listed[:12]


def test_exports_depend_on_doubt_only_where_they_ask_for_it() -> None:
    def recipe(*entries: str) -> Recipe:
        return Run(read_config(entries=entries)).configurations[0]["export_coco"]

    assert recipe().inputs("find_doubt") == []
    few = recipe("export={doubtful: 5}")
    assert [Path(file).name for file in few.inputs("find_doubt")] == ["doubt.csv"]
    assert "--doubt t.csv" in command(few, {"doubt": "t.csv"}, None, None, 1)
    assert "--doubtful 5" in command(few, {}, None, None, 1)
    assert few.key != recipe("export={doubtful: 6}").key


@pytest.mark.parametrize("count", ["0", "-1", "half"])
def test_a_setting_that_is_no_count_is_refused(count: str) -> None:
    with pytest.raises(IrnError, match=r"export\.doubtful .*at least 1, or null"):
        read_config(entries=[f"export={{doubtful: {count}}}"])
