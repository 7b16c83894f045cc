"""Corrected masks of a data set's images, of whatever format."""

from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from irn.data.corrected.masks import CorrectedMasks
from irn.data.corrected.places import format_of
from irn.data.findings import Findings
from irn.data.listing import Listed
from irn.data.names import names_of
from irn.data.row_names import Names
from irn.records import ImageRecord

Mask = dict[str, np.ndarray]


class Corrections:
    """Corrected masks, each with the id of its image in the data set.

    place: a file or folder, in a format that `irn.data.corrected.places` tells. classes: names in their order.
    left_out: names that are void, in formats that have names.
    Findings get a problem for each mask of an unknown image, and for two of one image.
    Raises IrnError for a place that is of no such format or cannot be read.
    """

    def __init__(
        self,
        place: Path,
        images: Sequence[Listed],
        classes: Sequence[str],
        findings: Findings,
        left_out: Collection[str] = (),
    ) -> None:
        self.place = place
        masks: type[CorrectedMasks] = import_module(format_of(place)).MASKS
        self._masks = masks(place, classes, left_out)
        known = Names(images)
        self._name_of: dict[str, str] = {}
        for name in self._masks.images():
            candidates = known.candidates(name)
            if len(candidates) == 1 and candidates[0] not in self._name_of:
                self._name_of[candidates[0]] = name
            elif len(candidates) == 1:
                findings.problem(place, f"two masks of image {candidates[0]!r}", "leave one of them out")
            elif candidates:
                problem = f"image {name!r} could be any of {len(candidates)} images"
                findings.problem(place, problem, "name the image by its folder too, or by its id")
            else:
                findings.problem(place, f"unknown image {name!r}", "name it as in the data set, or take its mask out")

    @property
    def ids(self) -> list[str]:
        """The ids of the images that have a corrected mask."""
        return list(self._name_of)

    def read(self, record: ImageRecord) -> Mask:
        """The mask of an image: `label` and `instances` of an IR label cache; IrnError for one that does not do."""
        return self._masks.read(self._name_of[record.image_id], record)

    def readable(
        self, record_of: Callable[[str], ImageRecord], findings: Findings
    ) -> Iterator[tuple[ImageRecord, Mask]]:
        """Each image with its mask; a problem for each that does not do. `record_of` gives the image of an id."""
        for image_id in self.ids:
            with findings.collected():
                record = record_of(image_id)
                yield record, self.read(record)


def listed(record: ImageRecord) -> Listed:
    """An image of a manifest as its data set lists it, as far as its id and path tell."""
    *_, name = names_of(record.image_id, record.path)
    return Listed(name, record.path, record.split)
