"""From small data sets of each kind to the two tables, and every mistake that a user's data can hold."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from irn.commands import build_manifest as command
from irn.data.images import read_image
from irn.data.tables import ImageClasses, read_classes, read_manifest
from irn.data.voc_annotations import VOC_CLASSES
from irn.errors import IrnError
from irn.records import ImageRecord
from irn.settings.checking import settings_of_options

XML = "<annotation><filename>x</filename>{}</annotation>"
OBJECT = "<object><name>{}</name><difficult>{}</difficult><part><name>head</name></part></object>"


def picture(path: Path, width: int = 7, height: int = 5, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height)).save(path)


def text_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def annotate(root: Path, image_id: str, *names: str, difficult: int = 0) -> None:
    text_file(
        root / f"Annotations/{image_id}.xml", XML.format("".join(OBJECT.format(name, difficult) for name in names))
    )


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Images 000002 and 000001 in train, b in val, and c in no list."""
    root = tmp_path / "VOC2012"
    for image_id, width in (("000001", 11), ("000002", 12), ("b", 13), ("c", 14)):
        picture(root / f"JPEGImages/{image_id}.jpg", width)
    annotate(root, "000001", "dog", "aeroplane", "dog")
    annotate(root, "000002")
    annotate(root, "b", "tvmonitor", difficult=1)
    annotate(root, "c", "unicorn")
    text_file(root / "ImageSets/Segmentation/train.txt", "000002\n000001\n")
    text_file(root / "ImageSets/Segmentation/val.txt", "b\n")
    text_file(root / "ImageSets/Segmentation/trainval.txt", "000002\n000001\nb\n")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images a (class dog), b (cat and dog), c (none) of three file types."""
    root = tmp_path / "mine"
    for name, width in (("b.png", 12), ("a.jpg", 11), ("c.v2.TIFF", 13)):
        picture(root / "images" / name, width)
    text_file(root / "labels.csv", "image_id,dog,cat\nc.v2,0,0\nb,1,1\na,1,0\n")
    return root


def build_manifest(
    kind: str,
    root: Path,
    out_manifest: Path,
    out_labels: Path,
    splits: Sequence[str] = (),
    labels_csv: Path | None = None,
) -> None:
    """Run the command on these splits, or on the data set's own."""
    settings = settings_of_options({"dataset.splits": splits or None}, {}, "")
    command.build_manifest(kind, root, out_manifest, out_labels, settings, labels_csv)


def build(
    kind: str, root: Path, splits: Sequence[str] = (), labels_csv: Path | None = None
) -> tuple[list[ImageRecord], ImageClasses]:
    """Run the stage and read its tables; both must hold the same images in the same order."""
    out = root.parent / "out"
    build_manifest(kind, root, out / "m.csv", out / "l.csv", splits, labels_csv)
    records, labels = read_manifest(out / "m.csv"), read_classes(out / "l.csv")
    assert [record.image_id for record in records] == list(labels.present)
    assert sorted(path.name for path in out.iterdir()) == ["l.csv", "m.csv"]
    return records, labels


def mistake(kind: str, root: Path, splits: Sequence[str] = (), labels_csv: Path | None = None) -> str:
    """The one line that the stage ends in; it must leave no output behind."""
    with pytest.raises(IrnError) as caught:
        build(kind, root, splits, labels_csv)
    assert not (root.parent / "out").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- VOC layout


@pytest.mark.parametrize("kind", ["voc", "demo"])
def test_voc_layout(voc: Path, kind: str) -> None:
    records, labels = build(kind, voc)
    images = voc / "JPEGImages"
    assert records == [
        ImageRecord("000002", images / "000002.jpg", 5, 12, "train"),
        ImageRecord("000001", images / "000001.jpg", 5, 11, "train"),
        ImageRecord("b", images / "b.jpg", 5, 13, "val"),
    ]
    assert labels == ImageClasses(list(VOC_CLASSES), {"000002": [], "000001": [0, 11], "b": [19]})


def test_voc_classes_stand_in_the_published_order() -> None:
    # The indices of the development kit's masks, less one for the background.
    assert len(VOC_CLASSES) == 20
    assert [VOC_CLASSES.index(name) + 1 for name in ("aeroplane", "bus", "cat", "person", "tvmonitor")] == [
        1,
        6,
        8,
        15,
        20,
    ]


