"""`irn predict` on folders as people have them: what cannot be read costs nothing else, and no work is done twice."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import refused, run, save_png, smooth_image
from pictures import deep_png, exif, saved, with_segments
from PIL import Image
from scipy import ndimage

import irn
from irn.cli import main
from irn.commands import predict
from irn.data.segmentations import encoded
from irn.inference.predictions import Prediction, pieces
from irn.networks.classifier import Classifier
from irn.networks.deeplab import DeepLab
from irn.networks.mask_rcnn import MaskRcnn
from irn.ops.crops import crops_of_masks, crops_of_numbers
from irn.ops.resize import rescale
from irn.settings.settings import PACKAGED_OBJECTNESS
from irn.weights.files import save_weights

Capture = pytest.CaptureFixture[str]
rng = np.random.default_rng(0)
PIXELS = smooth_image(rng, 40, 56)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained networks of each kind."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    networks = {
        "deeplab": DeepLab("test_resnet", 2, True),
        "mask_rcnn": MaskRcnn("test_resnet", 2, 64, 8, 8, True),
        "cam": Classifier("test_resnet", 2),
    }
    for kind, network in networks.items():
        save_weights(folder / f"{kind}.pt", kind, network, {}, ["dark", "bright"], 64)
    return {kind: folder / f"{kind}.pt" for kind in networks}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photographs, one of which lies in a folder within."""
    folder = tmp_path / "photos"
    for number, name in enumerate(("a", "b", "holiday/c")):
        save_png(folder / f"{name}.png", np.roll(PIXELS, 5 * number, 1))
    return folder


def command(weights: dict[str, Path], images: Path, out: Path, *more: object, kind: str = "deeplab") -> list[object]:
    return [
        "predict",
        "--weights",
        weights[kind],
        "--images",
        images,
        "--out",
        out,
        "--device",
        "cpu",
        "--workers",
        0,
        *more,
    ]


def code_of(words: list[object]) -> int:
    return main([str(word) for word in words])


def ids(out: Path) -> list[str]:
    return sorted(path.stem for path in (out / "overlays").iterdir())


