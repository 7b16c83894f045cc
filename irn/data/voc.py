"""Data sets in the layout of PASCAL VOC: their reader, and the writer of the demonstration.

Layout: `JPEGImages/ID.*`, `Annotations/ID.xml`, lists `ImageSets/Segmentation/SPLIT.txt`, and `classes.txt` (one name per
line) where classes other than VOC's need an order; ground truth in `SegmentationClass/` and `SegmentationObject/`.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from PIL import Image

from irn.data.listing import IMAGE_SUFFIXES, Listed, all_taken, find_images, named, read_labels_csv, select
from irn.data.tables import ImageClasses, check_class_names, check_ids
from irn.errors import IrnError
from irn.io.progress import progress
from irn.pictures.colours import voc_palette

IMAGES, ANNOTATIONS, LISTS, NAMES = "JPEGImages", "Annotations", "ImageSets/Segmentation", "classes.txt"
CLASS_MASKS, OBJECT_MASKS = "SegmentationClass", "SegmentationObject"
# In the order in which VOC publishes them, which is the order of the indices in its masks.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def watched(root: Path) -> list[Path]:
    """The files and folders that say what the data set holds."""
    return [root / name for name in (IMAGES, ANNOTATIONS, LISTS, NAMES)]


def read(root: Path, splits: Sequence[str] | None, labels_csv: Path | None) -> tuple[list[Listed], ImageClasses]:
    """The images of the lists, in the lists' order, and their classes.

    splits: names of lists under ImageSets/Segmentation or paths of list files, whose stem is then the split's name; None means
        `train` and `val`, as far as they exist. An image in several belongs to the one named first.
    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the annotations; rows beyond the
        images listed do no harm.

    Notes
    -----
    An image has the classes of all objects in its XML file, those marked difficult included, as the label files that CAM
    methods share have them. Classes are those of `classes.txt`; without it VOC's 20 if every name found in the XML files of
    the listed images is one of these; else the names found, sorted.
    """
    folder = root / IMAGES
    if not folder.is_dir():
        raise IrnError(f"{folder}: no such folder; expected the root of a VOC layout, such as VOCdevkit/VOC2012, with JPEGImages/ in it")
    split_of: dict[str, str] = {}
    for split, path in _split_lists(root, splits).items():
        ids = _read_list(path)
        if all(image_id in split_of for image_id in ids):
            raise all_taken(path, split)
        for image_id in ids:
            # train_aug holds all of train, and VOC's own scores are over train alone.
            split_of.setdefault(image_id, split)
    paths = find_images(folder, split_of)
    missing = [image_id for image_id in split_of if image_id not in paths]
    if missing:
        raise IrnError(f"{folder}: no image {named(missing)}, which the lists name; add the file or take the line out of the list")
    images = [Listed(image_id, paths[image_id], split) for image_id, split in split_of.items()]
    if labels_csv is not None:
        return images, select(labels_csv, read_labels_csv(labels_csv), list(split_of))
    return images, _read_annotations(root, list(split_of))


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
            raise IrnError(f"{path}: no such list of images; name one in {folder} ({_or_none(known)}), or give a list's path")
        if path.stem in lists:
            raise IrnError(f"{path}: split {path.stem!r} is asked for twice; give each split once")
        lists[path.stem] = path
    return lists


def _read_list(path: Path) -> list[str]:
    """The image ids of a list: one for each line, or the path of an image; further columns do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected a list with one image id per line") from None
    entries = [line.split()[0].rsplit("/", 1)[-1] for line in lines if line.strip()]
    # Only an image's suffix goes: an id may have dots of its own.
    ids = [os.path.splitext(entry)[0] if entry.lower().endswith(IMAGE_SUFFIXES) else entry for entry in entries]
    if not ids:
        raise IrnError(f"{path}: the list names no image; expected one image id per line")
    check_ids(path, pd.Series(ids, dtype=str))
    return ids


def _read_annotations(root: Path, ids: Sequence[str]) -> ImageClasses:
    """Classes present by the XML files."""
    folder = root / ANNOTATIONS
    missing = [image_id for image_id in ids if not (folder / f"{image_id}.xml").is_file()]
    if missing:
        raise IrnError(f"{folder}: no XML file for image {named(missing)}; add it, or give the labels of all images as a CSV table")
    found = {i: _object_names(folder / f"{i}.xml") for i in progress(ids, len(ids), "read annotations")}
    all_found = set().union(*found.values())
    list_file = root / NAMES
    if list_file.is_file():
        names = _read_names(list_file)
    else:
        names = list(VOC_CLASSES) if all_found.issubset(VOC_CLASSES) else sorted(all_found)
    check_class_names(folder, names)
    index_of = {name: index for index, name in enumerate(names)}
    for image_id, present in found.items():
        unknown = sorted(present - index_of.keys())
        if unknown:
            raise IrnError(f"{folder / image_id}.xml: class {unknown[0]!r} is not in {list_file}; add it there or fix the annotation")
    return ImageClasses(names, {i: sorted(index_of[name] for name in present) for i, present in found.items()})


def _object_names(path: Path) -> set[str]:
    """The class names of the objects in an annotation; parts of objects (head, hand, foot) have names too and do not count."""
    try:
        annotation = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise IrnError(f"{path}: not a readable XML file ({error}); replace it with a whole annotation") from None
    names = {(item.findtext("name") or "").strip() for item in annotation.iterfind("object")}
    if "" in names:
        raise IrnError(f"{path}: an object has no name; expected <object><name>CLASS</name>...</object>")
    return names


def _read_names(path: Path) -> list[str]:
    """Class names, one per line, in their order."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected one class name per line") from None
    if not names:
        raise IrnError(f"{path}: no class in it; write one class name per line, or remove the file to use the names in the annotations")
    check_class_names(path, names)
    return names


def _or_none(lists: Sequence[str]) -> str:
    """The lists that there are, for an error."""
    return f"has {', '.join(lists)}" if lists else "has no list"


def make_folders(root: Path) -> None:
    """Make the folders of the layout."""
    for folder in (IMAGES, ANNOTATIONS, LISTS, CLASS_MASKS, OBJECT_MASKS):
        (root / folder).mkdir(parents=True)


def write_image(root: Path, image_id: str, pixels: np.ndarray, objects: np.ndarray, classes: Sequence[int], names: Sequence[str]) -> None:
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
