"""CAM caches from elsewhere: every mistake in them is named before anything is made from them."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import refused, run

Change = Callable[[h5py.File], None]
SIZES = {"a": (20, 31), "b": (16, 24), "c": (9, 8)}


@pytest.fixture
def tables(tmp_path: Path) -> list[object]:
    """The options that name the tables of three images, of the classes cat, dog and fox; only `c` is in split val."""
    rows = "".join(f"{i},{i}.png,{h},{w},{'val' if i == 'c' else 'train'}\n" for i, (h, w) in SIZES.items())
    (tmp_path / "manifest.csv").write_text(f"image_id,path,height,width,split\n{rows}", encoding="utf-8")
    (tmp_path / "labels.csv").write_text("image_id,cat,dog,fox\na,1,0,1\nb,0,1,0\nc,0,0,0\n", encoding="utf-8")
    return ["--manifest", tmp_path / "manifest.csv", "--labels", tmp_path / "labels.csv"]


@pytest.fixture
def cams(tmp_path: Path) -> Path:
    """A cache as another method may write it: other number types, no provenance."""
    with h5py.File(tmp_path / "cams.h5", "w") as cache:
        cache.attrs["format_version"] = 1
        for image_id, classes in {"a": [0, 2], "b": [1], "c": []}.items():
            (height, width), count = SIZES[image_id], len(classes)
            image = cache.create_group(image_id)
            image.attrs["height"], image.attrs["width"] = height, width
            image["classes"] = np.array(classes, np.int64)
            image["cam"] = np.ones((count, -(-height // 4), -(-width // 4)))
            image["high_res"] = np.zeros((count, height, width), np.float32)
    return tmp_path / "cams.h5"


def edit(path: Path, change: Change) -> None:
    with h5py.File(path, "r+") as cache:
        change(cache)


def replace(name: str, array: np.ndarray) -> Change:
    def change(cache: h5py.File) -> None:
        del cache[name]
        cache[name] = array

    return change


def test_sound_caches_are_accepted_in_silence(tables: list[object], cams: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("check-cams", *tables, "--cams", cams)
    assert capsys.readouterr().out == ""


def test_a_class_without_a_map_is_accepted(tables: list[object], cams: Path) -> None:
    def drop(cache: h5py.File) -> None:
        for name in ("classes", "cam", "high_res"):
            replace(f"a/{name}", cache[f"a/{name}"][1:])(cache)

    edit(cams, drop)
    run("check-cams", *tables, "--cams", cams)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cache: cache.attrs.modify("format_version", 2), "cams.h5: cache format_version is 2, expected 1"),
        (lambda cache: cache.__delitem__("b"), "cams.h5: image 'b' is missing; write it there too"),
        (lambda cache: cache["b"].attrs.modify("height", 24), "cams.h5: image 'b' is 24 x 24 pixels, the manifest says 16 x 24"),
        (lambda cache: cache["b"].attrs.__delitem__("width"), "cams.h5: the cache is damaged (image 'b'"),
        (lambda cache: cache.__delitem__("b/high_res"), "cams.h5: image 'b': array 'high_res' is missing"),
        (replace("b/cam", np.ones((1, 4, 5))), "cams.h5: image 'b': array 'cam' has shape (1, 4, 5), expected (1, 4, 6)"),
        (replace("b/cam", np.ones((2, 4, 6))), "cams.h5: image 'b': array 'cam' has shape (2, 4, 6), expected (1, 4, 6)"),
        (replace("b/cam", np.ones((1, 4, 6), int)), "cams.h5: image 'b': array 'cam' has number type int64, expected a float type"),
        (replace("b/classes", np.ones(1)), "cams.h5: image 'b': array 'classes' has number type float64, expected an integer type"),
        # As where 0 is taken for background.
        (replace("b/classes", np.array([2])), "CAMs of image 'b': class index 2 (fox), but {folder}/labels.csv gives it 1 (dog)"),
        (replace("b/classes", np.array([3])), "CAMs of image 'b': class index 3, but {folder}/labels.csv gives it 1 (dog)"),
        (
            replace("b/classes", np.array([-1])),
            "cams.h5: image 'b', array 'classes' holds -1 to -1; expected zero-based class indices below 254",
        ),
        (replace("a/classes", np.array([2, 2])), "CAMs of image 'a': a class index stands twice in [2, 2]"),
        (replace("b/cam", np.full((1, 4, 6), 7.5)), "CAMs of image 'b': cam goes from 7.5 to 7.5; expected values in [0, 1]"),
        (replace("b/high_res", np.full((1, 16, 24), -1.0)), "CAMs of image 'b': high_res goes from -1 to -1; expected values in [0, 1]"),
        (replace("b/cam", np.full((1, 4, 6), np.nan)), "cams.h5: image 'b', array 'cam' holds numbers that are not finite"),
    ],
)
def test_mistakes(
    tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, message: str
) -> None:
    edit(cams, change)
    said = refused(capsys, tmp_path, "check-cams", *tables, "--cams", cams)
    assert said.removeprefix("irn check-cams: ").removeprefix(f"{tmp_path}/").startswith(message.format(folder=tmp_path))


def test_images_of_other_splits_need_not_be_there(
    tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(cams, lambda cache: cache.__delitem__("c"))
    run("check-cams", *tables, "--cams", cams, "--split", "train")
    assert "image 'c' is missing" in refused(capsys, tmp_path, "check-cams", *tables, "--cams", cams, "--split", "train+val")


def test_an_image_in_two_files(tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(cams.read_bytes())
    assert "image 'a' is also in" in refused(capsys, tmp_path, "check-cams", *tables, "--cams", cams, other)
