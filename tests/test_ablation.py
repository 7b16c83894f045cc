"""irn/commands/ablation.py: its rows against labels made by the workflow's own commands, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import Sample, refused, run, smooth_image, write_data
from PIL import Image
from scipy import ndimage

from irn.grid import cells
from irn.io.cache import CacheReader, CacheWriter
from irn.ops.ablation import THRESHOLDS

SIZE = (46, 61)
NAMES = ["cat", "dog"]
AP = ["AP25", "AP50", "AP70", "AP75", "AP"]


class DataSet:
    """Ten images, eight of split train, with up to three objects of two classes, and caches that find them roughly."""

    def __init__(self, root: Path) -> None:
        rng = np.random.default_rng(0)
        self.root, self.data = root, write_data(root, NAMES, {f"{n:03}": sample(n, rng) for n in range(10)})
        self.walk_in(self.data.cache("field"), "walk", 20)

    def arguments(self, out: Path | None = None, **changes: Any) -> list[Any]:
        root = self.root
        given = {
            "manifest": "manifest.csv",
            "labels": "labels.csv",
            "cams": "cam.h5",
            "walks": "walk.h5",
            "class-masks": "class_masks",
            "object-masks": "object_masks",
        }
        words: list[Any] = ["ablation", "--out", out or root / "ablation.csv", "--workers", 0]
        for name, file in {**given, **{key.replace("_", "-"): one for key, one in changes.items()}}.items():
            words += [f"--{name}", root / file if name != "split" else file] if file else []
        return words

    def score(self, stage: str, metric: str, **files: Path) -> float:
        """The mean that `irn evaluate` gives."""
        data, scores = self.data, self.root / "scores.csv"
        words: list[Any] = ["evaluate", "--manifest", data.manifest, "--labels", data.labels, "--split", "train"]
        words += ["--class-masks", data.class_masks, "--object-masks", data.object_masks, "--out", scores]
        for name, given in files.items():
            words += [f"--{name.replace('_', '-')}", given]
        run(*words, "--workers", 0)
        table = pd.read_csv(scores)
        return float(
            table[(table["stage"] == stage) & (table["metric"] == metric) & (table["class"] == "mean")]["value"].iloc[0]
        )

    def scores_of_walk(self, walks: Path, threshold: float, stage: str, metrics: list[str]) -> list[float]:
        labels = self.root / "labels.h5"
        thresholds = ("--semantic-threshold", threshold, "--instance-threshold", threshold)
        run("make-labels", "--walks", walks, "--out", labels, *thresholds, "--workers", 0)
        return [self.score(stage, metric, label_caches=labels) for metric in metrics]

    def walk(self, name: str, steps: int, field: Any) -> Path:
        """The walk in fields that are changed."""
        with CacheWriter(self.root / f"{name}_field.h5", "field", {"stage": "field"}) as cache:
            for number in range(10):
                own = field_of(np.array(Image.open(self.data.object_masks / f"{number:03}.png")))
                cache.write(f"{number:03}", *SIZE, own | field(own))
        return self.walk_in(self.root / f"{name}_field.h5", name, steps)

    def walk_in(self, fields: Path, name: str, steps: int) -> Path:
        out = self.root / f"{name}.h5"
        run("random-walk", "--cams", self.data.cache("cam"), "--fields", fields, "--out", out, "--steps", steps)
        return out


def sample(number: int, rng: np.random.Generator) -> Sample:
    objects = np.zeros(SIZE, np.uint8)
    if number != 3:
        objects[4:40, 5:24], objects[10:30, 24:40] = 1, 2
        objects[6:20, 44:58] = 3 * (number % 2)
    classes = np.where(objects == 2, 1 + number % 2, objects > 0).astype(np.uint8)
    class_mask = np.where(rng.random(SIZE) < 0.05, 255, classes).astype(np.uint8)
    pixels = smooth_image(rng, *SIZE) // 3
    pixels[objects > 0] += np.uint8(150)
    present = sorted({int(index) - 1 for index in np.unique(classes)} - {-1})
    high_res = np.array([maps_of(classes == index + 1, rng) for index in present]).reshape(-1, *SIZE)
    (h, w), small = map(cells, SIZE), high_res[:, 1::4, 1::4]
    small = np.pad(small, ((0, 0), (0, h - small.shape[1]), (0, w - small.shape[2])), "edge")
    cam = {"classes": np.array(present, int), "cam": small, "high_res": high_res}
    split = "val" if number > 7 else "train"
    return Sample(pixels, present, split, class_mask, objects, {"cam": cam, "field": field_of(objects)})


def maps_of(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A blurred and shifted mask, highest 1."""
    found = ndimage.gaussian_filter(np.roll(mask, 2, 1).astype(float), 5) + 0.05 * ndimage.gaussian_filter(
        rng.random(mask.shape), 3
    )
    return (found / found.max()).astype(np.float32)


