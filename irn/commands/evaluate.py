"""Scores of CAMs, semantic labels and instance labels against ground truth masks."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.masks import Truth, open_truths
from irn.data.predictions import Predictions
from irn.data.score_table import (
    AP_METRICS,
    BACKGROUND,
    Score,
    ThresholdScore,
    score_rows,
    summary,
    write_scores,
    write_thresholds,
)
from irn.data.tables import images_by_split, read_classes
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import notice, progress
from irn.ops.coco_ap import CocoImage, coco_average_precision, encoded
from irn.ops.metrics import SWEEP_THRESHOLDS, CamSweep, InstanceScores, class_iou, confusion_matrix, mean_of_defined
from irn.records import ImageRecord
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.values import Settings


class Sources(NamedTuple):
    """What is scored on a split, None where a stage is not, and what it is scored against."""

    cams: CacheReader | None
    label_caches: CacheReader | None
    class_masks: Truth
    object_masks: Truth | None
    class_count: int
    thresholds: Sequence[float]
    networks: Mapping[str, Predictions]


@dataclass
class NetworkTally:
    """What has been counted of a network's predictions: confusions of DeepLab; of Mask R-CNN instances by VOC's protocol and COCO's."""

    semantic: np.ndarray | None
    instance: InstanceScores | None
    images: list[CocoImage]

    def merge(self, other: "NetworkTally") -> None:
        """Add the images that were counted next."""
        if self.semantic is not None and other.semantic is not None:
            self.semantic += other.semantic
        if self.instance and other.instance:
            self.instance.merge(other.instance)
        self.images += other.images


@dataclass
class Tally:
    """What has been counted over some images of one split; None where a stage is not scored."""

    cam: CamSweep | None
    semantic: np.ndarray | None
    instance: InstanceScores | None
    networks: dict[str, NetworkTally]

    def merge(self, other: "Tally") -> None:
        """Add the images that were counted next."""
        if self.cam and other.cam:
            self.cam.merge(other.cam)
        if self.semantic is not None and other.semantic is not None:
            self.semantic += other.semantic
        if self.instance and other.instance:
            self.instance.merge(other.instance)
        for stage, own in self.networks.items():
            own.merge(other.networks[stage])


def evaluate(
    manifest: Path,
    labels: Path,
    out: Path,
    class_masks: Path,
    settings: Settings,
    cams: Sequence[Path] = (),
    label_caches: Sequence[Path] = (),
    predictions: Sequence[tuple[str, Path]] = (),
    object_masks: Path | None = None,
    split: str | None = None,
    thresholds_out: Path | None = None,
    workers: int | None = None,
) -> None:
    """Score caches and predictions against ground truth and write `scores.csv`.

    Parameters
    ----------
    class_masks, object_masks: folders with an index PNG `<image_id>.png` for each image, in the sizes of the manifest; or an
        instances file of COCO, or a folder of such files, named after the splits.
    split: the split to score, or several joined by `+`; by default every split of the manifest. A stage is scored on a split
        when its caches hold images of it, and then they must hold all of them.
    predictions: of final networks, each with the stage that its scores have, such as `mask_rcnn_gt`, and its folder; scored on
        splits of which the folder holds images.
    thresholds_out: where the mean IoU of the CAMs at each threshold goes, if anywhere.

    Raises
    ------
    IrnError for ground truth that is missing, of another size or kind or with classes beyond the labels table, for a
    cache that lacks images or holds none, and for predictions of one name that are given twice.
    """
    _check_request(cams, label_caches, predictions, thresholds_out)
    predicted = {stage: Predictions(folder) for stage, folder in predictions}
    cam_threshold = settings.evaluate.cam_threshold
    names = read_classes(labels).names
    splits = images_by_split(manifest, split)
    readers = [CacheReader(paths, kind, classes=len(names)) for paths, kind in ((cams, "cam"), (label_caches, "label"))]
    for reader in readers:
        _check_cache(reader, splits, manifest, split)

    thresholds = sorted({*SWEEP_THRESHOLDS, cam_threshold})
    scores: list[Score] = []
    sweep: list[ThresholdScore] = []
    harm: list[str] = []
    for name, records in splits.items():
        # A split is wholly in a cache or not at all.
        held = [reader if records[0].image_id in reader else None for reader in readers]
        networks = {stage: found for stage, found in predicted.items() if records[0].image_id in found}
        if not any(held) and not networks:
            continue
        truth = open_truths(class_masks, object_masks if held[1] or networks else None, records, names)
        sources = Sources(held[0], held[1], *truth, len(names), thresholds, networks)
        tally = _count(name, records, sources, workers)
        scores += _scores(name, tally, names, len(records), cam_threshold)
        if tally.cam:
            means = [mean_of_defined(iou) for iou in class_iou(tally.cam.confusions())]
            sweep += [ThresholdScore(name, threshold, mean) for threshold, mean in zip(thresholds, means, strict=True)]
            harm += _harm(name, tally.semantic, max(means))
    with ExitStack() as files:
        write_scores(files.enter_context(whole_file(out)), scores)
        if thresholds_out:
            write_thresholds(files.enter_context(whole_file(thresholds_out)), sweep)
    print(summary(scores, sweep, cam_threshold))
    for line in harm:
        notice(line)


