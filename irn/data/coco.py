"""Data sets in the layout of COCO.

Layout: `annotations/instances_<name>.json` for each split, such as `instances_train2014.json`, with the classes and the ground
truth; images in `<name>/`, `images/<name>/`, `images/` or beside them, where the file's `file_name` finds them.
"""

from collections.abc import Sequence
from pathlib import Path

from irn.data.findings import Findings, some
from irn.data.instances import InstancesFile, boxes_alone, instances_file, name_of, names_at_a_glance, one_id, with_year
from irn.data.listing import Listed, all_taken, folders_within
from irn.data.tables import ImageClasses
from irn.data.user_tables import read_labels
from irn.errors import IrnError

ANNOTATIONS, IMAGES = "annotations", "images"
CLASS_MASKS = OBJECT_MASKS = ANNOTATIONS


def has_masks(folder: Path) -> bool:
    """Whether ground truth lies there: segmentations, and not boxes alone."""
    return not all(boxes_alone(path) for path in folder.glob("instances_*.json"))


def watched(root: Path) -> list[Path]:
    """The files and folders that say what the data set holds."""
    files = sorted((root / ANNOTATIONS).glob("instances_*.json"))
    tops = [root / IMAGES, *(root / name_of(path) for path in files)]
    return [*files, *(folder for top in tops for folder, _ in folders_within(top))]


def listed(root: Path, splits: Sequence[str] | None, findings: Findings) -> list[Listed]:
    """The images that the splits' instances files name, in the files' order, whether they are there or not."""
    images: dict[str, Listed] = {}
    for split, path in _split_files(root / ANNOTATIONS, splits).items():
        for name in names_at_a_glance(path):
            image = Listed(Path(name).stem, root / name, split)
            images.setdefault(image.image_id, image)
    return list(images.values())


def read(
    root: Path, splits: Sequence[str] | None, labels_csv: Path | None, findings: Findings
) -> tuple[list[Listed], ImageClasses]:
    """The images of the splits' instances files, in the files' order, and their classes.

    splits: names of instances files, such as `train2014`, or without their year, where there is one year alone; None means
        `train` and `val`, as far as they exist. An image in several belongs to the one named first.
    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the annotations; rows beyond the
        images listed do no harm.

    Notes
    -----
    Classes are all categories, by ascending id. An image has the classes of all its annotations, crowds included: the class is
    there to be seen, and an image without it would teach the opposite. Images without annotations stay, with no class.
    """
    images: dict[str, Listed] = {}
    classes = ImageClasses([], {})
    for split, path in _split_files(root / ANNOTATIONS, splits).items():
        file = InstancesFile(path)
        if classes.names and classes.names != file.names:
            raise IrnError(
                f"{path}: its categories are not those of the split before it; expected the same names in the same order of ids"
            )
        found = _place(root, file, findings)
        boxes = int((~file.outlined).sum())
        if boxes:
            have = f"{boxes} of {len(file.outlined)} annotations have no segmentation"
            findings.notices.append(f"{path}: {have}; they give classes, but split {split!r} cannot be scored")
        clashes = [(images[i].path, image) for i, image in found.items() if i in images and images[i].path != image]
        for clash in clashes:
            findings.mistake(one_id(path, *clash))
        fresh = {image_id: image for image_id, image in found.items() if image_id not in images}
        if found and not fresh and not clashes:
            raise all_taken(path, split)
        images |= {
            image_id: Listed(image.stem, image, split, file.images[image_id].size) for image_id, image in fresh.items()
        }
        classes = ImageClasses(file.names, classes.present | {image_id: file.classes(image_id) for image_id in fresh})
    if labels_csv is not None:
        categories = classes.names
        classes = read_labels(labels_csv, list(images.values()), findings, every_row=False)
        lacking = [name for name in categories if name not in classes.names]
        if lacking and classes.names:
            findings.notices.append(
                f"{labels_csv}: no column for {some(lacking)}; images with objects of these categories cannot be scored"
                " against the annotations: add the columns, or name masks of these classes in dataset.class_masks"
            )
    return list(images.values()), classes


def _split_files(folder: Path, splits: Sequence[str] | None) -> dict[str, Path]:
    """The instances file of each split asked for, by the split's name."""
    if not folder.is_dir():
        raise IrnError(
            f"{folder}: no such folder; expected the root of a COCO layout, with instances files in annotations/"
        )
    if not splits:
        splits = [name for name in ("train", "val") if with_year(folder, name)]
        if not splits:
            known = ", ".join(sorted(map(name_of, folder.glob("instances_*.json"))))
            files = ", ".join(sorted(path.name for path in folder.glob("*.json"))) or "no JSON file"
            have, remedy = (
                (f"those of {known}", "name the splits to use")
                if known
                else (files, "name files instances_<split>.json")
            )
            raise IrnError(f"{folder}: neither instances_train*.json nor instances_val*.json (has {have}); {remedy}")
    return {name: instances_file(folder, name) for name in splits}


def _place(root: Path, file: InstancesFile, findings: Findings) -> dict[str, Path]:
    """The files of the images, in the folder that holds the first of them."""
    if not file.images:
        raise IrnError(f"{file.path}: it lists no image; name another split")
    names = {image_id: picture.file_name for image_id, picture in file.images.items()}
    for name in names.values():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise IrnError(
                f"{file.path}: image {name!r} lies outside of the data set; expected a path below its folder of images"
            )
    first = next(iter(names.values()))
    own = name_of(file.path)
    folders = [root / own, root / IMAGES / own, root / IMAGES, root]
    folder = next((folder for folder in folders if (folder / first).is_file()), None)
    if folder is None:
        folder = next((folder for folder in folders[:-1] if folder.is_dir()), None)
    if folder is None:
        raise IrnError(
            f"{root}: no folder of images; expected {own}/ or images/{own}/ with the images that {file.path.name} names"
        )
    found = {image_id: folder / name for image_id, name in names.items() if (folder / name).is_file()}
    for image_id, name in names.items():
        if image_id not in found:
            findings.problem(
                folder, f"no image {name!r}, which {file.path.name} names", "add the file or take the image out there"
            )
    return found
