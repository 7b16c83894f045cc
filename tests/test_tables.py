"""The two tables: what is read back, and every mistake that must be named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from irn.data.tables import ImageClasses, read_classes, read_manifest, write_classes, write_manifest
from irn.errors import IrnError
from irn.records import ImageRecord

HEADER = "image_id,path,height,width,split\n"
TEXT_IDS = ["000123", "1e5", "NA", "null", "True", "-1", "2007_000032", "a.b-c"]


def text_file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_manifest_comes_back_as_written(tmp_path: Path) -> None:
    records = [
        ImageRecord(image_id, tmp_path / f"{image_id}.jpg", 3 + n, 5, "train") for n, image_id in enumerate(TEXT_IDS)
    ]
    write_manifest(tmp_path / "m.csv", records)
    assert read_manifest(tmp_path / "m.csv") == records
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_manifest_paths_are_absolute_or_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = text_file(tmp_path / "m.csv", HEADER + "a,images/a.jpg,3,5,train\nb,/else/b.jpg,3,5,train\n")
    assert [record.path for record in read_manifest(path)] == [tmp_path / "images/a.jpg", Path("/else/b.jpg")]
    monkeypatch.chdir(tmp_path)
    assert read_manifest(Path("m.csv"))[0].path == tmp_path / "images/a.jpg"
    write_manifest(tmp_path / "deeper/m.csv", [ImageRecord("a", Path("images/a.jpg"), 3, 5, "train")])
    assert read_manifest(tmp_path / "deeper/m.csv")[0].path == tmp_path / "images/a.jpg"


def test_manifest_of_one_split(tmp_path: Path) -> None:
    path = text_file(tmp_path / "m.csv", HEADER + "a,a.jpg,3,5,val\nb,b.jpg,3,5,train\nc,c.jpg,3,5,val\n")
    assert [record.image_id for record in read_manifest(path, "val")] == ["a", "c"]
    with pytest.raises(IrnError, match="no image has split 'test'; the splits in it: train, val"):
        read_manifest(path, "test")


def test_manifest_may_have_other_columns_and_order(tmp_path: Path) -> None:
    path = text_file(tmp_path / "m.csv", "note,split,width,height,path,image_id\nx,train,5,3,a.jpg,a\n")
    assert read_manifest(path) == [ImageRecord("a", tmp_path / "a.jpg", 3, 5, "train")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,path,height,split\na,a.jpg,3,train\n", "column 'width' is missing"),
        (HEADER, "lists no image"),
        (HEADER + "a,a.jpg,3,5,train\na,b.jpg,3,5,train\n", "image id 'a' appears in more than one row"),
        (HEADER + "a b,a.jpg,3,5,train\n", "image id 'a b' is not allowed; use letters, digits"),
        (HEADER + "..,a.jpg,3,5,train\n", "image id '..' is not allowed"),
        (HEADER + "é,a.jpg,3,5,train\n", "image id 'é' is not allowed"),
        (HEADER + ",a.jpg,3,5,train\n", "image id '' is not allowed"),
        (HEADER + "a,a.jpg,3.0,5,train\n", "image 'a' has size '3.0' x '5'"),
        (HEADER + "a,a.jpg,3,0,train\n", "image 'a' has size '3' x '0'"),
        (HEADER + "a,a.jpg,3²,5,train\n", "image 'a' has size '3²' x '5'"),
        (HEADER + "a,a.jpg\n", "image 'a' has size '' x ''"),
        (HEADER + "a,a.jpg,3,5,fold 1/5\n", "a split cannot be named 'fold 1/5'"),
        (HEADER + "a,a.jpg,3,5,..\n", "a split cannot be named '..'"),
        (HEADER + "a,a.jpg,3,5,a+b\n", "a split cannot be named 'a+b'"),
        (HEADER + "a,a.jpg,3,5,train,more\n", "not a readable CSV table"),
        ("image_id,path,path,height,width,split\na,a,a,3,5,train\n", "column 'path' appears twice"),
        ("", "not a readable CSV table"),
    ],
)
def test_manifest_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = text_file(tmp_path / "m.csv", text)
    with pytest.raises(IrnError) as caught:
        read_manifest(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_manifest, read_classes])
def test_a_table_that_is_missing_or_no_text(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(IrnError, match="no such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(IrnError, match="not a readable CSV table"):
        read(tmp_path / "picture.csv")


def test_labels_come_back_as_written(tmp_path: Path) -> None:
    names = ["traffic light", "NA", "1", "a, b", 'say "x"', "1.1"]
    labels = ImageClasses(names, {image_id: [n % 6] if n % 3 else [] for n, image_id in enumerate(TEXT_IDS)})
    write_classes(tmp_path / "l.csv", labels)
    assert read_classes(tmp_path / "l.csv") == labels
    assert list(read_classes(tmp_path / "l.csv").present) == TEXT_IDS
    assert [path.name for path in tmp_path.iterdir()] == ["l.csv"]


def test_labels_file_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = text_file(tmp_path / "l.csv", '\ufeffimage_id,"cat",dog\r\n000123,1,"0"\r\n\r\nb,1,1\r\n')
    assert read_classes(path) == ImageClasses(["cat", "dog"], {"000123": [0], "b": [0, 1]})


def test_labels_of_one_image(tmp_path: Path) -> None:
    labels = ImageClasses(["cat", "dog"], {"a": [1]}, tmp_path / "l.csv")
    assert labels.of("a") == [1]
    with pytest.raises(IrnError, match=r"l\.csv: no row for image 'b'"):
        labels.of("b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id\na\n", "expected the header 'image_id' and then one column for each class"),
        ("id,cat\na,1\n", "expected the header 'image_id' and then one column for each class, found 'id,cat'"),
        ("image_id;cat\na;1\n", "found 'image_id;cat'"),
        ("image_id,cat,dog\na,1,0\nb,1,2\n", "image 'b', class 'dog' has '2'; expected 0 (absent) or 1 (present)"),
        ("image_id,cat,dog\na,1,0\nb,1\n", "image 'b', class 'dog' has ''"),
        ("image_id,cat,dog\na,1,1.0\n", "image 'a', class 'dog' has '1.0'"),
        ("image_id,cat,dog\na,1,0,1\nb,1,0,1\n", "not a readable CSV table"),
        ("image_id,cat,cat\na,1,0\n", "column 'cat' appears twice"),
        ("image_id,cat,\na,1,\n", "class name '' is empty"),
        ("image_id,cat, dog\na,1,0\n", "class name ' dog' is empty or has spaces around it"),
        ("image_id,__background__,dog\na,1,0\n", "no class can be named '__background__'"),
        ("image_id,cat\na,1\na,0\n", "image id 'a' appears in more than one row"),
        ("image_id,cat\na/b,1\n", "image id 'a/b' is not allowed"),
        ("image_id," + ",".join(f"c{n}" for n in range(255)) + "\n", "255 classes; label maps hold at most 254"),
    ],
)
def test_label_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = text_file(tmp_path / "l.csv", text)
    with pytest.raises(IrnError) as caught:
        read_classes(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_labels_of_254_classes(tmp_path: Path) -> None:
    labels = ImageClasses([f"c{n}" for n in range(254)], {"a": [0, 253]})
    write_classes(tmp_path / "l.csv", labels)
    assert read_classes(tmp_path / "l.csv") == labels


@pytest.mark.parametrize("names", [["cat", "cat"], ["mean"], [""], [f"c{n}" for n in range(255)]])
def test_labels_that_could_not_be_read_are_not_written(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(IrnError):
        write_classes(tmp_path / "l.csv", ImageClasses(names, {"a": [0]}))
    assert not list(tmp_path.iterdir())


def test_a_manifest_in_place_of_the_labels_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("image_id,path,height,width,split\na,a.png,4,4,train\n")
    with pytest.raises(IrnError, match="a manifest, where the labels table is expected"):
        read_classes(tmp_path / "manifest.csv")
