"""Photographs as cameras, phones and programs write them: read as they are shown, or refused by name."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from helpers import run
from pictures import (
    Tag,
    deep_png,
    exif,
    profile_of_cmyk,
    profile_of_grey,
    profile_of_matrix,
    saved,
    srgb_profile,
    tiff,
    with_chunks,
    with_riff_chunks,
    with_segments,
)
from PIL import Image, ImageCms
from test_check_data import check, folder_set

from irn.cli import main
from irn.data.images import Look, look, read_image
from irn.data.tables import read_manifest
from irn.errors import IrnError
from irn.records import PLAIN, Colours

Capture = pytest.CaptureFixture[str]
pillow_heif.register_heif_opener()

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (16, 24, 3), np.uint8)
WIDE = profile_of_matrix(1.8, (0.61, 0.311, 0.0195), (0.205, 0.626, 0.0609), (0.149, 0.063, 0.745))
TURNED: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda p: p,
    lambda p: p[:, ::-1],
    lambda p: p[::-1, ::-1],
    lambda p: p[::-1],
    lambda p: p.swapaxes(0, 1),
    lambda p: np.rot90(p, -1),
    lambda p: p[::-1, ::-1].swapaxes(0, 1),
    lambda p: np.rot90(p),
]


def seen(path: Path, colours: Colours = PLAIN) -> Look:
    found = look(path, colours)
    assert isinstance(found, Look), found
    return found


def refusal(path: Path) -> str:
    with pytest.raises(IrnError) as error:
        read_image(path)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpeg"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_an_image_is_turned_as_exif_says(self, tmp_path: Path, orientation: int, kind: str, order: str) -> None:
        block = exif(orientation, order=order)
        if kind == "png":
            content = with_chunks(saved(PIXELS, "PNG"), (b"eXIf", block[6:]))
        elif kind == "tiff":
            content = tiff(PIXELS, order, [(0x0112, 3, 1, struct.pack(f"{order}H", orientation))])
        elif kind == "webp":
            content = saved(PIXELS, "WEBP", lossless=True, exif=block)
        else:
            content = with_segments(saved(PIXELS, "JPEG"), (0xE1, block))
        path = tmp_path / "a"
        path.write_bytes(content)
        upright = np.array(Image.open(io.BytesIO(saved(PIXELS, "JPEG")))) if kind == "jpeg" else PIXELS
        np.testing.assert_array_equal(read_image(path), TURNED[orientation - 1](upright))
        assert seen(path).how.turned == (orientation > 1)

    @pytest.mark.parametrize(
        "tag",
        [
            (0x9201, 10, 1, struct.pack("<ii", -1, 0)),  # a rational that is none
            (0x8769, 4, 1, struct.pack("<I", 0xFFFFFFFF)),  # a directory beyond the end
            (0x8825, 4, 1, struct.pack("<I", 8)),  # a directory within itself
            (0x010F, 2, 0x7FFFFFFF, b"\0\0\0\0"),  # text that is longer than the file
            (0x927C, 99, 3, b"\xff" * 4),  # a type that there is not
        ],
    )
    def test_damage_in_other_tags_changes_nothing(self, tmp_path: Path, tag: Tag) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(with_segments(saved(PIXELS, "JPEG"), (0xE1, exif(6, [tag]))))
        assert read_image(path).shape == (24, 16, 3)

    @pytest.mark.parametrize("value", [0, 9, 65535])
    def test_an_orientation_that_there_is_not_is_upright(self, tmp_path: Path, value: int) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(with_segments(saved(PIXELS, "JPEG"), (0xE1, exif(value))))
        assert read_image(path).shape == PIXELS.shape
        assert not seen(path).how.turned


class TestFormats:
    @pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".heic", ".HEIC", ".heif", ".hif", ".avif"])
    def test_what_phones_and_browsers_write_is_read(self, tmp_path: Path, capsys: Capture, suffix: str) -> None:
        root = folder_set(tmp_path / "set")
        (root / "images/a.png").unlink()
        kind = {".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF", ".avif": "AVIF"}.get(suffix.lower(), "JPEG")
        (root / f"images/a{suffix}").write_bytes(saved(PIXELS, kind))
        _, _, found = check(root, capsys)
        assert (found["images"], found["problems"]) == (3, [])

    @pytest.mark.parametrize("kind", ["HEIF", "AVIF", "GIF", "WEBP", "BMP", "TIFF", "PNG"])
    def test_the_content_counts_and_not_the_name(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(saved(np.full((16, 24, 3), 90, np.uint8), kind))
        assert abs(read_image(path).astype(int) - 90).max() < 4

    @pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
    def test_their_own_boxes_turn_them_and_exif_does_not_turn_them_again(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "a.heic"
        path.write_bytes(saved(PIXELS, kind, exif=exif(6)))
        assert read_image(path).shape == (24, 16, 3)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"DDS " + struct.pack("<I", 124) + bytes(200), "a file of format DDS"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a file of format EPS"),
            (b"8BPS\0\1" + bytes(40), "a file of format PSD"),
            (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "a file of format JPEG2000"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
            (b"<!DOCTYPE html><html>", "a web page"),
            (b"\xff\x0a" + bytes(40), "JPEG XL"),
            (b"%PDF-1.4\n", "a PDF"),
            (b"\0\0\0\x18ftypmp42" + bytes(40), "a video or raw photograph, mp42"),
            (b"version https://git-lfs.github.com/spec/v1\noid x\n", "a Git LFS pointer"),
            (b"\0\5\x16\7\0\2\0\0Mac OS X        ", "macOS's notes"),
            (b"GIF89a" + bytes(20), "it starts as GIF does, but is damaged"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400), "it starts as HEIF does, but is damaged"),
            (b"hello", "its first bytes are those of no kind that is read"),
            (b"", "the file is empty"),
        ],
    )  # fmt: skip
    def test_all_else_stays_closed_and_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
    ) -> None:
        opened: list[object] = []
        real = Image.open

        def watched(file: object, mode: str = "r", formats: list[str] | None = None) -> Image.Image:
            opened.append(formats)
            return real(file, mode, formats)  # type: ignore[arg-type]

        monkeypatch.setattr(Image, "open", watched)
        path = tmp_path / "a.jpg"
        path.write_bytes(content)
        said = refusal(path)
        assert f"a.jpg: not a readable image ({words}" in said
        assert "expected JPEG, PNG, BMP, TIFF, WebP, GIF, HEIC, AVIF" in said
        assert opened in ([], [["GIF"]], [["HEIF"]])

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "GIF", "BMP"])
    def test_a_file_that_is_cut_is_refused_wherever_it_is_cut(self, tmp_path: Path, kind: str) -> None:
        content = saved(rng.integers(0, 256, (40, 40, 3), np.uint8), kind)
        path = tmp_path / "a.jpg"
        for length in np.linspace(1, len(content) * 0.9, 25).astype(int):
            path.write_bytes(content[:length])
            assert "not a readable image" in refusal(path)


class TestText:
    def test_a_png_with_megabytes_of_text_is_read(self, tmp_path: Path) -> None:
        text = zlib.compress(bytes(70_000_000))
        chunks = [
            (b"zTXt", b"note\0\0" + text),
            (b"iTXt", b"note\0\1\0\0\0" + text),
            (b"tEXt", b"x\0" + b"y" * 3_000_000),
        ]
        path = tmp_path / "a.png"
        path.write_bytes(with_chunks(saved(PIXELS, "PNG"), *chunks))
        np.testing.assert_array_equal(read_image(path), PIXELS)

    def test_a_profile_that_unpacks_to_gigabytes_is_not_unpacked(self, tmp_path: Path) -> None:
        bomb = zlib.compressobj()
        packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
        path = tmp_path / "a.png"
        path.write_bytes(with_chunks(saved(PIXELS, "PNG"), (b"iCCP", b"x\0\0" + packed)))
        np.testing.assert_array_equal(read_image(path), PIXELS)


class TestSixteenBits:
    VALUES = rng.integers(0, 4096, (16, 24, 3)).astype(np.uint16)
    OPAQUE = np.full((16, 24, 1), 65535, np.uint16)
    TWELVE = Colours((0, 4095))

    @pytest.mark.parametrize(
        "kind",
        [
            "png",
            "png with alpha",
            "tiff",
            "big-endian tiff",
            "tiff with alpha",
            "packed tiff",
            "packed big-endian tiff",
        ],
    )
    def test_colours_are_read_by_the_range(self, tmp_path: Path, kind: str) -> None:
        values = np.concatenate([self.VALUES, self.OPAQUE], -1) if "alpha" in kind else self.VALUES
        path = tmp_path / "a"
        path.write_bytes(deep_png(values) if "png" in kind else tiff(values, ">" if "big" in kind else "<"))
        if kind.startswith("packed"):  # by libtiff, which gives the bytes in the order of the machine
            path.write_bytes(tiff(self.VALUES, ">" if "big" in kind else "<", packed=True))
        found = read_image(path, colours=self.TWELVE)
        np.testing.assert_allclose(found, self.VALUES / 4095 * 255, rtol=0, atol=0.5001)
        how = seen(path, self.TWELVE).how
        assert not how.deep
        assert not how.beyond
        assert seen(path, Colours((0, 2000))).how.beyond

    @pytest.mark.parametrize("bands", [1, 2])
    def test_grey_is_read_by_the_range(self, tmp_path: Path, bands: int) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(deep_png(np.concatenate([self.VALUES[..., :1], self.OPAQUE], -1)[..., :bands]))
        found = read_image(path, colours=self.TWELVE)
        for band in range(3):
            np.testing.assert_allclose(found[..., band], self.VALUES[..., 0] / 4095 * 255, rtol=0, atol=0.5001)

    def test_without_a_range_the_upper_eight_are_read_and_nearly_black_is_said(
        self, tmp_path: Path, capsys: Capture
    ) -> None:
        root = folder_set(tmp_path / "set")
        for name in "abc":
            (root / f"images/{name}.png").write_bytes(deep_png(self.VALUES + ord(name) - 97))
        notices = "\n".join(check(root, capsys)[2]["notices"])
        assert "3 of 3 images are nearly black (a.png, b.png, c.png)" in notices
        assert "dataset.value_range" in notices
        assert "3 of 3 images have 16 bits for each colour, of which the upper 8 are read" in notices
        notices = "\n".join(check(root, capsys, "folder", "--value-range", 0, 4200)[2]["notices"])
        assert "black" not in notices
        assert "16 bits" not in notices

    def test_nearly_white_is_said_too(self, tmp_path: Path, capsys: Capture) -> None:
        root = folder_set(tmp_path / "set")
        for name in "ab":
            (root / f"images/{name}.png").write_bytes(saved(250 - PIXELS // 32, "PNG"))
        assert "2 of 3 images are nearly white (a.png, b.png)" in "\n".join(check(root, capsys)[2]["notices"])

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (tiff(np.zeros((4, 4, 5), np.uint8)), "5 bands of 8 bits"),
            (tiff(np.zeros((4, 4, 2), np.uint16)), "2 bands of 16 bits"),
            (tiff(np.zeros((4, 4, 3), np.float32)), "3 bands of floating-point 32 bits"),
            (tiff(np.zeros((4, 4, 3), np.uint16), planes=True), "3 bands of 16 bits, each a plane of its own"),
            (tiff(np.zeros((4, 4, 1), np.float64)), "1 band of floating-point 64 bits"),
        ],
    )
    def test_bands_that_are_not_read_are_named(self, tmp_path: Path, content: bytes, words: str) -> None:
        path = tmp_path / "a.tif"
        path.write_bytes(content)
        assert f"({words}); expected 1 (grey) or 3 (red, green, blue)" in refusal(path)

    def test_planes_of_eight_bits_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        path.write_bytes(tiff(PIXELS, planes=True))
        np.testing.assert_array_equal(read_image(path), PIXELS)


def by_profile(picture: Image.Image, profile: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    changed = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return np.array(changed)


class TestProfiles:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
    def test_colours_of_another_profile_become_srgb_and_are_counted(
        self, tmp_path: Path, capsys: Capture, kind: str
    ) -> None:
        root = folder_set(tmp_path / "set")
        lossless = {"lossless": True} if kind == "WEBP" else {}
        content = saved(PIXELS, kind, icc_profile=WIDE, **lossless)
        (root / "images/a.png").write_bytes(content)
        wanted = by_profile(Image.open(io.BytesIO(content)).convert("RGB"), WIDE)
        np.testing.assert_array_equal(read_image(root / "images/a.png"), wanted)
        assert abs(wanted.astype(int) - PIXELS).max() > 20
        assert "1 of 3 images have a colour profile other than sRGB" in "\n".join(check(root, capsys)[2]["notes"])
        assert "profile" not in "\n".join(check(root, capsys, "folder", "--colour-profiles", "false")[2]["notes"])

    def test_the_key_turns_them_off_for_every_stage(self, tmp_path: Path) -> None:
        root, tables = (
            folder_set(tmp_path / "set"),
            ["--out-manifest", tmp_path / "m.csv", "--out-labels", tmp_path / "l"],
        )
        (root / "images/a.png").write_bytes(saved(PIXELS, "PNG", icc_profile=WIDE))
        run("build-manifest", "--kind", "folder", "--root", root, *tables, "--colour-profiles", "false")
        record = read_manifest(tmp_path / "m.csv")[0]
        np.testing.assert_array_equal(read_image(record.path, colours=record.colours), PIXELS)

    def test_grey_has_profiles_too(self, tmp_path: Path) -> None:
        path, profile = tmp_path / "a.png", profile_of_grey(1.0)
        path.write_bytes(saved(PIXELS[..., 0], "PNG", icc_profile=profile))
        np.testing.assert_array_equal(read_image(path), by_profile(Image.fromarray(PIXELS[..., 0]), profile))
        assert seen(path).how.profiled

    def test_cmyk_is_converted_by_its_profile(self, tmp_path: Path, capsys: Capture) -> None:
        root, profile = folder_set(tmp_path / "set"), profile_of_cmyk()
        file = io.BytesIO()
        picture = Image.fromarray(PIXELS).convert("CMYK")
        picture.save(file, "TIFF", icc_profile=profile)
        (root / "images/a.png").write_bytes(file.getvalue())
        np.testing.assert_array_equal(read_image(root / "images/a.png"), by_profile(picture, profile))
        found = check(root, capsys)[2]
        assert "1 of 3 images have a colour profile other than sRGB" in "\n".join(found["notes"])
        assert "CMYK" not in "\n".join(found["notices"])
        plain = read_image(root / "images/a.png", colours=Colours(profiles=False))
        np.testing.assert_array_equal(plain, np.array(picture.convert("RGB")))

    def test_srgb_itself_changes_no_pixel(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(saved(PIXELS, "PNG", icc_profile=srgb_profile()))
        np.testing.assert_array_equal(read_image(path), PIXELS)
        assert not seen(path).how.profiled

    @pytest.mark.parametrize("profile", [b"x", bytes(200), WIDE[:300], profile_of_grey(2.0)])
    def test_a_profile_that_cannot_be_read_or_is_for_other_colours_changes_nothing(
        self, tmp_path: Path, profile: bytes
    ) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(saved(PIXELS, "PNG", icc_profile=profile))
        np.testing.assert_array_equal(read_image(path), PIXELS)

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
    def test_cmyk_without_a_profile_is_converted_plainly_and_counted(
        self, tmp_path: Path, capsys: Capture, kind: str
    ) -> None:
        root = folder_set(tmp_path / "set")
        file = io.BytesIO()
        Image.fromarray(PIXELS).convert("CMYK").save(file, kind)
        (root / "images/a.png").write_bytes(file.getvalue())
        wanted = np.array(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
        np.testing.assert_array_equal(read_image(root / "images/a.png"), wanted)
        _, said, found = check(root, capsys)
        assert "(1 CMYK)" in said
        assert "1 of 3 images are CMYK without a colour profile" in "\n".join(found["notices"])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_with_chunks_that_nobody_knows(tmp_path: Path, kind: str) -> None:
    add = with_chunks if kind == "PNG" else with_riff_chunks
    path = tmp_path / "a"
    path.write_bytes(add(saved(PIXELS, kind, **({"lossless": True} if kind == "WEBP" else {})), (b"abCd", b"x" * 33)))
    np.testing.assert_array_equal(read_image(path), PIXELS)


def test_a_manifest_with_an_odd_word_about_profiles_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "m.csv").write_text("image_id,path,height,width,split,profiles\na,a.png,5,5,train,maybe\n")
    command = ["show", "--manifest", tmp_path / "m.csv", "--images", "a", "--out", tmp_path / "out"]
    assert main([str(word) for word in command]) == 2
    assert "column profiles: 'maybe'; expected ignored" in capsys.readouterr().err
