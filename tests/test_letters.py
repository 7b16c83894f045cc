"""Letters beyond ASCII in pictures: by the font that comes along, one of the system's, or as the class's number."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from irn.data.tables import ImageClasses
from irn.pictures import text
from irn.pictures.panels import Scene, panels_of
from irn.pictures.strip import draw_strip
from irn.pictures.text import OWN_FONT, font, is_drawable, name_in_pictures, name_in_text
from irn.records import ImageRecord
from irn.report.facts import Facts
from irn.report.gallery import card

SIZE = (192, 192)
MISSING = chr(0x10FFFF)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No font is remembered from one test to the next."""
    for cached in (text._face_for, text._is_in_own):
        cached.cache_clear()
    yield
    for cached in (text._face_for, text._is_in_own):
        cached.cache_clear()


def without_fonts(monkeypatch: pytest.MonkeyPatch, folder: Path, *answers: object) -> None:
    """Leave a system with no fontconfig, or with one that always answers with some files."""
    folder.mkdir()
    for name in ("fc-match", "fc-list") if answers else ():
        (folder / name).write_text("#!/bin/sh\n" + "".join(f"printf '%s\\t0\\n' '{path}'\n" for path in answers))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin" if answers else str(folder))


def scene(names: list[str]) -> Scene:
    arrays = {"cam": {"classes": np.arange(len(names)), "high_res": np.zeros((len(names), *SIZE), np.float32)}}
    record = ImageRecord("image", Path("image.png"), *SIZE, "")
    return Scene(record, np.full((*SIZE, 3), 99, np.uint8), arrays, list(range(len(names))), names, 2.5)


@pytest.mark.parametrize(
    "name",
    [
        "L\u00f6we",
        "ka\u010denka",
        "\u03b3\u03ac\u03c4\u03b1",
        "\u043a\u043e\u0448\u043a\u0430",
        "\u0642\u0637\u0629",
        "\u05d7\u05ea\u05d5\u05dc",
        "\u0110\u1eb7ng",
    ],
)
def test_latin_greek_cyrillic_arabic_and_hebrew_come_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    without_fonts(monkeypatch, tmp_path / "bin")
    assert name_in_pictures(name, 3) == name_in_text(name, 3) == name
    boxes = bytes(font(14).getmask(MISSING * len(name)))
    assert bytes(font(14, name).getmask(name)) != boxes
    for letter in name:
        assert bytes(font(14, name).getmask(letter)) != bytes(font(14).getmask(MISSING)), letter
    drawn, plain = (np.asarray(draw_strip(scene([word]))) for word in (name, "?" * len(name)))
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()


def test_a_letter_and_its_accent_are_drawn_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_fonts(monkeypatch, tmp_path / "bin")
    assert name_in_pictures("Lo\u0308we", 0) == "L\u00f6we"


def test_others_are_drawn_by_a_font_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_text("no font")
    without_fonts(monkeypatch, tmp_path / "bin", tmp_path / "broken.ttf", OWN_FONT)
    # As if the project's font had Latin letters alone.
    monkeypatch.setattr(text, "_is_in_own", str.isascii)
    assert name_in_pictures("\u043a\u043e\u0448\u043a\u0430", 3) == "\u043a\u043e\u0448\u043a\u0430"
    assert font(14, "\u043a\u043e\u0448\u043a\u0430").path == str(OWN_FONT)


@pytest.mark.parametrize("fontconfig", [False, True])
def test_without_a_font_pictures_have_the_number_and_the_page_has_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fontconfig: bool
) -> None:
    # Fontconfig gives the nearest font, which may lack the letters.
    without_fonts(monkeypatch, tmp_path / "bin", *([OWN_FONT] if fontconfig else []))
    names = ["cat", "\u732b"]
    assert [panel.caption for panel in panels_of(scene(names))] == ["image", "CAM: cat", "CAM: class 1"]
    table = ImageClasses(names, {"image": [0, 1]})
    shown = card(Facts("image", "train", [0, 1], [], None, None, 0, None, None), 1, "", [], table)
    assert [entry.name for entry in shown.classes] == ["cat", "\u732b (class 1)"]


def test_without_a_way_to_join_letters_arabic_is_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_fonts(monkeypatch, tmp_path / "bin")
    monkeypatch.setattr(text.features, "check", lambda name: False)
    assert name_in_pictures("\u0642\u0637\u0629", 3) == "class 3"
    assert is_drawable("L\u00f6we")


def test_a_line_break_in_a_name_is_a_space() -> None:
    assert name_in_pictures("black\ncat", 0) == "black cat"
    draw_strip(scene(["black\ncat"]))
