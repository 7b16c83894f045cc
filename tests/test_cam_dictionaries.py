"""The `.npy` dictionaries of IRNet's family: to a cache and back, without running what is in them."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import read_all, refused, run
from torch.nn import functional

from irn.data.cam_dictionaries import read_dictionary
from irn.errors import IrnError
from irn.io.cache import CacheReader

Dictionary = dict[str, Any]
SIZES = {"a": (20, 31), "b": (16, 24), "c": (9, 8), "d": (1, 1)}
CLASSES: dict[str, list[int]] = {"a": [0, 253], "b": [1], "c": [], "d": [2]}
NAMES = [f"class{number}" for number in range(254)]
ROUNDING = 4e-4  # of the cache


def small(size: tuple[int, int]) -> tuple[int, int]:
    return -(-size[0] // 4), -(-size[1] // 4)


def maps(image_id: str) -> Dictionary:
    """Arrays in [0, 1]."""
    rng, count = np.random.default_rng(ord(image_id)), len(CLASSES[image_id])
    found = {
        name: rng.random((count, *size), np.float32)
        for name, size in (("cam", small(SIZES[image_id])), ("high_res", SIZES[image_id]))
    }
    return {"keys": np.array(CLASSES[image_id], np.int64), **found}


# How a dictionary is written: as the release does, with arrays alone, by old versions of NumPy.


def as_released(path: Path, found: Dictionary) -> None:
    found = {name: array if name == "high_res" else torch.tensor(array) for name, array in found.items()}
    np.save(path, found)


def as_arrays(path: Path, found: Dictionary) -> None:
    np.save(path, found)


def as_halves(path: Path, found: Dictionary) -> None:
    np.save(path, {name: array if name == "keys" else array.astype(np.float16) for name, array in found.items()})


def as_lists_by_columns_and_swapped(path: Path, found: Dictionary) -> None:
    cam = np.asfortranarray(found["cam"])
    np.save(
        path,
        {
            "keys": found["keys"].tolist(),
            "cam": cam,
            "high_res": found["high_res"].astype(">f8"),
            "note": ["a", {1: None}],
        },
    )


def as_parts_of_tensors(path: Path, found: Dictionary) -> None:
    whole = torch.zeros(len(found["cam"]), *(side + 2 for side in found["cam"].shape[1:])).transpose(1, 2)
    whole[:, 1:-1, 1:-1] = torch.tensor(found["cam"]).transpose(1, 2)
    np.save(path, {**found, "cam": whole[:, 1:-1, 1:-1].transpose(1, 2)})


def as_pickled(protocol: int) -> Callable[[Path, Dictionary], None]:
    def write(path: Path, found: Dictionary) -> None:
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
            content = pickle.dumps(np.array({**found, "cam": torch.tensor(found["cam"])}, object), protocol)
            # Without lengths before names, which older versions of NumPy had otherwise.
            file.write(content.replace(b"numpy._core.", b"numpy.core.") if protocol < 4 else content)

    return write


WRITERS = [
    as_released,
    as_arrays,
    as_halves,
    as_lists_by_columns_and_swapped,
    as_parts_of_tensors,
    *map(as_pickled, range(6)),
]


class Folder:
    """Tables of four images and a dictionary for each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.npy = folder, folder / "npy"
        self.npy.mkdir()
        rows = "".join(f"{i},{i}.png,{h},{w},{'val' if i == 'd' else 'train'}\n" for i, (h, w) in SIZES.items())
        (folder / "manifest.csv").write_text(f"image_id,path,height,width,split\n{rows}", encoding="utf-8")
        rows = "".join(
            f"{i},{','.join('1' if index in classes else '0' for index in range(254))}\n"
            for i, classes in CLASSES.items()
        )
        (folder / "labels.csv").write_text(f"image_id,{','.join(NAMES)}\n{rows}", encoding="utf-8")
        for image_id in SIZES:
            as_released(self.path(image_id), maps(image_id))

    def path(self, image_id: str) -> Path:
        return self.npy / f"{image_id}.npy"

    def command(self, *options: object) -> list[object]:
        tables = ["--manifest", self.folder / "manifest.csv", "--labels", self.folder / "labels.csv"]
        return ["import-cams", *tables, "--npy", self.npy, "--out", self.folder / "cams.h5", *options]

    def imported(self, *options: object) -> dict[str, dict[str, np.ndarray]]:
        run(*self.command(*options))
        return read_all(self.folder / "cams.h5", "cam")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:numpy")
