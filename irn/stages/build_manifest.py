"""Stage `build_manifest`: from a data set of any kind to the two tables that all other stages read."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
from PIL import Image

from irn.errors import IrnError
from irn.files import whole_file
from irn.progress import progress
from irn.tables import ClassLabels, ImageRecord, check_class_names, check_ids, read_labels, read_text_table, write_labels, write_manifest

KINDS = ("demo", "voc", "folder")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# In the order in which VOC publishes them, which is the order of the indices in its masks.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


@dataclass(frozen=True)
class _Listed:
    """An image that the manifest is to hold, before its size is known."""

    image_id: str
    path: Path
    split: str


def build_manifest(
    kind: str,
    root: Path,
    out_manifest: Path,
    out_labels: Path,
    splits: Sequence[str] = (),
    labels_csv: Path | None = None,
) -> None:
    """List the images of a data set with their sizes and splits, and the classes present in each.

    Parameters
    ----------
    kind: `voc`, `demo` (the generated data, also in the VOC layout) or `folder`.
    root: the data set's folder. VOC layout: `JPEGImages/ID.*`, `Annotations/ID.xml`, `ImageSets/Segmentation/SPLIT.txt`, and
        `classes.txt` (one name a line) where classes other than VOC's need an order. Folder: `images/`, `labels.csv`, and
        `splits.csv` (image_id,split) where there are more splits than `train`.
    out_manifest, out_labels: the tables to write. Both hold the same images in the same order: that of the lists (VOC
        layout) or of the file names (folder).
    splits: which splits to take. VOC layout: names of lists under ImageSets/Segmentation or paths of list files, whose
        stem is then the split's name; none means `train` and `val`, as far as they exist. An image in several belongs to
        the one named first. Folder: none means all.
    labels_csv: a table with `image_id` and a 0/1 column for each class, to use in the place of the annotations (VOC
        layout; rows beyond the images listed do no harm) or of `labels.csv` (folder).

    Notes
    -----
    In the VOC layout an image has the classes of all objects in its XML file, those marked difficult included, as the label
    files that CAM methods share have them. Classes are those of `classes.txt`; without it VOC's 20 if every name found in the
    XML files of the listed images is one of these; else the names found, sorted.

    Sizes are those of the stored pixels: an EXIF orientation is not applied, here or when images are read.

    Raises
    ------
    IrnError for anything missing, an image without labels, a split without images of its own, an id with other characters than
    letters, digits, `_`, `.` and `-`, a file that is no image or not RGB. Then nothing is written.
    """
    if kind not in KINDS:
        raise IrnError(f"data set kind {kind!r} is not known; expected one of {', '.join(KINDS)}")
    root = Path(root).absolute()
    if not root.is_dir():
        remedy = "make it with irn make-demo-data, or mend the path" if kind == "demo" else "mend the path of the data set"
        raise IrnError(f"{root}: no such folder; {remedy}")
    labels_csv = Path(labels_csv) if labels_csv is not None else None
    inputs = [root / name for name in (("labels.csv", "splits.csv") if kind == "folder" else ("classes.txt",))] + [Path(s) for s in splits]
    _check_outputs(Path(out_manifest), Path(out_labels), inputs + ([labels_csv] if labels_csv is not None else []))
    images, labels = (_folder if kind == "folder" else _voc_layout)(root, splits, labels_csv)
    records = _measure(images)
    # Both tables appear only after both were written.
    with whole_file(out_manifest) as manifest_file, whole_file(out_labels) as labels_file:
        write_manifest(manifest_file, records)
        write_labels(labels_file, labels)


def _check_outputs(out_manifest: Path, out_labels: Path, inputs: Sequence[Path]) -> None:
    """IrnError where an output would overwrite the other or a table that is read."""
    if out_manifest.resolve() == out_labels.resolve():
        raise IrnError(f"{out_manifest}: named for both the manifest and the labels; give two names")
    for out in (out_manifest, out_labels):
        if out.resolve() in [path.resolve() for path in inputs]:
            raise IrnError(f"{out}: writing there would replace a table that this command reads; choose another name for the output")


# ---- VOC layout


def _voc_layout(root: Path, splits: Sequence[str], labels_csv: Path | None) -> tuple[list[_Listed], ClassLabels]:
    """The images of the lists, in the lists' order, and their classes."""
    folder = root / "JPEGImages"
    if not folder.is_dir():
        raise IrnError(f"{folder}: no such folder; expected the root of a VOC layout, such as VOCdevkit/VOC2012, with JPEGImages/ in it")
    split_of: dict[str, str] = {}
    for split, path in _split_lists(root, splits).items():
        ids = _read_list(path)
        if all(image_id in split_of for image_id in ids):
            raise IrnError(f"{path}: every image of split {split!r} is also in a split named before it; name it first, or leave it out")
        for image_id in ids:
            # train_aug holds all of train, and VOC's own scores are over train alone.
            split_of.setdefault(image_id, split)
    paths = _find_images(folder, split_of)
    missing = [image_id for image_id in split_of if image_id not in paths]
    if missing:
        raise IrnError(f"{folder}: no image {_named(missing)}, which the lists name; add the file or take the line out of the list")
    images = [_Listed(image_id, paths[image_id], split) for image_id, split in split_of.items()]
    if labels_csv is not None:
        return images, _select(labels_csv, _read_labels_csv(labels_csv), list(split_of))
    return images, _read_annotations(root, list(split_of))


