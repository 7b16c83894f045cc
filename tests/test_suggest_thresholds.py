"""irn/ops/separation.py beside a twin that splits all scores at each threshold, and its command on small caches."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers import refused, run

from irn.data.tables import write_manifest
from irn.grid import cells
from irn.io.cache import CacheWriter
from irn.ops.separation import BINS, THRESHOLDS, score_histogram, separation
from irn.records import ImageRecord

SIZE = (37, 50)
SHAPE = (cells(SIZE[0]), cells(SIZE[1]))


def slow_histogram(maps: np.ndarray) -> list[int]:
    counts = [0] * BINS
    if maps.size and maps.max() > 0:
        for cell in maps.reshape(len(maps), -1).T:
            counts[min(int(max(max(cell) / maps.max(), 0) * BINS), BINS - 1)] += 1
    return counts


def slow_separation(histogram: np.ndarray) -> list[float]:
    scores = np.repeat((np.arange(BINS) + 0.5) / BINS, histogram)
    found = []
    for threshold in THRESHOLDS:
        above, below = scores[scores > threshold], scores[scores < threshold]
        if len(above) and len(below):
            between = sum(len(part) / len(scores) * (part.mean() - scores.mean()) ** 2 for part in (above, below))
            found.append(between / scores.var())
        else:
            found.append(0.0)
    return found


class TestSeparation:
    def test_random_histograms(self) -> None:
        rng = np.random.default_rng(0)
        histograms = rng.integers(0, 5, (6, BINS)) * (rng.random((6, BINS)) < 0.3)
        for row, histogram in zip(separation(histograms), histograms, strict=True):
            np.testing.assert_allclose(row, slow_separation(histogram), atol=1e-9)

    def test_two_levels_are_parted_between_them_and_wholly(self) -> None:
        histogram = np.zeros(BINS, int)
        histogram[10], histogram[70] = 30, 5
        parts = dict(zip(THRESHOLDS, separation(histogram), strict=True))
        assert all(parts[t] == pytest.approx(1 if 0.1 < t <= 0.7 else 0) for t in THRESHOLDS)

    def test_nothing_and_one_level_cannot_be_parted(self) -> None:
        one = np.zeros(BINS, int)
        one[42] = 9
        assert not separation(np.zeros(BINS, int)).any()
        assert not separation(one).any()

    @pytest.mark.parametrize("maps", [0, 1, 3])
    def test_histograms(self, maps: int) -> None:
        scores = np.random.default_rng(maps).integers(0, 65, (maps, *SHAPE)) / np.float32(64)
        assert score_histogram(scores).tolist() == slow_histogram(scores)
        assert score_histogram(np.zeros_like(scores)).sum() == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """CAM and walk caches of nine images, the last without a class; walk scores are 0.1 or 0.8."""
    rng = np.random.default_rng(0)
    records = [
        ImageRecord(f"{number:03}", tmp_path / f"{number:03}.jpg", *SIZE, "train" if number else "val")
        for number in range(9)
    ]
    write_manifest(tmp_path / "manifest.csv", records)
    with (
        CacheWriter(tmp_path / "cams.h5", "cam", {"stage": "cam"}) as cams,
        CacheWriter(tmp_path / "walks.h5", "walk", {"stage": "w"}) as walks,
    ):
        for record in records:
            count = 0 if record.image_id == "008" else 1
            cam = rng.random((count, *SHAPE))
            cams.write(
                record.image_id, *SIZE, {"classes": np.arange(count), "cam": cam, "high_res": np.zeros((count, *SIZE))}
            )
            walk = (
                np.where(rng.random((count, *SHAPE)) < 0.3, 0.8, 0.1) * np.array([0.25, 0.75])[:, None, None]
                if count
                else cam
            )
            walk[:, :1, :1] *= 1.25
            groups = {"walk_class": np.zeros(len(walk), int), "walk_instance": np.arange(len(walk))}
            walks.write(record.image_id, *SIZE, {"walk": walk, **groups})
    return tmp_path


class TestCommand:
    def test_the_table_marks_what_separates_best_and_the_log_says_it(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(
            "suggest-thresholds",
            "--cams",
            folder / "cams.h5",
            "--walks",
            folder / "walks.h5",
            "--out",
            folder / "suggested.csv",
        )
        said = capsys.readouterr().out.splitlines()
        table = pd.read_csv(folder / "suggested.csv")
        assert list(table) == ["key", "threshold", "separation", "separation_of_images", "suggested"]
        for line, (key, own) in zip(said, table.groupby("key", sort=False), strict=True):
            assert own["threshold"].tolist() == pytest.approx(list(THRESHOLDS))
            best = own[own["suggested"] == 1]
            assert len(best) == 1
            assert best["separation"].iloc[0] == own["separation"].max()
            assert line.startswith(f"{key}: {best['threshold'].iloc[0]:.2f} ")
        walks = table[table["key"] == "labels.semantic_threshold"]
        assert 0.1 < walks[walks["suggested"] == 1]["threshold"].iloc[0] < 0.8

    def test_of_refined_maps_it_is_their_own_threshold(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with h5py.File(folder / "cams.h5", "a") as file:
            file.attrs["stage"] = "refine_cams"
        run("suggest-thresholds", "--cams", folder / "cams.h5", "--out", folder / "suggested.csv")
        assert capsys.readouterr().out.startswith("evaluate.refined_threshold: ")

    def test_without_a_manifest_it_looks_at_all_images_that_all_kinds_have(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parts = {"cams": (range(0, 9, 2), range(1, 9, 2)), "walks": (range(4), range(4, 8))}
        for kind, of_files in parts.items():
            for place, numbers in enumerate(of_files):
                with (
                    h5py.File(folder / f"{kind}.h5") as whole,
                    CacheWriter(folder / f"{kind}{place}.h5", kind[:-1], {"stage": kind}) as cache,
                ):
                    for number in numbers:
                        group = whole[f"{number:03}"]
                        cache.write(f"{number:03}", *SIZE, {name: group[name][()] for name in group})
        files = {kind: [folder / f"{kind}{place}.h5" for place in (0, 1)] for kind in parts}
        command = ("suggest-thresholds", "--cams", *files["cams"], "--walks", *files["walks"], "--out")
        run(*command, folder / "suggested.csv")
        said = capsys.readouterr().out.splitlines()
        assert len(said) == 2
        assert all(" in 8 images " in line for line in said)
        write_manifest(
            folder / "eight.csv",
            [ImageRecord(f"{number:03}", folder / f"{number:03}.jpg", *SIZE, "train") for number in range(8)],
        )
        run(*command, folder / "expected.csv", "--manifest", folder / "eight.csv")
        assert (folder / "suggested.csv").read_text() == (folder / "expected.csv").read_text()

    def test_splits_and_processes(self, folder: Path) -> None:
        words = (
            "suggest-thresholds",
            "--walks",
            folder / "walks.h5",
            "--manifest",
            folder / "manifest.csv",
            "--split",
            "train",
            "--out",
        )
        run(*words, folder / "one.csv", "--workers", 0)
        run(*words, folder / "other.csv", "--workers", 2)
        assert (folder / "one.csv").read_text() == (folder / "other.csv").read_text()

    def test_mistakes(self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = ("--out", tmp_path / "suggested.csv")
        assert "give CAM caches (--cams) or walk caches (--walks)" in refused(
            capsys, tmp_path, "suggest-thresholds", *out
        )
        with CacheWriter(folder / "empty.h5", "walk", {"stage": "w"}) as cache:
            cache.write(
                "000",
                *SIZE,
                {"walk": np.zeros((0, *SHAPE)), "walk_class": np.zeros(0, int), "walk_instance": np.zeros(0, int)},
            )
        said = refused(capsys, tmp_path, "suggest-thresholds", "--walks", folder / "empty.h5", *out)
        assert "empty.h5: no image has a score above 0" in said
        both = ("suggest-thresholds", "--cams", folder / "cams.h5", "--walks", folder / "empty.h5")
        said = refused(capsys, tmp_path, *both, "--manifest", folder / "manifest.csv", *out)
        assert "image '001' (and 7 more of 9) is missing" in said
        with CacheWriter(folder / "none.h5", "walk", {"stage": "w"}):
            pass
        said = refused(capsys, tmp_path, *both[:-1], folder / "none.h5", *out)
        assert "none.h5: no image is in the caches of every kind" in said
        with CacheWriter(folder / "corrected.h5", "ir_label", {"stage": "c"}) as cache:
            for number in range(9):
                cache.write(f"{number:03}", *SIZE, {"label": np.zeros(SIZE, np.uint8)})
        said = refused(capsys, tmp_path, *both[:3], "--corrected", folder / "corrected.h5", *out)
        assert "corrected.h5: all images were corrected by hand" in said