def test_splits_asked_for_in_their_order(voc: Path) -> None:
    assert [(r.image_id, r.split) for r in build("voc", voc, ["val", "train"])[0]] == [
        ("b", "val"),
        ("000002", "train"),
        ("000001", "train"),
    ]
    assert [r.split for r in build("voc", voc, ["trainval"])[0]] == ["trainval"] * 3


def test_an_image_of_two_splits_belongs_to_the_one_named_first(voc: Path) -> None:
    assert [(r.image_id, r.split) for r in build("voc", voc, ["train", "trainval"])[0]] == [
        ("000002", "train"),
        ("000001", "train"),
        ("b", "trainval"),
    ]


def test_no_splits_asked_for_takes_the_one_that_there_is(voc: Path) -> None:
    (voc / "ImageSets/Segmentation/val.txt").unlink()
    assert [r.image_id for r in build("voc", voc)[0]] == ["000002", "000001"]


def test_no_splits_asked_for_and_neither_list_there(voc: Path) -> None:
    for name in ("train", "val"):
        (voc / f"ImageSets/Segmentation/{name}.txt").unlink()
    assert "neither train.txt nor val.txt (has trainval)" in mistake("voc", voc)
    (voc / "ImageSets/Segmentation/trainval.txt").unlink()
    assert "neither train.txt nor val.txt (has no list)" in mistake("voc", voc)


def test_a_list_given_by_its_path(voc: Path, tmp_path: Path) -> None:
    lines = "\ufeffc.jpg -1\r\n/JPEGImages/000001.jpg /SegmentationClassAug/000001.png\n\n  \n000002 1\n"
    text_file(tmp_path / "train_aug.txt", lines)
    annotate(voc, "c", "cat")
    records, labels = build("voc", voc, [str(tmp_path / "train_aug.txt"), "val"])
    assert [(r.image_id, r.split) for r in records] == [
        ("c", "train_aug"),
        ("000001", "train_aug"),
        ("000002", "train_aug"),
        ("b", "val"),
    ]
    assert labels.present["c"] == [7]


def test_ids_with_dots(voc: Path, tmp_path: Path) -> None:
    picture(voc / "JPEGImages/x.y.jpg")
    annotate(voc, "x.y", "cat")
    for entry in ("x.y", "x.y.jpg", "images/x.y.jpg"):
        text_file(tmp_path / "some.txt", entry)
        assert [r.image_id for r in build("voc", voc, [str(tmp_path / "some.txt")])[0]] == ["x.y"]


def test_other_class_names_are_sorted_or_in_the_order_of_classes_txt(voc: Path) -> None:
    annotate(voc, "000002", "zebra", "Ant")
    assert build("voc", voc)[1] == ImageClasses(
        ["Ant", "aeroplane", "dog", "tvmonitor", "zebra"], {"000002": [0, 4], "000001": [1, 2], "b": [3]}
    )
    text_file(voc / "classes.txt", "\ufeffzebra\ndog\n\ntvmonitor\naeroplane\nAnt\nbee\n")
    assert build("voc", voc)[1] == ImageClasses(
        ["zebra", "dog", "tvmonitor", "aeroplane", "Ant", "bee"], {"000002": [0, 4], "000001": [1, 3], "b": [2]}
    )


def test_labels_table_in_the_place_of_annotations(voc: Path, tmp_path: Path) -> None:
    text_file(tmp_path / "cls.csv", "image_id,sky,dog\nb,0,1\nunlisted,1,1\n000001,1,0\n000002,0,0\n")
    for path in (voc / "Annotations").iterdir():
        path.unlink()
    assert build("voc", voc, (), tmp_path / "cls.csv")[1] == ImageClasses(
        ["sky", "dog"], {"000002": [], "000001": [0], "b": [1]}
    )


def test_labels_table_without_a_row(voc: Path, tmp_path: Path) -> None:
    text_file(tmp_path / "cls.csv", "image_id,sky\nb,0\n")
    assert (
        "cls.csv: no row for 2 of the 3 images ('000002', '000001'); add a row for each, or take the images out (1 more"
        in mistake("voc", voc, (), tmp_path / "cls.csv")
    )
    assert "none.csv: no such table of labels" in mistake("voc", voc, (), tmp_path / "none.csv")


