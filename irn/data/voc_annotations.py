"""The classes of images by the annotations of PASCAL VOC's layout, an XML file for each image."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from irn.data.findings import Findings
from irn.data.labelmap import LABELMAP, read_labelmap
from irn.data.listing import Listed
from irn.data.names import check_class_names
from irn.data.tables import ImageClasses
from irn.data.xml_files import read_xml
from irn.errors import IrnError
from irn.io.progress import progress

ANNOTATIONS, NAMES = "Annotations", "classes.txt"
# Elements of an annotation that say nothing of its objects.
HEADER = ("folder", "filename", "path", "source", "owner", "size", "imagesize", "segmented")
# In the order in which VOC publishes them, which is the order of the indices in its masks.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def read_annotations(
    root: Path, images: Sequence[Listed], findings: Findings, left_out: Collection[str] = ()
) -> ImageClasses:
    """The classes present in images: those of all objects in their XML files, objects marked difficult included.

    Class names are those of `classes.txt`, or of CVAT's `labelmap.txt`; without them VOC's 20 if every name in the XML
    files of these images is one of them; else the names in the files, sorted. Names that differ by case or blanks
    alone, or look like a slip of another, are a problem, since a slip would shift the indices of the other classes.

    left_out: names that do not count.
    """
    folder, list_file = root / ANNOTATIONS, root / NAMES
    names_in = {i: held - set(left_out) for i, held in _names_in_images(folder, images, findings).items()}
    file_of: dict[str, Path] = {}  # the first that has a class name
    for image in images:
        for name in names_in.get(image.image_id, ()):
            file_of.setdefault(name, _file(folder, image))
    if list_file.is_file() or (root / LABELMAP).is_file():
        list_file = list_file if list_file.is_file() else root / LABELMAP
        names = list(read_labelmap(list_file)) if list_file.name == LABELMAP else _read_names(list_file)
        for name in sorted(file_of.keys() - set(names)):
            problem = f"class {name!r} is not in {list_file}{_like(name, names)}"
            findings.problem(file_of[name], problem, "add it there or fix the annotation")
    elif file_of.keys() <= set(VOC_CLASSES):
        names = list(VOC_CLASSES)
    else:
        names = sorted(file_of)
        check_class_names(folder, names)  # before they are compared with each other, which takes long for many
        _check_odd(file_of, findings)
    check_class_names(folder, names)
    index_of = {name: index for index, name in enumerate(names)}
    present = {i: sorted(index_of[name] for name in held if name in index_of) for i, held in names_in.items()}
    return ImageClasses(names, present)


def _file(folder: Path, image: Listed) -> Path:
    return folder / f"{image.name}.xml"


def _names_in_images(folder: Path, images: Sequence[Listed], findings: Findings) -> dict[str, set[str]]:
    """The class names in each image's XML file; a problem for a file that is missing or cannot be read."""
    names_in: dict[str, set[str]] = {}
    for image in progress(images, len(images), "read annotations"):
        if not _file(folder, image).is_file():
            remedy = "add it, or give the labels of all images as a CSV table"
            findings.problem(folder, f"no XML file for image {image.name!r}", remedy)
            continue
        with findings.collected():
            names_in[image.image_id] = object_names(_file(folder, image))
    return names_in


def _check_odd(file_of: Mapping[str, Path], findings: Findings) -> None:
    """Look for slips where some names are not VOC's; `file_of` gives a file with each name."""
    unknown = sorted(file_of.keys() - set(VOC_CLASSES))
    of_voc = len(file_of) - len(unknown)
    for number, name in enumerate(unknown):
        like = _like(name, [*VOC_CLASSES, *unknown[:number]])
        if like or of_voc >= len(VOC_CLASSES) // 2:
            remedy = f"fix the annotation, or name all classes in {NAMES} if both are meant"
            findings.problem(file_of[name], f"class {name!r} is not one of VOC's{like}", remedy)
    if of_voc:
        findings.notice(
            f"{', '.join(unknown)}: not among VOC's classes, so the classes are the {len(file_of)} names found,"
            " sorted, and"
            f" masks have to follow that order; {NAMES} sets another"
        )


def _like(name: str, names: Sequence[str]) -> str:
    """Words on the known name that a name looks like a slip of, or nothing."""
    known_as = {"".join(known.casefold().split()): known for known in names}
    folded = "".join(name.casefold().split())
    if folded in known_as:
        return f" and differs from {known_as[folded]!r} by case or blanks alone"
    near = difflib.get_close_matches(folded, known_as, 1, 0.75)
    swapped = [known for known in known_as if len(known) > 2 and sorted(known) == sorted(folded)]
    return f" and looks like {known_as[(near or swapped)[0]]!r}" if near or swapped else ""


def object_names(path: Path) -> set[str]:
    """The class names of the objects in an annotation; their parts (head, hand, foot) have names too and do not count.

    Namespaces, upper and lower case, and elements around the objects do not count either. IrnError for a file of
    another kind: an image without objects has no element but those of the file itself.
    """
    annotation = read_xml(path)
    objects = [item for item in annotation.iter() if _tag(item) == "object"]
    names = {next(((part.text or "").strip() for part in item if _tag(part) == "name"), "") for item in objects}
    if "" in names:
        raise IrnError(f"{path}: an object has no name; expected <object><name>CLASS</name>...</object>")
    unknown = [_tag(item) for item in annotation if _tag(item) not in HEADER]
    if not objects and (unknown or _tag(annotation) != "annotation"):
        raise IrnError(
            f"{path}: no <object> in it, but <{(unknown or [_tag(annotation)])[0]}>;"
            " expected <annotation> with <object><name>CLASS</name>...</object>"
        )
    return names


def _tag(item: ElementTree.Element) -> str:
    """An element's name without namespace, in lower case."""
    return str(item.tag).rpartition("}")[2].lower()


def _read_names(path: Path) -> list[str]:
    """Class names, one per line, in their order."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected one class name per line") from None
    if not names:
        raise IrnError(
            f"{path}: no class in it; write one class name per line, or remove the file to use the names in the"
            " annotations"
        )
    check_class_names(path, names)
    return names
