"""The classes of the images in a folder: by a table, by files of a tool, or by the folders that the images lie in."""

from collections.abc import Collection, Sequence
from pathlib import Path

from irn.data.findings import Findings, some
from irn.data.folder_images import IMAGES, check_kind, images_folder, split_folders, top_folder
from irn.data.label_table import read_labels
from irn.data.listing import Listed, named
from irn.data.names import check_class_names, same_but_for_case
from irn.data.shape_files import Doubt, ShapeFiles, shape_files, studio_exports, yolo_texts
from irn.data.tables import ImageClasses
from irn.data.yolo import is_yolo
from irn.errors import IrnError

LABELS = "labels.csv"
ROBOFLOW = "_classes.csv"


def read_classes_of(root: Path, images: Sequence[Listed], labels_csv: Path | None, findings: Findings) -> ImageClasses:
    """The classes of images by the surest of what there is, the table first.

    Raises IrnError where nothing says the classes; adds problems for images without any.
    """
    table = labels_csv or named(root, LABELS)
    if labels_csv is not None or table.is_file():
        if len(exports := studio_exports(root)) > 1:
            shown = some([path.name for path in exports])
            findings.notice(
                f"{root}: of {len(exports)} exports of Label Studio ({shown}) none is read as ground truth; leave"
                " only one in the folder, or name it in dataset.class_masks"
            )
        return read_labels(table, images, findings)
    tables = sorted({path for folder in _folders(images) if (path := folder / ROBOFLOW).is_file()})
    if tables:
        return _of_tables(tables, images, findings)
    files = shape_files(root, images_folder(root))
    if files is not None:
        return _of_shapes(files, root, images, findings)
    if any(map(is_yolo, yolo_texts(root))):
        raise IrnError(
            f"{root}: label files of YOLO, but no data.yaml with the names of their classes; add it, such as"
            " names: [cat, dog]"
        )
    check_kind(root)
    splits = split_folders(images)
    folders = {image.image_id: folder for image in images if (folder := _class_folder(image, splits))}
    if len(folders) == len(images):
        _check_depth(root, images, folders.values())
        return _of_folders(root, images, folders, findings)
    return read_labels(table, images, findings)  # which says that it is missing


def _folders(images: Sequence[Listed]) -> set[Path]:
    return {folder for image in images for folder in list(image.path.parents)[:2]}


def _of_tables(tables: Sequence[Path], images: Sequence[Listed], findings: Findings) -> ImageClasses:
    """Classes by Roboflow's tables, one in the folder of each split, with the same classes."""
    names: list[str] = []
    present: dict[str, list[int]] = {}
    for table in tables:
        classes = read_labels(table, [image for image in images if table.parent in image.path.parents], findings)
        if names and classes.names != names:
            raise IrnError(f"{table}: its classes are not those of {tables[0]}; give both the same columns")
        names, present = classes.names, present | classes.present
    findings.note(f"classes by {some([str(table) for table in tables])}, of Roboflow")
    without = [image.name for image in images if not any(table.parent in image.path.parents for table in tables)]
    if without:
        remedy = f"add {ROBOFLOW} to their folders, or give a table of all images"
        findings.problem(tables[0], f"{len(without)} images lie in folders without a table ({some(without)})", remedy)
    return ImageClasses(names, present)


def _of_shapes(files: ShapeFiles, root: Path, images: Sequence[Listed], findings: Findings) -> ImageClasses:
    """Classes by the labels of shapes: in the order that the files say, or else sorted."""
    labels_of: dict[str, set[str]] = {}
    without = []
    for image in images:
        with findings.collected():
            shapes = files.read(image.path)
            if shapes is None and not files.without_file:
                without.append(image.name)
            elif shapes is None:
                labels_of[image.image_id] = set()
                without.append(image.name)
            else:
                labels_of[image.image_id] = {shape.label for shape in shapes}
    names = files.names or sorted({label for labels in labels_of.values() for label in labels})
    findings.note(f"{files.place}: classes by the shapes of {files.tool}: {', '.join(names)}")
    if files.remark:
        findings.notice(f"{files.place}: {files.remark}")
    for first, second in same_but_for_case(names):
        remedy = "write one of them everywhere, or give a table of labels if both are meant"
        findings.problem(files.place, f"class {second!r} differs from {first!r} by case or blanks alone", remedy)
    if without and files.without_file:
        findings.notice(f"{files.place}: {len(without)} of {len(images)} images have no label file, and so no class")
    elif without:
        problem = f"{len(without)} of the {len(images)} images are not annotated ({some(without)})"
        findings.problem(files.place, problem, f"annotate them in {files.tool}, take them out, or give a {LABELS}")
    _check_sources(files, images, findings)
    check_class_names(files.place, names)
    index = {name: number for number, name in enumerate(names)}
    return ImageClasses(names, {i: sorted(index[label] for label in labels) for i, labels in labels_of.items()})


def _check_sources(files: ShapeFiles, images: Sequence[Listed], findings: Findings) -> None:
    """Add problems for images whose shapes may be another's, or are not all that is said of them."""
    images_of: dict[object, list[str]] = {}
    doubts: dict[Doubt, list[str]] = {}
    for image in images:
        if doubt := files.doubt(image.path):
            doubts.setdefault(doubt, []).append(image.name)
        elif source := files.source(image.path):
            images_of.setdefault(source, []).append(image.name)
    shared = [name for names in images_of.values() if len(names) > 1 for name in names]
    if shared:
        problem = f"{len(shared)} images would have the shapes of another of their name ({some(shared)})"
        findings.problem(files.place, problem, f"give them different names, or let {files.tool} name their folders")
    for doubt, names in doubts.items():
        problem = f"{len(names)} of the {len(images)} images have {doubt.what} ({some(names)})"
        findings.problem(files.place, problem, doubt.remedy)


def _class_folder(image: Listed, splits: Collection[str]) -> str:
    """The folder that is the class of an image: the first that is neither its split's nor called `images`."""
    folders = image.name.split("/")[top_folder(image) in splits : -1]
    return next((folder for folder in folders if folder.lower() != IMAGES), "")


def _check_depth(root: Path, images: Sequence[Listed], folders: Collection[str]) -> None:
    """Raise IrnError where the data set lies in a folder within, as a ZIP archive leaves it."""
    folder, names = images_folder(root), set(folders)
    if len(names) == 1 and all(image.path.parent != folder / image.name.split("/")[0] for image in images):
        within = folder / images[0].name.split("/")[0]
        raise IrnError(
            f"{root}: all images lie in folders within {within}; name that if it is the data set, or give a {LABELS}"
        )


def _of_folders(root: Path, images: Sequence[Listed], folders: dict[str, str], findings: Findings) -> ImageClasses:
    """The folder of each image as its class."""
    folder, names = images_folder(root), sorted(set(folders.values()))
    check_class_names(folder, names)
    findings.note(f"{folder}: no {LABELS}, so each folder is the class of the images in it: {', '.join(names)}")
    return ImageClasses(names, {image_id: [names.index(name)] for image_id, name in folders.items()})