def test_paths_are_absolute_whatever_the_root(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(voc.parent)
    build_manifest("voc", Path("VOC2012"), Path("tables/m.csv"), Path("tables/l.csv"))
    assert f",{voc}/JPEGImages/b.jpg," in Path("tables/m.csv").read_text(encoding="utf-8")


def test_voc_splits_that_share_an_image_or_a_name(voc: Path, tmp_path: Path) -> None:
    assert "every image of split 'train' is also in a split named before it" in mistake(
        "voc", voc, ["trainval", "train"]
    )
    assert "split 'train' is asked for twice" in mistake("voc", voc, ["train", "train"])
    text_file(tmp_path / "train.txt", "c\n")
    assert "split 'train' is asked for twice" in mistake("voc", voc, ["train", str(tmp_path / "train.txt")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n", "train.txt: the list names no image"),
        ("b\nb\n", "train.txt: image id 'b' appears in more than one row"),
        ("v1/b.jpg\nv2/b.jpg\n", "'v1/b.jpg' and 'v2/b.jpg' would both be image 'b', since folders do not count here"),
        ("b\nd\ne\n", "JPEGImages: no image 'd', which train.txt lists; add the file or take the line out of the list"),
    ],
)
def test_voc_lists_with_mistakes(voc: Path, text: str, message: str) -> None:
    text_file(voc / "ImageSets/Segmentation/train.txt", text)
    assert message in mistake("voc", voc, ["train"])


def test_voc_list_whose_letters_are_in_another_form_than_those_of_files(voc: Path, tmp_path: Path) -> None:
    for file in ("JPEGImages/b.jpg", "Annotations/b.xml"):
        (voc / file).rename((voc / file).with_stem(normalize("NFD", "Löwe")))
    text_file(voc / "ImageSets/Segmentation/train.txt", normalize("NFC", "Löwe\n"))
    build_manifest("voc", voc, tmp_path / "m.csv", tmp_path / "l.csv", splits=["train"])
    assert [record.path.stem for record in read_manifest(tmp_path / "m.csv")] == [normalize("NFD", "Löwe")]


def test_voc_list_that_is_no_text(voc: Path) -> None:
    (voc / "ImageSets/Segmentation/train.txt").write_bytes(b"\xff\xfe\x00")
    assert "train.txt: not a text file" in mistake("voc", voc)


def test_voc_parts_that_are_missing(voc: Path) -> None:
    message = mistake("voc", voc, ["test"])
    assert "test.txt: no such list of images; name one in " in message
    assert "(has train, trainval, val)" in message
    assert "VOCdevkit/VOC2012" in mistake("voc", voc / "ImageSets")
    (voc / "Annotations/000001.xml").unlink()
    assert "Annotations: no XML file for image '000001'; add it" in mistake("voc", voc)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "b.xml: not a readable XML file"),
        ("", "b.xml: not a readable XML file"),
        (XML.format("<object><part><name>head</name></part></object>"), "b.xml: an object has no name"),
        (XML.format(OBJECT.format("mean", 0)), "Annotations: no class can be named 'mean'"),
    ],
)
def test_voc_annotations_with_mistakes(voc: Path, text: str, message: str) -> None:
    text_file(voc / "Annotations/b.xml", text)
    assert message in mistake("voc", voc)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog\naeroplane\n", "b.xml: class 'tvmonitor' is not in "),
        ("\n", "classes.txt: no class in it"),
        ("dog\ncat\ndog\n", "classes.txt: class 'dog' appears twice"),
        ("\n".join(f"c{n}" for n in range(255)), "classes.txt: 255 classes; label maps hold at most 254"),
    ],
)
def test_classes_txt_with_mistakes(voc: Path, text: str, message: str) -> None:
    text_file(voc / "classes.txt", text)
    assert message in mistake("voc", voc)


# ---- folder


def test_folder(folder: Path) -> None:
    text_file(folder / "images/notes.txt", "no image")
    text_file(folder / "images/._a.jpg", "what some systems put beside a file")
    text_file(folder / "images/a.csv", "the same stem as an image")
    picture(folder / "images/.thumbs/d.png")
    records, labels = build("folder", folder)
    assert records == [
        ImageRecord("a", folder / "images/a.jpg", 5, 11, "train"),
        ImageRecord("b", folder / "images/b.png", 5, 12, "train"),
        ImageRecord("c.v2", folder / "images/c.v2.TIFF", 5, 13, "train"),
    ]
    assert labels == ImageClasses(["dog", "cat"], {"a": [0], "b": [0, 1], "c.v2": []})


