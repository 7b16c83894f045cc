"""COCO's average precision of instance masks, by pycocotools."""

import io
from collections.abc import Iterable
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Runs = dict[str, Any]


class CocoImage(NamedTuple):
    """Of an image: height and width, true objects as (class index, is crowd, runs), and predictions as (class index, score, runs)."""

    size: tuple[int, int]
    objects: list[tuple[int, bool, Runs]]
    predictions: list[tuple[int, float, Runs]]


def encoded(masks: np.ndarray) -> list[Runs]:
    """Run lengths of (N, H, W) bool masks."""
    return [run_lengths.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]


def coco_average_precision(images: Iterable[CocoImage], class_count: int) -> np.ndarray:
    """(C,) float64, the mean over IoU 0.50, 0.55, ... 0.95 of the precision at 101 recalls; NaN for classes without any object."""
    objects: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    ids: list[dict[str, Any]] = []
    for image_id, image in enumerate(images):
        ids.append({"id": image_id, "height": image.size[0], "width": image.size[1]})
        for index, crowd, runs in image.objects:
            area = float(run_lengths.area(runs))
            row = {
                "id": len(objects) + 1,
                "image_id": image_id,
                "category_id": index + 1,
                "iscrowd": int(crowd),
                "area": area,
            }
            objects.append(row | {"segmentation": runs, "bbox": run_lengths.toBbox(runs).tolist()})
        for index, score, runs in image.predictions:
            found.append({"image_id": image_id, "category_id": index + 1, "score": score, "segmentation": runs})
    truth = COCO()
    truth.dataset = {
        "images": ids,
        "annotations": objects,
        "categories": [{"id": index + 1} for index in range(class_count)],
    }
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        # pycocotools takes no empty list of results.
        predicted = truth.loadRes(found) if found else COCO()
        evaluation = COCOeval(truth, predicted, "segm")
        evaluation.params.imgIds = [row["id"] for row in ids]
        evaluation.params.catIds = [index + 1 for index in range(class_count)]
        evaluation.evaluate()
        evaluation.accumulate()
    # Overlaps, recalls, classes, all areas, at most 100 predictions an image; -1 is undefined.
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return np.where(precision > -1, precision, np.nan).mean((0, 1))
