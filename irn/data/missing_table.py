"""What to do where a data set has no table of labels, by what lies there instead."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from irn.data.coco_files import mapped
from irn.data.findings import some
from irn.data.listing import folders_within, matching, named
from irn.data.shape_files import is_list
from irn.errors import IrnError

SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
TABLES = (".csv", ".tsv")
_LOOKED_AT = 20  # files of a kind
_READ = 2048  # bytes of each


def no_table(path: Path) -> IrnError:
    """The mistake of a missing table of labels, with the remedy that suits the files around it."""
    hint = _of_tools(path.parent) or _of_tables(path)
    expected = "expected a CSV with the header 'image_id' and a 0/1 column for each class"
    return IrnError(f"{path}: no such table of labels" + (f" ({hint[0]}); {hint[1]}" if hint else f"; {expected}"))


def _of_tools(root: Path) -> tuple[str, str] | None:
    """What is there, and what to do, where annotations are in files that another kind of data set has."""
    for path in islice(_below(root, ".xml"), _LOOKED_AT):
        with open(path, "rb") as file:
            start = file.read(_READ)
        if b"<annotations" in start:
            remedy = "export it from CVAT as COCO 1.0 and set dataset.kind: coco (--kind coco), or give a labels.csv"
            return f"{path.name} is CVAT's, in a format that is not read", remedy
        if b"<annotation" in start:
            remedy = (
                "move such files to Annotations/ and the images to JPEGImages/, list their names in"
                " ImageSets/Segmentation/train.txt, and set dataset.kind: voc (--kind voc)"
            )
            return f"{path.name} is an annotation as PASCAL VOC and labelImg have them", remedy
    for path in islice((path for path in matching(root, "*.json") if path.is_file()), _LOOKED_AT):
        if _is_instances(path):
            remedy = "move it to annotations/instances_train.json, and set dataset.kind: coco (--kind coco)"
            return f"{path.name} is an instances file of COCO", remedy
        if is_list(path):
            remedy = "if it is an export of Label Studio, call the image 'image' there; else give a labels.csv"
            return f"{path.name} is a list, but not of tasks with an image and annotations each", remedy
    return None


def _of_tables(path: Path) -> tuple[str, str] | None:
    """The same of other tables."""
    beside = [other for other in matching(path.parent, "*") if other.is_file()]
    sheets = [other.name for other in beside if other.suffix.lower() in SPREADSHEETS]
    tables = [
        other.name
        for other in beside
        if other.suffix.lower() in TABLES
        or other.name.lower() in (f"{path.name.lower()}.txt", f"{path.stem.lower()}.txt")
    ]
    if tables:
        return f"there is {some(tables)}", f"name it in dataset.labels_csv (--labels-csv), or rename it to {path.name}"
    if sheets:
        return f"there is {some(sheets)}", f"save it as {path.name}, as CSV in UTF-8: spreadsheets are not read"
    above = named(path.parents[1], path.name)
    if above.is_file():
        return f"there is {above}", f"name the folder that holds it, {above.parent}, as the root"
    return None


def _below(root: Path, suffix: str) -> Iterator[Path]:
    for place, names in folders_within(root):
        yield from (place / name for name in sorted(names) if name.lower().endswith(suffix))


def _is_instances(path: Path) -> bool:
    try:
        with mapped(path) as content:
            return all(content.find(part) >= 0 for part in (b'"images"', b'"annotations"', b'"categories"'))
    except (OSError, ValueError):
        return False
