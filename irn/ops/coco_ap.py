"""COCO's average precision of instance masks, over all objects and by their size, by pycocotools."""

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pycocotools import mask as drawing
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from irn.ops.average_precision import MEAN_AP, Masks, Pieces
from irn.ops.crops import crops_of_numbers
from irn.ops.metric import Column, Metric, Terms, TrueImage
from irn.ops.run_lengths import run_lengths

# Of COCO, by the area of an object in pixels: up to 32^2, up to 96^2, and above; after them all together.
SIZES = ("small", "medium", "large")
OF_SIZES = tuple(
    Column(f"{name}_{size}", f"{name}_{size}", by_size=True) for name in ("AP50", "recall50") for size in SIZES
)
Runs = dict[str, Any]


class CocoImage(NamedTuple):
    """An image: height and width; true objects as (class index, is crowd, runs); predictions with their score."""

    size: tuple[int, int]
    objects: list[tuple[int, bool, Runs]]
    predictions: list[tuple[int, float, Runs]]


class Evaluation(NamedTuple):
    """What COCO's evaluation says by overlap T, class C and size A, the first of which is all; NaN where no object is.

    precision: (T, 101, C, A) float64, at 101 recalls. recall: (T, C, A) float64, the highest.
    """

    precision: np.ndarray
    recall: np.ndarray


class CocoAP(Metric):
    """Average precision of masks that may overlap, the mean over overlaps as tables of networks have it, and by size.

    By size, a prediction does not count that matches an object of another size, or none and has another size itself.
    Overlap is IoU 0.5 there, and in all scores an image has at most 100 predictions of a class.
    """

    columns: ClassVar[tuple[Column, ...]] = (MEAN_AP, *OF_SIZES)
    needs_objects = True
    overlaps: ClassVar[int] = 10  # how many from 0.50 on, in steps of 0.05

    def __init__(self, terms: Terms) -> None:
        self.class_count = terms.class_count
        self.images: list[CocoImage] = []
        self._evaluation: Evaluation | None = None

    def add(self, truth: TrueImage, predicted: Any) -> None:
        """Keep the objects and predictions of an image, as run lengths."""
        objects = [
            (label - 1, is_crowd, runs)
            for is_crowd, (masks, labels) in ((False, truth.objects), (True, truth.crowds))
            for label, runs in zip(labels.tolist(), encoded(masks), strict=True)
        ]
        height, width = truth.class_mask.shape
        self.images.append(CocoImage((height, width), objects, self._runs(predicted)))
        self._evaluation = None

    def _runs(self, predicted: Masks) -> list[tuple[int, float, Runs]]:
        """The predictions of an image as `CocoImage` has them."""
        runs = encoded(predicted.masks)
        return list(zip(predicted.classes.tolist(), predicted.scores.tolist(), runs, strict=True))

    def merge(self, other: "CocoAP") -> None:
        """Add the images of another, as if they had been added here next."""
        self.images += other.images
        self._evaluation = None

    def scores(self, column: Column) -> np.ndarray:
        """(C,) float64 in [0, 1]; NaN for classes without any object, or any of the column's size."""
        if self._evaluation is None:
            self._evaluation = evaluated(self.images, self.class_count, self.overlaps)
        precision, recall = self._evaluation
        if column not in OF_SIZES:
            return precision[..., 0].mean((0, 1))
        name, size = column.name.split("_")
        place = 1 + SIZES.index(size)
        return precision[0, ..., place].mean(0) if name == "AP50" else recall[0, ..., place]


class PieceSizeAP(CocoAP):
    """The same of instance labels, by size alone, and without pieces of score 0, which are not used as labels."""

    columns = OF_SIZES
    overlaps = 1

    def _runs(self, predicted: Pieces) -> list[tuple[int, float, Runs]]:  # type: ignore[override]
        rows = np.flatnonzero(np.asarray(predicted.scores) > 0)
        crops = crops_of_numbers(predicted.instance_map, (rows + 1).tolist())
        return [
            (
                int(predicted.classes[row]),
                float(predicted.scores[row]),
                run_lengths(mask, down.start, across.start, predicted.instance_map.shape),
            )
            for row, ((down, across), mask) in zip(rows, crops, strict=True)
        ]


def encoded(masks: Iterable[np.ndarray]) -> list[Runs]:
    """Run lengths of (H, W) bool masks."""
    return [drawing.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]


def evaluated(images: Iterable[CocoImage], class_count: int, overlaps: int) -> Evaluation:
    """COCO's evaluation of images at the first `overlaps` of IoU 0.50, 0.55, ... 0.95."""
    # Class by class: what pycocotools keeps of all classes in all images grows with both, and few images have a class.
    of_classes: list[list[CocoImage]] = [[] for _ in range(class_count)]
    for image in images:
        of_image: dict[int, CocoImage] = {}
        for entry in image.objects:
            of_image.setdefault(entry[0], CocoImage(image.size, [], [])).objects.append(entry)
        for prediction in image.predictions:
            of_image.setdefault(prediction[0], CocoImage(image.size, [], [])).predictions.append(prediction)
        for index, part in of_image.items():
            of_classes[index].append(part)
    parts = [_of_one_class(of_class, overlaps) for of_class in of_classes]
    return Evaluation(*(np.stack(arrays, -2) for arrays in zip(*parts, strict=True)))


def _of_one_class(images: Sequence[CocoImage], overlaps: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of `Evaluation` for the only class in these images, without its dimension."""
    areas = len(SIZES) + 1
    if not any(image.objects for image in images):
        return np.full((overlaps, 101, areas), np.nan), np.full((overlaps, areas), np.nan)
    truth = COCO()
    truth.dataset, predictions = _as_coco(images)
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        # pycocotools takes no empty list of results.
        predicted = truth.loadRes(predictions) if predictions else COCO()
        evaluation = COCOeval(truth, predicted, "segm")
        evaluation.params.iouThrs = evaluation.params.iouThrs[:overlaps]
        evaluation.evaluate()
        evaluation.accumulate()
    # The last axis is the most predictions of an image, 100 as the last; -1 is undefined.
    precision, recall = (evaluation.eval[name][..., 0, :, 2] for name in ("precision", "recall"))
    return np.where(precision > -1, precision, np.nan), np.where(recall > -1, recall, np.nan)


def _as_coco(images: Sequence[CocoImage]) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Images and annotations of one class as an instances file has them, and predictions as COCO's results."""
    rows: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for image_id, image in enumerate(images):
        rows.append({"id": image_id, "height": image.size[0], "width": image.size[1]})
        for _, is_crowd, runs in image.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": int(is_crowd),
                    "area": float(drawing.area(runs)),
                    "segmentation": runs,
                    "bbox": drawing.toBbox(runs).tolist(),
                }
            )
        for _, score, runs in image.predictions:
            predictions.append({"image_id": image_id, "category_id": 1, "score": score, "segmentation": runs})
    return {"images": rows, "annotations": annotations, "categories": [{"id": 1}]}, predictions
