"""What the page asks for and sends: images, labels at any thresholds, decisions."""

import io
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from irn.data.images import read_record
from irn.data.tables import ImageClasses
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.inference.labels import labels_of
from irn.io.cache import CacheReader
from irn.ops.panoptic import panoptic
from irn.pictures.class_colours import class_colours
from irn.pictures.colours import distinct_colours
from irn.records import ImageRecord
from irn.review.corrections import MOST_OBJECTS, Corrections, Decided, Decision
from irn.review.runs import KEPT, map_of, runs_of
from irn.settings.settings import Settings

KEPT_WALKS = 4  # images whose walks stay in memory
Thresholds = tuple[float, float]


class ReviewedRun(NamedTuple):
    """What is reviewed: a run's name, images in the order of the page, how that order is called, and their labels."""

    name: str
    images: Sequence[ImageRecord]
    order: str
    classes: ImageClasses
    labels: CacheReader
    walks: CacheReader
    settings: Settings


class Session:
    """A review that is going on. Methods may be called from several threads; images go by their index."""

    def __init__(self, run: ReviewedRun, corrections: Corrections, next_step: tuple[str, str]) -> None:
        self.run, self.corrections, self.next_step = run, corrections, next_step
        self._walks: OrderedDict[int, Mapping[str, np.ndarray]] = OrderedDict()
        self._reading, self._writing = threading.Lock(), threading.Lock()

    @property
    def thresholds(self) -> Thresholds:
        """The run's own, semantic and instance."""
        labels = self.run.settings.labels
        return labels.semantic_threshold, labels.instance_threshold

    def overview(self) -> dict[str, Any]:
        """All that the page shows beside the image."""
        begun = self.corrections.all_begun()
        images = [
            {"id": record.image_id, "begun": record.image_id in begun, "decision": self._decision(record)}
            for record in self.run.images
        ]
        colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in distinct_colours(MOST_OBJECTS)]
        return {
            "run": self.run.name,
            "order": self.run.order,
            "classes": self.run.classes.names,
            "class_colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in class_colours()[1:]],
            "colours": colours,
            "folder": str(self.corrections.folder),
            "next": list(self.next_step),
            "images": images,
        }

    def photograph(self, index: int) -> bytes:
        """An image as the networks read it, as a JPEG; IrnError for one that cannot be read."""
        file = io.BytesIO()
        Image.fromarray(read_record(self.run.images[index])).save(file, "JPEG", quality=94, subsampling=0)
        return file.getvalue()

    def label(self, index: int, thresholds: Thresholds | None = None) -> dict[str, Any]:
        """The label of an image as the page has it.

        That of the walk at two thresholds; without any, what was begun or decided or, before, the run's own label.
        More objects than an index PNG holds are left out, and `too_many` says how many there are; else it is 0.
        Raises IrnError for caches and masks that cannot be read.
        """
        record = self.run.images[index]
        if thresholds is not None:
            return self._as_sent(record, *self._at(index, thresholds), thresholds)
        begun = self.corrections.begun(record.image_id)
        if begun is not None:
            try:
                objects, classes, values = self._received(record, begun)
            except IrnError:
                pass  # of an image that has changed since
            else:
                return self._as_sent(record, objects, classes, values)
        return self._as_sent(record, *self._settled(record))

    def begin(self, index: int, label: dict[str, Any]) -> dict[str, Any]:
        """Keep what the page has of an image, before it is decided on, unless all edits have been undone.

        Raises IrnError for what is not a label of this image.
        """
        record = self.run.images[index]
        begun = not self._is_settled(record, *self._received(record, label))
        with self._writing:
            self.corrections.begin(record.image_id, label if begun else None)
        return {"begun": begun, "decision": self._decision(record)}

    def decide(self, index: int, label: dict[str, Any]) -> dict[str, Any]:
        """Write the decision on an image, its `action`: "accept", with its label as the page has it, or another one.

        An accepted label that is not the run's has been corrected. "undecided" takes the decision back.
        Raises IrnError for what is not a label of this image.
        """
        record, action = self.run.images[index], label.get("action")
        if action == "undecided":
            with self._writing:
                self.corrections.take_back(record.image_id)
            return {"begun": False, "decision": None}
        objects, classes = np.zeros((record.height, record.width), np.uint8), np.zeros(0, np.int64)
        thresholds = self.thresholds
        if action == "accept":
            objects, classes, thresholds = self._received(record, label)
            same = self._is_of_run(record, objects, classes)
            decision = Decision.ACCEPTED if same else Decision.CORRECTED if objects.any() else Decision.NOTHING_HERE
        elif action in (Decision.NOTHING_HERE, Decision.LEFT_OUT):
            decision = Decision(action)
        else:
            raise IrnError(f"action: {action!r}; expected accept, nothing here, left out or undecided")
        with self._writing:
            self.corrections.decide(record.image_id, Decided(decision, thresholds), objects, classes)
        return {"begun": False, "decision": decision}

    def _decision(self, record: ImageRecord) -> str | None:
        decided = self.corrections.decided.get(record.image_id)
        return decided.decision if decided else None

    def _settled(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, Thresholds]:
        """Objects, classes and thresholds as they were decided or, before that, as the run has labelled them."""
        decided = self.corrections.decided.get(record.image_id)
        if decided is None:
            return *self._of_run(record), self.thresholds
        if decided.decision == Decision.LEFT_OUT:
            return *self._of_run(record), decided.thresholds
        with self._writing:
            return *self.corrections.label(record), decided.thresholds

    def _is_settled(
        self, record: ImageRecord, objects: np.ndarray, classes: np.ndarray, thresholds: Thresholds
    ) -> bool:
        try:
            *label, values = self._settled(record)
        except IrnError:
            return False  # masks that cannot be read
        return values == thresholds and np.array_equal(_without_names(objects, classes), _without_names(*label))

    def _of_run(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
        """Objects and classes as the run has labelled them."""
        with self._reading:
            return panoptic(self.run.labels.image(record))

    def _at(self, index: int, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray]:
        """Objects and classes from the walk."""
        semantic, instance = thresholds
        if not (0 <= semantic < 1 and 0 <= instance < 1):
            raise IrnError(f"thresholds: {semantic} and {instance}; expected numbers of at least 0 and below 1")
        record, settings = self.run.images[index], self.run.settings
        with self._reading:
            if index not in self._walks:
                self._walks[index] = self.run.walks.image(record, ["walk", "walk_class"])
            self._walks.move_to_end(index)
            while len(self._walks) > KEPT_WALKS:
                self._walks.popitem(last=False)
            maps = self._walks[index]
        values = {"semantic_threshold": semantic, "instance_threshold": instance}
        changed = settings.model_copy(update={"labels": settings.labels.model_copy(update=values)})
        return panoptic(labels_of(maps, record.height, record.width, changed))

    def _is_of_run(self, record: ImageRecord, objects: np.ndarray, classes: np.ndarray) -> bool:
        by_run, classes_by_run = self._of_run(record)
        return np.array_equal(_without_names(objects, classes), _without_names(by_run, classes_by_run))

    def _as_sent(
        self, record: ImageRecord, objects: np.ndarray, classes: np.ndarray, thresholds: Thresholds
    ) -> dict[str, Any]:
        too_many = len(classes) if len(classes) > MOST_OBJECTS else 0
        if too_many:
            objects, classes = np.zeros_like(objects), classes[:0]
        return {
            "height": record.height,
            "width": record.width,
            "present": self.run.classes.of(record.image_id),
            "objects": runs_of(objects),
            "classes": classes.tolist(),
            "thresholds": list(thresholds),
            "too_many": too_many,
        }

    def _received(self, record: ImageRecord, label: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, Thresholds]:
        """Objects, classes and thresholds that the page sent; objects without a pixel are left out."""
        classes, thresholds = label.get("classes"), label.get("thresholds")
        if not isinstance(classes, list) or len(classes) > MOST_OBJECTS:
            raise IrnError(f"classes: expected a list of at most {MOST_OBJECTS}")
        if not all(type(index) is int and 0 <= index < len(self.run.classes.names) for index in classes):
            raise IrnError(f"classes: expected indices below {len(self.run.classes.names)}")
        if not isinstance(thresholds, list) or len(thresholds) != 2 or not all(map(_is_share, thresholds)):
            raise IrnError("thresholds: expected two numbers from 0 to 1")
        objects = map_of(label.get("objects"), record.height, record.width, len(classes))
        present = np.unique(objects[objects > 0])
        row = np.zeros(len(classes) + 2, np.int32)
        row[present] = np.arange(1, len(present) + 1)
        row[KEPT] = KEPT  # the last
        return row[objects], np.array(classes, np.int64)[present - 1], (float(thresholds[0]), float(thresholds[1]))


def _is_share(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number) and 0 <= number <= 1


def _without_names(objects: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(2, H, W): the class at each pixel, and the first pixel of its object; what numbering has no part in."""
    _, first, dense = np.unique(objects, return_index=True, return_inverse=True)
    return np.stack([np.concatenate([[0], classes + 1, [UNSURE]])[objects], first[dense].reshape(objects.shape)])