def field_of(objects: np.ndarray) -> dict[str, np.ndarray]:
    """Boundary between objects, and displacement to the middle of each."""
    padded = np.pad(objects, ((0, 4 * cells(SIZE[0]) - SIZE[0]), (0, 4 * cells(SIZE[1]) - SIZE[1])))[1::4, 1::4]
    edge = (np.roll(padded, 1, 0) != padded) | (np.roll(padded, 1, 1) != padded)
    displacement = np.zeros((2, *padded.shape), np.float32)
    places = np.indices(padded.shape)
    for number in np.unique(padded):
        inside = padded == number
        displacement[:, inside] = (places[:, inside].mean(1, keepdims=True) - places[:, inside]) * (number > 0)
    displacement[:, padded == 0] = 4
    return {"boundary": np.where(edge, 0.7, 0.1).astype(np.float32), "displacement": displacement}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return DataSet(tmp_path_factory.mktemp("ablation"))


@pytest.fixture(scope="module")
def table(data: DataSet) -> pd.DataFrame:
    run(*data.arguments(split="train"), "--figure", data.root / "ablation.svg")
    return pd.read_csv(data.root / "ablation.csv")


def row(table: pd.DataFrame, labels: str, variant: str) -> pd.Series:
    found = table[(table["labels"] == labels) & (table["variant"] == variant)]
    assert len(found) == 1
    return found.iloc[0]