def _check_request(
    cams: Sequence[Path],
    label_caches: Sequence[Path],
    predictions: Sequence[tuple[str, Path]],
    thresholds_out: Path | None,
) -> None:
    if not cams and not label_caches and not predictions:
        raise IrnError(
            "evaluate: nothing to score; give CAM caches (--cams), label caches (--label-caches) or predictions (--predictions)"
        )
    stages = [stage for stage, _ in predictions]
    for stage in stages:
        if stages.count(stage) > 1:
            raise IrnError(f"--predictions: {stage} is given twice; give one folder of it")
    if thresholds_out and not cams:
        raise IrnError(
            f"{thresholds_out}: scores by threshold come from CAMs and none are given; add --cams or leave this file out"
        )


def _check_cache(reader: CacheReader, splits: dict[str, list[ImageRecord]], manifest: Path, split: str | None) -> None:
    """Raise IrnError when a split has some images in the caches but not all, or no split has any, or not the one asked for."""
    if not reader.paths:
        return
    held = [records for records in splits.values() if any(record.image_id in reader for record in records)]
    for records in splits.values() if split else held:
        reader.require(record.image_id for record in records)
    if not held:
        files = ", ".join(map(str, reader.paths))
        raise IrnError(f"{files}: holds no image of {manifest}; give the caches that were made from this manifest")


def _count(split: str, records: Sequence[ImageRecord], sources: Sources, workers: int | None) -> Tally:
    """One pass over the images of a split."""
    tally = _empty_tally(sources)
    counted = map_images(partial(_count_image, sources), records, workers)
    for found in progress(counted, len(records), f"evaluate {split}"):
        tally.merge(found)
    return tally


def _empty_tally(sources: Sources) -> Tally:
    count = sources.class_count
    return Tally(
        cam=CamSweep(count, sources.thresholds) if sources.cams else None,
        semantic=np.zeros((count + 1, count + 1), np.int64) if sources.label_caches else None,
        instance=InstanceScores(count) if sources.label_caches and sources.object_masks else None,
        networks={stage: _empty_network(stage, sources) for stage in sources.networks},
    )


def _empty_network(stage: str, sources: Sources) -> NetworkTally:
    count = sources.class_count
    if TRAINED_NETWORKS[stage].learns == "classes":
        return NetworkTally(np.zeros((count + 1, count + 1), np.int64), None, [])
    return NetworkTally(None, InstanceScores(count) if sources.object_masks else None, [])


