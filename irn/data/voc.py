"""Data sets in the layout of PASCAL VOC: their reader, and the writer of the demonstration.

Layout: `JPEGImages/ID.*`, `Annotations/ID.xml`, lists `ImageSets/Segmentation/SPLIT.txt`, and `classes.txt` (one name per
line) where classes other than VOC's need an order; ground truth in `SegmentationClass/` and `SegmentationObject/`.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from irn.data.findings import Findings
from irn.data.listing import Listed, all_taken, find_images, one_each, without_suffix
from irn.data.tables import ImageClasses, check_class_names
from irn.data.user_tables import read_labels
from irn.errors import IrnError
from irn.io.progress import progress
from irn.pictures.colours import voc_palette

IMAGES, ANNOTATIONS, LISTS, NAMES = "JPEGImages", "Annotations", "ImageSets/Segmentation", "classes.txt"
CLASS_MASKS, OBJECT_MASKS = "SegmentationClass", "SegmentationObject"
# Elements of an annotation that say nothing of its objects.
HEADER = ("folder", "filename", "path", "source", "owner", "size", "imagesize", "segmented")
# In the order in which VOC publishes them, which is the order of the indices in its masks.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def watched(root: Path) -> list[Path]:
    """The files and folders that say what the data set holds."""
    return [root / name for name in (IMAGES, ANNOTATIONS, LISTS, NAMES)]


def listed(root: Path, splits: Sequence[str] | None, findings: Findings) -> list[Listed]:
    """The images of the lists, in the lists' order.

    splits: names of lists under ImageSets/Segmentation or paths of list files, whose stem is then the split's name; None means
        `train` and `val`, as far as they exist. An image in several belongs to the one named first.
    """
    folder = root / IMAGES
    if not folder.is_dir():
        raise IrnError(
            f"{folder}: no such folder; expected the root of a VOC layout, such as VOCdevkit/VOC2012, with JPEGImages/ in it"
        )
    there = find_images(folder, findings)
    split_of: dict[str, str] = {}
    for split, path in _split_lists(root, splits).items():
        names = _read_list(path, there, findings)
        if all(name in split_of for name in names):
            raise all_taken(path, split)
        for name in names:
            if name not in there:
                findings.problem(
                    folder,
                    f"no image {name!r}, which {path.name} lists",
                    "add the file or take the line out of the list",
                )
            # train_aug holds all of train, and VOC's own scores are over train alone.
            split_of.setdefault(name, split)
    paths = one_each({name: there[name] for name in split_of if name in there}, findings)
    return [Listed(name, path, split_of[name]) for name, path in paths.items()]


def read(
    root: Path, splits: Sequence[str] | None, labels_csv: Path | None, findings: Findings
) -> tuple[list[Listed], ImageClasses]:
    """The images as in `listed`, and their classes.

    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the annotations; rows beyond the
        images listed do no harm.

    Notes
    -----
    An image has the classes of all objects in its XML file, those marked difficult included, as the label files that CAM
    methods share have them. Classes are those of `classes.txt`; without it VOC's 20 if every name found in the XML files of
    the listed images is one of these; else the names found, sorted. Names that differ by case or blanks alone, or look like a
    slip of another, are a problem, since one of them would move all others.
    """
    images = listed(root, splits, findings)
    if labels_csv is not None:
        return images, read_labels(labels_csv, images, findings, every_row=False)
    return images, _read_annotations(root, images, findings)


def _split_lists(root: Path, splits: Sequence[str] | None) -> dict[str, Path]:
    """The list file of each split asked for, by the split's name."""
    folder = root / LISTS
    known = sorted(path.stem for path in folder.glob("*.txt"))
    if not splits:
        splits = [name for name in ("train", "val") if name in known]
        if not splits:
            raise IrnError(
                f"{folder}: neither train.txt nor val.txt ({_or_none(known)}); name the lists to use as splits, or give their paths"
            )
    lists: dict[str, Path] = {}
    for name in splits:
        is_path = "/" in name or name.endswith(".txt")
        path = Path(name) if is_path else folder / f"{name}.txt"
        if not path.is_file():
            raise IrnError(
                f"{path}: no such list of images; name one in {folder} ({_or_none(known)}), or give a list's path"
            )
        if path.stem in lists:
            raise IrnError(f"{path}: split {path.stem!r} is asked for twice; give each split once")
        lists[path.stem] = path
    return lists