class TestRows:
    def test_a_row_for_each_variant_says_which_parts_it_has(self, table: pd.DataFrame) -> None:
        columns = ["split", "labels", "variant", "refined", "crf", "boundary", "displacement", "threshold", "mIoU", *AP]
        assert list(table) == [*columns, "over_cam", "over_row_before", "images"]
        found = [tuple(values) for values in table[columns[1:7]].itertuples(index=False)]
        assert found == [
            ("semantic", "CAM", 0, 0, 0, 0), ("semantic", "CAM + CRF", 0, 1, 0, 0), ("semantic", "full", 0, 0, 1, 0),
            ("instance", "CAM", 0, 0, 0, 0), ("instance", "CAM + displacement", 0, 0, 0, 1),
            ("instance", "CAM + boundary", 0, 0, 1, 0), ("instance", "full", 0, 0, 1, 1),
        ]  # fmt: skip
        assert set(table["split"]) == {"train"}
        assert set(table["images"]) == {8}

    def test_refined_maps_have_rows_of_their_own_and_all_below_are_made_from_them(
        self, data: DataSet, table: pd.DataFrame, tmp_path: Path
    ) -> None:
        plain = tmp_path / "plain.h5"
        reader = CacheReader([data.data.cache("cam")], "cam")
        with CacheWriter(plain, "cam", {"stage": "make_cams"}) as cache:
            for image_id in reader.ids:
                maps = reader.read(image_id)
                flat = {name: np.sqrt(maps[name]) for name in ("cam", "high_res")}
                cache.write(image_id, *SIZE, {"classes": maps["classes"], **flat})
        out = tmp_path / "ablation.csv"
        run(*data.arguments(out, split="train", cams=plain, refined_cams="cam.h5"))
        refined = pd.read_csv(out)
        alone = tmp_path / "alone.csv"
        run(*data.arguments(alone, split="train", cams=plain))
        scores = ["threshold", "mIoU", *AP]
        for labels in ("semantic", "instance"):
            rows, wanted = (each[each["labels"] == labels].reset_index() for each in (refined, table))
            assert rows["variant"].tolist() == ["CAM", "refined CAM", *wanted["variant"][1:]]
            assert rows["refined"].tolist() == [0, *[1] * len(wanted)]
            pd.testing.assert_frame_equal(rows[scores][1:].reset_index(drop=True), wanted[scores])
            first = row(pd.read_csv(alone), labels, "CAM")
            assert row(refined, labels, "CAM")[scores].equals(first[scores])

    def test_gains_are_differences_of_miou_and_of_ap50(self, table: pd.DataFrame) -> None:
        for labels, metric in (("semantic", "mIoU"), ("instance", "AP50")):
            own = table[table["labels"] == labels]
            values = own[metric].to_numpy()
            np.testing.assert_allclose(own["over_cam"], values - values[0], atol=2e-6)
            np.testing.assert_allclose(own["over_row_before"], [np.nan, *np.diff(values)], atol=2e-6)

    def test_cams_are_scored_as_evaluate_does_at_their_best_threshold(self, data: DataSet, table: pd.DataFrame) -> None:
        thresholds = data.root / "thresholds.csv"
        data.score("cam", "mIoU", cams=data.root / "cam.h5", thresholds_out=thresholds)
        curve = pd.read_csv(thresholds).set_index("threshold")["mIoU"]
        curve = curve[[threshold for threshold in THRESHOLDS if threshold in curve.index]]
        own = row(table, "semantic", "CAM")
        assert own["threshold"] in curve.index
        assert own["mIoU"] == curve.max() == curve[own["threshold"]]

    def test_with_crf_as_ir_labels_without_unsure_pixels(self, data: DataSet, table: pd.DataFrame) -> None:
        own = row(table, "semantic", "CAM + CRF")
        out, labels = data.root / "ir.h5", data.root / "crf_labels.h5"
        both = ("--foreground-threshold", own["threshold"], "--background-threshold", own["threshold"])
        run(
            "make-ir-labels",
            "--manifest",
            data.root / "manifest.csv",
            "--cams",
            data.root / "cam.h5",
            "--out",
            out,
            *both,
        )
        reader = CacheReader([out], "ir_label")
        with CacheWriter(labels, "label", {"stage": "make_labels"}) as cache:
            for image_id in reader.ids:
                nothing = {
                    "instance_map": np.zeros(SIZE, int),
                    "instance_class": np.zeros(0, int),
                    "instance_score": np.zeros(0),
                }
                cache.write(image_id, *SIZE, {"semantic": reader.read(image_id)["label"], **nothing})
        assert own["mIoU"] == data.score("semantic", "mIoU", label_caches=labels)

    def test_full_is_what_the_workflow_makes(self, data: DataSet, table: pd.DataFrame) -> None:
        own = row(table, "semantic", "full")
        assert [own["mIoU"]] == data.scores_of_walk(data.root / "walk.h5", own["threshold"], "semantic", ["mIoU"])
        own = row(table, "instance", "full")
        assert own[AP].tolist() == data.scores_of_walk(data.root / "walk.h5", own["threshold"], "instance", AP)

    def test_no_threshold_gives_more(self, data: DataSet, table: pd.DataFrame) -> None:
        best = row(table, "instance", "full")["AP50"]
        assert all(
            data.scores_of_walk(data.root / "walk.h5", t, "instance", ["AP50"])[0] <= best for t in THRESHOLDS[::5]
        )

    def test_with_boundary_alone_as_a_walk_in_one_group(self, data: DataSet, table: pd.DataFrame) -> None:
        own = row(table, "instance", "CAM + boundary")
        walks = data.walk("one_group", 20, lambda field: {"displacement": np.zeros_like(field["displacement"])})
        found = data.scores_of_walk(walks, own["threshold"], "instance", AP)
        assert own[AP].tolist() == pytest.approx(found, abs=2e-6)

    def test_with_displacement_alone_as_a_walk_of_no_step(self, data: DataSet, table: pd.DataFrame) -> None:
        own = row(table, "instance", "CAM + displacement")
        walks = data.walk("no_step", 0, lambda field: {"boundary": np.zeros_like(field["boundary"])})
        assert own[AP].tolist() == pytest.approx(data.scores_of_walk(walks, own["threshold"], "instance", AP), abs=2e-6)

    def test_cams_alone_as_a_walk_of_no_step_in_one_group(self, data: DataSet, table: pd.DataFrame) -> None:
        own = row(table, "instance", "CAM")
        walks = data.walk("neither", 0, lambda field: {name: np.zeros_like(array) for name, array in field.items()})
        assert own[AP].tolist() == pytest.approx(data.scores_of_walk(walks, own["threshold"], "instance", AP), abs=2e-6)


