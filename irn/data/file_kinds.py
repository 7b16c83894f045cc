"""Kinds of image files, told by their first bytes, whatever their names end in."""

from PIL import Image

# Pillow's formats that are read; all others stay unopened, and with them what some hand to other programs.
READ = ("JPEG", "PNG", "BMP", "TIFF", "WebP", "GIF", "HEIC", "AVIF")
_STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "GIF": (b"GIF87a", b"GIF89a"),
}
_BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"},
}
# What else lies in folders of images, by its first bytes without blanks and in small letters.
_OTHERS = (
    (b"<svg", "an SVG drawing"),
    (b"<!doctype svg", "an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "XML, perhaps an SVG drawing"),
    (b"%pdf", "a PDF"),
    (b"pk\3\4", "a ZIP archive"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjxl ", "JPEG XL"),
    (b"\0\5\x16\7", "macOS's notes on a file, not the file itself"),
    (b"\0\5\x16\0", "macOS's notes on a file, not the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer, whose image git lfs pull fetches"),
)


def kind_of(content: bytes) -> str | None:
    """Pillow's name of the format that an image file has, one of those that are read; None of any other."""
    for kind, starts in _STARTS.items():
        if content.startswith(starts):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        box = content[8 : max(12, min(int.from_bytes(content[:4]), 256))]
        brands = {box[n : n + 4] for n in range(0, len(box), 4) if n != 4}
        return next((kind for kind, known in _BRANDS.items() if known & brands), None)
    return None


def other_kind_of(content: bytes) -> str:
    """What a file is that `kind_of` does not know, in words; empty where nobody knows."""
    start = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, words in _OTHERS:
        if start.startswith(beginning):
            return words
    if content[4:8] == b"ftyp":
        # Damage may be anywhere, and a line break is no part of a message.
        brand = "".join(letter for letter in content[8:12].decode("latin-1") if letter.isprintable())
        return f"a video or raw photograph, {brand.strip()}"
    Image.init()
    for name, (_, accepts) in Image.OPEN.items():
        try:
            if accepts is not None and accepts(content[:16]) is True:
                return f"a file of format {name}"
        except Exception:  # a plug-in may stumble over bytes that are not its own
            continue
    return ""