def _split_lists(root: Path, splits: Sequence[str]) -> dict[str, Path]:
    """The list file of each split asked for, by the split's name."""
    folder = root / "ImageSets" / "Segmentation"
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
    """The image ids of a list: one a line, or the path of an image; further columns do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected a list with one image id a line") from None
    entries = [line.split()[0].rsplit("/", 1)[-1] for line in lines if line.strip()]
    # Only an image's suffix goes: an id may have dots of its own.
    ids = [os.path.splitext(entry)[0] if entry.lower().endswith(IMAGE_SUFFIXES) else entry for entry in entries]
    if not ids:
        raise IrnError(f"{path}: the list names no image; expected one image id a line")
    check_ids(path, pd.Series(ids, dtype=str))
    return ids


def _read_annotations(root: Path, ids: Sequence[str]) -> ClassLabels:
    """Classes present by the XML files."""
    folder = root / "Annotations"
    missing = [image_id for image_id in ids if not (folder / f"{image_id}.xml").is_file()]
    if missing:
        raise IrnError(f"{folder}: no XML file for image {_named(missing)}; add it, or give the labels of all images as a CSV table")
    found = {i: _object_names(folder / f"{i}.xml") for i in progress(ids, len(ids), "read annotations")}
    all_found = set().union(*found.values())
    list_file = root / "classes.txt"
    if list_file.is_file():
        names = _read_classes(list_file)
    else:
        names = list(VOC_CLASSES) if all_found.issubset(VOC_CLASSES) else sorted(all_found)
    check_class_names(folder, names)
    index_of = {name: index for index, name in enumerate(names)}
    for image_id, present in found.items():
        unknown = sorted(present - index_of.keys())
        if unknown:
            raise IrnError(f"{folder / image_id}.xml: class {unknown[0]!r} is not in {list_file}; add it there or mend the annotation")
    return ClassLabels(names, {i: sorted(index_of[name] for name in present) for i, present in found.items()})


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


def _read_classes(path: Path) -> list[str]:
    """Class names, one a line, in their order."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected one class name a line") from None
    if not names:
        raise IrnError(f"{path}: no class in it; write one class name a line, or remove the file to use the names in the annotations")
    check_class_names(path, names)
    return names


# ---- folder of images


def _folder(root: Path, splits: Sequence[str], labels_csv: Path | None) -> tuple[list[_Listed], ClassLabels]:
    """All images of `images/`, or those of the splits asked for, and their classes."""
    folder, table = root / "images", labels_csv or root / "labels.csv"
    if not folder.is_dir():
        raise IrnError(f"{folder}: no such folder; expected the images there and their classes in {table}")
    paths = _find_images(folder)
    if not paths:
        raise IrnError(f"{folder}: no image; expected files that end in {', '.join(IMAGE_SUFFIXES)} (folders within are not searched)")
    check_ids(folder, pd.Series(list(paths), dtype=str))
    labels = _read_labels_csv(table)
    _refuse_extra_rows(table, labels.present, paths, folder)
    _select(table, labels, list(paths))  # also where only one split is asked for, a row is missing by mistake
    split_of = _read_splits(root / "splits.csv", folder, list(paths))
    known = sorted(set(split_of.values()))
    unknown = [split for split in splits if split not in known]
    if unknown:
        raise IrnError(f"{root}: no image has split {unknown[0]!r}; the splits of this data set: {', '.join(known)}")
    images = [_Listed(i, path, split_of[i]) for i, path in paths.items() if not splits or split_of[i] in splits]
    return images, _select(table, labels, [image.image_id for image in images])


