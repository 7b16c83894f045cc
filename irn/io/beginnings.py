"""What comes in place of weights, told by its first bytes, without the seconds that importing torch takes."""

import string
from pathlib import Path

from irn.errors import IrnError

# How such files begin, what they are, and the remedy.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file that it stands for",
        "run git lfs pull in its repository, or download the file from its page",
    ),
    (b"<", "a page of HTML or XML, not the file", "open its link in a browser, and save what the page offers"),
    (b"{", "a text in JSON", "give the file of tensors that belongs to it"),
    (b"\x1f\x8b", "an archive (gzip)", "unpack it, and give the file within"),
    (b"BZh", "an archive (bzip2)", "unpack it, and give the file within"),
    (b"\xfd7zXZ", "an archive (xz)", "unpack it, and give the file within"),
    (b"\xff\xd8\xff", "a picture (JPEG)", "give a file that torch.save or safetensors wrote"),
    (b"\x89PNG", "a picture (PNG)", "give a file that torch.save or safetensors wrote"),
    (b"\x93NUMPY", "an array of NumPy", "give a file that torch.save or safetensors wrote"),
    (b"\x89HDF", "an HDF5 file, as Keras writes, or a cache", "give a file that torch.save or safetensors wrote"),
)
_TEXT = set(string.printable.encode())
DAMAGED = "copy it again, or move it away and make it again"


def check_beginning(path: Path) -> None:
    """Raise IrnError for a file that does not exist, is empty, or is of another kind by its first bytes."""
    try:
        with open(path, "rb") as file:
            first = file.read(64)
    except FileNotFoundError:
        raise IrnError(f"{path}: no such weights file; run the stage that makes it, or fix the path") from None
    except IsADirectoryError:
        raise unreadable(path, "a folder", "give a file of tensors") from None
    if not first:
        raise unreadable(path, "empty", DAMAGED)
    # Eight bytes of a length come before the JSON of safetensors.
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, kind, remedy in _BEGINNINGS:
        if text.startswith(beginning) and not is_safetensors(first):
            raise unreadable(path, kind, remedy)
    if all(byte in _TEXT for byte in first):
        raise unreadable(path, "a text", "give a file that torch.save or safetensors wrote")


def is_safetensors(first: bytes) -> bool:
    """Whether a file of safetensors begins so."""
    return first[8:9] == b"{" and int.from_bytes(first[:8], "little") < 2**40


def unreadable(path: Path, reason: str, remedy: str) -> IrnError:
    """What to say of a file that does not hold weights."""
    return IrnError(f"{path}: not a readable weights file ({reason}); {remedy}")
