"""Where corrected masks lie, and in which format: told from names of files and the first sign in them."""

import re
from pathlib import Path

from irn.errors import IrnError

EXPECTED = (
    "expected a folder with SegmentationClass/<id>.png, a folder of labelme's JSON files, an instances file of COCO or"
    " Label Studio's JSON export"
)
CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
# How a file of Label Studio or COCO begins, and none of labelme.
SINGLE_FILE = re.compile(r'\s*(\[|{\s*"(info|licenses|images|annotations|categories)")')
# The modules that read each format.
FORMATS = INDEX_PNGS, LABELME, COCO, LABEL_STUDIO = tuple(
    f"irn.data.corrected.{name}" for name in ("index_pngs", "labelme", "coco", "label_studio")
)


def format_of(place: Path) -> str:
    """The format of a file or folder of corrected masks: the name of the module that reads it.

    Raises IrnError for a folder or file of another kind.
    """
    if place.is_dir():
        if (place / CLASSES).is_dir():
            return INDEX_PNGS
        files = sorted(place.glob("*.json"))
        if files and SINGLE_FILE.match(_beginning(files[0])):
            raise IrnError(f"{place}: this folder holds a file of all masks; name the file itself, {files[0]}")
        if files:
            return LABELME
        near = " or ".join(map(str, _near(place)))
        raise IrnError(f"{place}: no corrected masks in this folder; {f'name {near}' if near else EXPECTED}")
    sign = re.match(r"\s*([\[{])", _beginning(place))
    if sign is None:
        raise IrnError(f"{place}: not JSON; {EXPECTED}")
    return LABEL_STUDIO if sign[1] == "[" else COCO


def _near(place: Path) -> list[Path]:
    """Folders of index PNGs, one level above or below a folder."""
    return [place.parent] if place.name in (CLASSES, OBJECTS) else sorted(p.parent for p in place.glob(f"*/{CLASSES}"))


def _beginning(place: Path) -> str:
    """The first thousand characters of a file."""
    try:
        with open(place, encoding="utf-8-sig", errors="replace") as file:
            return file.read(1000)
    except FileNotFoundError:
        raise IrnError(f"{place}: no such file or folder; fix the path of the corrected masks") from None
    except OSError as error:
        raise IrnError(f"{place}: cannot be read ({error}); {EXPECTED}") from None


def files_of(place: Path) -> list[Path]:
    """The files that hold the masks, sorted, and nothing else that lies beside them."""
    if not place.is_dir():
        return [place]
    if (place / CLASSES).is_dir():
        from irn.data.labelmap import labelmap_of  # with NumPy, which a start without corrections does not need

        labelmap = labelmap_of(place / CLASSES)
        masks = [*(place / CLASSES).glob("*.png"), *(place / OBJECTS).glob("*.png")]
        return sorted([*masks, *([labelmap] if labelmap else [])])
    return sorted(place.glob("*.json"))