def _read_list(path: Path, there: Collection[str], findings: Findings) -> list[str]:
    """The names of a list's images: one for each line, or the path of an image; further columns do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected a list with one image id per line") from None
    names: dict[str, None] = {}
    for line in filter(None, map(str.strip, lines)):
        # A name may have blanks of its own.
        whole = _name_in(line)
        name = whole if whole in there else _name_in(line.split()[0])
        if name in names:
            findings.problem(path, f"image id {name!r} stands in more than one row", "take one of the lines out")
        names[name] = None
    if not names:
        raise IrnError(f"{path}: the list names no image; expected one image id per line")
    return list(names)


def _name_in(entry: str) -> str:
    """The name in a line, which may be the path of an image."""
    return without_suffix(entry.rsplit("/", 1)[-1])


def _read_annotations(root: Path, images: Sequence[Listed], findings: Findings) -> ImageClasses:
    """Classes present by the XML files."""
    folder, list_file = root / ANNOTATIONS, root / NAMES
    found: dict[str, set[str]] = {}
    first: dict[str, Path] = {}  # where a class name stands
    for image in progress(images, len(images), "read annotations"):
        path = folder / f"{image.name}.xml"
        if not path.is_file():
            remedy = "add it, or give the labels of all images as a CSV table"
            findings.problem(folder, f"no XML file for image {image.name!r}", remedy)
            continue
        with findings.collected():
            found[image.image_id] = _object_names(path)
            for name in found[image.image_id]:
                first.setdefault(name, path)
    if list_file.is_file():
        names = _read_names(list_file)
        for name in sorted(first.keys() - set(names)):
            like = _like(name, names)
            findings.problem(
                first[name], f"class {name!r} is not in {list_file}{like}", "add it there or fix the annotation"
            )
    elif first.keys() <= set(VOC_CLASSES):
        names = list(VOC_CLASSES)
    else:
        names = sorted(first)
        _check_odd(first, findings)
    check_class_names(folder, names)
    index_of = {name: index for index, name in enumerate(names)}
    return ImageClasses(
        names, {i: sorted(index_of[name] for name in present if name in index_of) for i, present in found.items()}
    )


def _check_odd(first: Mapping[str, Path], findings: Findings) -> None:
    """Look for names that are slips, where not all names found are VOC's."""
    others = sorted(first.keys() - set(VOC_CLASSES))
    of_voc = len(first) - len(others)
    for number, name in enumerate(others):
        like = _like(name, [*VOC_CLASSES, *others[:number]])
        if like or of_voc >= len(VOC_CLASSES) // 2:
            remedy = f"fix the annotation, or name all classes in {NAMES} if both are meant"
            findings.problem(first[name], f"class {name!r} is not one of VOC's{like}", remedy)
    if of_voc:
        findings.notices.append(
            f"{', '.join(others)}: not among VOC's classes, so the classes are the {len(first)} names found, sorted, and masks have to"
            f" follow that order; {NAMES} sets another"
        )


def _like(name: str, names: Sequence[str]) -> str:
    """Words on the name that another is a slip of, or nothing."""
    plain = {"".join(known.casefold().split()): known for known in names}
    folded = "".join(name.casefold().split())
    nearest = difflib.get_close_matches(folded, plain, 1, 0.75)
    swapped = [known for known in plain if len(known) > 2 and known != folded and sorted(known) == sorted(folded)]
    if folded in plain:
        return f" and differs from {plain[folded]!r} by case or blanks alone"
    return f" and looks like {plain[(nearest or swapped)[0]]!r}" if nearest or swapped else ""


def _object_names(path: Path) -> set[str]:
    """The class names of the objects in an annotation; parts of objects (head, hand, foot) have names too and do not count.

    Namespaces, upper and lower case, and elements around the objects do not count either. IrnError for a file of another kind:
    an image without objects has no element but those of the file itself.
    """
    try:
        annotation = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise IrnError(f"{path}: not a readable XML file ({error}); replace it with a whole annotation") from None
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
            f"{path}: no class in it; write one class name per line, or remove the file to use the names in the annotations"
        )
    check_class_names(path, names)
    return names


def _or_none(lists: Sequence[str]) -> str:
    """The lists that there are, for an error."""
    return f"has {', '.join(lists)}" if lists else "has no list"


def make_folders(root: Path) -> None:
    """Make the folders of the layout."""
    for folder in (IMAGES, ANNOTATIONS, LISTS, CLASS_MASKS, OBJECT_MASKS):
        (root / folder).mkdir(parents=True)


def write_image(
    root: Path, image_id: str, pixels: np.ndarray, objects: np.ndarray, classes: Sequence[int], names: Sequence[str]
) -> None:
    """Write an image's picture, its two masks and its annotation.

    pixels: (H, W, 3) uint8. objects: (H, W) uint8, object numbers from 1, 0 elsewhere. classes: the class index of each object.
    names: those of all classes.
    """
    Image.fromarray(pixels).save(root / IMAGES / f"{image_id}.jpg", quality=90)
    class_of = np.array([0] + [1 + index for index in classes], np.uint8)
    for folder, mask in ((CLASS_MASKS, class_of[objects]), (OBJECT_MASKS, objects)):
        write_index_png(root / folder / f"{image_id}.png", mask)
    text = _annotation(image_id, objects, [names[index] for index in classes])
    (root / ANNOTATIONS / f"{image_id}.xml").write_text(text, encoding="utf-8")


def write_index_png(path: Path, mask: np.ndarray) -> None:
    """Write (H, W) uint8 as an index PNG with VOC's palette, so that every viewer shows it in colour."""
    picture = Image.fromarray(mask)
    picture.putpalette(voc_palette().ravel().tolist())
    picture.save(path, format="PNG")


def write_lists(root: Path, splits: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    """Write the list of each split, and the names of the classes."""
    for split, ids in splits.items():
        (root / LISTS / f"{split}.txt").write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf-8")
    (root / NAMES).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _annotation(image_id: str, objects: np.ndarray, names: Sequence[str]) -> str:
    """The text of the XML file, with the name and the box of each object."""
    height, width = objects.shape
    lines = ["<annotation>", "  <folder>demo</folder>", f"  <filename>{image_id}.jpg</filename>"]
    lines += [f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>"]
    for number, name in enumerate(names, 1):
        rows, columns = np.nonzero(objects == number)
        # VOC counts pixels from 1 and its boxes hold both ends.
        box = {"xmin": columns.min() + 1, "ymin": rows.min() + 1, "xmax": columns.max() + 1, "ymax": rows.max() + 1}
        corners = "".join(f"<{side}>{value}</{side}>" for side, value in box.items())
        lines += [f"  <object><name>{name}</name><difficult>0</difficult><bndbox>{corners}</bndbox></object>"]
    return "\n".join([*lines, "</annotation>", ""])