def _read_splits(path: Path, folder: Path, ids: Sequence[str]) -> dict[str, str]:
    """The split of each image by `splits.csv`; `train` for all where there is no such file."""
    if not path.is_file():
        return dict.fromkeys(ids, "train")
    table = read_text_table(path)
    if list(table.columns) != ["image_id", "split"]:
        raise IrnError(f"{path}: expected the header 'image_id,split', found {','.join(table.columns)!r}")
    check_ids(path, table["image_id"])
    split_of = dict(zip(table["image_id"], table["split"], strict=True))
    _refuse_extra_rows(path, split_of, ids, folder)
    missing = [image_id for image_id in ids if not split_of.get(image_id, "").strip()]
    if missing:
        raise IrnError(f"{path}: no split for image {_named(missing)}; give every image in {folder} a row with a split")
    return split_of


# ---- both


def _find_images(folder: Path, wanted: Collection[str] | None = None) -> dict[str, Path]:
    """Image files by their name without extension, sorted by name; those of the ids `wanted`, or all."""
    with os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    paths: dict[str, Path] = {}
    for name in files:
        image_id, suffix = os.path.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES or (wanted is not None and image_id not in wanted):
            continue
        if image_id in paths:
            raise IrnError(f"{folder}: {paths[image_id].name} and {name} would both be image {image_id!r}; rename or remove one of them")
        paths[image_id] = folder / name
    return paths


def _read_labels_csv(path: Path) -> ClassLabels:
    """The user's own table of classes."""
    if not path.is_file():
        raise IrnError(f"{path}: no such table of labels; expected a CSV with the header 'image_id' and a 0/1 column for each class")
    return read_labels(path)


def _select(table: Path, labels: ClassLabels, ids: Sequence[str]) -> ClassLabels:
    """The rows of `ids` in their order; IrnError where `table`, which they come from, lacks one."""
    missing = [image_id for image_id in ids if image_id not in labels.present]
    if missing:
        raise IrnError(
            f"{table}: no row for image {_named(missing)}; add a row (the file's name without its extension), or take the image out"
        )
    return ClassLabels(labels.names, {image_id: labels.present[image_id] for image_id in ids})


def _refuse_extra_rows(table: Path, rows: Iterable[str], ids: Collection[str], folder: Path) -> None:
    """IrnError where a table of a folder has rows without an image: most often ids with an extension, or a file forgotten."""
    known = set(ids)
    extra = [image_id for image_id in rows if image_id not in known]
    if extra:
        raise IrnError(
            f"{table}: no image in {folder} for the row {_named(extra)}; an id is a file's name without its extension: mend or remove it"
        )


def _measure(images: Sequence[_Listed]) -> list[ImageRecord]:
    """Manifest rows, with the sizes in the files' headers; IrnError where an image is not RGB."""
    headers = [_read_header(image.path) for image in progress(images, len(images), "read image sizes")]
    others = [(image.path, mode) for image, (_, _, mode) in zip(images, headers, strict=True) if mode != "RGB"]
    if others:
        path, mode = others[0]
        raise IrnError(
            f"{path}: image mode is {mode}, expected RGB ({len(others)} of {len(images)} images are not RGB); grey, palette and alpha "
            "images are not converted in silence: convert the files first, for example with Pillow's convert('RGB')"
        )
    return [ImageRecord(i.image_id, i.path, height, width, i.split) for i, (height, width, _) in zip(images, headers, strict=True)]


def _read_header(path: Path) -> tuple[int, int, str]:
    """Height and width in pixels and Pillow's mode, without decoding the image."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width, picture.mode
    except (OSError, Image.DecompressionBombError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file or take it out of the data set") from None


def _or_none(lists: Sequence[str]) -> str:
    """The lists that there are, for an error."""
    return f"has {', '.join(lists)}" if lists else "has no list"


def _named(ids: Sequence[str]) -> str:
    """The first id, and how many more there are."""
    return repr(ids[0]) + (f" (and {len(ids) - 1} more)" if len(ids) > 1 else "")
