"""Data sets that are a folder of images, and the classes of each in a table, in files of a tool, or by its folder.

Layout: `images/`, `labels.csv`, and `splits.csv` (image_id,split) where there are more splits than `train`. Without
`labels.csv` the classes come from files of Roboflow, YOLO, labelme or Label Studio, or else from the folders in
`images/`. Folders with names such as `train` and `val` are splits. Without `images/` the images lie in the root.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from irn.data import shape_files
from irn.data.findings import Findings
from irn.data.folder_classes import LABELS, read_classes_of
from irn.data.folder_images import NOT_IMAGES, all_images, images_folder
from irn.data.layout import Layout
from irn.data.listing import Listed, folders_within, known_splits, named
from irn.data.outlined import Outlines
from irn.data.tables import ImageClasses
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord

SPLITS = "splits.csv"


class Folder(Layout):
    """Images in a folder, and their classes."""

    def truth_places(self, root: Path) -> tuple[Path, Path]:
        """The folders of masks, or else where a tool's shapes lie, if they have outlines."""
        masks = super().truth_places(root)
        if any(place.is_dir() for place in masks) or not root.is_dir() or len(shape_files.studio_exports(root)) > 1:
            return masks
        images = images_folder(root)
        files = shape_files.shape_files(root, images) if images.is_dir() else None
        if files is None or not files.has_outlines():
            return masks
        return (files.place, files.place)

    def has_truth(self, place: Path) -> bool:
        """Whether ground truth lies there."""
        return place.exists()

    def watched(self, root: Path) -> list[Path]:
        """All folders of images, the tables, and the files of tools."""
        folder = images_folder(root)
        # A root that holds the images may hold results too.
        unseen = {*NOT_IMAGES} - {"labels"} if folder == root else set()
        folders = [place for place, _ in folders_within(folder) if unseen.isdisjoint(_parts_below(folder, place))]
        return [*folders, named(root, LABELS), named(root, SPLITS), *shape_files.watched(root)]

    def listed(
        self, root: Path, splits: Sequence[str] | None, findings: Findings, labels_csv: Path | None = None
    ) -> list[Listed]:
        """All images in the order of their names, or those of the splits asked for."""
        return known_splits(_all_images(root, labels_csv, findings), splits, root)

    def read(
        self,
        root: Path,
        splits: Sequence[str] | None,
        labels_csv: Path | None,
        findings: Findings,
        left_out: Collection[str] = (),
    ) -> tuple[list[Listed], ImageClasses]:
        """The images as in `listed`, and their classes.

        labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the data set's own.
        """
        images = _all_images(root, labels_csv, findings)
        of_splits = known_splits(images, splits, root)
        # Also where only one split is asked for, a row is missing by mistake.
        classes = read_classes_of(root, images, labels_csv, findings)
        present = {image.image_id: classes.present.get(image.image_id, []) for image in of_splits}
        return of_splits, ImageClasses(classes.names, present)

    def check_truth(
        self,
        root: Path,
        records: Sequence[ImageRecord],
        names: Sequence[str],
        findings: Findings,
        workers: int | None,
        left_out: Collection[str] = (),
    ) -> bool:
        """Problems of shapes that were drawn on an image of another size, and a notice of others that cannot be scored.

        The classes of images are read from these, too, unless a table gives them.
        """
        place = self.truth_places(root)[0]
        if place == super().truth_places(root)[0]:
            return False
        truth = Outlines.open(place, "", names)
        truth.left_out = left_out
        looks = progress(map_images(truth.mistakes, records, workers), len(records), "check shapes")
        of_size, errors = zip(*looks, strict=True) if records else ((), ())
        for error in filter(None, of_size):
            findings.mistake(error)
        unscorable = [error for error in errors if error is not None]
        if unscorable:
            findings.notice(f"{unscorable[0]} ({len(unscorable)} of {len(records)} images are so)")
        return True


def _parts_below(folder: Path, place: Path) -> list[str]:
    return [part.lower() for part in place.relative_to(folder).parts]


def _all_images(root: Path, labels_csv: Path | None, findings: Findings) -> list[Listed]:
    tables = [*([labels_csv] if labels_csv else []), named(root, LABELS)]
    return all_images(root, named(root, SPLITS), tables, findings)


LAYOUT = Folder()
