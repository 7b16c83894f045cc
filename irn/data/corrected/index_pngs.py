"""Corrected masks as index PNGs: `SegmentationClass/<id>.png` and, where objects are told apart, `SegmentationObject/`.

That is what `irn export-voc` and `irn review` write. CVAT's are in colours, which its `labelmap.txt` beside them tells.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from irn.data.corrected.masks import CorrectedMasks
from irn.data.corrected.places import CLASSES, OBJECTS
from irn.data.index_png import read_index_png
from irn.data.labelmap import class_mask_of, labelmap_of, object_mask_of, read_colours
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.object_masks import mask_of_classes
from irn.ops.overlaps import object_classes
from irn.records import ImageRecord


class IndexPngs(CorrectedMasks):
    """A folder of index PNGs. Without an object mask, connected pieces of a class are objects."""

    def __init__(self, place: Path, classes: Sequence[str], left_out: Collection[str] = ()) -> None:
        self.place, self.classes, self.left_out = place, list(classes), left_out
        self.labelmap = labelmap_of(place / CLASSES)
        beyond = sorted({path.stem for path in (place / OBJECTS).glob("*.png")} - set(self.images()))
        if beyond:
            path = place / OBJECTS / f"{beyond[0]}.png"
            raise IrnError(f"{path}: no class mask {CLASSES}/{beyond[0]}.png beside it; add it, or remove this file")

    def images(self) -> list[str]:
        """The names of the class masks."""
        return sorted(path.stem for path in (self.place / CLASSES).glob("*.png"))

    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of an image.

        Of the object mask, 255 is no object, and a pixel of another class than most of its object belongs to none.
        """
        path, object_path = self.place / CLASSES / f"{name}.png", self.place / OBJECTS / f"{name}.png"
        class_mask = self._class_mask(path, record)
        if not object_path.is_file():
            return mask_of_classes(class_mask)
        colours = self._colours(object_path, record)
        objects = (
            read_index_png(object_path, record.height, record.width) if colours is None else object_mask_of(colours)
        )
        ids, labels = object_classes(objects, class_mask)
        if (labels == 0).any():
            raise IrnError(
                f"{object_path}: object {ids[labels == 0][0]} lies on background alone in {path}; give it its class"
                " there, or remove it"
            )
        label_of_id = np.zeros(int(objects.max(initial=0)) + 1, np.int64)
        label_of_id[ids[labels != UNSURE]] = labels[labels != UNSURE]
        of_class = (label_of_id[objects] == class_mask) & (class_mask > 0)
        return mask_of_classes(class_mask, np.where(of_class, objects, 0))

    def _class_mask(self, path: Path, record: ImageRecord) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index, 255 void; IrnError for other values."""
        colours = self._colours(path, record)
        if colours is not None and self.labelmap is not None:
            return class_mask_of(path, colours, self.labelmap, self.classes, self.left_out)
        class_mask = read_index_png(path, record.height, record.width)
        beyond = class_mask[(class_mask > len(self.classes)) & (class_mask != UNSURE)]
        if beyond.size:
            raise IrnError(
                f"{path}: unknown class, value {beyond[0]}; expected 0 (background), 1 to {len(self.classes)} (classes)"
                f" or {UNSURE} (void)"
            )
        return class_mask

    def _colours(self, path: Path, record: ImageRecord) -> np.ndarray | None:
        """The colours of a mask; None where its values are numbers, as without a labelmap."""
        return read_colours(path, record.height, record.width) if self.labelmap else None


MASKS = IndexPngs
