"""Scores of CAMs, semantic labels and instance labels against ground truth masks."""

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from irn.cache import CacheReader
from irn.errors import IrnError
from irn.files import whole_file
from irn.ops.scores import (
    AP_THRESHOLDS,
    SWEEP_THRESHOLDS,
    VOID,
    CamSweep,
    InstanceScores,
    class_iou,
    confusion_matrix,
    mean_of_defined,
    object_classes,
)
from irn.parallel import default_workers, map_in_order
from irn.progress import progress
from irn.tables import RESERVED_CLASSES, ImageRecord, read_labels, read_manifest

BACKGROUND, MEAN = RESERVED_CLASSES
# Overlap thresholds behind each metric; their average precisions are averaged.
AP_METRICS = {"AP25": (0.25,), "AP50": (0.5,), "AP70": (0.7,), "AP75": (0.75,), "AP": AP_THRESHOLDS}


class Score(NamedTuple):
    """One row of `scores.csv`; `value` is a fraction, NaN where undefined."""

    stage: str
    split: str
    metric: str
    class_name: str
    value: float
    images: int


class Sources(NamedTuple):
    """What is scored, and the folders of ground truth."""

    cams: CacheReader
    label_caches: CacheReader
    class_masks: Path
    object_masks: Path | None


@dataclass
class Tally:
    """What has been counted over some images of one split; None where a stage is not scored."""

    cam: CamSweep | None
    semantic: np.ndarray | None
    instance: InstanceScores | None

    def merge(self, other: "Tally") -> None:
        """Add the images that were counted next."""
        if self.cam and other.cam:
            self.cam.merge(other.cam)
        if self.semantic is not None and other.semantic is not None:
            self.semantic += other.semantic
        if self.instance and other.instance:
            self.instance.merge(other.instance)


@dataclass(frozen=True)
class Count:
    """Count one image of a split."""

    sources: Sources
    class_count: int
    thresholds: Sequence[float]
    has_cams: bool
    has_labels: bool

    def __call__(self, record: ImageRecord) -> Tally:
        tally = self.empty()
        _count_image(record, tally, self.sources, self.class_count)
        return tally

    def empty(self) -> Tally:
        return Tally(
            cam=CamSweep(self.class_count, self.thresholds) if self.has_cams else None,
            semantic=np.zeros((self.class_count + 1, self.class_count + 1), np.int64) if self.has_labels else None,
            instance=InstanceScores(self.class_count) if self.has_labels and self.sources.object_masks else None,
        )


def evaluate(
    manifest: Path,
    labels: Path,
    out: Path,
    class_masks: Path,
    cams: Sequence[Path] = (),
    label_caches: Sequence[Path] = (),
    object_masks: Path | None = None,
    split: str | None = None,
    cam_threshold: float = 0.15,
    thresholds_out: Path | None = None,
    workers: int | None = None,
) -> None:
    """Score caches against ground truth and write `scores.csv`.

    Parameters
    ----------
    class_masks, object_masks: folders with an index PNG `<image_id>.png` for each image, in the sizes of the manifest.
    split: the split to score; by default every split of the manifest. A stage is scored on a split when its caches hold
        images of it, and then they must hold all of them.
    cam_threshold: background score in [0, 1] of the CAM rows.
    thresholds_out: where the mean IoU of the CAMs at each threshold goes, if anywhere.

    Raises
    ------
    IrnError for ground truth that is missing, of another size or kind or with classes beyond the labels table, for a cache
    that lacks images or holds none, and for a threshold outside [0, 1].
    """
    _check_request(cams, label_caches, cam_threshold, thresholds_out)
    names = read_labels(labels).names
    splits: dict[str, list[ImageRecord]] = {}
    for record in read_manifest(manifest, split):
        splits.setdefault(record.split, []).append(record)
    sources = Sources(CacheReader(cams, "cam"), CacheReader(label_caches, "label"), Path(class_masks), object_masks and Path(object_masks))
    for reader in (sources.cams, sources.label_caches):
        _check_cache(reader, splits, manifest, split)

    sweep_thresholds = sorted({*SWEEP_THRESHOLDS, cam_threshold})
    scores: list[Score] = []
    sweep: list[tuple[str, float, float]] = []
    for name, records in splits.items():
        tally = _count(name, records, sources, len(names), sweep_thresholds, workers)
        scores += _scores(name, tally, names, len(records), cam_threshold)
        if tally.cam:
            means = [mean_of_defined(iou) for iou in class_iou(tally.cam.confusions())]
            sweep += [(name, threshold, mean) for threshold, mean in zip(sweep_thresholds, means, strict=True)]
    with ExitStack() as files:
        _write(files.enter_context(whole_file(out)), Score._fields, scores)
        if thresholds_out:
            _write(files.enter_context(whole_file(thresholds_out)), ("split", "threshold", "mIoU"), sweep)
    print(summary(scores, sweep, cam_threshold))