@pytest.mark.parametrize("write", WRITERS)
def test_from_arrays_to_dictionaries_to_a_cache_and_back(
    folder: Folder, write: Callable[[Path, Dictionary], None]
) -> None:
    for image_id in SIZES:
        write(folder.path(image_id), maps(image_id))
    found = folder.imported()
    assert list(found) == list(SIZES)
    reader = CacheReader([folder.folder / "cams.h5"], "cam")
    assert {image_id: reader.size(image_id) for image_id in reader.ids} == SIZES
    run("export-cams", "--cams", folder.folder / "cams.h5", "--out", folder.folder / "back")
    assert len(list((folder.folder / "back").iterdir())) == len(SIZES)
    for image_id, arrays in found.items():
        wanted = maps(image_id)
        back = np.load(folder.folder / f"back/{image_id}.npy", allow_pickle=True).item()
        assert arrays["classes"].tolist() == back["keys"].tolist() == CLASSES[image_id]
        for name in ("cam", "high_res"):
            np.testing.assert_allclose(arrays[name], wanted[name], rtol=0, atol=2 * ROUNDING)
            np.testing.assert_array_equal(back[name], arrays[name])
    # As the release's programs take them.
    assert isinstance(back["cam"], torch.Tensor)
    assert isinstance(back["high_res"], np.ndarray)
    assert np.pad(back["keys"] + 1, (1, 0)).tolist() == [0, 3]


def test_what_was_exported_is_imported_to_the_same_cache(folder: Folder) -> None:
    first = folder.imported()
    run("export-cams", "--cams", folder.folder / "cams.h5", "--out", folder.folder / "back")
    second = folder.imported("--npy", folder.folder / "back", "--workers", 2)
    for image_id, arrays in first.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(second[image_id][name], array)


def test_dictionaries_name_numpy_as_all_its_versions_know_it(folder: Folder) -> None:
    folder.imported()
    run("export-cams", "--cams", folder.folder / "cams.h5", "--out", folder.folder / "back")
    content = (folder.folder / "back/a.npy").read_bytes()
    assert b"numpy.core.multiarray" in content
    assert b"numpy._core" not in content


# ---- one of two sizes, and what relatives write


def lowered(high_res: np.ndarray) -> np.ndarray:
    """The means of cells, pixel by pixel, whose pixels beyond the image are those of its edge."""
    height, width = high_res.shape[1:]
    found = np.zeros((len(high_res), *small((height, width))))
    for k, y, x in np.ndindex(found.shape):
        pixels = [
            high_res[k, min(4 * y + dy, height - 1), min(4 * x + dx, width - 1)] for dy in range(4) for dx in range(4)
        ]
        found[k, y, x] = np.mean(pixels)
    return found


def divided(found: np.ndarray) -> np.ndarray:
    return found / (found.max((1, 2), keepdims=True) + 1e-5)


