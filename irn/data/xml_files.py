"""XML files, also in encodings that Python's parser does not know."""

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from irn.errors import IrnError

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["'][^>]*\?>""")
# Encodings of several bytes a character, and what tools write under their names.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "big5": "cp950", "euc_kr": "cp949"}
_KNOWN = ("utf-8", "utf-16", "iso-8859-1", "us-ascii")
_SEVERAL_BYTES = re.compile(r"gb\w+|big5\w*|shift_jis\w*|cp9(32|49|50)|euc_\w+|johab|hz|iso2022_\w+")


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file; IrnError for a file that is not one, or not text in its encoding."""
    content = path.read_bytes()
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        match = _DECLARED.match(content)
        declared = match[1].decode() if match else ""
        # utf8 without the hyphen is read as an encoding of one byte a character.
        if isinstance(error, ElementTree.ParseError) and (not declared or declared.lower() in _KNOWN):
            raise _unreadable(path, error) from None
    text = _decoded(path, content[match.end() if match else 0 :], declared)
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise _unreadable(path, error) from None


def _decoded(path: Path, content: bytes, declared: str) -> str:
    """The text of a file behind the declaration of its encoding, one that the parser does not know."""
    for name in _encodings(declared, content):
        try:
            return content.decode(name)
        except UnicodeDecodeError:
            continue
    raise IrnError(f"{path}: not text in the encoding {declared!r} that it names; save it as UTF-8")


def _encodings(declared: str, content: bytes) -> list[str]:
    """The encodings that a file may be in by the one that it names, the surest first."""
    try:
        known = codecs.lookup(declared).name
    except LookupError:
        known = ""
    if _SEVERAL_BYTES.fullmatch(known):
        return [known, _WIDER.get(known, known)]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    # Windows' programs call the encoding of its Western versions so.
    return ["utf-8", *(["cp1252"] if declared.lower() == "ansi" else [])]


def _unreadable(path: Path, error: ElementTree.ParseError) -> IrnError:
    return IrnError(f"{path}: not a readable XML file ({error}); replace it with a whole annotation")