def read_index_png(path: Path, height: int, width: int) -> np.ndarray:
    """Read the values of a palette or grey PNG as (height, width) integers; the palette's colours play no part.

    Raises IrnError for a file that is missing, unreadable, of another size, in colour, or of one bit a pixel.
    """
    try:
        with Image.open(path) as picture:
            # Pillow reads one-bit grey as truth values, which leaves open whether white is index 1 or 255.
            if picture.mode not in ("P", "L", "I", "I;16"):
                raise IrnError(
                    f"{path}: mask mode is {picture.mode}, expected an index PNG (P or L); save the class or object numbers themselves"
                )
            mask = np.array(picture)
    except FileNotFoundError:
        raise _no_mask(path) from None
    except (OSError, SyntaxError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file") from None
    if mask.shape != (height, width):
        raise IrnError(
            f"{path}: the mask is {mask.shape[0]} x {mask.shape[1]} pixels, the manifest says {height} x {width}; give its own mask"
        )
    return mask


def summary(scores: Sequence[Score], sweep: Sequence[tuple[str, float, float]], cam_threshold: float) -> str:
    """A table of the means, one line for each split and stage, and a line for the best CAM threshold of each split."""
    means: dict[tuple[str, str, int], dict[str, float]] = {}
    for score in scores:
        if score.class_name == MEAN:
            means.setdefault((score.split, score.stage, score.images), {})[score.metric] = score.value
    metrics = [name for name in ("mIoU", *AP_METRICS) if any(name in row for row in means.values())]
    lines = [["split", "stage", "images", *metrics]]
    for (split, stage, images), row in means.items():
        lines.append([split, stage, str(images), *(_text(row[name]) if name in row else "" for name in metrics)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    for split in dict.fromkeys(row[0] for row in sweep):
        curve = {threshold: mean for name, threshold, mean in sweep if name == split}
        best = max(curve, key=lambda threshold: -1.0 if math.isnan(curve[threshold]) else curve[threshold])
        text.append(
            f"{split}: best CAM threshold {best:g}, mIoU {_text(curve[best])} (at {cam_threshold:g}: {_text(curve[cam_threshold])})"
        )
    return "\n".join(text)


def _check_request(cams: Sequence[Path], label_caches: Sequence[Path], cam_threshold: float, thresholds_out: Path | None) -> None:
    if not cams and not label_caches:
        raise IrnError("evaluate: nothing to score; give CAM caches (--cams), label caches (--label-caches) or both")
    if not 0 <= cam_threshold <= 1:
        raise IrnError(f"evaluate: the CAM threshold is {cam_threshold}, expected a number from 0 to 1; the published one is 0.15")
    if thresholds_out and not cams:
        raise IrnError(f"{thresholds_out}: scores by threshold come from CAMs and none are given; add --cams or leave this file out")


def _no_mask(path: Path) -> IrnError:
    return IrnError(f"{path}: no such mask; add it, take the image out of the manifest or choose a split that has masks")


def _check_cache(reader: CacheReader, splits: dict[str, list[ImageRecord]], manifest: Path, split: str | None) -> None:
    """Raise IrnError when a split has some images in the caches but not all, or no split has any, or not the one asked for."""
    if not reader.paths:
        return
    held = [records for records in splits.values() if any(record.image_id in reader for record in records)]
    for records in splits.values() if split else held:
        reader.require(record.image_id for record in records)
    if not held:
        raise IrnError(f"{_paths(reader)}: holds no image of {manifest}; give the caches that were made from this manifest")


def _count(
    split: str, records: Sequence[ImageRecord], sources: Sources, class_count: int, thresholds: Sequence[float], workers: int | None
) -> Tally:
    """One pass over the images of a split."""
    # A split is wholly in a cache or not at all.
    has_cams, has_labels = records[0].image_id in sources.cams, records[0].image_id in sources.label_caches
    count = Count(sources, class_count, thresholds, has_cams, has_labels)
    tally = count.empty()
    if not has_cams and not has_labels:
        return tally
    # Before the long loop, so that the mistake shows at once.
    for folder in (sources.class_masks, sources.object_masks if tally.instance else None):
        for path in (folder / _mask_name(record) for record in records if folder):
            if not path.is_file():
                raise _no_mask(path)
    workers = default_workers(len(records)) if workers is None else workers
    counted = map_in_order(count, records, workers, lambda record: record.image_id)
    for found in progress(counted, len(records), f"evaluate {split}"):
        tally.merge(found)
    return tally


def _count_image(record: ImageRecord, tally: Tally, sources: Sources, class_count: int) -> None:
    truth = read_index_png(sources.class_masks / _mask_name(record), record.height, record.width)
    beyond = truth[(truth > class_count) & (truth != VOID)]
    if beyond.size:
        raise IrnError(
            f"{sources.class_masks}: the mask of image {record.image_id!r} holds value {beyond[0]}, "
            f"expected 0 to {class_count} or {VOID}; mend the mask or give the labels table of this data set"
        )
    if tally.cam is not None:
        arrays = _read(sources.cams, record, ("classes", "high_res"))
        _check_values(sources.cams, record, "classes", arrays["classes"], class_count - 1)
        tally.cam.add(truth, arrays["classes"], arrays["high_res"])
    if tally.semantic is not None:
        names = ("semantic", "instance_map", "instance_class", "instance_score") if tally.instance else ("semantic",)
        arrays = _read(sources.label_caches, record, names)
        semantic = arrays["semantic"]
        _check_values(sources.label_caches, record, "semantic", semantic, class_count)
        tally.semantic += confusion_matrix(truth, semantic, class_count)
    if tally.instance is not None and sources.object_masks:
        objects, ids, labels = _read_objects(sources.object_masks / _mask_name(record), record, truth)
        classes = arrays["instance_class"]
        _check_values(sources.label_caches, record, "instance_class", classes, class_count - 1)
        _check_values(sources.label_caches, record, "instance_map", arrays["instance_map"], len(classes))
        tally.instance.add(classes, arrays["instance_score"], arrays["instance_map"], objects, ids, labels)


def _read_objects(path: Path, record: ImageRecord, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The object mask (H, W), the values in it that are objects, and 1 + class index of each."""
    objects = read_index_png(path, record.height, record.width)
    ids, labels = object_classes(objects, truth)
    if (labels == 0).any():
        raise IrnError(
            f"{path}: object {ids[labels == 0][0]} lies on background alone in the class mask, "
            f"expected its class number or {VOID} (void) there; mend one of the two masks"
        )
    # An object that is void all over is none to be found.
    return objects, ids[labels != VOID], labels[labels != VOID]


def _mask_name(record: ImageRecord) -> str:
    return f"{record.image_id}.png"


def _read(reader: CacheReader, record: ImageRecord, names: Sequence[str]) -> dict[str, np.ndarray]:
    size = reader.size(record.image_id)
    if size != (record.height, record.width):
        raise IrnError(
            f"{_paths(reader)}: image {record.image_id!r} is {size[0]} x {size[1]} pixels, "
            f"the manifest says {record.height} x {record.width}; make the cache again from this manifest"
        )
    return reader.read(record.image_id, names)


def _check_values(reader: CacheReader, record: ImageRecord, name: str, values: np.ndarray, highest: int) -> None:
    if values.size and not 0 <= values.min() <= values.max() <= highest:
        found = values.max() if values.max() > highest else values.min()
        raise IrnError(
            f"{_paths(reader)}: image {record.image_id!r}, array {name!r} holds {found}, expected 0 to {highest}; "
            "give the caches and the labels table of one data set"
        )


def _scores(split: str, tally: Tally, names: Sequence[str], images: int, cam_threshold: float) -> list[Score]:
    """The rows of one split: for each metric the mean, then every class."""
    found: list[tuple[str, str, Sequence[str], np.ndarray]] = []
    with_background = [BACKGROUND, *names]
    if tally.cam is not None:
        confusion = tally.cam.confusions()[tally.cam.thresholds.index(cam_threshold)]
        found.append(("cam", "IoU", with_background, class_iou(confusion)))
    if tally.semantic is not None:
        found.append(("semantic", "IoU", with_background, class_iou(tally.semantic)))
    if tally.instance is not None:
        for metric, thresholds in AP_METRICS.items():
            found.append(("instance", metric, names, tally.instance.average_precision(thresholds).mean(1)))
    rows = []
    for stage, metric, classes, values in found:
        rows.append(Score(stage, split, "mIoU" if metric == "IoU" else metric, MEAN, mean_of_defined(values), images))
        rows += [Score(stage, split, metric, name, float(value), images) for name, value in zip(classes, values, strict=True)]
    return rows


def _write(path: Path, columns: Iterable[str], rows: Sequence[tuple]) -> None:
    header = ["class" if name == "class_name" else name for name in columns]
    table = pd.DataFrame(rows, columns=header)
    for name in ("value", "mIoU"):
        if name in table:
            table[name] = ["" if math.isnan(value) else f"{value:.6f}" for value in table[name]]
    table.to_csv(path, index=False, lineterminator="\n")


def _text(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def _paths(reader: CacheReader) -> str:
    return ", ".join(str(path) for path in reader.paths)
