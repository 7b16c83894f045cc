"""What stages say of what they made, and of what looks wrong in it."""

from pathlib import Path

import numpy as np
import pytest
from helpers import run, save_png
from test_evaluate import DataSet

from irn.data.tables import write_manifest
from irn.grid import cells
from irn.io.cache import CacheWriter
from irn.io.progress import progress
from irn.records import ImageRecord

SIZE = (40, 48)
CELLS = (cells(SIZE[0]), cells(SIZE[1]))


def said(capsys: pytest.CaptureFixture[str], *command: object) -> tuple[str, list[str]]:
    """What a command prints: its first line, and the notices without the word."""
    capsys.readouterr()
    run(*command)
    lines = capsys.readouterr().out.splitlines()
    return lines[0], [line.removeprefix("notice: ") for line in lines[1:]]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    records = [
        ImageRecord(
            name, save_png(tmp_path / f"{name}.png", rng.integers(0, 255, (*SIZE, 3), np.uint8)), *SIZE, "train"
        )
        for name in "ab"
    ]
    write_manifest(tmp_path / "manifest.csv", records)
    return tmp_path / "manifest.csv"


def cache(folder: Path, kind: str, **arrays: np.ndarray) -> Path:
    """A cache in which images a and b are alike."""
    path = folder / f"{kind}.h5"
    with CacheWriter(path, kind, {"stage": "by hand"}) as writer:
        for image_id in "ab":
            writer.write(image_id, *SIZE, arrays)
    return path


def cam_cache(folder: Path, score: np.ndarray) -> Path:
    high_res = score[None].astype(np.float32)
    return cache(folder, "cam", classes=np.array([0]), cam=high_res[:, ::4, ::4], high_res=high_res)


