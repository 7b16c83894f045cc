"""XML files in any encoding; Python's parser knows few."""

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from irn.errors import IrnError

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["'][^>]*\?>""")
# Encodings of several bytes a character, and what tools write under their names.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "big5": "cp950", "euc_kr": "cp949"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\0", b"\0<")
_NOT_OF_FILES = ("unicode_escape", "raw_unicode_escape", "utf_7", "punycode", "idna", "undefined")


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file; IrnError for a file that is not one, or not text in its encoding."""
    content = path.read_bytes()
    match = _DECLARED.match(content.removeprefix(codecs.BOM_UTF8))
    # Of a text the parser does not heed the encoding that it declares.
    text = _decoded(path, content, match[1].decode() if match else "utf-8")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise IrnError(f"{path}: not a readable XML file ({error}); replace it with a whole annotation") from None


def _decoded(path: Path, content: bytes, declared: str) -> str:
    """The text of a file."""
    for name in _encodings(declared, content):
        try:
            return content.decode(name)
        except (UnicodeError, LookupError):
            continue
    raise IrnError(f"{path}: not text in the encoding {declared!r} that it names; save it as UTF-8")


def _encodings(declared: str, content: bytes) -> list[str]:
    """The encodings that a file may be in by the one that it names, the surest first."""
    if content.startswith(_UTF16):
        has_mark = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return ["utf-16"] if has_mark else ["utf-16-le" if content[0] else "utf-16-be"]
    if content.startswith(codecs.BOM_UTF8):
        return ["utf-8-sig"]
    try:
        known = codecs.lookup(declared).name
    except LookupError:
        known = ""
    if known and known.replace("-", "_") not in _NOT_OF_FILES:
        return [known, _WIDER.get(known, known)]
    # Windows' programs call the encoding of its Western versions so.
    return ["utf-8", *(["cp1252"] if declared.lower() == "ansi" else [])]
