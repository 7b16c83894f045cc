"""COCO's average precision of instance masks, by pycocotools."""

import io
from collections.abc import Iterable
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from irn.ops.average_precision import MEAN_AP, Masks
from irn.ops.metric import Column, Metric, Terms, TrueImage

Runs = dict[str, Any]


class CocoImage(NamedTuple):
    """An image: height and width; true objects as (class index, is crowd, runs); predictions with their score."""

    size: tuple[int, int]
    objects: list[tuple[int, bool, Runs]]
    predictions: list[tuple[int, float, Runs]]


class CocoAP(Metric):
    """Average precision of masks that may overlap, the mean over overlaps as tables of networks have it."""

    columns = (MEAN_AP,)
    needs_objects = True

    def __init__(self, terms: Terms) -> None:
        self.class_count = terms.class_count
        self.images: list[CocoImage] = []

    def add(self, truth: TrueImage, predicted: Masks) -> None:
        """Keep the objects and predictions of an image, as run lengths."""
        objects = [
            (label - 1, is_crowd, runs)
            for is_crowd, (masks, labels) in ((False, truth.objects), (True, truth.crowds))
            for label, runs in zip(labels.tolist(), encoded(masks), strict=True)
        ]
        runs_of_masks = encoded(predicted.masks)
        predictions = zip(predicted.classes.tolist(), predicted.scores.tolist(), runs_of_masks, strict=True)
        height, width = truth.class_mask.shape
        self.images.append(CocoImage((height, width), objects, list(predictions)))

    def merge(self, other: "CocoAP") -> None:
        """Add the images of another, as if they had been added here next."""
        self.images += other.images

    def scores(self, column: Column) -> np.ndarray:
        """(C,) float64 in [0, 1]; NaN for classes without any object."""
        return coco_average_precision(self.images, self.class_count)


def encoded(masks: np.ndarray) -> list[Runs]:
    """Run lengths of (N, H, W) bool masks."""
    return [run_lengths.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]


def coco_average_precision(images: Iterable[CocoImage], class_count: int) -> np.ndarray:
    """(C,) float64, the mean over IoU 0.50, 0.55, ... 0.95 of the precision at 101 recalls.

    NaN for classes without any object.
    """
    categories = [index + 1 for index in range(class_count)]
    dataset, predictions = _as_coco(images)
    truth = COCO()
    truth.dataset = dataset | {"categories": [{"id": number} for number in categories]}
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        # pycocotools takes no empty list of results.
        predicted = truth.loadRes(predictions) if predictions else COCO()
        evaluation = COCOeval(truth, predicted, "segm")
        evaluation.params.imgIds = [row["id"] for row in dataset["images"]]
        evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
    # Overlaps, recalls, classes, all areas, at most 100 predictions an image; -1 is undefined.
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return np.where(precision > -1, precision, np.nan).mean((0, 1))


def _as_coco(images: Iterable[CocoImage]) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Images and annotations as an instances file has them, and predictions as COCO's results."""
    rows: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for image_id, image in enumerate(images):
        rows.append({"id": image_id, "height": image.size[0], "width": image.size[1]})
        for index, is_crowd, runs in image.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": index + 1,
                    "iscrowd": int(is_crowd),
                    "area": float(run_lengths.area(runs)),
                    "segmentation": runs,
                    "bbox": run_lengths.toBbox(runs).tolist(),
                }
            )
        for index, score, runs in image.predictions:
            predictions.append({"image_id": image_id, "category_id": index + 1, "score": score, "segmentation": runs})
    return {"images": rows, "annotations": annotations}, predictions
