"""The check of a data set before hours of training: images, tables, classes, masks, and all problems at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irn.checks.classes import check_classes
from irn.checks.images import check_images
from irn.checks.masks import check_masks
from irn.checks.twins import check_twins
from irn.data.findings import Findings
from irn.data.images import Look
from irn.data.kinds import Kind, kind
from irn.data.listing import named
from irn.data.masks import MaskFolder, format_of
from irn.data.reading import read_data_set
from irn.data.tables import ImageClasses
from irn.records import PLAIN, Colours, ImageRecord

# Folders of other programs and papers.
LIKE_MASKS = ("masks", "mask", "SegmentationClassAug", "SegmentationObject")


@dataclass
class DataSet:
    """A checked data set: rows of the manifest, classes, how many images have each Pillow mode, and findings.

    numbers: the id of each image in a file of COCO, if any.
    """

    records: list[ImageRecord]
    classes: ImageClasses
    modes: Counter[str]
    findings: Findings
    numbers: dict[str, int | str | None]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many images of each class each split holds, the whole set first."""
        splits = {"all": self.records}
        splits |= {split: [r for r in self.records if r.split == split] for split in self.splits()}
        counts = {
            split: Counter(index for record in records for index in self.classes.present[record.image_id])
            for split, records in splits.items()
        }
        return {
            name: {split: counts[split][index] for split in splits} for index, name in enumerate(self.classes.names)
        }

    def splits(self) -> dict[str, int]:
        """How many images each split holds."""
        return dict(Counter(record.split for record in self.records))

    def sizes(self) -> dict[str, tuple[int, int]]:
        """The smallest and the largest height and width."""
        sides = {"height": [r.height for r in self.records], "width": [r.width for r in self.records]}
        return {name: (min(values), max(values)) for name, values in sides.items() if values}


def check_data_set(
    kind_name: str,
    root: Path,
    splits: Sequence[str] | None,
    labels_csv: Path | None,
    class_masks: Path | None,
    workers: int | None,
    colours: Colours = PLAIN,
    left_out: Sequence[str] | None = None,
    object_masks: Path | None = None,
) -> DataSet:
    """Read a data set as `build_manifest` needs it, open each image in full, and collect all that looks wrong.

    class_masks, object_masks: where these masks lie; None for the data set's own, if it has any. Only images that have
    one are checked against it. colours: as of `read_image`. left_out: names that are taken out of the classes.

    Raises IrnError for a kind that is not known; anything else goes to the findings.
    """
    findings, row = Findings(), kind(kind_name)
    root = Path(root).absolute()
    remedy = "make it with irn make-demo-data, or fix the path" if row.is_drawn else "fix the path of the data set"
    contents = read_data_set(row.layout, root, splits, labels_csv, colours, workers, findings, remedy, left_out or ())
    readable = {image: seen_image for image, seen_image in contents.seen.items() if isinstance(seen_image, Look)}
    check_images(list(contents.seen), readable, findings)
    check_twins(readable, contents.classes.present, findings)
    modes = Counter(seen_image.how.mode for seen_image in readable.values())
    numbers = {image.image_id: image.number for image in contents.seen}
    data = DataSet(contents.records, contents.classes, modes, findings, numbers)
    if data.classes.names or not findings.problems:
        counts = {name: row_counts["all"] for name, row_counts in data.counts().items()}
        check_classes(data.classes, counts, root, contents.has_labels, findings)
    if data.classes.names:
        _check_truth(data, row, root, (class_masks, object_masks), workers, left_out or ())
    return data


def _check_truth(
    data: DataSet,
    row: Kind,
    root: Path,
    masks: tuple[Path | None, Path | None],
    workers: int | None,
    left_out: Sequence[str],
) -> None:
    """Check ground truth where there is some; whether masks were meant to exist is the configuration's concern."""
    for named_place, what in zip(masks, ("class", "object"), strict=True):
        if named_place is not None and not Path(named_place).exists():
            data.findings.problem(named_place, f"no such folder or file of {what} masks", "fix the path")
    class_masks, object_masks = masks
    own_masks, own_objects = row.layout.truth_places(root)
    place, object_place = Path(class_masks or own_masks), Path(object_masks or own_objects)
    if place.absolute() == own_masks and row.layout.check_truth(
        root, data.records, data.classes.names, data.findings, workers, left_out
    ):
        return
    if place.exists():
        # Annotations of the data set's own need not be fit to be scored where class masks are named.
        is_checked = object_place.exists() and (object_masks or format_of(object_place) is MaskFolder)
        objects = object_place if is_checked and object_place != place else None
        check_masks(data.records, data.classes, place, data.findings, workers, left_out, objects)
    elif class_masks is None:
        _tell_of_masks_elsewhere(root, own_masks, data.findings)


def _tell_of_masks_elsewhere(root: Path, own_masks: Path, findings: Findings) -> None:
    """Notices of what looks like ground truth, where there is none by the names that are read."""
    for name in LIKE_MASKS:
        folder = named(root, name)
        if folder.is_dir() and any(folder.iterdir()):
            findings.notice(
                f"{folder}: not read, so nothing is scored; class masks lie in {own_masks.name}/, or where"
                " dataset.class_masks says: index PNGs of 0 for background, 1 + class index, and 255 for void"
            )
