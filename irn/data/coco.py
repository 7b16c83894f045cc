"""Data sets in the layout of COCO.

Layout: `annotations/instances_<name>.json` for each split, such as `instances_train2014.json`, with the classes and the
ground truth; images in `<name>/`, `images/<name>/`, `images/` or beside them, where the file's `file_name` finds them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from irn.data.coco_files import boxes_alone, instances_file, name_of, names_at_a_glance, with_year
from irn.data.coco_instances import InstancesFile, one_id
from irn.data.findings import Findings, some
from irn.data.layout import Layout
from irn.data.listing import Listed, all_taken, folders_within
from irn.data.tables import ImageClasses
from irn.data.user_tables import read_labels
from irn.errors import IrnError
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord

ANNOTATIONS, IMAGES = "annotations", "images"


class Coco(Layout):
    """COCO's layout."""

    class_masks = object_masks = ANNOTATIONS

    def watched(self, root: Path) -> list[Path]:
        """The instances files, and all folders that may hold images."""
        files = sorted((root / ANNOTATIONS).glob("instances_*.json"))
        tops = [root / IMAGES, *(root / name_of(path) for path in files)]
        return [*files, *(folder for top in tops for folder, _ in folders_within(top))]

    def listed(self, root: Path, splits: Sequence[str] | None, findings: Findings) -> list[Listed]:
        """The images that the splits' instances files name, in the files' order, whether they exist or not."""
        images: dict[str, Listed] = {}
        for split, path in _split_files(root / ANNOTATIONS, splits).items():
            for name in names_at_a_glance(path):
                image = Listed(Path(name).stem, root / name, split)
                images.setdefault(image.image_id, image)
        return list(images.values())

    def read(
        self, root: Path, splits: Sequence[str] | None, labels_csv: Path | None, findings: Findings
    ) -> tuple[list[Listed], ImageClasses]:
        """The images of the splits' instances files, in the files' order, and their classes.

        splits: names of instances files, such as `train2014`, or without their year, where there is one year alone;
            None means `train` and `val`, as far as they exist. An image in several belongs to the one named first.
        labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the annotations; rows
            beyond the images listed do no harm.

        Notes
        -----
        Classes are all categories, by ascending id. An image has the classes of all its annotations, crowds
        included: the class is there to be seen, and an image without it would teach the opposite. Images without
        annotations stay, with no class.
        """
        images: dict[str, Listed] = {}
        classes = ImageClasses([], {})
        for split, path in _split_files(root / ANNOTATIONS, splits).items():
            file = InstancesFile(path)
            if classes.names and classes.names != file.names:
                raise IrnError(
                    f"{path}: its categories are not those of the split before it; expected the same names in the"
                    " same order"
                    " of ids"
                )
            fresh = _listed_first(root, file, split, images, findings)
            images |= {image.image_id: image for image in fresh}
            present = {image.image_id: file.classes(image.image_id) for image in fresh}
            classes = ImageClasses(file.names, classes.present | present)
        if labels_csv is not None:
            table = read_labels(labels_csv, list(images.values()), findings, every_row=False)
            _note_missing_columns(labels_csv, table.names, classes.names, findings)
            classes = table
        return list(images.values()), classes

    def has_truth(self, place: Path) -> bool:
        """Whether the annotations hold segmentations, and not boxes alone."""
        return place.is_dir() and not all(boxes_alone(path) for path in place.glob("instances_*.json"))

    def check_truth(self, root: Path, records: Sequence[ImageRecord], findings: Findings, workers: int | None) -> bool:
        """Notices of segmentations that cannot be read: the image's classes can, but it cannot be scored.

        Images with annotations that have no segmentation are left out: `read` tells of these.
        """
        for split in dict.fromkeys(record.split for record in records):
            file = InstancesFile(instances_file(root / ANNOTATIONS, split))
            outlined = [r for r in records if r.split == split and file.outlines(r.image_id).all()]
            errors = map_images(partial(_unreadable, file), outlined, workers)
            shown = progress(errors, len(outlined), f"check segmentations of {split}")
            unreadable = [error for error in shown if error is not None]
            if unreadable:
                findings.notice(
                    f"{unreadable[0]} ({len(unreadable)} of {len(outlined)} images are so); split {split!r} cannot"
                    " be scored"
                )
        return True


LAYOUT = Coco()


def _unreadable(file: InstancesFile, record: ImageRecord) -> IrnError | None:
    try:
        file.masks(record.image_id, record.height, record.width)
    except IrnError as error:
        return error
    return None


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


def _listed_first(
    root: Path, file: InstancesFile, split: str, before: Mapping[str, Listed], findings: Findings
) -> list[Listed]:
    """The images of a split's instances file that no split before it has."""
    paths = _place(root, file, findings)
    boxes = int((~file.outlined).sum())
    if boxes:
        findings.notice(
            f"{file.path}: {boxes} of {len(file.outlined)} annotations have no segmentation; they give classes, but"
            " split"
            f" {split!r} cannot be scored"
        )
    clashes = [(before[i].path, path) for i, path in paths.items() if i in before and before[i].path != path]
    for clash in clashes:
        findings.mistake(one_id(file.path, *clash))
    fresh = [
        Listed(path.stem, path, split, file.images[image_id].size)
        for image_id, path in paths.items()
        if image_id not in before
    ]
    if paths and not fresh and not clashes:
        raise all_taken(file.path, split)
    return fresh


def _note_missing_columns(table: Path, columns: Sequence[str], categories: Sequence[str], findings: Findings) -> None:
    missing = [name for name in categories if name not in columns]
    if missing and columns:
        findings.notice(
            f"{table}: no column for {some(missing)}; images with objects of these categories cannot be scored"
            " against the"
            " annotations: add the columns, or name masks of these classes in dataset.class_masks"
        )


def _place(root: Path, file: InstancesFile, findings: Findings) -> dict[str, Path]:
    """The files of the images that exist, by id, in the folder that holds the first of them."""
    if not file.images:
        raise IrnError(f"{file.path}: it lists no image; name another split")
    names = {image_id: picture.file_name for image_id, picture in file.images.items()}
    for name in names.values():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise IrnError(
                f"{file.path}: image {name!r} lies outside of the data set; expected a path below its folder of images"
            )
    folder = _folder_of_images(root, file, next(iter(names.values())))
    paths = {image_id: folder / name for image_id, name in names.items() if (folder / name).is_file()}
    for image_id, name in names.items():
        if image_id not in paths:
            findings.problem(
                folder, f"no image {name!r}, which {file.path.name} names", "add the file or take the image out there"
            )
    return paths


def _folder_of_images(root: Path, file: InstancesFile, first: str) -> Path:
    split = name_of(file.path)
    folders = [root / split, root / IMAGES / split, root / IMAGES, root]
    with_first = [folder for folder in folders if (folder / first).is_file()]
    existing = [folder for folder in folders[:-1] if folder.is_dir()]
    if not with_first and not existing:
        raise IrnError(
            f"{root}: no folder of images; expected {split}/ or images/{split}/ with the images that"
            f" {file.path.name} names"
        )
    return (with_first or existing)[0]
