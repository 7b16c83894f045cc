"""What every kind of data set knows."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path

from irn.data.findings import Findings
from irn.data.listing import Listed, named
from irn.data.tables import ImageClasses
from irn.records import ImageRecord


class Layout(ABC):
    """How data sets of a kind lie in their folder, the root.

    `class_masks` and `object_masks` are where ground truth lies below the root.
    Methods that take findings add to them all mistakes that they can go on after, and raise IrnError for one that
    they cannot.
    """

    class_masks = "SegmentationClass"
    object_masks = "SegmentationObject"

    @abstractmethod
    def watched(self, root: Path) -> list[Path]:
        """The files and folders that say what the data set holds. One that changes makes the tables out of date."""

    @abstractmethod
    def listed(
        self, root: Path, splits: Sequence[str] | None, findings: Findings, labels_csv: Path | None = None
    ) -> list[Listed]:
        """The images of some splits (None: of the usual ones) at a glance, without a look into the files.

        labels_csv: as in `read`; it may say the splits.
        """

    @abstractmethod
    def read(
        self,
        root: Path,
        splits: Sequence[str] | None,
        labels_csv: Path | None,
        findings: Findings,
        left_out: Collection[str] = (),
    ) -> tuple[list[Listed], ImageClasses]:
        """The images as in `listed`, all of which exist, and their classes.

        labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the data set's own
            classes.
        left_out: names that will be taken out of the classes, and need not count for their order.
        """

    def truth_places(self, root: Path) -> tuple[Path, Path]:
        """Where ground truth of classes and of objects lies, or would lie."""
        return named(root, self.class_masks), named(root, self.object_masks)

    def has_truth(self, place: Path) -> bool:
        """Whether `place`, which is one of `truth_places` of a data set, holds ground truth."""
        return place.is_dir()

    def check_truth(
        self,
        root: Path,
        records: Sequence[ImageRecord],
        names: Sequence[str],
        findings: Findings,
        workers: int | None,
        left_out: Collection[str] = (),
    ) -> bool:
        """Check the data set's own ground truth, where it cannot contradict the labels because they are read from it.

        names: the classes. left_out: names that were taken out of them.

        Returns False, having done nothing, where it can: then both have to be compared.
        """
        return False
