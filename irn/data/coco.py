"""Data sets in the layout of COCO.

Layout: `annotations/instances_<name>.json` for each split, such as `instances_train2014.json`, with the classes and the
ground truth; images in `<name>/`, `images/<name>/`, `images/` or beside them, where the file's `file_name` finds them.
Roboflow's `<name>/_annotations.coco.json`, with the images beside it, is read too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from irn.data.coco_files import (
    annotations_folder,
    boxes_alone,
    in_split,
    instances_file,
    name_of,
    split_files,
    with_year,
)
from irn.data.coco_images import folder_of_images, names_and_files, placed
from irn.data.coco_instances import InstancesFile, Picture, one_id
from irn.data.findings import Findings, some
from irn.data.label_table import read_labels
from irn.data.layout import Layout
from irn.data.listing import Listed, all_taken, folders_within
from irn.data.tables import ImageClasses
from irn.errors import IrnError
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord

IMAGES = "images"
# Names of splits that are listed where none is asked for.
USUAL = ("train", "val", "valid")


class Coco(Layout):
    """COCO's layout."""

    class_masks = object_masks = "annotations"

    def truth_places(self, root: Path) -> tuple[Path, Path]:
        """The folder with the instances files, for both."""
        return annotations_folder(root), annotations_folder(root)

    def watched(self, root: Path) -> list[Path]:
        """The instances files, and all folders that may hold images."""
        files = list(split_files(annotations_folder(root)).values())
        tops = [root / IMAGES, *(root / name_of(path) for path in files)]
        return [*files, *(folder for top in tops for folder, _ in folders_within(top))]

    def listed(
        self, root: Path, splits: Sequence[str] | None, findings: Findings, labels_csv: Path | None = None
    ) -> list[Listed]:
        """The images that the splits' instances files name, in the files' order, whether they exist or not."""
        images: dict[str, Listed] = {}
        for split, path in _split_files(annotations_folder(root), splits).items():
            names = names_and_files(path)
            folder = folder_of_images(root, path, list(names.values()))
            for image in _fresh({name: folder / file for name, file in names.items()}, split, path, images, Findings()):
                images[image.image_id] = image
        return list(images.values())

    def read(
        self,
        root: Path,
        splits: Sequence[str] | None,
        labels_csv: Path | None,
        findings: Findings,
        left_out: Collection[str] = (),
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
        for split, path in _split_files(annotations_folder(root), splits).items():
            file = InstancesFile(path, is_labelled=labels_csv is None)
            for remark in file.remarks:
                findings.notice(f"{path}: {remark}")
            if classes.names and classes.names != file.names:
                raise IrnError(
                    f"{path}: its categories are not those of the split before it; expected the same names in the"
                    " same order"
                    " of ids"
                )
            fresh = _listed_first(root, file, split, images, findings)
            images |= {image.image_id: image for image in fresh}
            present = {image.image_id: file.classes(image.image_id) for image in fresh}
            classes = ImageClasses(file.names, classes.present | present, numbers=file.numbers)
        if labels_csv is not None:
            table = read_labels(labels_csv, list(images.values()), findings, every_row=False)
            _note_missing_columns(labels_csv, table.names, classes.names, findings)
            own = dict(zip(classes.names, classes.numbers, strict=True))
            numbers = tuple(own[name] for name in table.names) if own.keys() >= set(table.names) else ()
            classes = replace(table, numbers=numbers)
        return list(images.values()), classes

    def has_truth(self, place: Path) -> bool:
        """Whether the annotations hold segmentations, and not boxes alone."""
        return place.is_dir() and not all(map(boxes_alone, split_files(place).values()))

    def check_truth(
        self,
        root: Path,
        records: Sequence[ImageRecord],
        names: Sequence[str],
        findings: Findings,
        workers: int | None,
        left_out: Collection[str] = (),
    ) -> bool:
        """Notices of segmentations that cannot be read: the image's classes can, but it cannot be scored.

        Images with annotations that have no segmentation are left out: `read` tells of these.
        """
        for split in dict.fromkeys(record.split for record in records):
            path = instances_file(annotations_folder(root), split)
            if boxes_alone(path):
                continue
            file = InstancesFile(path)
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
    return file.unreadable(record.image_id, record.height, record.width)


def _split_files(folder: Path, splits: Sequence[str] | None) -> dict[str, Path]:
    """The instances file of each split asked for, by the split's name."""
    if not folder.is_dir():
        raise IrnError(
            f"{folder}: no such folder; expected the root of a COCO layout, with instances files in annotations/"
        )
    if not splits:
        splits = [name for name in USUAL if with_year(folder, name)]
        if not splits:
            known = ", ".join(sorted(split_files(folder)))
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
    boxes = int((~file.outlined).sum())
    if boxes:
        findings.notice(
            f"{file.path}: {boxes} of {len(file.outlined)} annotations have no segmentation; they give classes, but"
            f" split {split!r} cannot be scored"
        )
    pictures = {picture.name: picture for picture in file.images.values()}
    return _fresh(placed(root, file, findings), split, file.path, before, findings, pictures)


def _fresh(
    paths: Mapping[str, Path],
    split: str,
    path: Path,
    before: Mapping[str, Listed],
    findings: Findings,
    pictures: Mapping[str, Picture] | None = None,
) -> list[Listed]:
    """The images of an instances file, by name, that no split before it has.

    Another image of the same name gets the split's as a folder of its name.
    """
    fresh, clashes = [], 0
    for name, image_path in paths.items():
        picture = (pictures or {}).get(name)
        image = Listed(name, image_path, split, picture and picture.size, picture and picture.number)
        if image.image_id in before and before[image.image_id].path != image_path:
            image = replace(image, name=in_split(name_of(path), name))
            if image.image_id in before:
                findings.mistake(one_id(path, before[image.image_id].path, image_path))
                clashes += 1
        if image.image_id not in before:
            fresh.append(image)
    if paths and not fresh and not clashes:
        raise all_taken(path, split)
    return fresh


def _note_missing_columns(table: Path, columns: Sequence[str], categories: Sequence[str], findings: Findings) -> None:
    missing = [name for name in categories if name not in columns]
    if missing and columns:
        findings.notice(
            f"{table}: no column for {some(missing)}; images with objects of these categories cannot be scored"
            " against the"
            " annotations: add the columns, or name masks of these classes in dataset.class_masks"
        )
