"""The demo data set: VOC's layout, the same bytes for a seed, and what makes it worth a try of the method."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import refused
from numpy.random import default_rng
from PIL import Image
from scipy.ndimage import binary_dilation

from irn.commands import make_demo_data as command
from irn.data.demo.animals import CLASSES, draw_animal
from irn.errors import IrnError
from irn.settings.checking import settings_of_options

IMAGES, SIZE = 40, 96


def make_demo_data(out: Path, workers: int = 0, **changes: int) -> None:
    """Run the command with these settings of `dataset.demo`."""
    command.make_demo_data(
        out, settings_of_options({f"dataset.demo.{name}": value for name, value in changes.items()}, {}, ""), workers
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "set"
    make_demo_data(out, seed=3, images=IMAGES, size=SIZE)
    return out


def ids(root: Path, split: str) -> list[str]:
    return (root / "ImageSets/Segmentation" / f"{split}.txt").read_text().split()


def mask(root: Path, kind: str, image_id: str) -> np.ndarray:
    with Image.open(root / f"Segmentation{kind}" / f"{image_id}.png") as picture:
        return np.array(picture)


def objects(root: Path, image_id: str) -> list[tuple[int, np.ndarray]]:
    """(class from 1, (h, w) bool) of every object."""
    classes, numbers = mask(root, "Class", image_id), mask(root, "Object", image_id)
    return [(int(classes[numbers == number][0]), numbers == number) for number in range(1, numbers.max() + 1)]


def test_layout_is_complete(root: Path) -> None:
    names = [f"demo_{number:04d}" for number in range(1, IMAGES + 1)]
    assert ids(root, "trainval") == names
    for folder, suffix in (
        ("JPEGImages", "jpg"),
        ("SegmentationClass", "png"),
        ("SegmentationObject", "png"),
        ("Annotations", "xml"),
    ):
        assert sorted(path.name for path in (root / folder).iterdir()) == [f"{name}.{suffix}" for name in names]
    assert [path.name for path in root.parent.iterdir()] == ["set"]


def test_images_and_masks_have_one_size_and_vocs_palette(root: Path) -> None:
    shapes = set()
    for image_id in ids(root, "trainval"):
        with Image.open(root / "JPEGImages" / f"{image_id}.jpg") as picture:
            assert picture.mode == "RGB"
            assert max(picture.size) == SIZE
            assert min(picture.size) >= 0.75 * SIZE - 1
            shapes.add(picture.size)
        for kind in ("Class", "Object"):
            with Image.open(root / f"Segmentation{kind}" / f"{image_id}.png") as index:
                assert index.mode == "P"
                assert index.size == picture.size
                assert (index.getpalette() or [])[:18] == [
                    0,
                    0,
                    0,
                    128,
                    0,
                    0,
                    0,
                    128,
                    0,
                    128,
                    128,
                    0,
                    0,
                    0,
                    128,
                    128,
                    0,
                    128,
                ]
    assert len(shapes) > 10


def test_masks_and_annotations_agree(root: Path) -> None:
    for image_id in ids(root, "trainval"):
        classes, numbers = mask(root, "Class", image_id), mask(root, "Object", image_id)
        count = int(numbers.max())
        assert 1 <= count <= 4
        assert set(np.unique(numbers)) == set(range(count + 1))
        assert ((classes > 0) == (numbers > 0)).all()
        assert classes.max() <= len(CLASSES)
        annotation = ElementTree.parse(root / "Annotations" / f"{image_id}.xml").getroot()
        assert annotation.findtext("filename") == f"{image_id}.jpg"
        assert (annotation.findtext("size/height"), annotation.findtext("size/width")) == tuple(map(str, classes.shape))
        entries = annotation.findall("object")
        assert len(entries) == count
        for number, entry in enumerate(entries, 1):
            rows, columns = np.nonzero(numbers == number)
            assert len(rows) >= 0.005 * numbers.size
            assert {int(value) for value in classes[rows, columns]} == {1 + CLASSES.index(entry.findtext("name") or "")}
            assert entry.findtext("difficult") == "0"
            box = [int(entry.findtext(f"bndbox/{name}") or 0) for name in ("xmin", "ymin", "xmax", "ymax")]
            assert box == [columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(("number", "val"), [(2, ["demo_0002"]), (12, ["demo_0002", "demo_0008"])])
def test_every_sixth_image_validates(tmp_path: Path, number: int, val: list[str]) -> None:
    make_demo_data(tmp_path / "set", images=number, size=64)
    assert ids(tmp_path / "set", "val") == val
    assert sorted(ids(tmp_path / "set", "train") + val) == ids(tmp_path / "set", "trainval")


def test_same_seed_same_bytes_whatever_the_number(root: Path, tmp_path: Path) -> None:
    make_demo_data(tmp_path / "again", seed=3, images=6, size=SIZE)
    files = list((tmp_path / "again").rglob("demo_*"))
    assert len(files) == 24
    for path in files:
        assert path.read_bytes() == (root / path.relative_to(tmp_path / "again")).read_bytes()
    make_demo_data(tmp_path / "other", seed=4, images=2, size=SIZE)
    image = "JPEGImages/demo_0001.jpg"
    assert (tmp_path / "other" / image).read_bytes() != (root / image).read_bytes()


def test_a_third_of_the_images_have_touching_animals_of_one_class(root: Path) -> None:
    touching = several = 0
    for image_id in ids(root, "trainval"):
        found = objects(root, image_id)
        pairs = [(a, b) for a in found for b in found if a is not b and a[0] == b[0]]
        touching += any((binary_dilation(a[1], np.ones((3, 3), bool)) & b[1]).any() for a, b in pairs)
        several += len({name for name, _ in found}) > 1
    assert touching >= IMAGES / 3
    assert several >= IMAGES / 4


def test_sizes_vary_and_all_classes_occur(root: Path) -> None:
    found = [entry for image_id in ids(root, "trainval") for entry in objects(root, image_id)]
    extents = [max(np.ptp(axis) + 1 for axis in np.nonzero(seen)) for _, seen in found]
    assert max(extents) >= 3 * min(extents)
    assert {name for name, _ in found} == set(range(1, 1 + len(CLASSES)))


def test_only_the_head_shows_the_class() -> None:
    fur = np.array([0.6, 0.5, 0.4])
    for seed in range(4):
        sprites = [draw_animal(default_rng(seed), species, fur, 60.0) for species in range(len(CLASSES))]
        heads = np.any([sprite.head for sprite in sprites], axis=0)
        away = ~binary_dilation(heads, iterations=12)
        assert (away & (sprites[0].alpha > 0.5)).sum() > 200
        for sprite in sprites[1:]:
            np.testing.assert_array_equal(sprite.alpha[away], sprites[0].alpha[away])
            # The head's shadow fades out over the body.
            np.testing.assert_allclose(sprite.rgb[away], sprites[0].rgb[away], atol=1e-4)
        assert len({sprite.head.tobytes() for sprite in sprites}) == len(CLASSES)


def test_an_empty_folder_and_a_stale_partial_one_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set.partial").mkdir()
    (tmp_path / "set.partial" / "old").write_text("")
    make_demo_data(tmp_path / "set", images=2, size=64)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert not (tmp_path / "set" / "old").exists()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--images", 1, "a whole number of at least 2"),
        ("--size", 63, "a whole number of pixels from 64 to 1024"),
        ("--size", 1025, "a whole number of pixels from 64 to 1024"),
        ("--seed", -1, "a whole number from 0 to 4294967295"),
    ],
)
def test_numbers_out_of_range_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: int, expected: str
) -> None:
    said = refused(capsys, tmp_path, "make-demo-data", "--out", tmp_path / "set", option, value)
    assert said == f"irn make-demo-data: {option} is '{value}'; expected {expected}; see irn make-demo-data --help"


def test_a_folder_with_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(IrnError, match="not an empty folder"):
        make_demo_data(tmp_path / "set", images=2)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["set", "set/mine.txt"]


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("irn.commands.make_demo_data.write_lists", fail)
    with pytest.raises(OSError, match="disk full"):
        make_demo_data(tmp_path / "set", images=2, size=64)
    assert not list(tmp_path.iterdir())
