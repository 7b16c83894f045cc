"""The folder of corrections: index PNGs of what was decided, a table of decisions, and what is not yet decided.

corrected/demo/
    SegmentationClass/<image_id>.png     as irn export-voc writes them
    SegmentationObject/<image_id>.png
    decisions.csv                        image_id, decision, and the thresholds that the label was made with
    begun/<image_id>.json                edits that nobody has decided on yet
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.csv_table import read_table, write_table
from irn.data.index_png import read_index_png, write_index_png
from irn.data.voc import LAYOUT
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.files import whole_file
from irn.ops.overlaps import object_classes
from irn.ops.panoptic import panoptic
from irn.records import ImageRecord

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

    decided: the decision on each image, by id, in the order in which they were made.
    Raises IrnError for a file in its place, and a table of decisions that cannot be read.
    """

    def __init__(self, folder: Path, thresholds: tuple[float, float]) -> None:
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise IrnError(f"{folder}: is a file, expected a folder for the corrections; give another with --out")
        self.decided = _read_decisions(folder / "decisions.csv")
        # Masks from elsewhere, or of a decision that was not written down before the machine stopped.
        for path in sorted((folder / LAYOUT.class_masks).glob("*.png")):
            self.decided.setdefault(path.stem, Decided(Decision.CORRECTED, thresholds))

    @property
    def masks(self) -> int:
        """How many images have masks."""
        return sum(decided.decision != Decision.LEFT_OUT for decided in self.decided.values())

    def label(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
        """Objects and classes of an image with masks, as `panoptic` gives them; IrnError for masks of another size."""
        class_mask, object_mask = (
            read_index_png(path, record.height, record.width) if path.exists() else None
            for path in self._masks(record.image_id)
        )
        if class_mask is None:
            raise IrnError(f"{self._masks(record.image_id)[0]}: no such mask; decide on this image again")
        semantic = np.where(class_mask == UNSURE, 0, class_mask)
        objects = np.zeros_like(semantic) if object_mask is None else object_mask
        ids, labels = object_classes(objects, semantic)
        row = np.zeros(int(objects.max(initial=0)) + 1, np.int64)
        row[ids] = np.arange(1, len(ids) + 1)
        return panoptic(
            {
                "semantic": semantic,
                "instance_map": row[objects],
                "instance_class": labels - 1,
                "instance_score": labels > 0,
            }
        )

    def decide(self, image_id: str, decided: Decided, objects: np.ndarray, classes: np.ndarray) -> None:
        """Write a decision and, of an image that is not left out, its masks.

        objects: (H, W) integers, 0 background, else 1 + row of `classes` (N,), class indices; N is at most 254.
        """
        masks = [np.concatenate([[0], classes + 1])[objects], objects]
        if decided.decision == Decision.LEFT_OUT:
            self._remove_masks(image_id)
        else:
            # That of classes first: one without a mask of objects can be read, the other way round it cannot.
            for path, mask in zip(self._masks(image_id), masks, strict=True):
                with whole_file(path) as partial:
                    write_index_png(partial, mask.astype(np.uint8))
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

    def _masks(self, image_id: str) -> tuple[Path, Path]:
        name = f"{image_id}.png"
        return self.folder / LAYOUT.class_masks / name, self.folder / LAYOUT.object_masks / name

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