def test_folder_with_splits(folder: Path) -> None:
    text_file(folder / "splits.csv", "image_id,split\nb,val\nc.v2,test\na,train\n")
    assert [r.split for r in build("folder", folder)[0]] == ["train", "val", "test"]
    assert [r.image_id for r in build("folder", folder, ["test", "train"])[0]] == ["a", "c.v2"]


def test_folder_with_labels_elsewhere(folder: Path, tmp_path: Path) -> None:
    (folder / "labels.csv").rename(tmp_path / "elsewhere.csv")
    assert build("folder", folder, (), tmp_path / "elsewhere.csv")[1].names == ["dog", "cat"]


def test_folder_split_that_no_image_has(folder: Path) -> None:
    assert "no image has split 'val'; the splits of this data set: train" in mistake("folder", folder, ["train", "val"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,1,0\nc.v2,0,0\n", "labels.csv: no row for image 'b'; add a row"),
        ("c.v2,0,0\n", "labels.csv: no row for 2 of the 3 images ('a', 'b'); add a row for each"),
        (
            "a,1,0\nb,1,1\nc.v2,0,0\nd,0,0\n",
            "labels.csv: no image for the row 'd'; fix the name, add the image or remove the row",
        ),
        ("a,1,0\na.jpg,0,0\nb,1,1\nc.v2,0,0\n", "labels.csv: image id 'a.jpg' appears in more than one row"),
        ("a,1,0\nb,1,x\nc.v2,0,0\n", "labels.csv: image 'b', class 'cat' has 'x'"),
    ],
)
def test_folder_labels_with_mistakes(folder: Path, rows: str, message: str) -> None:
    text_file(folder / "labels.csv", "image_id,dog,cat\n" + rows)
    assert message in mistake("folder", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,split\na,train\nb,val\n", "splits.csv: no split for image 'c.v2'"),
        ("image_id,split\na,train\nb,val\nc.v2,\n", "splits.csv: no split for image 'c.v2'"),
        ("image_id,split\na,train\nb, \nc.v2,val\n", "splits.csv: no split for image 'b'"),
        ("image_id,split\na,train\nb,val\nc.v2,val\nd,val\n", "for the row 'd'"),
        ("image_id,split\na,train\na,val\n", "splits.csv: image id 'a' appears in more than one row"),
        ("image_id,part\na,train\n", "splits.csv: expected the header 'image_id,split'"),
    ],
)
def test_folder_splits_with_mistakes(folder: Path, text: str, message: str) -> None:
    text_file(folder / "splits.csv", text)
    assert message in mistake("folder", folder)


def test_folder_with_two_files_of_one_id(folder: Path) -> None:
    picture(folder / "images/a.png")
    assert "a.jpg and a.png would both be image 'a'; rename or remove one" in mistake("folder", folder)


def test_folder_parts_that_are_missing(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    assert "labels.csv: no such table of labels; expected a CSV" in mistake("folder", folder)
    for path in (folder / "images").iterdir():
        path.unlink()
    assert "images: no image; expected files that end in .jpg" in mistake("folder", folder)
    (folder / "images").rmdir()
    assert "images: no such folder" in mistake("folder", folder)


# ---- both


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA"])
def test_images_that_turn_into_rgb_are_counted(folder: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    opaque = {"RGBA": (1, 2, 3, 255), "LA": (2, 255)}.get(mode, 2)
    Image.new(mode, (12, 5), opaque).save(folder / "images/b.png")
    picture(folder / "images/a.jpg", mode="L")
    record = build("folder", folder)[0][1]
    modes = "2 L" if mode == "L" else f"1 L, 1 {mode}"
    assert f"2 of 3 images are not RGB and are turned into it when they are read ({modes})\n" in capsys.readouterr().out
    with Image.open(record.path) as file:
        np.testing.assert_array_equal(read_image(record.path, 5, 12), np.array(file.convert("RGB")))


def test_nothing_is_said_of_rgb_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build("folder", folder)
    assert "RGB" not in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "1", "P"])
