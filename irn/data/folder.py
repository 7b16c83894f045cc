"""Data sets that are a folder of images with a table of their classes.

Layout: `images/`, `labels.csv`, and `splits.csv` (image_id,split) where there are more splits than `train`. Without
`labels.csv` the folders in `images/` are the classes of what they hold.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from irn.data.findings import Findings
from irn.data.label_table import read_labels
from irn.data.layout import Layout
from irn.data.listing import IMAGE_SUFFIXES, Listed, find_images, folders_within, known_splits, one_each
from irn.data.names import check_class_names
from irn.data.tables import ImageClasses
from irn.data.user_tables import read_splits
from irn.errors import IrnError

IMAGES, LABELS, SPLITS = "images", "labels.csv", "splits.csv"


class Folder(Layout):
    """Images in a folder, and a table of their classes beside it."""

    def watched(self, root: Path) -> list[Path]:
        """All folders of images, and the tables."""
        return [*(folder for folder, _ in folders_within(root / IMAGES)), root / LABELS, root / SPLITS]

    def listed(self, root: Path, splits: Sequence[str] | None, findings: Findings) -> list[Listed]:
        """All images of `images/` in the order of their names, or those of the splits asked for."""
        return known_splits(_all_images(root, findings), splits, root)

    def read(
        self, root: Path, splits: Sequence[str] | None, labels_csv: Path | None, findings: Findings
    ) -> tuple[list[Listed], ImageClasses]:
        """The images as in `listed`, and their classes.

        labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of `labels.csv`.
        """
        images = _all_images(root, findings)
        of_splits = known_splits(images, splits, root)
        if labels_csv is None and not (root / LABELS).is_file() and all("/" in image.name for image in images):
            return of_splits, _folders_as_classes(root, images, of_splits, findings)
        # Also where only one split is asked for, a row is missing by mistake.
        classes = read_labels(labels_csv or root / LABELS, images, findings)
        present = {image.image_id: classes.present.get(image.image_id, []) for image in of_splits}
        return of_splits, ImageClasses(classes.names, present)


LAYOUT = Folder()


def _all_images(root: Path, findings: Findings) -> list[Listed]:
    folder = root / IMAGES
    if not folder.is_dir():
        raise IrnError(f"{folder}: no such folder; expected the images there and their classes in {root / LABELS}")
    paths = one_each(find_images(folder, findings, below=True), findings)
    if not paths:
        raise IrnError(f"{folder}: no image; expected files that end in {', '.join(IMAGE_SUFFIXES)}")
    images = [Listed(name, path, "train") for name, path in paths.items()]
    within = sum("/" in name for name in paths)
    if within:
        findings.note(
            f"{folder}: {within} of {len(paths)} images lie in folders within; the folder is part of their names"
        )
    if not (root / SPLITS).is_file():
        return images
    split_of = read_splits(root / SPLITS, images, findings)
    return [replace(image, split=split_of[image.image_id]) for image in images if image.image_id in split_of]


def _folders_as_classes(
    root: Path, images: Sequence[Listed], of_splits: Sequence[Listed], findings: Findings
) -> ImageClasses:
    """The first folder of each image's name as its class; folders of all images count, those of other splits too."""
    names = sorted({image.name.split("/")[0] for image in images})
    check_class_names(root / IMAGES, names)
    findings.note(f"{root / IMAGES}: no {LABELS}, so each folder is the class of the images in it: {', '.join(names)}")
    present = {image.image_id: [names.index(image.name.split("/")[0])] for image in of_splits}
    return ImageClasses(names, present)
