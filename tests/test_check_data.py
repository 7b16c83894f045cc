"""What users feed: each works, works with a notice, or is refused by name, all at once (docs/limits.md)."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import read_all, refusal, run, save_png, snakemake
from PIL import Image

from irn.cli import main
from irn.data.images import read_image, read_record
from irn.data.names import safe_id
from irn.data.tables import read_classes, read_manifest
from irn.data.voc_annotations import VOC_CLASSES
from irn.records import ImageRecord

Capture = pytest.CaptureFixture[str]


def pixels(seed: int = 0, height: int = 40, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def folder_set(root: Path, labels: str = "image_id,dog,cat\na,1,0\nb,0,1\nc,0,0\n", names: str = "a b c") -> Path:
    for seed, name in enumerate(names.split()):
        save_png(root / f"images/{name}.png", pixels(seed))
    (root / "labels.csv").write_text(labels, encoding="utf-8")
    return root


def voc_set(root: Path, **objects: str) -> Path:
    """Images with an annotation of their objects: class names, or XML."""
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "Annotations").mkdir()
    (root / "ImageSets/Segmentation/train.txt").write_text("".join(f"{name}\n" for name in objects), encoding="utf-8")
    for seed, (name, content) in enumerate(objects.items()):
        save_png(root / f"JPEGImages/{name}.png", pixels(seed))
        inner = "".join(f"<object><name>{one}</name></object>" for one in content.split())
        text = content if "<" in content else f"<annotation><filename>x</filename>{inner}</annotation>"
        (root / f"Annotations/{name}.xml").write_text(text, encoding="utf-8")
    return root


def check(root: Path, capsys: Capture, kind: str = "folder", *more: object) -> tuple[int, str, dict[str, list[str]]]:
    """The exit code, the output, and problems as `file: problem; remedy`, and notices and notes in the JSON."""
    capsys.readouterr()
    out = root.parent / "check.json"
    code = main(["check-data", "--kind", kind, "--root", str(root), "--json", str(out), *map(str, more)])
    said = capsys.readouterr()
    found = json.loads(out.read_text(encoding="utf-8"))
    found["problems"] = [f"{p['file']}: {p['problem']}; {p['remedy']}" for p in found["problems"]]
    assert code == (2 if found["problems"] else 0)
    assert len(said.err.splitlines()) == bool(found["problems"])
    return code, said.out, found


def built(root: Path, kind: str = "folder") -> tuple[list[ImageRecord], dict[str, list[int]]]:
    out = root.parent / "tables"
    run(
        "build-manifest", "--kind", kind, "--root", root, "--out-manifest", out / "m.csv", "--out-labels", out / "l.csv"
    )
    return read_manifest(out / "m.csv"), read_classes(out / "l.csv").present


def only(found: dict[str, list[str]], what: str = "problems") -> str:
    assert len(found[what]) == 1, found
    return found[what][0]


class TestTheCommand:
    def test_a_sound_set(self, tmp_path: Path, capsys: Capture) -> None:
        code, said, found = check(folder_set(tmp_path / "set"), capsys)
        assert code == 0
        assert (found["images"], found["splits"], found["modes"]) == (3, {"train": 3}, {"RGB": 3})
        assert found["classes"] == {"dog": {"all": 1, "train": 1}, "cat": {"all": 1, "train": 1}}
        assert found["sizes"] == {"height": [40, 40], "width": [48, 48]}
        assert "dog    1    1      2" in said

    def test_all_problems_at_once(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\na,1\nb,x\nd,0\n", "a b c")
        (root / "images/a.png").write_bytes(b"")
        _, said, found = check(root, capsys)
        wanted = [
            "'b', class 'dog' has 'x'",
            "no image for the row 'd'",
            "no row for image 'c'",
            "a.png: not a readable image (the file is empty)",
        ]
        for words in wanted:
            assert sum(words in problem for problem in found["problems"]) == 1, words
        assert len(found["problems"]) == 4
        assert all(name in said for name in ("'x'", "'d'", "'c'", "a.png"))

    def test_the_manifest_is_not_built_of_what_is_refused(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").write_bytes(b"no image")
        (root / "images/b.png").write_bytes(b"no image")
        tables = ["--out-manifest", str(tmp_path / "m.csv"), "--out-labels", str(tmp_path / "l.csv")]
        assert main(["build-manifest", "--kind", "folder", "--root", str(root), *tables]) == 2
        said = capsys.readouterr()
        assert "a.png" in said.out
        assert "b.png" in said.out
        assert len(said.err.splitlines()) == 1
        assert not (tmp_path / "m.csv").exists()
        assert not (tmp_path / "l.csv").exists()


class TestImages:
    def test_sixteen_bits_get_advice_that_keeps_the_picture(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        Image.fromarray(np.full((40, 48), 30000, np.uint16)).save(root / "images/a.png")
        said = only(check(root, capsys)[2])
        assert "a.png: image mode is I;16" in said
        assert "255 * (values - low) / (high - low)" in said
        assert "convert('RGB')" not in said

    @pytest.mark.parametrize(
        ("kind", "low", "high"), [("uint16", 1000, 41000), ("float32", -1.5, 2.5), ("int32", 0, 100000)]
    )
    def test_a_range_of_values_makes_them_8_bits(
        self, tmp_path: Path, capsys: Capture, kind: str, low: float, high: float
    ) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").unlink()
        values = np.linspace(low, high, 40 * 48).reshape(40, 48).astype(kind)
        values[0, 0], values[0, 1] = low, high + 1
        Image.fromarray(values).save(root / "images/a.tif")
        out = tmp_path / "tables"
        tables = ["--out-manifest", out / "m.csv", "--out-labels", out / "l.csv"]
        run("build-manifest", "--kind", "folder", "--root", root, *tables, "--value-range", low, high)
        assert (
            "1 of 3 images have values beyond dataset.value_range, which become its ends (a.tif)"
            in capsys.readouterr().out
        )
        records = {record.image_id: record for record in read_manifest(out / "m.csv")}
        found = read_record(records["a"])
        assert found.shape == (40, 48, 3)
        wanted = 255 * (values.astype(float) - low) / (high - low)
        np.testing.assert_allclose(found[..., 1], np.clip(wanted, 0, 255), rtol=0, atol=0.5001)
        # Images of 8 bits stay as they are.
        np.testing.assert_array_equal(read_record(records["b"]), pixels(1))
        assert check(root, capsys, "folder", "--value-range", low, high)[0] == 0

    def test_numbers_that_are_none_have_no_place_in_a_range(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").unlink()
        Image.fromarray(np.full((40, 48), np.nan, np.float32)).save(root / "images/a.tif")
        said = only(check(root, capsys, "folder", "--value-range", 0, 1)[2])
        assert "a.tif: holds numbers that are not finite" in said

    def test_every_stage_reads_by_the_range(self, tmp_path: Path) -> None:
        """A photograph of 16 bits and the same one of 8 bits have the same maps."""
        root = tmp_path / "set"
        grey = pixels(3, 48, 64)[..., 0]
        save_png(root / "images/a.png", grey)
        Image.fromarray(grey.astype(np.uint16) * 257).save(root / "images/b.png")
        (root / "labels.csv").write_text("image_id,dog\na,1\nb,1\n", encoding="utf-8")
        tables = [tmp_path / "m.csv", tmp_path / "l.csv"]
        given = ["--manifest", tables[0], "--labels", tables[1]]
        run(
            "build-manifest", "--kind", "folder", "--root", root, "--out-manifest", tables[0],
            "--out-labels", tables[1],
            "--value-range", 0, 65535,
        )  # fmt: skip
        sizes = [
            "--backbone",
            "resnet18",
            "--from-scratch",
            "--crop-size",
            32,
            "--long-side",
            32,
            48,
            "--epochs",
            1,
            "--batch-size",
            2,
        ]
        run("train-cam", *given, "--out", tmp_path / "w.pt", *sizes, "--device", "cpu", "--workers", 0)
        run(
            "make-cams",
            *given,
            "--weights",
            tmp_path / "w.pt",
            "--out",
            tmp_path / "cams.h5",
            "--scales",
            1,
            "--device",
            "cpu",
        )
        run("make-ir-labels", *given[:2], "--cams", tmp_path / "cams.h5", "--out", tmp_path / "ir.h5", "--workers", 0)
        for file, kind in (("cams.h5", "cam"), ("ir.h5", "ir_label")):
            found = read_all(tmp_path / file, kind)
            for name in found["a"]:
                np.testing.assert_array_equal(found["a"][name], found["b"][name])

    def test_floats_get_the_same(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").unlink()
        Image.fromarray(np.zeros((40, 48), np.float32)).save(root / "images/a.tif")
        assert "255 * (values - low)" in only(check(root, capsys)[2])

    def test_a_jpeg_cut_in_half_in_a_split_that_is_only_scored(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "splits.csv").write_text("image_id,split\na,train\nb,train\nc,val\n")
        (root / "images/c.png").unlink()
        Image.fromarray(pixels()).save(root / "images/c.jpg")
        content = (root / "images/c.jpg").read_bytes()
        (root / "images/c.jpg").write_bytes(content[: len(content) // 2])
        assert "c.jpg: not a readable image" in only(check(root, capsys)[2])

    @pytest.mark.parametrize("orientation", [3, 6])
    def test_exif_orientation_is_applied_and_counted(self, tmp_path: Path, capsys: Capture, orientation: int) -> None:
        root, exif = folder_set(tmp_path / "set"), Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels()).save(root / "images/a.png", exif=exif)
        found = check(root, capsys)[2]
        assert "1 of 3 images are turned as their EXIF orientation says" in only(found, "notices")
        np.testing.assert_array_equal(
            read_image(root / "images/a.png"), np.rot90(pixels(), 2 if orientation == 3 else -1)
        )

    def test_masks_have_to_be_of_the_turned_image(self, tmp_path: Path, capsys: Capture) -> None:
        root, exif = folder_set(tmp_path / "set"), Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels()).save(root / "images/a.png", exif=exif)
        save_png(root / "SegmentationClass/a.png", np.ones((40, 48), np.uint8))
        assert "a.png: the mask is 40 x 48 pixels, its image 48 x 40" in only(check(root, capsys)[2])

    @pytest.mark.parametrize(
        ("name", "save", "words"),
        [
            (
                "a.gif",
                {"save_all": True, "append_images": [Image.new("P", (48, 40), 1)]},
                "hold several pictures, of which the first",
            ),
            (
                "a.tiff",
                {"save_all": True, "append_images": [Image.new("RGB", (48, 40))]},
                "hold several pictures, of which the first",
            ),
            (
                "a.jpg",
                {"format": "MPO", "save_all": True, "append_images": [Image.new("RGB", (48, 40))]},
                "hold several pictures",
            ),
            ("a.webp", {}, ""),
            ("a.jpg", {}, ""),
            ("a.JPG", {}, ""),
            ("a.jpg", {"progressive": True}, ""),
            ("a.png", {"format": "JPEG"}, ""),
        ],
    )
    def test_kinds_of_files(
        self, tmp_path: Path, capsys: Capture, name: str, save: dict[str, object], words: str
    ) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").unlink()
        Image.fromarray(pixels()).save(root / "images" / name, **save)  # type: ignore[arg-type]
        code, said, _ = check(root, capsys)
        assert code == 0
        assert words in said

    def test_bytes_behind_the_picture(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").rename(root / "images/a.jpg")
        Image.fromarray(pixels()).save(root / "images/a.jpg", progressive=True)
        whole = read_image(root / "images/a.jpg")
        with open(root / "images/a.jpg", "ab") as file:
            file.write(bytes(50) + b"maker's note")
        assert check(root, capsys)[0] == 0
        np.testing.assert_array_equal(read_image(root / "images/a.jpg"), whole)

    def test_what_systems_leave_in_folders(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/__MACOSX").mkdir()
        for name in ("._a.png", ".DS_Store", "__MACOSX/._b.png", "Thumbs.db"):
            (root / "images" / name).write_bytes(b"\0\5\x16\7")
        _, _, found = check(root, capsys)
        assert found["images"] == 3
        assert "1 .db: not read" in only(found, "notices")

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (20, 20), (1, 5000)])
    def test_tiny_and_long_images_work_with_a_notice(
        self, tmp_path: Path, capsys: Capture, height: int, width: int
    ) -> None:
        root = folder_set(tmp_path / "set")
        save_png(root / "images/a.png", pixels(0, height, width))
        assert "1 of 3 images have a side below 32 pixels" in only(check(root, capsys)[2], "notices")

    def test_a_very_large_image_works(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        Image.new("L", (12000, 9000)).save(root / "images/a.png")
        assert check(root, capsys)[0] == 0

    def test_an_image_bomb_is_refused_at_a_stated_size(
        self, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = folder_set(tmp_path / "set")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
        assert "an image of more than 178956970 pixels; make it smaller" in check(root, capsys)[2]["problems"][0]

    @pytest.mark.parametrize(
        ("mode", "words"),
        [
            ("RGBA", "lay it over the background"),
            ("LA", "lay it over the background"),
            ("CMYK", ""),
            ("1", "convert the file to RGB"),
            ("P", ""),
            ("L", ""),
        ],
    )
    def test_modes(self, tmp_path: Path, capsys: Capture, mode: str, words: str) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").unlink()
        Image.new(mode, (48, 40)).save(root / "images/a.tif")
        found = check(root, capsys)[2]
        if words:
            assert words in only(found)
        else:
            assert f"1 of 3 images are not RGB and are turned into it when they are read (1 {mode})" in found["notes"]

    def test_text_with_the_name_of_an_image(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").write_text("hello")
        assert "a.png: not a readable image" in only(check(root, capsys)[2])

    def test_the_same_picture_twice_and_across_splits(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog,cat\na,1,0\nb,1,0\nc,0,1\n")
        save_png(root / "images/b.png", pixels(0))
        assert "the same picture 2 times (a.png, b.png)" in only(check(root, capsys)[2], "notices")
        (root / "splits.csv").write_text("image_id,split\na,train\nb,val\nc,val\n")
        assert "also in several splits" in only(check(root, capsys)[2], "notices")

    def test_files_that_are_no_images_are_counted(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/IMG_1.psd").write_bytes(b"x")
        assert "1 .psd: not read" in only(check(root, capsys)[2], "notices")


class TestNames:
    @pytest.mark.parametrize(
        "name", ["photo (1)", "фото", "-x", 'a"b', "a'b", "two\nlines", "犬 2", "%41", "a,b", "x" * 250]
    )
    def test_any_name_works_by_a_safe_id(self, tmp_path: Path, name: str) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\nb,1\n", "b")
        save_png(root / f"images/{name}.png", pixels(7))
        save_png(root / f"SegmentationClass/{name}.png", np.ones((40, 48), np.uint8))
        quoted = name.replace('"', '""')
        (root / "labels.csv").write_text(f'image_id,dog\nb,1\n"{quoted}",1\n', encoding="utf-8")
        records, present = built(root)
        record = next(record for record in records if record.path.stem == name)
        assert record.image_id == safe_id(name)
        assert present[record.image_id] == [0]
        np.testing.assert_array_equal(read_image(record.path), pixels(7))

    def test_a_name_in_another_encoding(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "", "cat/1 dog/1")
        (root / "labels.csv").unlink()
        os.rename(root / "images/cat/1.png", os.fsencode(root / "images/cat") + b"/f\xf6to.png")
        assert (
            "images: the file name f\\xf6to.png is not text in UTF-8; rename the file"
            in check(root, capsys)[2]["problems"][0]
        )

    def test_ids_are_themselves_where_they_can_be(self) -> None:
        assert [safe_id(name) for name in ("000123", "a.b-c_D")] == ["000123", "a.b-c_D"]
        made = [safe_id(name) for name in ("photo (1)", "photo_(1)", "photo [1]", "..", "é", "e\u0301")]
        assert len(set(made)) == 5  # the last two are one name
        assert made[0] == "photo_1-8f9259d6"

    def test_case_alone(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\na,1\nA,0\n", "a A")
        assert "ids that differ in case alone" in only(check(root, capsys)[2], "notices")

    def test_leading_zeros_that_a_spreadsheet_took(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\n000123,1\n7,0\n", "000123 007")
        assert (
            "the row '7' (a spreadsheet may have removed the zeros of '007')" in check(root, capsys)[2]["problems"][0]
        )

    def test_folders_within(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\na,1\nsub/b,0\nsub/c.png,1\n", "a sub/b sub/c")
        assert "2 of 3 images lie in folders within" in check(root, capsys)[2]["notes"][0]
        records, present = built(root)
        assert [(r.path.name, present[r.image_id]) for r in records] == [("a.png", [0]), ("b.png", []), ("c.png", [0])]

    def test_a_folder_a_class(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "", "cat/1 cat/2 dog/1")
        (root / "labels.csv").unlink()
        assert "each folder is the class of the images in it: cat, dog" in check(root, capsys)[2]["notes"][1]
        records, present = built(root)
        assert [present[record.image_id] for record in records] == [[0], [0], [1]]

    def test_a_row_that_could_be_two_images(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\n1,1\nx/1,1\ny/1,0\n", "x/1 y/1")
        assert "row '1' could be any of 2 images; write the folder too" in only(check(root, capsys)[2])

    def test_links_out_of_the_root_are_followed(self, tmp_path: Path) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").rename(tmp_path / "elsewhere.png")
        (root / "images/a.png").symlink_to(tmp_path / "elsewhere.png")
        assert len(built(root)[0]) == 3

    def test_a_link_that_leads_nowhere_and_a_pipe(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/x.jpg").symlink_to(tmp_path / "gone.jpg")
        os.mkfifo(root / "images/y.jpg")
        assert "2 links that lead to no file, or pipes, not read (x.jpg, y.jpg)" in only(
            check(root, capsys)[2], "notices"
        )

    def test_links_that_lead_in_circles(self, tmp_path: Path) -> None:
        root = folder_set(tmp_path / "set")
        (tmp_path / "other").mkdir()
        (root / "images/other").symlink_to(tmp_path / "other")
        for name, target in (("one", "images"), ("two", "images"), ("root", ".")):
            (root / "images" / name).symlink_to(root / target)
            (tmp_path / "other" / name).symlink_to(root / target)
        assert len(built(root)[0]) == 3

    def test_a_name_with_blanks_at_its_ends(self, tmp_path: Path) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\n b ,1\na,0\n", "a")
        save_png(root / "images/ b .png", pixels(7))
        assert list(built(root)[1].values()) == [[0], []]

    def test_a_folder_that_may_not_be_read(
        self, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = folder_set(tmp_path / "set")

        def denied(*_: object, onerror: Callable[[OSError], None], **__: object) -> list[object]:
            onerror(PermissionError(13, "Permission denied", str(root / "images")))
            return []

        monkeypatch.setattr("irn.data.listing.os.walk", denied)
        assert "images: cannot be read (Permission denied)" in check(root, capsys)[2]["problems"][0]


class TestTables:
    @pytest.mark.parametrize(
        ("text", "note"),
        [
            ("image_id;dog;cat\na;1;0\nb;0;1\nc;0;0\n", "semicolons"),
            ("image_id\tdog\tcat\na\t1\t0\nb\t0\t1\nc\t0\t0\n", "tabs"),
            ("image_id,dog,cat\na,True,False\nb,0.0,1.0\nc,no,FALSE\n", ""),
            ("image_id,dog,cat\na.png,1,0\nimages/b.png,0,1\nc,0,0\n", "2 of 3 rows name the file"),
            ("filename,dog,cat\na,1,0\nb,0,1\nc,0,0\n", "'filename' is taken as image_id"),
            ("\ufeffimage_id,dog,cat\r\na,1,0\r\nb,0,1\r\nc,0,0\r\n", ""),
            # As spreadsheets export them.
            (
                '\ufeff"image_id","dog","cat",\r\n"a","1","0",\r\n"b","0","1",\r\n"c","0","0",\r\n,,,\r\n,,,\r\n',
                "2 rows and 1 columns with",
            ),
            (
                '"image_id";"dog";"cat";;\r\na;1;0;;\r\nb;0;1;;\r\nc;0;0;;\r\n;;;;\r\n\r\n',
                "1 rows and 2 columns with nothing in them",
            ),
            ("sep=;\r\nimage_id;dog;cat\r\na;1;0\r\nb;0;1\r\nc;0;0\r\n", "semicolons"),
            # Names as other systems have them.
            (
                "image_id,dog ,cat\nimages\\a.png,1,0\nC:\\data\\images\\b.png,0,1\n/home/me/images/c.png,0,0\n",
                "3 of 3 rows name the file",
            ),
            ("image_id,dog,cat\na.PNG,1,0\nmy_set/images/b.jpg,0,1\n./images/c,0,0\n", "2 of 3 rows name the file"),
        ],
    )
    def test_tables_as_spreadsheets_write_them(self, tmp_path: Path, capsys: Capture, text: str, note: str) -> None:
        root = folder_set(tmp_path / "set", text)
        assert note in check(root, capsys)[1]
        assert built(root)[1] == {"a": [0], "b": [1], "c": []}

    def test_utf_16(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "labels.csv").write_bytes("image_id\tdog\na\t1\nb\t0\nc\t0\n".encode("utf-16"))
        assert any("read as UTF-16" in note for note in check(root, capsys)[2]["notes"])

    @pytest.mark.parametrize("joint", ["|", ";", ", "])
    def test_one_column_of_names(self, tmp_path: Path, capsys: Capture, joint: str) -> None:
        root = folder_set(tmp_path / "set", f'image_id,labels\na,dog\nb,"dog{joint}cat"\nc,\n')
        assert "class names in the column 'labels'" in check(root, capsys)[1]
        assert built(root)[1] == {"a": [1], "b": [0, 1], "c": []}

    def test_a_column_of_names_that_differ_by_case(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,label\na,dog \nb,Dog\nc, dog\n")
        assert "class 'dog' differs from 'Dog' by case or blanks alone" in only(check(root, capsys)[2])

    def test_columns_that_differ_by_case(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog,Dog\na,1,0\nb,0,1\nc,0,0\n")
        assert "classes 'dog' and 'Dog' differ by case or blanks alone, and are two" in only(
            check(root, capsys)[2], "notices"
        )

    @pytest.mark.parametrize(
        ("names", "slip"),
        [
            ("horse,hrose", True),
            ("horse,horses", True),
            ("grade 1,grade 11", False),
            ("class 12,class 21", False),
            ("cat,car", False),
        ],
    )
    def test_a_rare_class_that_is_spelt_like_another(
        self, tmp_path: Path, capsys: Capture, names: str, slip: bool
    ) -> None:
        root = folder_set(tmp_path / "set", f"image_id,{names}\na,1,0\nb,1,0\nc,0,1\n")
        usual, other = names.split(",")
        found = check(root, capsys)[2]["notices"]
        assert [line for line in found if "spelt" in line] == (
            [f"class {other!r} (1 of the images) is spelt like {usual!r} (2); correct it if it is a slip"]
            if slip
            else []
        )

    @pytest.mark.parametrize("text", ["", "\n\n", ",,\n,,\n", "sep=;\r\n"])
    def test_a_table_with_nothing_in_it(self, tmp_path: Path, capsys: Capture, text: str) -> None:
        assert "labels.csv: " in only(check(folder_set(tmp_path / "set", text), capsys)[2])

    def test_a_spreadsheet_in_its_own_format(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        (root / "labels.csv").write_bytes(b"PK\x03\x04" + bytes(range(256)))
        assert "save it as CSV in UTF-8" in only(check(root, capsys)[2])

    def test_missing_values(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog,cat\na,1,\nb,,1\nc,0,0\n")
        said = only(check(root, capsys)[2])
        assert "2 of 6 cells are empty (image 'a', class 'cat': '', image 'b', class 'dog': '')" in said

    def test_a_row_twice(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\na,1\na,0\nb,1\nc,0\n")
        assert "image id 'a' appears in more than one row" in only(check(root, capsys)[2])

    def test_five_hundred_classes_are_refused(self, tmp_path: Path, capsys: Capture) -> None:
        names = [f"c{number}" for number in range(500)]
        root = folder_set(tmp_path / "set", f"image_id,{','.join(names)}\na,{','.join('1' * 500)}\n", "a")
        assert "500 classes; label maps hold at most 254" in check(root, capsys)[2]["problems"][0]


class TestClasses:
    @pytest.mark.parametrize("table", ["image_id,dog\na,0\nb,0\nc,0\n", "image_id,labels\na,[]\nb,[]\nc,[]\n"])
    def test_no_image_has_a_class(self, tmp_path: Path, capsys: Capture, table: str) -> None:
        root = folder_set(tmp_path / "set", table)
        assert "no image has a class, so there is nothing to learn" in only(check(root, capsys)[2])

    def test_a_class_on_every_image_and_one_on_none(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog,cat,elk\na,1,0,0\nb,1,1,0\nc,1,0,0\n")
        every, none = check(root, capsys)[2]["notices"]
        assert "1 of 3 classes are on every image" in every
        assert "(dog)" in every
        assert "1 of 3 classes are on no image" in none
        assert "(elk)" in none

    @pytest.mark.parametrize("name", ["background", "_background_", "BG"])
    def test_background_as_a_class(self, tmp_path: Path, capsys: Capture, name: str) -> None:
        root = folder_set(tmp_path / "set", f"image_id,dog,{name}\na,1,0\nb,0,1\nc,1,1\n")
        assert f"class {name!r} is learned like any other" in only(check(root, capsys)[2], "notices")

    def test_one_image_of_one_class(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,dog\na,1\n", "a")
        assert "on every image" in only(check(root, capsys)[2], "notices")

    @pytest.mark.parametrize(
        ("odd", "nearest"),
        [("Dog", "'dog' by case or blanks alone"), ("dogg", "looks like 'dog'"), ("dgo", "looks like 'dog'")],
    )
    def test_an_odd_name_does_not_move_the_others(
        self, tmp_path: Path, capsys: Capture, odd: str, nearest: str
    ) -> None:
        said = only(check(voc_set(tmp_path / "voc", a="dog", b=odd, c="aeroplane"), capsys, "voc")[2])
        assert "b.xml: class " in said
        assert repr(odd) in said
        assert nearest in said

    def test_any_other_name_is_odd_where_most_of_vocs_are(self, tmp_path: Path, capsys: Capture) -> None:
        root = voc_set(tmp_path / "voc", a=" ".join(VOC_CLASSES[:12]), b="zebra", c="")
        assert "b.xml: class 'zebra' is not one of VOC's" in only(check(root, capsys, "voc")[2])

    def test_names_of_ones_own_that_differ_by_case(self, tmp_path: Path, capsys: Capture) -> None:
        root = voc_set(tmp_path / "voc", a="lynx", b="Lynx", c="")
        assert "by case or blanks alone" in only(check(root, capsys, "voc")[2])

    @pytest.mark.parametrize(
        "text",
        [
            '<annotation xmlns="http://x.org/a"><object><name>dog</name></object></annotation>',
            "<annotation><Object><Name>dog</Name></Object></annotation>",
            "<annotation><objects><object><name>dog</name></object></objects></annotation>",
        ],
    )
    def test_objects_in_other_clothes_are_understood(self, tmp_path: Path, text: str) -> None:
        assert built(voc_set(tmp_path / "voc", a=text, b=""), "voc")[1] == {"a": [11], "b": []}

    @pytest.mark.parametrize(
        "text", ["<annotation><item><label>dog</label></item></annotation>", "<html><body>gone</body></html>"]
    )
    def test_annotations_that_are_not_understood_are_refused(self, tmp_path: Path, capsys: Capture, text: str) -> None:
        assert "a.xml: no <object> in it, but <" in only(
            check(voc_set(tmp_path / "voc", a=text, b="dog"), capsys, "voc")[2]
        )


class TestMasks:
    def masked(self, root: Path, *values: int) -> Path:
        """Images a (dog), b (cat), c (none), with masks of these values in a square."""
        folder_set(root)
        for name, value in zip("abc", values, strict=True):
            mask = np.zeros((40, 48), np.uint8)
            mask[10:30, 10:30] = value
            save_png(root / f"SegmentationClass/{name}.png", mask)
        return root

    def test_masks_that_agree(self, tmp_path: Path, capsys: Capture) -> None:
        code, said, found = check(self.masked(tmp_path / "set", 1, 2, 0), capsys)
        assert code == 0
        assert not found["notices"]
        assert "masks of 3 of 3 images" in said

    def test_masks_that_are_white_where_objects_are(self, tmp_path: Path, capsys: Capture) -> None:
        root = self.masked(tmp_path / "set", 1, 2, 0)
        for name in "abc":
            save_png(root / f"SegmentationClass/{name}.png", np.full((40, 48), 255, np.uint8))
        assert "the masks hold 0 and 255 alone" in only(check(root, capsys)[2])

    def test_small_white_objects(self, tmp_path: Path, capsys: Capture) -> None:
        said = only(check(self.masked(tmp_path / "set", 255, 255, 255), capsys)[2])
        assert "the masks hold 0 and 255 alone" in said
        assert "(a, b)" in said

    def test_images_without_a_class_may_be_void(self, tmp_path: Path, capsys: Capture) -> None:
        said = only(check(self.masked(tmp_path / "set", 0, 0, 255), capsys)[2], "notices")
        assert "no mask holds any class but" in said

    def test_most_of_a_mask_is_void(self, tmp_path: Path, capsys: Capture) -> None:
        root = self.masked(tmp_path / "set", 1, 2, 0)
        save_png(root / "SegmentationClass/c.png", np.full((40, 48), 255, np.uint8))
        assert "in 1 of 3 images most of the mask is 255" in only(check(root, capsys)[2], "notices")

    @pytest.mark.parametrize("name", ["masks", "SegmentationObject", "Masks"])
    def test_masks_by_a_name_that_is_not_read(self, tmp_path: Path, capsys: Capture, name: str) -> None:
        root = self.masked(tmp_path / "set", 1, 2, 0)
        (root / "SegmentationClass").rename(root / name)
        said = only(check(root, capsys)[2], "notices")
        assert f"{root / name}: not read, so nothing is scored; class masks lie in SegmentationClass/" in said
        if name != "SegmentationObject":
            assert not check(root, capsys, "folder", "--class-masks", root / name)[2]["notices"]

    def test_classes_counted_from_zero(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set", "image_id,elk,dog,cat\na,0,1,0\nb,0,0,1\nc,0,1,1\n")
        for name, value in zip("abc", (1, 2, 1), strict=True):
            save_png(root / f"SegmentationClass/{name}.png", np.full((40, 48), value, np.uint8))
        said = check(root, capsys)[2]["problems"][0]
        assert (
            "in 2 of 3 images the mask holds a class that the image's row in the labels lacks (a, c)" in said
            or "in 3 of 3 images" in said
        )
        assert "classes may be counted from 0" in said

    def test_two_classes_counted_from_zero(self, tmp_path: Path, capsys: Capture) -> None:
        assert "lacks (b)" in only(check(self.masked(tmp_path / "set", 0, 1, 0), capsys)[2])

    @pytest.mark.parametrize("name", ["{}.jpg", "{}_mask.png"])
    def test_masks_of_other_names(self, tmp_path: Path, capsys: Capture, name: str) -> None:
        root = folder_set(tmp_path / "set")
        for one in "abc":
            save_png(root / "SegmentationClass" / name.format(one), np.zeros((40, 48), np.uint8))
        files = f"{name.format('a')}, {name.format('b')}, "
        wanted = f"SegmentationClass: no mask of any image; expected <image_id>.png (has {files}"
        assert wanted in only(check(root, capsys)[2], "notices")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda mask: mask[:20], "the mask is 20 x 48 pixels, its image 40 x 48"),
            (lambda mask: np.stack([mask] * 3, -1), "mask mode is RGB, expected an index PNG"),
            (lambda mask: mask > 0, "mask mode is 1, expected an index PNG"),
        ],
    )
    def test_masks_that_are_none(
        self, tmp_path: Path, capsys: Capture, change: Callable[[np.ndarray], np.ndarray], words: str
    ) -> None:
        root = self.masked(tmp_path / "set", 1, 2, 0)
        path = root / "SegmentationClass/a.png"
        save_png(path, change(np.array(Image.open(path))))
        assert f"a.png: {words}" in only(check(root, capsys)[2])

    def test_a_jpeg_that_is_called_png(self, tmp_path: Path, capsys: Capture) -> None:
        root = self.masked(tmp_path / "set", 1, 2, 0)
        Image.new("L", (48, 40), 1).save(root / "SegmentationClass/a.png", "JPEG")
        assert "a.png: the mask is a JPEG, which changes the numbers" in only(check(root, capsys)[2])

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda mask: mask[:20], "the mask is 20 x 48 pixels, its image 40 x 48"),
            (lambda mask: np.stack([mask] * 3, -1), "mask mode is RGB, expected an index PNG"),
            (
                lambda mask: mask + 2 * (np.arange(40) > 30)[:, None].astype(np.uint8),
                "object 2 lies on background alone",
            ),
        ],
    )
    @pytest.mark.parametrize("option", [[], ["--object-masks"]])
    def test_object_masks_that_are_none(
        self,
        tmp_path: Path,
        capsys: Capture,
        change: Callable[[np.ndarray], np.ndarray],
        words: str,
        option: list[str],
    ) -> None:
        root = self.masked(tmp_path / "set", 1, 2, 0)
        objects = tmp_path / "objects" if option else root / "SegmentationObject"
        for name in "abc":
            mask = (np.array(Image.open(root / f"SegmentationClass/{name}.png")) > 0).astype(np.uint8)
            save_png(objects / f"{name}.png", mask)
        more = [*option, objects] if option else []
        assert check(root, capsys, "folder", *more)[0] == 0
        path = objects / "a.png"
        save_png(path, change(np.array(Image.open(path))))
        assert f"{path}: {words}" in only(check(root, capsys, "folder", *more)[2])

    def test_one_image_of_many_that_differs(self, tmp_path: Path, capsys: Capture) -> None:
        found = check(self.masked(tmp_path / "set", 1, 2, 1), capsys)[2]
        assert "in 1 of 3 images the mask holds a class that the image's row in the labels lacks (c)" in only(
            found, "notices"
        )


@pytest.mark.parametrize("setting", [{}, {"object_masks": "objects"}])
def test_masks_that_the_split_to_score_lacks_are_found_before_the_first_job(
    tmp_path: Path, setting: dict[str, str]
) -> None:
    root = folder_set(tmp_path / "set")
    (root / "splits.csv").write_text("image_id,split\na,train\nb,val\nc,val\n", encoding="utf-8")
    lacking = root / "SegmentationClass"
    for name in "abc":
        save_png(lacking / f"{name}.png", np.zeros((40, 48), np.uint8))
    if setting:
        lacking = tmp_path / "objects"
        save_png(lacking / "b.png", np.zeros((40, 48), np.uint8))
    else:
        (lacking / "c.png").unlink()
    dataset = {"kind": "folder", "root": str(root), "eval_split": "val"} | {
        key: str(tmp_path / name) for key, name in setting.items()
    }
    (tmp_path / "small.yaml").write_text(
        json.dumps({"dataset": dataset, "cam": {"batch_size": 1}, "irn": {"batch_size": 1}})
    )
    lacks = f"{lacking}: no mask of 1 of the 2 images of dataset.eval_split 'val' (c); add them, or set"
    assert f"{lacks} dataset.eval_split to a split" in refusal(tmp_path)


def test_a_split_of_which_some_images_have_masks(tmp_path: Path, capsys: Capture) -> None:
    root = folder_set(tmp_path / "set")
    (root / "splits.csv").write_text("image_id,split\na,train\nb,val\nc,val\n", encoding="utf-8")
    save_png(root / "SegmentationClass/b.png", np.full((40, 48), 2, np.uint8))
    found = check(root, capsys)[2]
    assert (
        f"{root / 'SegmentationClass'}: no mask of 1 of the 2 images of split 'val' (c), so it cannot be scored"
        in found["notices"]
    )


def test_fewer_photographs_than_a_batch_are_found_before_the_first_job(tmp_path: Path) -> None:
    folder_set(tmp_path / "set")
    (tmp_path / "small.yaml").write_text(f"dataset: {{kind: folder, root: {tmp_path / 'set'}}}\n")
    result = snakemake(tmp_path)
    assert result.returncode == 2
    assert result.stderr.strip().endswith(
        "cam.batch_size is 16, but dataset.train_split 'train' has 3 images; set it to 3 or less"
    )
    assert not (tmp_path / "results").exists()


def test_a_run_with_a_photograph_that_cannot_be_read_ends_as_a_mistake_does(tmp_path: Path) -> None:
    folder_set(tmp_path / "set")
    (tmp_path / "set/images/b.png").write_bytes(b"no picture")
    config = f"dataset: {{kind: folder, root: {tmp_path / 'set'}}}\ncam: {{batch_size: 2}}\nirn: {{batch_size: 2}}\n"
    (tmp_path / "small.yaml").write_text(config, encoding="utf-8")
    result = snakemake(tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("b.png: not a readable image") == 1
    assert "replace the file or take it out of the data set" in result.stderr


def test_pictures_in_folders_of_different_classes_are_told_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    for seed, name in ((0, "cat/a"), (0, "dog/a"), (1, "cat/b"), (1, "dog/b"), (2, "dog/c")):
        save_png(tmp_path / f"set/{name}.png", pixels(seed))
    notices = check(tmp_path / "set", capsys)[2]["notices"]
    pairs = "cat/a.png and dog/a.png, cat/b.png and dog/b.png"
    assert f"2 pictures are there several times ({pairs})" in notices
    assert any("files of 2 such pictures have different classes" in notice for notice in notices)


@pytest.mark.parametrize("name", ["no_cat", "not cat", "Non-Cat", "without_cat"])
def test_a_class_that_says_another_is_absent_is_told(tmp_path: Path, capsys: Capture, name: str) -> None:
    root = folder_set(tmp_path / "set", f"image_id,cat,{name}\na,1,0\nb,0,1\nc,0,1\n")
    assert f"class {name!r} reads like the absence of 'cat'" in only(check(root, capsys)[2], "notices")
