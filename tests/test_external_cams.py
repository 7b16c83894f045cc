"""CAM caches from elsewhere: they are copied as they are, and every mistake in them is named before they are used."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import read_all, refused, run

from irn.io.cache import CacheReader

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
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "cams.h5", "w") as cache:
        cache.attrs["format_version"] = 1
        for image_id, classes in {"a": [0, 2], "b": [1], "c": []}.items():
            (height, width), count = SIZES[image_id], len(classes)
            image = cache.create_group(image_id)
            image.attrs["height"], image.attrs["width"] = height, width
            image["classes"] = np.array(classes, np.int64)
            image["cam"] = rng.random((count, -(-height // 4), -(-width // 4)))
            image["high_res"] = rng.random((count, height, width)).astype(np.float32)
    return tmp_path / "cams.h5"


def edit(path: Path, change: Change) -> None:
    with h5py.File(path, "r+") as cache:
        change(cache)


def replace(name: str, array: np.ndarray) -> Change:
    def change(cache: h5py.File) -> None:
        del cache[name]
        cache[name] = array

    return change


def given(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """What the external cache holds, by image."""
    with h5py.File(path) as cache:
        return {image_id: {name: array[()] for name, array in image.items()} for image_id, image in cache.items()}


def same(found: dict[str, dict[str, np.ndarray]], wanted: dict[str, dict[str, np.ndarray]]) -> None:
    """Whether the maps are those that were given, but for the rounding of the cache."""
    assert set(found) == set(wanted)
    for image_id, arrays in wanted.items():
        assert found[image_id]["classes"].tolist() == arrays["classes"].tolist()
        for name in ("cam", "high_res"):
            np.testing.assert_allclose(found[image_id][name], arrays[name], rtol=0, atol=4e-4)


def test_sound_caches_are_taken_over_in_silence(
    tables: list[object], cams: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run("make-cams", *tables, "--external", cams, "--out", tmp_path / "own.h5")
    assert capfd.readouterr() == ("", "")
    same(read_all(tmp_path / "own.h5", "cam"), given(cams))
    reader = CacheReader([tmp_path / "own.h5"], "cam")
    # In the order of the manifest, as this project writes them.
    assert {image_id: reader.size(image_id) for image_id in reader.ids} == SIZES
    with h5py.File(tmp_path / "own.h5") as cache:
        assert cache.attrs["stage"] == "make_cams"
        assert {array.dtype.name for image in cache.values() for array in image.values()} == {"uint16", "float16"}


def test_what_is_taken_over_twice_stays_as_it_is(tables: list[object], cams: Path, tmp_path: Path) -> None:
    for source, out in ((cams, "once.h5"), (tmp_path / "once.h5", "twice.h5")):
        run("make-cams", *tables, "--external", source, "--out", tmp_path / out)
    once, twice = (read_all(tmp_path / name, "cam") for name in ("once.h5", "twice.h5"))
    for image_id, arrays in once.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(twice[image_id][name], array)


def test_several_files_shards_and_workers(tables: list[object], cams: Path, tmp_path: Path) -> None:
    other, parts = tmp_path / "other.h5", [tmp_path / f"{index}-of-2.h5" for index in range(2)]
    with h5py.File(cams, "r+") as cache, h5py.File(other, "w") as more:
        more.attrs["format_version"] = 1
        cache.copy("b", more)
        del cache["b"]
    for index, part in enumerate(parts):
        run("make-cams", *tables, "--external", cams, other, "--out", part, "--shard", f"{index}/2", "--workers", 2)
    assert [CacheReader([part], "cam").ids for part in parts] == [["a", "c"], ["b"]]
    same(read_all(parts, "cam"), given(cams) | given(other))


def test_a_class_without_a_map_is_accepted(tables: list[object], cams: Path, tmp_path: Path) -> None:
    def drop(cache: h5py.File) -> None:
        for name in ("classes", "cam", "high_res"):
            replace(f"a/{name}", cache[f"a/{name}"][1:])(cache)

    edit(cams, drop)
    run("make-cams", *tables, "--external", cams, "--out", tmp_path / "own.h5")
    assert read_all(tmp_path / "own.h5", "cam")["a"]["classes"].tolist() == [2]


@pytest.mark.parametrize("both", [False, True])
def test_maps_come_from_weights_or_from_elsewhere(
    tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], both: bool
) -> None:
    sources = ["--weights", tmp_path / "cam.pt", "--external", cams] if both else []
    said = refused(capsys, tmp_path, "make-cams", *tables, *sources, "--out", tmp_path / "own.h5")
    assert said.startswith("irn make-cams: give either --weights of a classifier")
    assert "or --external CAM caches" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cache: cache.attrs.modify("format_version", 2), "cams.h5: cache format_version is 2, expected 1"),
        (lambda cache: cache.__delitem__("b"), "cams.h5: image 'b' is missing;"),
        (lambda cache: cache["b"].attrs.modify("height", 24), "cams.h5: image 'b' is 24 x 24 pixels, expected 16 x 24"),
        (lambda cache: cache["b"].attrs.__delitem__("width"), "cams.h5: the cache is damaged (image 'b'"),
        (lambda cache: cache.__delitem__("b/high_res"), "cams.h5: image 'b': array 'high_res' is missing"),
        (
            replace("b/cam", np.ones((1, 4, 5))),
            "cams.h5: image 'b': array 'cam' has shape (1, 4, 5), expected (1, 4, 6)",
        ),
        (
            replace("b/cam", np.ones((2, 4, 6))),
            "cams.h5: image 'b': array 'cam' has shape (2, 4, 6), expected (1, 4, 6)",
        ),
        (
            replace("b/cam", np.ones((1, 4, 6), int)),
            "cams.h5: image 'b': array 'cam' has number type int64, expected a float type",
        ),
        (
            replace("b/classes", np.ones(1)),
            "cams.h5: image 'b': array 'classes' has number type float64, expected an integer type",
        ),
        # As where 0 is taken for background.
        (
            replace("b/classes", np.array([2])),
            "CAMs of image 'b': class index 2 (fox), but {folder}/labels.csv gives it 1 (dog)",
        ),
        (
            replace("b/classes", np.array([3])),
            "CAMs of image 'b': class index 3, but {folder}/labels.csv gives it 1 (dog)",
        ),
        (replace("b/classes", np.array([-1])), "cams.h5: image 'b', array 'classes' holds -1, expected 0 to 253"),
        (replace("b/classes", np.array([254])), "cams.h5: image 'b', array 'classes' holds 254, expected 0 to 253"),
        (replace("a/classes", np.array([2, 2])), "CAMs of image 'a': a class index appears twice in [2, 2]"),
        (
            replace("b/cam", np.full((1, 4, 6), 7.5)),
            "cams.h5: image 'b', array 'cam' holds 7.5, expected numbers from 0 to 1",
        ),
        (
            replace("b/high_res", np.full((1, 16, 24), -1.0)),
            "cams.h5: image 'b', array 'high_res' holds -1, expected numbers from 0 to 1",
        ),
        (
            replace("b/cam", np.full((1, 4, 6), np.nan)),
            "cams.h5: image 'b', array 'cam' holds numbers that are not finite",
        ),
    ],
)
def test_mistakes(
    tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, message: str
) -> None:
    edit(cams, change)
    said = refused(capsys, tmp_path, "make-cams", *tables, "--external", cams, "--out", tmp_path / "own.h5")
    assert said.removeprefix("irn make-cams: ").removeprefix(f"{tmp_path}/").startswith(message.format(folder=tmp_path))


def test_images_of_other_splits_need_not_be_there(
    tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(cams, lambda cache: cache.__delitem__("c"))
    command = ["make-cams", *tables, "--external", cams, "--out", tmp_path / "own.h5", "--split"]
    assert "image 'c' is missing" in refused(capsys, tmp_path, *command, "train+val")
    run(*command, "train")
    assert list(read_all(tmp_path / "own.h5", "cam")) == ["a", "b"]


def test_an_image_in_two_files(
    tables: list[object], cams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(cams.read_bytes())
    said = refused(capsys, tmp_path, "make-cams", *tables, "--external", cams, other, "--out", tmp_path / "own.h5")
    assert "image 'a' is also in" in said
