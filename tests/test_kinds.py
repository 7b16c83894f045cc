"""irn/data/kinds.py: a kind of data set is a module and a row, and nothing else knows of it."""

import csv
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from irn.commands.build_manifest import build_manifest
from irn.data.dataset import glanced_at
from irn.data.kinds import KINDS
from irn.data.layout import Layout
from irn.data.truth import Truth
from irn.errors import IrnError
from irn.io.cache import CacheWriter
from irn.settings.checking import settings_of_options

# As Cityscapes has it: label ids in one PNG, and in another, of 16 bits, 1000 * label id + number for each object.
STREETS = """
import numpy as np

from irn.data.index_png import read_index_png
from irn.data.layout import Layout
from irn.data.truth import Truth
from irn.data.listing import find_images, Listed
from irn.data.tables import ImageClasses
from irn.data.truth import Truth
from irn.errors import IrnError

IDS = {"road": 7, "car": 26}


class LabelIds(Truth):
    def __init__(self, place, names):
        self.place, self.names = place, names

    @classmethod
    def open(cls, place, split, names):
        return cls(place, names)

    @classmethod
    def recognises(cls, place):
        return any(place.glob("*_labelIds.png"))

    @classmethod
    def lacking(cls, place, images):
        return [image.name for image in images if not (place / f"{image.name}_labelIds.png").is_file()]

    def require(self, records):
        for record in records:
            if not self.has(record):
                raise IrnError(f"{self.place}: no label ids of image {record.image_id!r}; add them")

    def has(self, record):
        return (self.place / f"{record.image_id}_labelIds.png").is_file()

    def class_mask(self, record):
        ids = read_index_png(self.place / f"{record.image_id}_labelIds.png", record.height, record.width)
        mask = np.zeros(ids.shape, np.uint8)
        for number, name in enumerate(self.names, 1):
            mask[ids == IDS[name]] = number
        return mask

    def objects(self, record, class_mask):
        ids = read_index_png(self.place / f"{record.image_id}_instanceIds.png", record.height, record.width)
        values = [value for value in np.unique(ids) if value >= 1000]
        masks = np.array([ids == value for value in values], bool).reshape(-1, *ids.shape)
        return masks, np.array([class_mask[mask][0] for mask in masks], np.int64)


class Streets(Layout):
    class_masks = object_masks = "gtFine"

    def watched(self, root):
        return [root / "leftImg8bit", root / "gtFine"]

    def listed(self, root, splits, findings, labels_csv=None):
        return [Listed(name, paths[0], "train") for name, paths in find_images(root / "leftImg8bit", findings).items()]

    def read(self, root, splits, labels_csv, findings, left_out=()):
        images = self.listed(root, splits, findings)
        present = {}
        for image in images:
            ids = np.unique(read_index_png(root / "gtFine" / f"{image.name}_labelIds.png", 8, 10))
            present[image.image_id] = [index for index, number in enumerate(IDS.values()) if number in ids]
        return images, ImageClasses(list(IDS), present)


LAYOUT, TRUTH = Streets(), LabelIds
"""
MAIN = """
import sys
from irn.data.kinds import KINDS, Kind
KINDS["streets"] = Kind("streets", "streets in the layout of Cityscapes", "streets")
from irn.cli import main
sys.exit(main())
"""
SIZE = (8, 10)