def test_images_that_cannot_be_rgb(folder: Path, mode: str) -> None:
    (folder / "images/b.png").unlink()
    # The corner is transparent in modes that can say so.
    Image.new(mode, (12, 5)).save(folder / "images/b.png", **({"transparency": 0} if mode == "P" else {}))
    picture(folder / "images/a.jpg", mode="L")
    message = mistake("folder", folder)
    assert f"image mode is {mode}, expected 8-bit RGB, grey or palette, no pixel transparent" in message
    assert ("by one range" in message) == (mode == "I;16")
    assert "images/b." in message


def test_several_images_that_cannot_be_rgb(voc: Path) -> None:
    for name in ("000001", "b", "c"):
        Image.new("LA", (12, 5)).save(voc / f"JPEGImages/{name}.jpg", format="PNG")
    assert "000001.jpg: image mode is LA, expected 8-bit RGB" in mistake("voc", voc)


def test_a_file_that_is_no_image(folder: Path) -> None:
    text_file(folder / "images/b.png", "no image")
    assert "b.png: not a readable image" in mistake("folder", folder)


def test_exif_orientation_is_applied_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 11, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter for display
    (folder / "images/b.png").unlink()
    Image.fromarray(pixels).save(folder / "images/b.png", exif=exif)
    record = build("folder", folder)[0][1]
    assert (record.height, record.width) == (11, 5)
    np.testing.assert_array_equal(read_image(record.path, 11, 5), np.rot90(pixels, -1))
    assert "notice: 1 of 3 images are turned as their EXIF orientation says" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".JPG"])
def test_file_types(folder: Path, suffix: str) -> None:
    (folder / "images/a.jpg").unlink()
    picture(folder / f"images/a{suffix}", 21, 17)
    record = build("folder", folder)[0][0]
    assert (record.image_id, record.height, record.width) == ("a", 17, 21)


def test_a_kind_that_is_not_known(folder: Path) -> None:
    assert mistake("lmdb", folder) == "data set kind 'lmdb' is not known; expected one of demo, voc, coco, folder"


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    assert "no such folder; fix the path" in mistake("voc", tmp_path / "none")
    assert "irn make-demo-data" in mistake("demo", tmp_path / "none")


def test_outputs_do_not_replace_the_data_sets_tables(folder: Path, tmp_path: Path) -> None:
    before = (folder / "labels.csv").read_text(encoding="utf-8")
    with pytest.raises(IrnError, match="would replace a table that this command reads"):
        build_manifest("folder", folder, tmp_path / "m.csv", folder / "images/../labels.csv")
    with pytest.raises(IrnError, match="named for both"):
        build_manifest("folder", folder, tmp_path / "m.csv", tmp_path / "m.csv")
    assert (folder / "labels.csv").read_text(encoding="utf-8") == before
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize("name", ["classes.txt", "own.txt"])
def test_outputs_do_not_replace_the_lists_of_the_voc_layout(voc: Path, tmp_path: Path, name: str) -> None:
    (voc / "own.txt").write_text("000001\n", encoding="utf-8")
    with pytest.raises(IrnError, match="would replace a table that this command reads"):
        build_manifest("voc", voc, voc / name, tmp_path / "l.csv", [str(voc / "own.txt")])
    assert (voc / "own.txt").read_text(encoding="utf-8") == "000001\n"


def test_an_earlier_output_survives_a_mistake(voc: Path) -> None:
    build("voc", voc)
    before = (voc.parent / "out/m.csv").read_bytes(), (voc.parent / "out/l.csv").read_bytes()
    (voc / "JPEGImages/b.jpg").unlink()
    with pytest.raises(IrnError):
        build("voc", voc)
    assert ((voc.parent / "out/m.csv").read_bytes(), (voc.parent / "out/l.csv").read_bytes()) == before


def test_one_table_is_not_written_without_the_other(voc: Path, tmp_path: Path) -> None:
    (tmp_path / "taken/l.csv.partial").mkdir(parents=True)
    with pytest.raises(OSError, match=r"l\.csv\.partial"):
        build_manifest("voc", voc, tmp_path / "taken/m.csv", tmp_path / "taken/l.csv")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["l.csv.partial"]