class TestIrLabels:
    def half(self, value: float) -> np.ndarray:
        """A CAM that is `value` in the left half."""
        return np.where(np.arange(SIZE[1]) < SIZE[1] // 2, value, 0.0) * np.ones((SIZE[0], 1))

    def notices(
        self, capsys: pytest.CaptureFixture[str], manifest: Path, score: np.ndarray, *options: object
    ) -> tuple[str, list[str]]:
        cams = cam_cache(manifest.parent, score)
        return said(
            capsys,
            "make-ir-labels",
            "--manifest",
            manifest,
            "--cams",
            cams,
            "--out",
            manifest.parent / "ir.h5",
            *options,
        )

    def test_sound_ones(self, capsys, manifest):
        assert self.notices(capsys, manifest, self.half(1)) == (
            "pixels: 0.50 foreground, 0.50 background, 0.00 unsure",
            [],
        )

    def test_no_foreground(self, capsys, manifest):
        pixels, (notice,) = self.notices(capsys, manifest, self.half(0))
        assert pixels == "pixels: 0.00 foreground, 1.00 background, 0.00 unsure"
        assert "ir_labels.foreground_threshold" in notice

    def test_no_background(self, capsys, manifest):
        _, (notice,) = self.notices(capsys, manifest, np.ones(SIZE))
        assert "ir_labels.background_threshold" in notice

    def test_unsure(self, capsys, manifest):
        pixels, notices = self.notices(
            capsys, manifest, np.full(SIZE, 0.5), "--foreground-threshold", 0.9, "--background-threshold", 0.1
        )
        assert pixels == "pixels: 0.00 foreground, 0.00 background, 1.00 unsure"
        assert "most pixels are unsure" in notices[0]


def field_cache(folder: Path, displacement: np.ndarray) -> Path:
    return cache(folder, "field", boundary=np.zeros(CELLS, np.float32), displacement=displacement.astype(np.float32))


class TestGroups:
    def notices(
        self, capsys: pytest.CaptureFixture[str], folder: Path, displacement: np.ndarray
    ) -> tuple[str, list[str]]:
        files = ["--cams", cam_cache(folder, np.ones(SIZE)), "--fields", field_cache(folder, displacement)]
        return said(capsys, "random-walk", *files, "--steps", 1, "--out", folder / "walk.h5")

    def test_none_is_told_apart(self, capsys, tmp_path):
        groups, (notice,) = self.notices(capsys, tmp_path, np.zeros((2, *CELLS)))
        assert groups == "groups: 1.0 an image"
        assert "irn.epochs" in notice

    def test_two(self, capsys, tmp_path):
        displacement = np.zeros((2, *CELLS))
        # Cells in the middle point to the left and right.
        displacement[1, :, 4:8] = np.array([-3, -3, 3, 3])
        assert self.notices(capsys, tmp_path, displacement) == ("groups: 2.0 an image", [])

    def test_noise(self, capsys, tmp_path):
        spots = (np.add.outer(np.arange(CELLS[0]), np.arange(CELLS[1])) % 2)[None] * np.full((2, 1, 1), 3.0)
        _, (notice,) = self.notices(capsys, tmp_path, spots)
        assert "many small groups" in notice


class TestLabels:
    def notices(
        self, capsys: pytest.CaptureFixture[str], folder: Path, walk: np.ndarray, *options: object
    ) -> tuple[str, list[str]]:
        number = np.zeros(len(walk), int)
        walks = cache(folder, "walk", walk=walk.astype(np.float32), walk_class=number, walk_instance=number)
        return said(capsys, "make-labels", "--walks", walks, *options, "--out", folder / "labels.h5")

    def test_all_foreground(self, capsys, tmp_path):
        assert self.notices(capsys, tmp_path, np.ones((1, *CELLS))) == (
            "foreground: 1.00 of the pixels; 0 of 2 images with a class have none",
            [],
        )

    def test_all_background(self, capsys, tmp_path):
        _, (notice,) = self.notices(capsys, tmp_path, np.zeros((1, *CELLS)))
        assert "CAMs" in notice
        assert "boundary maps" in notice
        # A lower one would change nothing.
        assert "threshold" not in notice

    def test_a_threshold_that_no_score_exceeds(self, capsys, tmp_path):
        _, (notice,) = self.notices(capsys, tmp_path, np.ones((1, *CELLS)), "--semantic-threshold", 1)
        assert "lower labels.semantic_threshold" in notice
        assert "CAMs" not in notice

    def test_images_without_class_are_no_fault(self, capsys, tmp_path):
        none = np.zeros(0, int)
        walks = cache(tmp_path, "walk", walk=np.zeros((0, *CELLS), np.float32), walk_class=none, walk_instance=none)
        run("make-labels", "--walks", walks, "--out", tmp_path / "labels.h5")
        assert capsys.readouterr().out == ""


class TestScores:
    def notices(self, capsys: pytest.CaptureFixture[str], data: DataSet, **labels: np.ndarray) -> list[str]:
        files = [
            "--manifest",
            data.root / "manifest.csv",
            "--labels",
            data.root / "labels.csv",
            "--class-masks",
            data.class_masks,
        ]
        caches = ["--cams", data.cam_cache(), "--label-caches", data.label_cache(**labels)]
        capsys.readouterr()
        run("evaluate", *files, *caches, "--split", "train", "--out", data.root / "scores.csv")
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("notice: ")]

    def test_labels_as_good_as_the_cams(self, capsys, tmp_path):
        assert self.notices(capsys, DataSet(tmp_path)) == []

    @pytest.mark.parametrize(
        ("label", "remedy"), [(1, "raise labels.semantic_threshold"), (0, "lower labels.semantic_threshold")]
    )
    def test_labels_below_the_cams(self, capsys, tmp_path, label, remedy):
        data = DataSet(tmp_path)
        (notice,) = self.notices(capsys, data, semantic=np.full(data.truth("001").shape, label))
        assert "score below the CAMs" in notice
        assert remedy in notice


def test_a_long_stage_says_in_its_log_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress([7, 8, 9], 3, "maps")) == [7, 8, 9]
    assert capsys.readouterr().err == ""  # shorter than a minute
    monkeypatch.setattr("irn.io.progress.EVERY", 0)
    assert list(progress([7, 8, 9], 13, "training", "step", done=10)) == [7, 8, 9]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["training: 11 of 13 steps", "training: 12 of 13 steps"]
    assert lines[-1].endswith(" left")