def irn(folder: Path, *words: object, program: str = MAIN) -> str:
    """What a command says with the kind `streets`, a module in `folder`."""
    command = [sys.executable, "-c", program, *map(str, words)]
    path = ":".join(sys.path)
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": f"{folder}:{path}"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """A data set of two images: in each the road, and two cars, the second nearer."""
    (tmp_path / "streets.py").write_text(STREETS, encoding="utf-8")
    for name in ("leftImg8bit", "gtFine"):
        (tmp_path / "data" / name).mkdir(parents=True)
    cars = np.zeros(SIZE, np.uint16)
    cars[2:5, 1:5], cars[4:6, 4:8] = 26000, 26001
    labels = np.where(cars > 0, 26, 0).astype(np.uint8)
    labels[6:] = 7
    with CacheWriter(tmp_path / "labels.h5", "label", {"stage": "make_labels"}) as cache:
        for name in ("a", "b"):
            Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(tmp_path / f"data/leftImg8bit/{name}.png")
            Image.fromarray(labels).save(tmp_path / f"data/gtFine/{name}_labelIds.png")
            Image.fromarray(cars).save(tmp_path / f"data/gtFine/{name}_instanceIds.png")
            arrays = {
                "semantic": np.select([labels == 7, labels == 26], [1, 2], 0),
                # One of the two cars is found.
                "instance_map": (cars == 26000).astype(int),
                "instance_class": np.array([1]),
                "instance_score": np.ones(1),
            }
            cache.write(name, *SIZE, arrays)
    return tmp_path


def test_a_kind_is_a_module_and_a_row(streets: Path) -> None:
    tables = ("--out-manifest", "manifest.csv", "--out-labels", "classes.csv")
    assert "2 of 2 images" in irn(streets, "build-manifest", "--kind", "streets", "--root", "data", *tables)
    assert (streets / "classes.csv").read_text(encoding="utf-8") == "image_id,road,car\na,1,1\nb,1,1\n"
    assert "gtFine: masks of 2 of 2 images" in irn(streets, "check-data", "--kind", "streets", "--root", "data")
    caches = ("--manifest", "manifest.csv", "--labels", "classes.csv", "--label-caches", "labels.h5")
    masks = ("--class-masks", "data/gtFine", "--object-masks", "data/gtFine")
    irn(streets, "evaluate", *caches, *masks, "--out", "scores.csv")
    with open(streets / "scores.csv", newline="", encoding="utf-8") as file:
        scores = {(row["metric"], row["class"]): row["value"] for row in csv.DictReader(file)}
    assert scores["mIoU", "mean"] == "1.000000"
    assert scores["AP50", "car"] == "0.500000"
    assert scores["AP50", "road"] == ""


def test_settings_and_ground_truth_follow_the_registry(streets: Path) -> None:
    program = MAIN.replace(
        "sys.exit(main())",
        """
from pathlib import Path
from irn.data.dataset import check_scored, glanced_at, has_ground_truth, mask_folders
from irn.settings.reading import check_config
from irn.settings.lookup import all_settings
settings = check_config({"dataset": {"kind": "streets", "root": "data"}})
print(settings.dataset.kind, has_ground_truth(settings.dataset), *mask_folders(settings.dataset, Path("data")))
check_scored(settings.dataset, glanced_at(settings.dataset))
print(all_settings()["dataset.kind"].meaning)
""",
    )
    said = irn(streets, program=program)
    assert "streets True data/gtFine data/gtFine\n" in said
    assert "or `streets` (streets in the layout of Cityscapes)." in said


def test_kinds_know_all_that_is_asked_of_them() -> None:
    for name, kind in KINDS.items():
        assert isinstance(kind.layout, Layout), name
        assert issubclass(kind.truth, Truth), name
    assert [name for name, kind in KINDS.items() if kind.is_drawn] == ["demo"]


def test_the_registry_imports_nothing_heavy() -> None:
    code = "import sys; import irn.data.kinds, irn.data.dataset; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"numpy", "PIL", "h5py", "torch", "pandas", "yaml", "irn.data.voc"})


def _folder_without_images(root: Path) -> None:
    (root / "images").mkdir(parents=True)


def _list_of_another_encoding(root: Path) -> None:
    for name in ("JPEGImages", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_bytes(b"\xff\xfea\n")


def _damaged_instances_file(root: Path) -> None:
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/instances_train.json").write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "make"),
    [("folder", _folder_without_images), ("voc", _list_of_another_encoding), ("coco", _damaged_instances_file)],
)
def test_what_a_glance_keeps_silent_about_is_refused_by_build_manifest(tmp_path: Path, kind: str, make) -> None:
    make(tmp_path / "data")
    dataset = SimpleNamespace(kind=kind, root=str(tmp_path / "data"), splits=("train",), labels_csv=None)
    assert glanced_at(dataset) is None
    settings = settings_of_options({"dataset.splits": ("train",)}, {}, "")
    with pytest.raises(IrnError, match="data/"):
        build_manifest(kind, tmp_path / "data", tmp_path / "m.csv", tmp_path / "l.csv", settings)
    assert not (tmp_path / "m.csv").exists()
