"""What each part of the method adds: labels with and without it, each at its best threshold, and their scores."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.corrected.cache import open_corrected, without_corrected
from irn.data.images import read_record
from irn.data.masks import open_truths
from irn.data.score_table import PARTS, ablation_table
from irn.data.scoring import Counts, counted, means, pieces_of
from irn.data.tables import images_by_split, read_classes
from irn.data.truth import SplitTruth
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.progress import notice
from irn.ops.ablation import THRESHOLDS, Variant, instance_variants, semantic_variants, variants
from irn.ops.metric import Metric, Terms
from irn.ops.metrics import comparing, leading
from irn.pictures.charts import draw_ablation
from irn.records import ImageRecord
from irn.settings.settings import Settings
from irn.workflow.stages import ABLATION


class Sources(NamedTuple):
    """What labels are made from, and what they are scored against."""

    cams: Sequence[CacheReader]
    walks: CacheReader
    truth: SplitTruth


def ablation(
    manifest: Path,
    labels: Path,
    cams: Sequence[Path],
    walks: Sequence[Path],
    class_masks: Path,
    out: Path,
    settings: Settings,
    object_masks: Path | None = None,
    refined_cams: Sequence[Path] = (),
    corrected: Path | None = None,
    figure: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write a row for each variant of the labels, and draw them.

    Parameters
    ----------
    class_masks, object_masks: ground truth, as for `irn evaluate`; without objects there are no rows of instances.
    refined_cams: those that the walks start from, where they are not `cams` themselves; they have rows of their own.
    corrected: a cache of corrected masks, whose images are not scored.
    split: the split to score, or several joined by `+`; by default every split of the manifest.
    figure: where the picture goes, an SVG, if anywhere.

    Raises
    ------
    IrnError for ground truth that is missing or does not fit, an image that a cache lacks, and walks without groups.
    """
    names, splits = read_classes(labels).names, images_by_split(manifest, split)
    terms = Terms(len(names))
    cam_readers = [CacheReader(paths, "cam", classes=len(names)) for paths in (cams, refined_cams) if paths]
    walk_reader = CacheReader(walks, "walk", classes=len(names))
    for reader in (*cam_readers, walk_reader):
        reader.require(record.image_id for records in splits.values() for record in records)
    splits = without_corrected(splits, open_corrected(corrected))
    if not splits:
        raise IrnError(
            f"{corrected}: all images to score were corrected by hand; score others, or set ablation to false"
        )
    rows: list[Mapping[str, object]] = []
    notices: list[str] = []
    for name, records in splits.items():
        truths = open_truths(class_masks, object_masks, records, names, settings.dataset.leave_out or ())
        sources = Sources(cam_readers, walk_reader, truths)
        count = partial(_count_image, sources, terms, settings)
        need = partial(ABLATION.resources.process.of, max_side=settings.dataset.max_side)
        counts = counted(count, records, workers, f"ablation {name}", need)
        leading_scores = _leading_scores(counts)
        rows += _rows(name, counts, leading_scores, len(records))
        notices += _at_an_end(name, leading_scores)
    table = ablation_table(rows)
    with ExitStack() as files:
        table.to_csv(files.enter_context(whole_file(out)), index=False, lineterminator="\n", float_format="%.6f")
        if figure:
            draw_ablation(table, files.enter_context(whole_file(figure)))
    print(table.drop(columns=PARTS).to_string(index=False, float_format="%.3f", na_rep=""))
    for line in notices:
        notice(line)


def _count_image(sources: Sources, terms: Terms, settings: Settings, record: ImageRecord) -> Counts:
    """What the metrics count of each variant of an image's labels, by variant and threshold."""
    counts: dict[tuple[Variant, float], list[Metric]] = {}
    truth = sources.truth.of(record)
    for variant, labels in _labels(sources, record, settings):
        for threshold, label in zip(THRESHOLDS, labels, strict=True):
            counts[variant, threshold] = [metric(terms) for metric in comparing(variant.labels)]
            for metric in counts[variant, threshold]:
                metric.add(truth, label)
    return counts


def _labels(sources: Sources, record: ImageRecord, settings: Settings) -> Iterator[tuple[Variant, Sequence[Any]]]:
    """The labels of each variant, for each of THRESHOLDS, as its metrics take them.

    There are none of instances without object masks.
    """
    cams, walks = [reader.image(record) for reader in sources.cams], sources.walks.image(record)
    known = variants(refined=len(cams) > 1)
    semantic, instance = ([v for v in known if v.labels == labels] for labels in ("semantic", "instance"))
    labels_of_maps = semantic_variants(read_record(record), cams, walks, settings.dataset.max_side)
    yield from zip(semantic, labels_of_maps, strict=True)
    if sources.truth.objects is None:
        return
    if "groups" not in walks:
        raise IrnError(f"{sources.walks.paths[0]}: image {record.image_id!r} has no groups; make the walk cache again")
    section = settings.labels
    told = section.smallest_piece, section.maximum == "instance"
    pieces = instance_variants(cams, walks, record.height, record.width, *told)
    for variant, labels in zip(instance, pieces, strict=True):
        yield variant, [pieces_of(arrays) for arrays in labels]


def _rows(
    split: str, counts: Counts, leading_scores: Mapping[Variant, np.ndarray], images: int
) -> list[Mapping[str, object]]:
    """A row for each variant that was counted, at the threshold where its leading score is highest."""
    rows: list[Mapping[str, object]] = []
    for variant, scores in leading_scores.items():
        threshold = THRESHOLDS[int(scores.argmax())]
        values = {"threshold": threshold, **means(counts[variant, threshold]), "images": images}
        rows.append({"split": split, **variant._asdict(), **values})
    return rows


def _at_an_end(split: str, leading_scores: Mapping[Variant, np.ndarray]) -> list[str]:
    """What to say of variants that are best at the lowest or highest threshold tried, since others may be better."""
    lines = []
    for variant, scores in leading_scores.items():
        best = int(scores.argmax())
        # Where others are as good, as where all are 0, the end says nothing.
        if best in (0, len(THRESHOLDS) - 1) and (scores == scores[best]).sum() == 1:
            end = "highest" if best else "lowest"
            lines.append(
                f"{split}: {variant.labels} labels of {variant.name} are best at the {end} threshold tried,"
                f" {THRESHOLDS[best]:g}"
            )
    return lines


def _leading_scores(counts: Counts) -> dict[Variant, np.ndarray]:
    """The leading score of each variant that was counted, by threshold; -1 where undefined."""
    scores = {}
    for variant in dict.fromkeys(variant for variant, _ in counts):
        lead = leading(variant.labels)
        values = [means(counts[variant, threshold], [lead])[lead] for threshold in THRESHOLDS]
        scores[variant] = np.nan_to_num(values, nan=-1.0)
    return scores
