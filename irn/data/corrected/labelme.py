"""Corrected masks as labelme writes them: a JSON file for each image, `<id>.json`."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from irn.data.corrected.masks import CorrectedMasks, check_size, mask_of_shapes
from irn.data.labelme import is_labelme, shapes_of
from irn.data.shapes import damaged
from irn.errors import IrnError
from irn.records import ImageRecord


class LabelmeMasks(CorrectedMasks):
    """A folder of labelme's JSON files."""

    def __init__(self, place: Path, classes: Sequence[str], left_out: Collection[str] = ()) -> None:
        self.place, self.classes, self.left_out = place, classes, left_out

    def images(self) -> list[str]:
        """The names of the files."""
        return sorted(path.stem for path in self.place.glob("*.json"))

    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of an image, from all its shapes."""
        path = self.place / f"{name}.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise damaged(path, "the JSON", error) from None
        if not is_labelme(content):
            raise IrnError(f"{path}: not a file of labelme; save it there again, or move it out of the folder")
        check_size(str(path), content.get("imageHeight"), content.get("imageWidth"), record)
        return mask_of_shapes(path, name, shapes_of(path, content), record, self.classes, self.left_out)


MASKS = LabelmeMasks