class TestFiles:
    def test_processes_and_splits_make_no_difference(self, data: DataSet, table: pd.DataFrame, tmp_path: Path) -> None:
        run(*data.arguments(tmp_path / "all.csv"), "--workers", 2)
        both = pd.read_csv(tmp_path / "all.csv")
        assert both["split"].unique().tolist() == ["train", "val"]
        pd.testing.assert_frame_equal(both[both["split"] == "train"], table)
        assert set(both[both["split"] == "val"]["images"]) == {2}

    def test_without_object_masks_there_are_semantic_labels_alone(
        self, data: DataSet, table: pd.DataFrame, tmp_path: Path
    ) -> None:
        run(
            *data.arguments(tmp_path / "semantic.csv", object_masks=None, split="train"),
            "--figure",
            tmp_path / "semantic.svg",
        )
        found = pd.read_csv(tmp_path / "semantic.csv")
        assert found["mIoU"].tolist() == table["mIoU"].dropna().tolist()
        assert found["AP50"].isna().all()
        assert (tmp_path / "semantic.svg").stat().st_size > 0

    def test_the_figure_names_every_row_and_its_score(self, data: DataSet, table: pd.DataFrame) -> None:
        text = (data.root / "ablation.svg").read_text()
        for own in table.itertuples():
            score = own.mIoU if own.labels == "semantic" else own.AP50
            assert f">{own.variant}<" in text
            assert f">{score:.3f}" in text

    def test_what_is_best_at_an_end_of_the_thresholds_is_said(
        self, data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reader = CacheReader([data.data.cache("cam")], "cam")
        for end, low, high in (("lowest threshold tried, 0.05", 0.0, 0.07), ("highest threshold tried, 0.8", 0.79, 1)):
            with CacheWriter(tmp_path / "cam.h5", "cam", {"stage": "make_cams"}) as cache:
                for image_id in reader.ids:
                    maps = reader.read(image_id)
                    masks = np.array(Image.open(data.data.class_masks / f"{image_id}.png"))
                    exact = [np.where(masks == index + 1, high, low) for index in maps["classes"]]
                    high_res = np.array(exact, np.float32).reshape(-1, *SIZE)
                    cache.write(image_id, *SIZE, {**maps, "high_res": high_res})
            capsys.readouterr()
            run(*data.arguments(tmp_path / "out.csv", cams=tmp_path / "cam.h5", object_masks=None, split="train"))
            said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("notice: ")]
            assert f"notice: train: semantic labels of CAM are best at the {end}" in said

    def test_mistakes(self, data: DataSet, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        said = refused(capsys, tmp_path, *data.arguments(tmp_path / "out.csv", class_masks="nowhere"))
        assert "nowhere/000.png: no such mask" in said
        with CacheWriter(data.root / "short.h5", "walk", {"stage": "walk"}) as cache:
            cache.write(
                "000",
                *SIZE,
                {"walk": np.zeros((0, 12, 16)), "walk_class": np.zeros(0, int), "walk_instance": np.zeros(0, int)},
            )
        said = refused(capsys, tmp_path, *data.arguments(tmp_path / "out.csv", walks="short.h5"))
        assert "short.h5: image '001' (and 8 more of 10) is missing" in said
