"""What is scored of each image, and counting it: shared by all commands that score."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from irn.data.predictions import Predictions
from irn.data.truth import SplitTruth
from irn.io.cache import CacheReader
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.average_precision import Masks, Pieces
from irn.ops.iou import ClassMaps
from irn.ops.metric import Metric, Terms
from irn.ops.metrics import METRICS
from irn.records import ImageRecord

# The metrics of everything that is scored, such as a stage, by its name.
Counts = Mapping[Any, Sequence[Metric]]


class Source(NamedTuple):
    """A stage to score: where its images are, how what it says of one is read, and by which metrics that is scored."""

    stage: str
    images: Any  # says by `in` whether it has an image
    read: Callable[[Any, ImageRecord], Any]
    metrics: tuple[type[Metric], ...]

    @property
    def needs_objects(self) -> bool:
        """Whether it is scored against objects."""
        return any(metric.needs_objects for metric in self.metrics)


def label_sources(cams: CacheReader, refined: CacheReader, labels: CacheReader) -> list[Source]:
    """CAMs, refined CAMs, semantic and instance labels."""
    return [
        Source("cam", cams, _class_maps, METRICS["cam"]),
        Source("refined", refined, _class_maps, METRICS["refined"]),
        Source("semantic", labels, _label_map, METRICS["semantic"]),
        Source("instance", labels, _pieces, METRICS["instance"]),
    ]


def prediction_source(stage: str, predictions: Predictions, learns: Literal["classes", "objects"]) -> Source:
    """Predictions of a final network, scored as what it learns."""
    read = {"classes": Predictions.semantic, "objects": _masks}
    return Source(stage, predictions, read[learns], METRICS[learns])


def _class_maps(cams: CacheReader, record: ImageRecord) -> ClassMaps:
    arrays = cams.image(record, ("classes", "high_res"))
    return ClassMaps(arrays["classes"], arrays["high_res"])


def _label_map(labels: CacheReader, record: ImageRecord) -> np.ndarray:
    return labels.image(record, ("semantic",))["semantic"]


def _pieces(labels: CacheReader, record: ImageRecord) -> Pieces:
    return pieces_of(labels.image(record, ("instance_class", "instance_score", "instance_map")))


def pieces_of(arrays: Mapping[str, np.ndarray]) -> Pieces:
    """The instances in the arrays of a label cache."""
    return Pieces(arrays["instance_class"], arrays["instance_score"], arrays["instance_map"])


def _masks(predictions: Predictions, record: ImageRecord) -> Masks:
    masks, classes, scores = predictions.instances(record)
    return Masks(classes, scores, masks)


def count_image(sources: Sequence[Source], truth: SplitTruth, terms: Terms, record: ImageRecord) -> Counts:
    """What the metrics of each source count of one image, by stage."""
    counts: dict[str, list[Metric]] = {}
    true_image = truth.of(record)
    for source in sources:
        predicted = source.read(source.images, record)
        counts[source.stage] = [metric(terms) for metric in source.metrics]
        for metric in counts[source.stage]:
            metric.add(true_image, predicted)
    return counts


def counted(
    count: Callable[[ImageRecord], Counts],
    records: Sequence[ImageRecord],
    workers: int | None,
    what: str,
    need: Callable[[ImageRecord], float] | None = None,
) -> Counts:
    """The counts of all images, at least one; `workers` and `need` are those of `map_images`."""
    each = progress(map_images(count, records, workers, need), len(records), what)
    total = next(each)
    for counts in each:
        for name, metrics in total.items():
            for metric, more in zip(metrics, counts[name], strict=True):
                metric.merge(more)
    return total


def means(metrics: Sequence[Metric], names: Collection[str] | None = None) -> dict[str, float]:
    """The means over classes of some metrics, by their names: all, or those of some names."""
    return {
        column.mean: metric.mean(column)
        for metric in metrics
        for column in metric.columns
        if names is None or column.mean in names
    }