class TestFinding:
    def test_folders_within_are_searched_and_system_files_passed_over(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        for name in ("._a.jpg", "holiday/._c.png", ".DS_Store"):
            (photos / name).write_bytes(b"\0\5\x16\7" + bytes(100))
        (photos / "notes.doc").write_text("mine")
        run(*command(weights, photos, tmp_path / "out"))
        found = ids(tmp_path / "out")
        assert found[:2] == ["a", "b"]
        assert found[2].startswith("holiday_c-")
        assert "1 .doc: not read" in capsys.readouterr().out

    @pytest.mark.parametrize("kind", ["deeplab", "mask_rcnn", "cam"])
    def test_a_portrait_has_the_size_that_is_shown(self, weights: dict[str, Path], tmp_path: Path, kind: str) -> None:
        path = tmp_path / "portrait.jpg"
        path.write_bytes(with_segments(saved(PIXELS, "JPEG"), (0xE1, exif(6))))
        run(*command(weights, path, tmp_path / "out", kind=kind))
        with Image.open(tmp_path / "out/SegmentationClass/portrait.png") as mask:
            assert mask.size == (40, 56)
        found = irn.open_network(weights[kind], device="cpu")(path)
        with Image.open(tmp_path / "out/SegmentationClass/portrait.png") as mask:
            assert kind == "mask_rcnn" or (np.array(mask) == found.semantic).mean() > 0.99

    def test_two_files_of_one_name_are_both_named(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        (photos / "a.jpg").write_bytes(saved(PIXELS, "JPEG"))
        said = refused(capsys, tmp_path, *command(weights, photos, tmp_path / "out"))
        assert "2 files are called 'a'" in said
        assert "a.jpg" in said
        assert "a.png" in said


class TestWhatCannotBeRead:
    def test_it_is_listed_when_all_others_are_there(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        sound = saved(rng.integers(0, 256, (40, 56, 3), np.uint8), "JPEG")
        (photos / "cut.jpg").write_bytes(sound[: len(sound) // 2])
        Image.new("RGBA", (30, 30)).save(photos / "glass.png")
        (photos / "page.jpg").write_text("<!DOCTYPE html>")
        Image.fromarray(PIXELS).convert("CMYK").save(photos / "print.jpg")
        assert code_of(command(weights, photos, tmp_path / "out")) == 3
        said = capsys.readouterr()
        assert len(said.err.splitlines()) == 1
        assert "3 images cannot be read, listed above; the other 4 are in" in said.err
        for words in ("cut.jpg: not a readable image", "glass.png: image mode is RGBA", "(a web page)"):
            assert words in said.out
        assert len(ids(tmp_path / "out")) == 4
        assert json.loads((tmp_path / "out/predictions.json").read_text()) is not None

    def test_where_there_are_no_others_nothing_is_written(
        self, weights: dict[str, Path], tmp_path: Path, capsys: Capture
    ) -> None:
        (tmp_path / "page.jpg").write_text("<!DOCTYPE html>")
        said = refused(capsys, tmp_path, *command(weights, tmp_path / "page.jpg", tmp_path / "out"))
        assert "page.jpg: not a readable image (a web page)" in said
        (tmp_path / "page2.jpg").write_text("<!DOCTYPE html>")
        assert code_of(command(weights, tmp_path, tmp_path / "out")) == 2
        assert not (tmp_path / "out").exists()

    def test_a_second_call_takes_what_was_mended(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        (photos / "d.png").write_bytes(b"")
        assert code_of(command(weights, photos, tmp_path / "out")) == 3
        save_png(photos / "d.png", PIXELS)
        capsys.readouterr()
        assert code_of(command(weights, photos, tmp_path / "out")) == 0
        assert "3 of 4 images are in" in capsys.readouterr().out
        assert len(ids(tmp_path / "out")) == 4


class TestASecondCall:
    def stopped(self, monkeypatch: pytest.MonkeyPatch, words: list[object], after: int) -> None:
        """Run the command, which is interrupted after some images."""
        found, count = predict._found, 0

        def counted(*arguments: object) -> object:
            nonlocal count
            count += 1
            if count > after:
                raise KeyboardInterrupt
            return found(*arguments)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(predict, "_found", counted)
            assert code_of(words) == 130

    @pytest.mark.parametrize("kind", ["deeplab", "cam"])
    def test_it_goes_on_where_the_first_ended_and_gives_the_same(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        options = ["--class-score", 0, "--score", 0] if kind == "cam" else []
        run(*command(weights, photos, tmp_path / "whole", *options, kind=kind))
        words = command(weights, photos, tmp_path / "out", *options, kind=kind)
        self.stopped(monkeypatch, words, 2)
        assert ids(tmp_path / "out") == ["a", "b"]
        assert not (tmp_path / "out/predictions.json").exists()
        # A process that is killed while it writes leaves a part of a line.
        with open(tmp_path / "out/images.jsonl", "a") as file:
            file.write('{"image_id": "hol')
        first = (tmp_path / "out/overlays/a.jpg").stat().st_mtime_ns
        run(*words)
        assert (tmp_path / "out/overlays/a.jpg").stat().st_mtime_ns == first
        names = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*"))
        assert names == sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.*"))
        for name in names:
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name

    def test_images_that_are_new_or_have_changed_are_segmented(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        run(*command(weights, photos, tmp_path / "out"))
        save_png(photos / "a.png", PIXELS[:20])
        os.utime(photos / "a.png", (1, 1))
        save_png(photos / "d.png", PIXELS[:24])
        capsys.readouterr()
        run(*command(weights, photos, tmp_path / "out"))
        assert "2 of 4 images are in" in capsys.readouterr().out
        with Image.open(tmp_path / "out/SegmentationClass/a.png") as mask:
            assert mask.size == (56, 20)
        entries = json.loads((tmp_path / "out/predictions.json").read_text())
        sizes = {entry["image"]: tuple(entry["segmentation"]["size"]) for entry in entries}
        assert sizes.get("a", (20, 56)) == (20, 56)

    def test_a_folder_that_was_moved_is_not_done_again(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        run(*command(weights, photos, tmp_path / "out"))
        shutil.move(photos, tmp_path / "elsewhere")
        capsys.readouterr()
        run(*command(weights, tmp_path / "elsewhere", tmp_path / "out"))
        assert "3 of 3 images are in" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda words, weights: [*words, "--score", 0.7], "another value of --score"),
            (lambda words, weights: [*words, "--max-side", 64], "another value of dataset.max_side"),
            (
                lambda words, weights: [weights["mask_rcnn"] if word == weights["deeplab"] else word for word in words],
                "another value of --weights",
            ),
        ],
    )
    def test_predictions_of_another_kind_are_not_mixed(
        self,
        weights: dict[str, Path],
        photos: Path,
        tmp_path: Path,
        capsys: Capture,
        change: Callable[[list[object], dict[str, Path]], list[object]],
        words: str,
    ) -> None:
        call = command(weights, photos / "a.png", tmp_path / "out")
        run(*call)
        assert words in refused(capsys, tmp_path, *change(call, weights))

    def test_predictions_with_another_objectness_are_not_mixed(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        objectness = shutil.copy(PACKAGED_OBJECTNESS, tmp_path / "objectness.pt")
        call = [*command(weights, photos / "a.png", tmp_path / "out"), "--objectness"]
        run(*call, objectness)
        # The same in another place; then another in the same place.
        run(*call, PACKAGED_OBJECTNESS)
        with open(objectness, "ab") as file:
            file.write(b" ")
        assert "another value of --weights" in refused(capsys, tmp_path, *call, objectness)

    def test_another_image_of_the_same_name_is_not_mixed_in(
        self, weights: dict[str, Path], photos: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        run(*command(weights, photos / "a.png", tmp_path / "out"))
        save_png(tmp_path / "others/a.png", PIXELS[:16])
        said = refused(capsys, tmp_path, *command(weights, tmp_path / "others", tmp_path / "out"))
        assert "holds an image 'a' already" in said


def test_sixteen_bits_are_read_by_the_range(weights: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(deep_png(PIXELS.astype(np.uint16) * 16))
    save_png(tmp_path / "flat.png", PIXELS)
    words = command(weights, tmp_path / "deep.png", tmp_path / "out", "--value-range", 0, 255 * 16)
    run(*words[:4], tmp_path / "flat.png", *words[4:])
    masks = [np.array(Image.open(tmp_path / f"out/SegmentationClass/{name}.png")) for name in ("deep", "flat")]
    np.testing.assert_array_equal(*masks)


# ---- masks as crops


def dense(semantic: np.ndarray, probability: np.ndarray) -> list[tuple[float, int, bytes]]:
    """The pieces of `pieces`, each as a mask of the whole image."""
    found = []
    for label in np.unique(semantic[semantic > 0]):
        numbers, count = ndimage.label(semantic == label)
        masks = [numbers == number for number in range(1, count + 1)]
        found += [(float(np.float32(probability[mask].mean())), int(label) - 1, mask.tobytes()) for mask in masks]
    return found


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_those_of_whole_masks(seed: int) -> None:
    random = np.random.default_rng(seed)
    semantic = (random.random((31, 47)) * 2.5).astype(np.uint8)
    semantic[ndimage.gaussian_filter(random.random((31, 47)), 2) > 0.5] = 0
    probability = random.random((31, 47), np.float32)
    found = pieces(semantic, probability)
    assert list(found.scores) == sorted(found.scores, reverse=True)
    rows = [
        (float(score), int(index), mask.tobytes())
        for score, index, mask in zip(found.scores, found.classes, found.masks, strict=True)
    ]
    assert sorted(rows) == sorted(dense(semantic, probability))
    for (box, crop), mask in zip(found.crops, found.masks, strict=True):
        assert encoded(crop, box[0].start, box[1].start, semantic.shape) == encoded(mask)


@pytest.mark.parametrize("size", [(62, 94), (100, 50), (31, 48), (1, 47), (400, 3)])
def test_enlarged_crops_are_enlarged_masks(size: tuple[int, int]) -> None:
    masks = ndimage.gaussian_filter(np.random.default_rng(1).random((6, 31, 47)), (0, 2, 2)) > 0.52
    masks[3] = False
    crops = crops_of_masks(masks, *masks.shape[1:])
    np.testing.assert_array_equal(crops.whole(), masks)
    wanted = [rescale(mask.astype(np.uint8), *size, nearest=True) for mask in masks]
    np.testing.assert_array_equal(crops.enlarged(*size).whole(), np.array(wanted, bool))


def test_crops_of_numbers_are_the_masks_of_these_numbers() -> None:
    numbers = np.random.default_rng(2).integers(0, 5, (9, 11)).astype(np.uint16)
    found = crops_of_numbers(numbers, [4, 1, 7])
    np.testing.assert_array_equal(found.whole(), numbers == np.array([4, 1, 7])[:, None, None])


def test_specks_of_a_photograph_do_not_take_a_mask_each() -> None:
    """A photograph of 12 megapixels with 2,000 specks: whole masks of them would take 24 GB."""
    semantic = np.zeros((3000, 4000), np.uint8)
    semantic[::75, ::80] = 1
    semantic[1::75, ::80] = 1
    found = pieces(semantic, np.full(semantic.shape, 0.5, np.float32))
    assert len(found.scores) == 2000
    assert sum(mask.nbytes for mask in found.crops.masks) == 4000
    instances = list(predict._instances(Prediction(*found), 0.1))
    assert all(instance["area"] == 2 for _, instance in instances)
    assert found.crops.first_on_top(found.scores > 0).max() == 2000
