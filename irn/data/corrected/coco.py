"""Corrected masks in an instances file of COCO, as CVAT and others write it."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from irn.data.coco_instances import InstancesFile
from irn.data.corrected.masks import CorrectedMasks, check_size, label_of
from irn.errors import IrnError
from irn.ops.object_masks import mask_of_objects
from irn.records import ImageRecord


class CocoMasks(CorrectedMasks):
    """An instances file. All images that it lists have been corrected; crowds and what is left out are void."""

    def __init__(self, place: Path, classes: Sequence[str], left_out: Collection[str] = ()) -> None:
        self.place, self.classes, self.left_out = place, classes, left_out
        self.file = InstancesFile(place, is_labelled=False)
        self._keys = {picture.file_name: key for key, picture in self.file.images.items()}

    def images(self) -> list[str]:
        """The names of files."""
        return list(self._keys)

    def read(self, name: str, record: ImageRecord) -> dict[str, np.ndarray]:
        """The mask of an image, from all its annotations."""
        key, where = self._keys[name], f"{self.place}: image {name!r}"
        size = self.file.images[key].size
        if size is not None:
            check_size(where, *size, record)
        if not self.file.outlines(key).all():
            raise IrnError(f"{where}: an annotation has a box and no segmentation; give it a mask, or take it out")
        names = {index: self.file.names[index] for index in self.file.classes(key)}
        label_of_index = {i: label_of(where, n, self.classes) for i, n in names.items() if n not in self.left_out}
        masks, indices, crowd = self.file.masks(key, record.height, record.width)
        labels = np.array([label_of_index.get(int(index), 0) for index in indices], np.int64)
        void = crowd | (labels == 0)
        return mask_of_objects(masks[~void], labels[~void], masks[void].any(0))


MASKS = CocoMasks
