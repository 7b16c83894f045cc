"""The folder of corrections: index PNGs of what was decided, a table of decisions, and what is not yet decided.

corrected/demo/
    SegmentationClass/<image_id>.png     as irn export-voc writes them
    SegmentationObject/<image_id>.png
    decisions.csv                        image_id, decision, and the thresholds that the label was made with
    begun/<image_id>.json                edits that nobody has decided on yet
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.corrected.index_pngs import IndexPngs
from irn.data.corrected.places import CLASSES, OBJECTS
from irn.data.corrected.reading import listed
from irn.data.csv_table import read_table, write_table
from irn.data.index_png import read_index_png, write_index_png
from irn.data.row_names import Names
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.ops.object_masks import label_of_mask
from irn.records import ImageRecord
from irn.review.runs import KEPT

MOST_OBJECTS = 254  # of an index PNG
COLUMNS = ["image_id", "decision", "semantic_threshold", "instance_threshold"]


class Decision(StrEnum):
    """What was decided of an image. Only what is left out has no masks."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    NOTHING_HERE = "nothing here"
    LEFT_OUT = "left out"


class Decided(NamedTuple):
    """A decision, with the semantic and the instance threshold of the image."""

    decision: Decision
    thresholds: tuple[float, float]


class Corrections:
    """The folder, which need not exist.

    images, classes: all images of the data set, and its classes in their order.
    thresholds: the run's own, which masks from elsewhere get.
    decided: the decision on each image, by id, in the order in which they were made.
    Raises IrnError for a table of decisions that cannot be read, and masks that no run could read.
    """

    def __init__(
        self, folder: Path, images: Sequence[ImageRecord], classes: Sequence[str], thresholds: tuple[float, float]
    ) -> None:
        self.folder, self.thresholds = folder, thresholds
        self.decided = _read_decisions(folder / "decisions.csv")
        self._index_pngs = IndexPngs(folder, classes)
        names = Names(list(map(listed, images)))
        # A mask may be named by its image's file, and keeps its name.
        self._name_of: dict[str, str] = {}
        for name in self._index_pngs.images():
            candidates = names.candidates(name)
            image_id = candidates[0] if len(candidates) == 1 else name
            if image_id in self._name_of:
                raise IrnError(f"{folder}: two masks of image {image_id!r}; leave one of them out")
            self._name_of[image_id] = name
            # From elsewhere, or of a decision that was not written down before the machine stopped.
            self.decided.setdefault(image_id, Decided(Decision.CORRECTED, thresholds))

    @property
    def masks(self) -> int:
        """How many images have masks."""
        return sum(decided.decision != Decision.LEFT_OUT for decided in self.decided.values())

    def label(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
        """Objects and classes of an image with masks, as the next run reads them.

        Returns (H, W) int32, 0 background, else 1 + row of the next, and `KEPT` where a pixel is void or its class has
        no object; and (N,) int64 class indices.
        Raises IrnError for masks that no run could read.
        """
        if not (path := self._masks(record.image_id)[0]).exists():
            raise IrnError(f"{path}: no such mask; decide on this image again")
        mask = self._index_pngs.read(self._name(record.image_id), record)
        objects = mask["instances"].astype(np.int32)
        objects[(objects == 0) & (mask["label"] > 0)] = KEPT
        return objects, label_of_mask(mask)["instance_class"].astype(np.int64)

    def take_over(self, masks: CacheReader) -> tuple[list[str], list[str]]:
        """Write the masks that a run was given, an IR label cache, of images without a decision.

        Returns the ids of these images, and of those that have too many objects for an index PNG.
        """
        undecided = [image_id for image_id in masks.ids if image_id not in self.decided]
        beyond = []
        for image_id in undecided:
            mask = masks.read(image_id)
            if mask["instances"].max(initial=0) > MOST_OBJECTS:
                beyond.append(image_id)
                continue
            self._write_masks(image_id, mask["label"], mask["instances"])
            self.decided[image_id] = Decided(Decision.CORRECTED, self.thresholds)
        taken = [image_id for image_id in undecided if image_id not in beyond]
        if taken:
            self._write_decisions()
        return taken, beyond

    def decide(self, image_id: str, decided: Decided, objects: np.ndarray, classes: np.ndarray) -> None:
        """Write a decision and, of an image that is not left out, its masks.

        objects: (H, W) integers, 0 background, else 1 + row of `classes` (N,), class indices; N is at most 254. `KEPT`
            leaves a pixel as it is in the masks before, without any it is void.
        """
        if decided.decision == Decision.LEFT_OUT:
            self._remove_masks(image_id)
        else:
            class_mask, kept = np.concatenate([[0], classes + 1, [UNSURE]])[objects], objects == KEPT
            if kept.any() and (path := self._masks(image_id)[0]).exists():
                before = read_index_png(path, *objects.shape)
                class_mask = np.where(kept & (before > 0), before, class_mask)
            self._write_masks(image_id, class_mask, np.where(kept, 0, objects))
        self.decided.pop(image_id, None)
        self.decided[image_id] = decided
        self._write_decisions()
        self._begun(image_id).unlink(missing_ok=True)

    def take_back(self, image_id: str) -> None:
        """Forget all about an image."""
        self._remove_masks(image_id)
        if self.decided.pop(image_id, None):
            self._write_decisions()
        self._begun(image_id).unlink(missing_ok=True)

    def begin(self, image_id: str, label: dict[str, Any] | None) -> None:
        """Keep edits that are not decided on; None: there are none any more."""
        if label is None:
            self._begun(image_id).unlink(missing_ok=True)
            return
        with whole_file(self._begun(image_id)) as partial:
            partial.write_text(json.dumps(label), encoding="utf-8")

    def begun(self, image_id: str) -> dict[str, Any] | None:
        """Edits that are not decided on, if there are any that can be read."""
        try:
            label: dict[str, Any] = json.loads(self._begun(image_id).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return label

    def all_begun(self) -> set[str]:
        """The ids of images with edits that are not decided on."""
        return {path.stem for path in (self.folder / "begun").glob("*.json")}

    def _name(self, image_id: str) -> str:
        return self._name_of.get(image_id, image_id)

    def _masks(self, image_id: str) -> tuple[Path, Path]:
        name = f"{self._name(image_id)}.png"
        return self.folder / CLASSES / name, self.folder / OBJECTS / name

    def _write_masks(self, image_id: str, class_mask: np.ndarray, object_mask: np.ndarray) -> None:
        # That of classes first: one without a mask of objects can be read, the other way round it cannot.
        for path, mask in zip(self._masks(image_id), (class_mask, object_mask), strict=True):
            with whole_file(path) as partial:
                write_index_png(partial, mask.astype(np.uint8))

    def _remove_masks(self, image_id: str) -> None:
        for path in reversed(self._masks(image_id)):
            path.unlink(missing_ok=True)

    def _begun(self, image_id: str) -> Path:
        return self.folder / "begun" / f"{image_id}.json"

    def _write_decisions(self) -> None:
        rows = [(image_id, decision, *values) for image_id, (decision, values) in self.decided.items()]
        with whole_file(self.folder / "decisions.csv") as partial:
            write_table(partial, COLUMNS, rows)


def _read_decisions(path: Path) -> dict[str, Decided]:
    if not path.exists():
        return {}
    header, rows = read_table(path)
    try:
        if header != COLUMNS:
            raise ValueError(f"the columns are {','.join(header)}, expected {','.join(COLUMNS)}")
        return {row[0]: Decided(Decision(row[1]), (float(row[2]), float(row[3]))) for row in rows}
    except ValueError as error:
        raise IrnError(f"{path}: {error}; fix the table, or give another folder with --out") from None
