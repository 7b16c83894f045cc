"""Text of pictures: its font, its inks, and how it is cut to fit."""

import subprocess
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont, features

INK, FAINT, GREY, FRAME, WHITE = (20, 20, 20), (110, 110, 110), (150, 150, 150), (225, 225, 225), (255, 255, 255)
# Latin, Greek, Cyrillic, Arabic, Hebrew and others.
OWN_FONT = Path(__file__).with_name("fonts") / "DejaVuSans.ttf"
NO_LETTER = "\U0010ffff"  # never assigned, so it shows the glyph for letters that a font lacks
FONTCONFIG_SECONDS = 20


class Face(tuple[str, int]):
    """A font: its file, and its number in a collection."""

    __slots__ = ()


OWN = Face((str(OWN_FONT), 0))


def font(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    """A font that has the letters of a text, in a size in pixels: the project's, or else one of the system's."""
    return _sized(_face_for(frozenset(text)) or OWN, size)


def name_in_pictures(name: str, index: int) -> str:
    """What pictures call a class: its name in one line, or its number where no font has the letters."""
    return _in_one_line(name) if is_drawable(name) else f"class {index}"


def name_in_text(name: str, index: int) -> str:
    """What pages call a class: its name, with the number beside it where pictures have only that."""
    return name if is_drawable(name) else f"{name} (class {index})"


def is_drawable(text: str) -> bool:
    """Whether there is a font for all letters of a text, and a way to join them where its script does so."""
    line = _in_one_line(text)
    joined = any(unicodedata.bidirectional(c) in ("R", "AL") or unicodedata.category(c) in ("Mn", "Mc") for c in line)
    return _face_for(frozenset(line)) is not None and (not joined or bool(features.check("raqm")))


def shortened(text: str, size: int, width: float) -> str:
    """As much of the text as fits into `width` pixels, with dots where something is missing."""
    letters = font(size, text)
    if letters.getlength(text) <= width:
        return text
    kept = [text[:n].rstrip() + "..." for n in range(len(text), 0, -1)]
    return next((words for words in kept if letters.getlength(words) <= width), "")


def _in_one_line(text: str) -> str:
    """A text with accents and letters as one character, and without what has no width or ends a line."""
    return "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))


@lru_cache
def _sized(face: Face, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(face[0], size, face[1])


@lru_cache(maxsize=1024)
def _face_for(letters: frozenset[str]) -> Face | None:
    """The font that has all of some letters, if there is one."""
    candidates = [OWN] if all(map(_is_in_own, letters)) else _system_faces("".join(sorted(letters)))
    return next((face for face in candidates if face is OWN or _has(face, letters)), None)


@lru_cache(maxsize=4096)
def _is_in_own(letter: str) -> bool:
    return _has(OWN, frozenset(letter))


def _has(face: Face, letters: frozenset[str]) -> bool:
    """Whether a font can be drawn with and has all letters: Pillow draws a box for one that is missing."""
    try:
        plain = ImageFont.truetype(face[0], 16, face[1], layout_engine=ImageFont.Layout.BASIC)
        box = plain.getmask(NO_LETTER)
        return all(plain.getmask(c).size != box.size or bytes(plain.getmask(c)) != bytes(box) for c in letters)
    except (OSError, ValueError):  # pictures of letters in one size alone, such as emoji
        return False


def _system_faces(letters: str) -> list[Face]:
    """The fonts of the system that have some letters, as fontconfig lists them; none where it is not installed."""
    charset = " ".join(f"{ord(letter):x}" for letter in letters)
    faces = []
    for command in (["fc-match", f"sans:charset={charset}"], ["fc-list", f":charset={charset}"]):
        try:
            listed = subprocess.run(
                [command[0], "--format", "%{file}\t%{index}\n", *command[1:]],
                capture_output=True,
                timeout=FONTCONFIG_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return []
        for line in sorted(listed.stdout.decode("utf-8", "replace").splitlines()):
            file, _, index = line.partition("\t")
            # Upper bits are a style of a variable font.
            faces.append(Face((file, int(index) & 0xFFFF if index.isdigit() else 0)))
    return faces
