"""What each part of the method adds: labels with and without it, each at its best threshold, scored against ground truth."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irn.data.images import read_record
from irn.data.masks import Truth, open_truths
from irn.data.score_table import AP_METRICS, ablation_table
from irn.data.tables import images_by_split, read_classes
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import notice, progress
from irn.ops.ablation import THRESHOLDS, VARIANTS, instance_variants, semantic_variants
from irn.ops.metrics import InstanceScores, class_iou, confusion_matrix, mean_of_defined
from irn.pictures.charts import draw_ablation
from irn.records import ImageRecord
from irn.settings.values import Settings
from irn.workflow.stages import ABLATION

SEMANTIC, INSTANCE = (
    [variant for variant in VARIANTS if variant.labels == labels] for labels in ("semantic", "instance")
)


class Sources(NamedTuple):
    """What labels are made from, and what they are scored against."""

    cams: CacheReader
    walks: CacheReader
    class_masks: Truth
    object_masks: Truth | None
    class_count: int


@dataclass
class Tally:
    """What has been counted over some images: confusions (variants, thresholds, labels, labels), and instances by variant and threshold."""

    semantic: np.ndarray
    instance: list[list[InstanceScores]] = field(default_factory=list)

    def merge(self, other: "Tally") -> None:
        """Add the images that were counted next."""
        self.semantic += other.semantic
        for own, others in zip(self.instance, other.instance, strict=True):
            for one, more in zip(own, others, strict=True):
                one.merge(more)


def ablation(
    manifest: Path,
    labels: Path,
    cams: Sequence[Path],
    walks: Sequence[Path],
    class_masks: Path,
    out: Path,
    settings: Settings,
    object_masks: Path | None = None,
    figure: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write a row for each variant of the labels, and draw them.

    Parameters
    ----------
    class_masks, object_masks: ground truth, as for `irn evaluate`; without objects there are no rows of instances.
    split: the split to score, or several joined by `+`; by default every split of the manifest.
    figure: where the picture goes, an SVG, if anywhere.

    Raises
    ------
    IrnError for ground truth that is missing or does not fit, an image that a cache lacks, and walks without groups.
    """
    names = read_classes(labels).names
    splits = images_by_split(manifest, split)
    cam_reader, walk_reader = (
        CacheReader(cams, "cam", classes=len(names)),
        CacheReader(walks, "walk", classes=len(names)),
    )
    for reader in (cam_reader, walk_reader):
        reader.require(record.image_id for records in splits.values() for record in records)
    rows = []
    max_side = settings.dataset.max_side
    for name, records in splits.items():
        sources = Sources(cam_reader, walk_reader, *open_truths(class_masks, object_masks, records, names), len(names))
        tally = _empty_tally(sources)
        counted = map_images(
            partial(_count_image, sources, max_side=max_side),
            records,
            workers,
            partial(ABLATION.process.of, max_side=max_side),
        )
        for found in progress(counted, len(records), f"ablation {name}"):
            tally.merge(found)
        rows += _rows(name, tally, len(records))
    table = ablation_table(rows)
    with ExitStack() as files:
        table.to_csv(files.enter_context(whole_file(out)), index=False, lineterminator="\n", float_format="%.6f")
        if figure:
            draw_ablation(table, files.enter_context(whole_file(figure)))
    print(
        table.drop(columns=["crf", "boundary", "displacement"]).to_string(index=False, float_format="%.3f", na_rep="")
    )
    for row in table[table["threshold"] == THRESHOLDS[-1]].to_dict("records"):
        notice(
            f"{row['split']}: {row['labels']} labels of {row['variant']} are best at the highest threshold tried, {row['threshold']:g}"
        )


def _empty_tally(sources: Sources) -> Tally:
    size = sources.class_count + 1
    tally = Tally(np.zeros((len(SEMANTIC), len(THRESHOLDS), size, size), np.int64))
    if sources.object_masks:
        tally.instance = [[InstanceScores(sources.class_count) for _ in THRESHOLDS] for _ in INSTANCE]
    return tally


def _count_image(sources: Sources, record: ImageRecord, max_side: int | None) -> Tally:
    tally = _empty_tally(sources)
    pixels = read_record(record)
    truth = sources.class_masks.class_mask(record)
    cams, walks = sources.cams.image(record), sources.walks.image(record)
    for counts, labels in zip(tally.semantic, semantic_variants(pixels, cams, walks, max_side), strict=True):
        counts += [confusion_matrix(truth, label, sources.class_count) for label in labels]
    if sources.object_masks:
        if "groups" not in walks:
            raise IrnError(
                f"{sources.walks.paths[0]}: image {record.image_id!r} has no groups; make the walk cache again"
            )
        objects = sources.object_masks.objects(record, truth)
        for scores, found in zip(
            tally.instance, instance_variants(cams, walks, record.height, record.width), strict=True
        ):
            for score, one in zip(scores, found, strict=True):
                score.add(one["instance_class"], one["instance_score"], one["instance_map"], *objects)
    return tally


def _rows(split: str, tally: Tally, images: int) -> list[dict[str, object]]:
    """A row for each variant, at the threshold where its mIoU or AP50 is highest."""
    rows = []
    for variant, confusions in zip(SEMANTIC, tally.semantic, strict=True):
        means = [mean_of_defined(iou) for iou in class_iou(confusions)]
        best = _highest(means)
        rows.append(
            {"split": split, **variant._asdict(), "threshold": THRESHOLDS[best], "mIoU": means[best], "images": images}
        )
    for variant, scores in zip(INSTANCE, tally.instance, strict=False):
        best = _highest([_mean_precision(score, AP_METRICS["AP50"]) for score in scores])
        metrics = {metric: _mean_precision(scores[best], overlaps) for metric, overlaps in AP_METRICS.items()}
        rows.append({"split": split, **variant._asdict(), "threshold": THRESHOLDS[best], **metrics, "images": images})
    return rows


def _mean_precision(scores: InstanceScores, overlaps: Sequence[float]) -> float:
    return mean_of_defined(scores.average_precision(overlaps).mean(1))


def _highest(values: Sequence[float]) -> int:
    """The first of the highest; undefined ones come last."""
    return int(np.argmax(np.nan_to_num(values, nan=-1.0)))
