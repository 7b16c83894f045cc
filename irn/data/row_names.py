"""Which image a row of a user's table is about, whatever the row calls it."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from irn.data.findings import Findings
from irn.data.listing import Listed, without_suffix

# What an image may be called, the surest name first.
NAMES: tuple[Callable[[Listed], str], ...] = (
    lambda image: image.image_id,
    lambda image: unicodedata.normalize("NFC", image.name),
    lambda image: unicodedata.normalize("NFC", image.name) + image.path.suffix,
    lambda image: unicodedata.normalize("NFC", image.path.name),
    lambda image: unicodedata.normalize("NFC", image.path.stem),
)


def match_rows(
    path: Path, rows: Sequence[str], images: Sequence[Listed], findings: Findings, every_row: bool = True
) -> dict[str, int]:
    """The row of each image, by image id.

    A row may name an image by its id, its name, or its file's name, with or without folders and extension.

    Adds a problem for a second row of an image and, with `every_row`, for a row that fits no image or several.
    """
    ids_by_name = [_ids_by_name(images, name_of) for name_of in NAMES]
    row_of: dict[str, int] = {}
    by_other_names = 0
    for number, row in enumerate(rows):
        name = unicodedata.normalize("NFC", row.strip()).replace("\\", "/").removeprefix("./").removeprefix("images/")
        candidates = _candidates(name, ids_by_name)
        if len(candidates) == 1 and candidates[0] not in row_of:
            row_of[candidates[0]] = number
            by_other_names += name != candidates[0]
        elif len(candidates) == 1:
            remedy = "every image has one row: remove the others"
            findings.problem(path, f"image id {row!r} appears in more than one row", remedy)
        elif candidates:
            findings.problem(path, f"row {row!r} could be any of {len(candidates)} images", "write the folder too")
        elif every_row:
            problem = f"no image for the row {row!r}{_zeros(name, ids_by_name[0])}"
            findings.problem(path, problem, "fix the name, add the image or remove the row")
    if by_other_names:
        findings.note(f"{path}: {by_other_names} of {len(rows)} rows name the file (extension or folder), not the id")
    return row_of


def _candidates(name: str, ids_by_name: Sequence[dict[str, list[str]]]) -> list[str]:
    """The ids of the images that a name fits, by the surest of their names that it fits."""
    forms = [form for part in (name, name.rpartition("/images/")[2]) for form in (part, without_suffix(part))]
    return next((ids[form] for form in forms for ids in ids_by_name if form in ids), [])


def _ids_by_name(images: Iterable[Listed], name_of: Callable[[Listed], str]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for image in images:
        ids.setdefault(name_of(image).strip(), []).append(image.image_id)
    return ids


def _zeros(name: str, ids: Iterable[str]) -> str:
    """A hint where an image id is the name with zeros in front."""
    like = next((image_id for image_id in ids if name and image_id.lstrip("0") == name), None)
    return f" (a spreadsheet may have removed the zeros of {like!r})" if like else ""