@pytest.mark.parametrize("name", ["high_res", "attn_highres"])
def test_maps_in_pixels_alone(folder: Folder, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for image_id in SIZES:
        found = maps(image_id)
        as_halves(folder.path(image_id), {"keys": found["keys"], name: found["high_res"]})
    imported = folder.imported()
    for image_id in ("a", "b", "d"):
        np.testing.assert_allclose(
            imported[image_id]["cam"], divided(lowered(maps(image_id)["high_res"])), rtol=0, atol=1e-3
        )
    said = capsys.readouterr().out
    assert f"cam made from {name}, by the mean of each cell of 4 x 4 pixels: 3 of 4 images\n" in said
    assert ("high_res taken from attn_highres: 3 of 4 images" in said) is (name == "attn_highres")


def test_maps_in_cells_alone(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    for image_id in SIZES:
        found = maps(image_id)
        np.save(folder.path(image_id), {"keys": found["keys"], "cam": found["cam"], "high_res": None})
    imported = folder.imported()
    for image_id in ("a", "b", "d"):
        height, width = SIZES[image_id]
        cam = torch.tensor(maps(image_id)["cam"])[None]
        raised = functional.interpolate(cam, scale_factor=4, mode="bilinear", align_corners=False)[
            0, :, :height, :width
        ].numpy()
        np.testing.assert_allclose(imported[image_id]["high_res"], divided(raised), rtol=0, atol=1e-3)
    assert "high_res made from cam, bilinearly: 3 of 4 images\n" in capsys.readouterr().out


def test_high_res_goes_before_attn_highres(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    found = maps("b")
    as_arrays(folder.path("b"), {**found, "attn_highres": 1 - found["high_res"]})
    np.testing.assert_allclose(folder.imported()["b"]["high_res"], found["high_res"], rtol=0, atol=ROUNDING)
    assert "attn_highres left out, since there is high_res: 1 of 4 images\n" in capsys.readouterr().out


def check_equal(imported: dict[str, dict[str, np.ndarray]], cam: bool = True) -> None:
    """The imported maps must be those of `maps`; without `cam` it was made from the others."""
    for image_id in SIZES:
        wanted = maps(image_id)
        assert sorted(imported[image_id]["classes"]) == CLASSES[image_id]
        order = np.argsort(imported[image_id]["classes"])
        for name in ("cam", "high_res") if cam else ("high_res",):
            np.testing.assert_allclose(imported[image_id][name][order], wanted[name], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("number", [int, np.int64])
def test_maps_by_class_index_as_psa_seam_and_mctformer_write_them(
    folder: Folder, capsys: pytest.CaptureFixture[str], number: type
) -> None:
    for image_id in SIZES:
        pairs = zip(CLASSES[image_id], maps(image_id)["high_res"], strict=True)
        np.save(folder.path(image_id), {number(index): class_map for index, class_map in pairs})
    imported = folder.imported()
    check_equal(imported, cam=False)
    np.testing.assert_allclose(imported["a"]["cam"], divided(lowered(maps("a")["high_res"])), rtol=0, atol=2 * ROUNDING)
    assert "maps by class index, without keys: 3 of 4 images\n" in capsys.readouterr().out


def test_maps_by_class_index_in_cells_or_with_the_background(folder: Folder) -> None:
    for image_id in SIZES:
        found = maps(image_id)
        if image_id == "b":
            np.save(folder.path(image_id), dict(zip(CLASSES[image_id], found["cam"], strict=True)))
        else:
            shifted = {1 + index: each for index, each in zip(CLASSES[image_id], found["high_res"], strict=True)}
            np.save(folder.path(image_id), {**shifted, 0: np.full(SIZES[image_id], 0.2, np.float32)})
    imported = folder.imported()
    np.testing.assert_allclose(imported["b"]["cam"], maps("b")["cam"], rtol=0, atol=ROUNDING)
    for image_id in ("a", "d"):
        assert imported[image_id]["classes"].tolist() == CLASSES[image_id]
        np.testing.assert_allclose(imported[image_id]["high_res"], maps(image_id)["high_res"], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("with_map", [False, True])
def test_keys_with_the_background_and_large_maps_as_puzzlecam_writes_them(
    folder: Folder, capsys: pytest.CaptureFixture[str], with_map: bool
) -> None:
    for image_id in SIZES:
        found = maps(image_id)
        keys = np.pad(found["keys"] + 1, (1, 0))
        cam, large = (
            np.concatenate([np.full_like(array[:1], 0.2), array]) if with_map else array
            for array in (found["cam"], found["high_res"])
        )
        np.save(folder.path(image_id), {"keys": keys, "cam": cam, "hr_cam": large})
    check_equal(folder.imported())
    said = capsys.readouterr().out
    assert "keys have the background first and count classes from 1: 3 of 4 images\n" in said
    assert "high_res taken from hr_cam: 3 of 4 images\n" in said


def test_the_few_negative_pixels_of_seam_become_0(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    found = maps("b")["high_res"]
    found[0, 3, 5], found[0, 4, :] = -0.4, -2e-5
    np.save(folder.path("b"), {1: found[0]})
    np.testing.assert_allclose(folder.imported()["b"]["high_res"], np.maximum(found, 0), rtol=0, atol=ROUNDING)
    assert "pixels slightly below 0, which became 0: 1 of 4 images\n" in capsys.readouterr().out


@pytest.mark.parametrize("found", [{}, {"keys": np.zeros(0, int)}, {"keys": [], "cam": np.zeros(0, np.float32)}, None])
def test_an_image_without_a_class_may_lack_maps_or_its_file(folder: Folder, found: Dictionary | None) -> None:
    folder.path("c").unlink()
    if found is not None:
        np.save(folder.path("c"), found)
    arrays = folder.imported()["c"]
    assert {name: array.shape for name, array in arrays.items()} == {
        "classes": (0,),
        "cam": (0, 3, 2),
        "high_res": (0, 9, 8),
    }


def test_a_class_may_lack_its_map_and_a_split_its_files(folder: Folder) -> None:
    found = maps("a")
    as_released(folder.path("a"), {name: array[1:] for name, array in found.items()})
    folder.path("d").unlink()
    imported = folder.imported("--split", "train")
    assert list(imported) == ["a", "b", "c"]
    assert imported["a"]["classes"].tolist() == [253]


# ---- files that are not to be trusted


class Code:
    """What numpy.load would run."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call[0], self.call[1:]


def storage_with_code(mark: Path) -> Code:
    """A tensor's numbers, as torch would read them: a pickle in a pickle."""
    content = io.BytesIO()
    torch.save(Code(os.mkdir, str(mark)), content, _use_new_zipfile_serialization=False)
    return Code(torch.storage._load_from_bytes, content.getvalue())


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda mark: Code(os.mkdir, str(mark)), "names posix.mkdir, which"),
        (lambda mark: Code(eval, f"__import__('os').mkdir({str(mark)!r})"), "names builtins.eval, which"),
        (lambda mark: Code(getattr, 1, "real"), "names builtins.getattr, which"),
        (lambda mark: Code(np.load, str(mark)), "names numpy.load, which"),
        (lambda mark: Path(mark), "names pathlib.PosixPath, which"),
        (
            storage_with_code,
            "not a readable dictionary of numpy.save (a tensor that holds something other than numbers)",
        ),
    ],
)
@pytest.mark.parametrize("place", ["keys", "cam", "other", "whole"])
def test_code_in_a_file_is_not_run(
    folder: Folder, capsys: pytest.CaptureFixture[str], make: Callable[[Path], Any], named: str, place: str
) -> None:
    mark = folder.folder / "mark"
    evil = make(mark)
    np.save(folder.path("b"), np.array(evil, object) if place == "whole" else {**maps("b"), place: evil})
    said = refused(capsys, folder.folder, *folder.command())
    assert said.startswith(f"irn import-cams: {folder.path('b')}: {named}")
    assert not mark.exists()


def test_damage_anywhere_is_one_line_or_another_array(tmp_path: Path) -> None:
    as_released(tmp_path / "a.npy", maps("a"))
    content, rng = (tmp_path / "a.npy").read_bytes(), np.random.default_rng(0)
    names = ("keys", "cam", "high_res")
    before, said = read_dictionary(tmp_path / "a.npy", names), []
    for _ in range(300):
        damaged = bytearray(content[: rng.integers(len(content))] if rng.random() < 0.3 else content)
        for place in rng.integers(0, min(900, len(damaged)) or 1, 2):
            if damaged:
                damaged[place] = rng.integers(256)
        (tmp_path / "a.npy").write_bytes(damaged)
        try:
            found = read_dictionary(tmp_path / "a.npy", names)
        except IrnError as error:
            said.append(str(error))
        else:
            assert found.keys() <= before.keys()
    assert len(said) > 100
    assert all(line.startswith(f"{tmp_path}/a.npy: ") and "\n" not in line for line in said)


# ---- mistakes


def changed(**entries: Any) -> Callable[[Dictionary], Any]:
    return lambda found: {name: array for name, array in {**found, **entries}.items() if array is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda found: {0: found["high_res"][0]},
            "class index 0 (class0), but {folder}/labels.csv gives it 1 (class1)",
        ),
        (
            lambda found: {0: np.zeros((16, 24)), 1: np.zeros((4, 6))},
            "maps of several sizes; expected one size for all classes",
        ),
        (lambda found: {1: np.zeros((24, 16))}, "'1' has shape (1, 24, 16), expected (1, 16, 24)"),
        (lambda found: found["cam"], "holds an array of numbers, expected a dictionary with keys and maps"),
        (lambda found: np.array(3, object), "does not contain a dictionary; expected one with keys and maps"),
        (lambda found: np.array([found, found]), "does not contain a dictionary"),
        (changed(keys=None), "no 'keys' in it"),
        (changed(cam=None, high_res=None), "no maps in it; expected 'cam', 'high_res' or 'attn_highres' beside 'keys'"),
        (changed(keys=np.array([1.0])), "'keys' is float64 of shape (1,); expected the class index of each map"),
        (changed(keys=np.array(1)), "'keys' is int64 of shape (); expected the class index of each map"),
        (changed(keys=["dog"]), "'keys' is <U3 of shape (1,); expected the class index of each map"),
        (changed(keys=np.array([1, 2])), "'cam' has shape (1, 4, 6), expected (2, 4, 6): one map for each of 'keys'"),
        (
            changed(keys=np.array([2])),
            "class index 2 (class2), but {folder}/labels.csv gives it 1 (class1); indices count from 0",
        ),
        (changed(keys=np.array([254])), "class index 254, but {folder}/labels.csv gives it 1 (class1)"),
        (changed(keys=np.array([-1])), "class index -1, but {folder}/labels.csv gives it 1 (class1)"),
        (
            changed(keys=np.array([1, 1]), cam=np.ones((2, 4, 6)), high_res=None),
            "a class index appears twice in [1, 1]",
        ),
        (changed(cam=np.ones((1, 16, 24))), "'cam' has shape (1, 16, 24), expected (1, 4, 6)"),
        (changed(cam=torch.ones(1, 6, 4)), "'cam' has shape (1, 6, 4), expected (1, 4, 6)"),
        (changed(high_res=np.ones((16, 24))), "'high_res' has shape (16, 24), expected (1, 16, 24)"),
        (
            changed(high_res=None, attn_highres=np.ones((1, 4, 6))),
            "'attn_highres' has shape (1, 4, 6), expected (1, 16, 24)",
        ),
        (changed(cam=np.ones((1, 4, 6), np.uint8)), "'cam' is uint8; expected an array of floats"),
        (changed(cam="none"), "'cam' is str; expected an array of floats"),
        (changed(cam=np.full((1, 4, 6), np.nan)), "'cam' holds numbers that are not finite"),
        (changed(high_res=np.full((1, 16, 24), np.inf)), "'high_res' holds numbers that are not finite"),
        (changed(cam=np.full((1, 4, 6), 7.5)), "cam goes from 7.5 to 7.5; expected values in [0, 1]"),
        (changed(high_res=np.full((1, 16, 24), -0.5)), "high_res goes from -0.5 to -0.5; expected values in [0, 1]"),
    ],
)
def test_mistakes(
    folder: Folder, capsys: pytest.CaptureFixture[str], change: Callable[[Dictionary], Any], message: str
) -> None:
    np.save(folder.path("b"), change(maps("b")))
    said = refused(capsys, folder.folder, *folder.command())
    assert said.startswith(f"irn import-cams: {folder.path('b')}: {message.format(folder=folder.folder)}")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x89PNG\r\n", None])
def test_files_that_are_none(folder: Folder, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    folder.path("b").write_bytes(folder.path("b").read_bytes()[:-50] if content is None else content)
    said = refused(capsys, folder.folder, *folder.command())
    assert said.startswith(f"irn import-cams: {folder.path('b')}: not a readable dictionary of numpy.save (")


def test_missing_files(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.path("b").unlink()
    said = refused(capsys, folder.folder, *folder.command())
    assert (
        said
        == f"irn import-cams: {folder.path('b')}: no such file; add it, or leave the image's split out with --split"
    )
    said = refused(capsys, folder.folder, *folder.command("--npy", folder.folder / "none"))
    assert said.startswith(f"irn import-cams: --npy {folder.folder}/none: no such folder")


def test_dictionaries_given_as_a_cache(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = folder.command()[1:5]
    for given in (folder.path("b"), folder.npy):
        said = refused(
            capsys, folder.folder, "make-cams", *tables, "--external", given, "--out", folder.folder / "own.h5"
        )
        assert said.startswith(f"irn make-cams: {given}: .npy dictionaries of class maps")
        assert "irn import-cams --manifest M --labels L --npy DIR --out F" in said
        said = refused(
            capsys, folder.folder, "status", "--config", "pretrained=imagenet", f"cam={{external: ['{given}']}}"
        )
        assert said.startswith(f"irn status: config: cam.external names {given}: .npy dictionaries of class maps")


def test_a_folder_that_holds_something_is_not_written_into(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.imported()
    said = refused(capsys, folder.folder, "export-cams", "--cams", folder.folder / "cams.h5", "--out", folder.npy)
    assert said.startswith(f"irn export-cams: {folder.npy}: exists already and is not an empty folder;")