def _count_image(sources: Sources, record: ImageRecord) -> Tally:
    tally = _empty_tally(sources)
    truth = sources.class_masks.class_mask(record)
    if sources.cams and tally.cam:
        arrays = sources.cams.image(record, ("classes", "high_res"))
        tally.cam.add(truth, arrays["classes"], arrays["high_res"])
    if sources.label_caches:
        names = ("semantic", "instance_map", "instance_class", "instance_score") if tally.instance else ("semantic",)
        arrays = sources.label_caches.image(record, names)
        tally.semantic = confusion_matrix(truth, arrays["semantic"], sources.class_count)
        if sources.object_masks and tally.instance:
            found = sources.object_masks.objects(record, truth)
            tally.instance.add(arrays["instance_class"], arrays["instance_score"], arrays["instance_map"], *found)
    for stage, predictions in sources.networks.items():
        _count_network(tally.networks[stage], predictions, sources, record, truth)
    return tally


def _count_network(
    tally: NetworkTally, predictions: Predictions, sources: Sources, record: ImageRecord, truth: np.ndarray
) -> None:
    if tally.semantic is not None:
        tally.semantic += confusion_matrix(truth, predictions.semantic(record), sources.class_count)
    if tally.instance and sources.object_masks:
        masks, classes, scores = predictions.instances(record)
        objects, labels = sources.object_masks.objects(record, truth)
        crowds, crowd_labels = sources.object_masks.crowds(record)
        tally.instance.add_masks(classes, scores, masks, objects, labels)
        true = [(label - 1, False, runs) for label, runs in zip(labels.tolist(), encoded(objects), strict=True)]
        true += [(label - 1, True, runs) for label, runs in zip(crowd_labels.tolist(), encoded(crowds), strict=True)]
        tally.images.append(
            CocoImage(
                (record.height, record.width),
                true,
                list(zip(classes.tolist(), scores.tolist(), encoded(masks), strict=True)),
            )
        )


def _scores(split: str, tally: Tally, names: Sequence[str], images: int, cam_threshold: float) -> list[Score]:
    """The rows of one split: for each stage and metric the mean, then every class."""
    rows: list[Score] = []
    with_background = [BACKGROUND, *names]
    if tally.cam is not None:
        confusion = tally.cam.confusions()[tally.cam.thresholds.index(cam_threshold)]
        rows += score_rows("cam", split, "IoU", with_background, class_iou(confusion), images)
    if tally.semantic is not None:
        rows += score_rows("semantic", split, "IoU", with_background, class_iou(tally.semantic), images)
    if tally.instance is not None:
        for metric, thresholds in AP_METRICS.items():
            rows += score_rows(
                "instance", split, metric, names, tally.instance.average_precision(thresholds).mean(1), images
            )
    for stage, found in tally.networks.items():
        if found.semantic is not None:
            rows += score_rows(stage, split, "IoU", with_background, class_iou(found.semantic), images)
        if found.instance is not None:
            for metric, thresholds in AP_METRICS.items():
                # The mean over overlaps is COCO's, as tables of networks have it.
                coco = metric == "AP"
                values = (
                    coco_average_precision(found.images, len(names))
                    if coco
                    else found.instance.average_precision(thresholds).mean(1)
                )
                rows += score_rows(stage, split, metric, names, values, images)
    return rows


def _harm(split: str, semantic: np.ndarray | None, best_cam: float) -> list[str]:
    """What to say where semantic labels, whose confusions are given, score below the CAMs at their best threshold."""
    if semantic is None or not (reached := mean_of_defined(class_iou(semantic))) < best_cam:
        return []
    true, labelled = (1 - semantic.sum(axis)[0] / semantic.sum() for axis in (1, 0))
    remedy = "raise" if labelled > true else "lower"
    return [
        f"{split}: semantic labels ({reached:.3f}) score below the CAMs at their best threshold ({best_cam:.3f}); they call"
        f" {labelled:.2f} of the pixels foreground, ground truth {true:.2f}: {remedy} labels.semantic_threshold, and look at the"
        " boundary maps in the panels"
    ]
