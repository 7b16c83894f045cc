"""Where a user's files lie does not count, nor how a path to them is written; what lies there does."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import run, save_png

from irn.data.images import read_record
from irn.data.tables import read_manifest
from irn.settings.lookup import all_settings
from irn.settings.reading import check_config
from irn.workflow import job
from irn.workflow.digests import content_digest
from irn.workflow.run import Run

NUMBERS = range(1, 7)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to work in, with data in `my_images`, masks beside it, CAMs and a backbone."""
    for number in NUMBERS:
        save_png(tmp_path / f"my_images/images/cats/{number}.png", np.full((32, 40, 3), number, np.uint8))
        name = "cats/2" if number == 2 else f"cats_{number}"
        save_png(tmp_path / f"masks/{name}.png", np.zeros((32, 40), np.uint8))
    rows = [f"cats/{number}.png,1,{number % 2}" for number in NUMBERS]
    (tmp_path / "my_images/labels.csv").write_text("\n".join(["image_id,cat,dog", *rows]) + "\n")
    (tmp_path / "labels.csv").write_text("\n".join(["image_id,dog,cat", *rows]) + "\n")
    (tmp_path / "backbone.pt").write_bytes(b"\0tensors")
    (tmp_path / "cams.h5").write_bytes(b"maps")
    with contextlib.chdir(tmp_path):
        yield tmp_path


def run_with(prefix: str = "", **dataset: object) -> Run:
    """A run with every kind of path, each written behind a prefix."""
    places = {"root": "my_images", "labels_csv": "labels.csv", "class_masks": "masks", "object_masks": "masks"}
    return Run(
        check_config(
            {
                "dataset": {"kind": "folder", **{name: prefix + path for name, path in places.items()}, **dataset},
                "pretrained": f"{prefix}backbone.pt",
                "cam": {"external": [f"{prefix}cams.h5"]},
            }
        )
    )


def keys(run: Run) -> dict[str, str]:
    return {name: recipe.key for name, recipe in run.configurations[0].items()}


def test_the_same_place_in_other_words_is_the_same(folder: Path) -> None:
    first = keys(run_with())
    for prefix in ("./", f"{folder}/", f"../{folder.name}/", "my_images/../"):
        assert keys(run_with(prefix)) == first, prefix
    assert keys(run_with(root="my_images/")) == first


def test_no_setting_that_is_a_path_is_in_a_key(folder: Path) -> None:
    places = {key: setting.place for key, setting in all_settings().items() if setting.place}
    assert {"dataset.root", "dataset.labels_csv", "dataset.class_masks", "pretrained", "cam.external"} <= places.keys()
    for recipe in run_with().configurations[0].values():
        for key, value in recipe.record["settings"].items():
            assert key not in places or not places[key].paths_in(value), recipe.stage.name


def test_what_was_moved_whole_is_the_same(folder: Path) -> None:
    first = keys(run_with())
    (folder / "disk").mkdir()
    for name in ("my_images", "masks", "labels.csv", "backbone.pt", "cams.h5"):
        (folder / name).rename(folder / "disk" / name)
    assert keys(run_with("disk/")) == first


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("my_images/images/cats/1.png", "build_manifest"),
        ("labels.csv", "build_manifest"),
        ("masks/cats_1.png", "evaluate"),
        ("masks/cats/2.png", "evaluate"),
        ("cams.h5", "make_cams"),
    ],
)
def test_names_sizes_and_times_count(folder: Path, path: str, stage: str) -> None:
    first = keys(run_with())
    os.utime(folder / path, (1, 1))
    later = keys(run_with())
    assert later[stage] != first[stage]
    if path.endswith((".png", ".h5")):
        (folder / path).write_bytes(b"another size")
        os.utime(folder / path, (1, 1))
        assert keys(run_with())[stage] not in (first[stage], later[stage])


def test_a_labelmap_beside_masks_counts(folder: Path) -> None:
    first = keys(run_with())
    (folder / "labelmap.txt").write_text("cat:128,0,0::\ndog:0,128,0::\n")
    with_labelmap = keys(run_with())
    (folder / "labelmap.txt").write_text("cat:0,128,0::\ndog:128,0,0::x\n")
    assert len({first["evaluate"], with_labelmap["evaluate"], keys(run_with())["evaluate"]}) == 3
    assert with_labelmap["make_labels"] == first["make_labels"]


def test_results_among_the_masks_do_not_count(folder: Path) -> None:
    first = run_with(class_masks=str(folder))
    first.show()
    assert keys(run_with(class_masks=str(folder))) == keys(first)


def test_the_content_of_a_backbone_counts(folder: Path) -> None:
    first = keys(run_with())
    os.utime(folder / "backbone.pt", (1, 1))
    assert keys(run_with()) == first
    (folder / "backbone.pt").write_bytes(b"\0Tensors")
    content_digest.cache_clear()
    assert keys(run_with())["train_irn"] != first["train_irn"]


def test_results_find_the_images_of_a_data_set_that_was_moved(folder: Path) -> None:
    def manifest() -> Path:
        return next(folder.glob("results/store/build_manifest/*/manifest.csv"))

    before = run_with()
    before.show()
    recipe = before.configurations[0]["build_manifest"]
    tables = {f"out_{name}": str(recipe.folder / f"{name}.csv") for name in ("manifest", "labels")}
    run(*shlex.split(job.command(recipe, tables, None, None, threads=1)))
    content = manifest().read_bytes()
    assert len(read_manifest(manifest())) == len(NUMBERS)
    (folder / "my_images").rename(folder / "moved")
    run_with(root="moved").show()
    assert manifest().read_bytes() == content
    for record, number in zip(read_manifest(manifest()), NUMBERS, strict=True):
        assert (read_record(record) == number).all()
    # Nothing in the tables names the place, so results can be moved with the data.
    assert str(folder).encode() not in content
