"""Corrected masks in Label Studio's JSON export."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from irn.data.corrected.masks import CorrectedMasks, check_size, mask_of_shapes
from irn.data.label_studio import Task, read_label_studio
from irn.errors import IrnError
from irn.records import ImageRecord


class LabelStudioMasks(CorrectedMasks):
    """An export of Label Studio. Tasks that somebody has annotated have been corrected; each region is an object."""

    def __init__(self, place: Path, classes: Sequence[str], left_out: Collection[str] = ()) -> None:
        self.place, self.classes, self.left_out = place, classes, left_out
        self._tasks: dict[str, Task] = {}
        for task in read_label_studio(place):
            if task.shapes is None:
                continue
            name = task.image_id or task.image
            if name in self._tasks:
                raise IrnError(f"{place}: two annotated tasks are of image {name!r}; leave one of them out")
            self._tasks[name] = task

    def images(self) -> list[str]:
        """The ids in tasks that this project exported, and what others call their images."""
        return list(self._tasks)

    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of an image, from all regions of its annotation."""
        task = self._tasks[name]
        for height, width in task.sizes:
            check_size(f"{self.place}: image {name!r}", height, width, record)
        if task.unread:
            raise IrnError(
                f"{self.place}: image {name!r}: a region of kind {task.unread[0]!r} has no label, or is of a kind that"
                " is not read; label it, or draw it as a polygon, brush, rectangle or ellipse"
            )
        return mask_of_shapes(self.place, name, task.shapes or [], record, self.classes, self.left_out)


MASKS = LabelStudioMasks
