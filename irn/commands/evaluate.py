"""Scores of CAMs, labels and predictions against ground truth masks."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from irn.data.corrected.cache import open_corrected, without_corrected
from irn.data.masks import open_truths
from irn.data.predictions import Predictions
from irn.data.score_table import Score, ThresholdScore, score_rows, summary, write_scores, write_thresholds
from irn.data.scoring import Counts, count_image, counted, label_sources, prediction_source
from irn.data.tables import images_by_split, read_classes
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.progress import notice
from irn.ops.iou import CamIoU, IoU
from irn.ops.metric import Terms
from irn.records import ImageRecord
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.settings import Settings
from irn.workflow.stages import EVALUATE


def evaluate(
    manifest: Path,
    labels: Path,
    out: Path,
    class_masks: Path,
    settings: Settings,
    cams: Sequence[Path] = (),
    refined_cams: Sequence[Path] = (),
    label_caches: Sequence[Path] = (),
    predictions: Sequence[tuple[str, Path]] = (),
    object_masks: Path | None = None,
    corrected: Path | None = None,
    split: str | None = None,
    thresholds_out: Path | None = None,
    workers: int | None = None,
) -> None:
    """Score caches and predictions against ground truth and write `scores.csv`.

    Parameters
    ----------
    class_masks, object_masks: folders with an index PNG `<image_id>.png` for each image, in the sizes of the
        manifest; or ground truth in the format of any other kind of data set, such as instances files of COCO.
    corrected: a cache of corrected masks, whose images are not scored.
    split: the split to score, or several joined by `+`; by default every split of the manifest. A stage is scored on
        a split when its caches hold images of it, and then they must hold all of them.
    predictions: of final networks, each with the stage that its scores have, such as `mask_rcnn_gt`, and its folder;
        scored on the splits of which the folder holds images, and then it must hold all of them.
    thresholds_out: where the mean IoU of the CAMs at each threshold goes, if anywhere.

    Raises
    ------
    IrnError for ground truth that is missing, of another size or kind or with classes beyond the labels table, for
    caches and predictions that lack images or hold none, for predictions of classes that the labels table lacks, and
    for those of one name that are given twice.
    """
    _check_request([*cams, *refined_cams], label_caches, predictions, thresholds_out)
    names, splits = read_classes(labels).names, images_by_split(manifest, split)
    terms = Terms(len(names), settings.evaluate.cam_threshold, settings.evaluate.refined_threshold)
    caches = ((cams, "cam"), (refined_cams, "refined"), (label_caches, "label"))
    readers = [CacheReader(paths, kind, classes=len(names)) for paths, kind in caches]
    for reader in readers:
        if reader.paths:
            _check_images(reader, ", ".join(map(str, reader.paths)), splits, manifest, all_splits=split is not None)
    predicted = {stage: Predictions(folder, names) for stage, folder in predictions}
    for source in predicted.values():
        # Of several splits, those that networks are trained on have labels and no predictions.
        _check_images(source, str(source.folder), splits, manifest, all_splits=False)
    sources = [
        *label_sources(*readers),
        *(prediction_source(stage, source, TRAINED_NETWORKS[stage].learns) for stage, source in predicted.items()),
    ]
    if object_masks is None:
        sources = [source for source in sources if not source.needs_objects]

    splits = without_corrected(splits, open_corrected(corrected))
    scores: list[Score] = []
    sweep: list[ThresholdScore] = []
    notices: list[str] = []
    for name, records in splits.items():
        # A source has all images of a split or none.
        scored = [source for source in sources if records[0].image_id in source.images]
        if not scored:
            continue
        objects = object_masks if any(source.needs_objects for source in scored) else None
        truth = open_truths(class_masks, objects, records, names, settings.dataset.leave_out or ())
        count, need = partial(count_image, scored, truth, terms), EVALUATE.resources.process.of
        counts = counted(count, records, workers, f"evaluate {name}", need)
        for stage, metrics in counts.items():
            for metric in metrics:
                scores += score_rows(stage, name, metric, names, len(records))
        sweep += _sweep(name, counts)
        notices += _harm(name, counts)
    with ExitStack() as files:
        write_scores(files.enter_context(whole_file(out)), scores)
        if thresholds_out:
            write_thresholds(files.enter_context(whole_file(thresholds_out)), sweep)
    print(summary(scores, sweep))
    for line in notices:
        notice(line)


def _check_request(
    cams: Sequence[Path],
    label_caches: Sequence[Path],
    predictions: Sequence[tuple[str, Path]],
    thresholds_out: Path | None,
) -> None:
    if not cams and not label_caches and not predictions:
        raise IrnError(
            "evaluate: nothing to score; give CAM caches (--cams, --refined-cams), label caches (--label-caches) or"
            " predictions (--predictions)"
        )
    stages = [stage for stage, _ in predictions]
    for stage in stages:
        if stages.count(stage) > 1:
            raise IrnError(f"--predictions: {stage} is given twice; give one folder of it")
    if thresholds_out and not cams:
        raise IrnError(
            f"{thresholds_out}: scores by threshold come from CAMs and none are given; add --cams or --refined-cams, or"
            " leave this file out"
        )


def _check_images(
    source: CacheReader | Predictions,
    place: str,
    splits: dict[str, list[ImageRecord]],
    manifest: Path,
    all_splits: bool,
) -> None:
    """Raise IrnError for a source with a part of a split, with no image, or, if need be, without one of the splits."""
    held = [records for records in splits.values() if any(record.image_id in source for record in records)]
    for records in splits.values() if all_splits else held:
        source.require(record.image_id for record in records)
    if not held:
        kind = "caches" if isinstance(source, CacheReader) else "predictions"
        raise IrnError(f"{place}: no image of {manifest} in these {kind}; give those that were made from this manifest")


def _sweep(split: str, counts: Counts) -> list[ThresholdScore]:
    """The mean IoU of CAMs, and of refined ones, at each threshold."""
    return [
        ThresholdScore(stage, split, threshold, mean, threshold == metric.threshold)
        for stage, metrics in counts.items()
        for metric in metrics
        if isinstance(metric, CamIoU)
        for threshold, mean in metric.means().items()
    ]


def _harm(split: str, counts: Counts) -> list[str]:
    """What to say where semantic labels score below the maps that they come from, at their best threshold."""
    maps = counts.get("refined") or counts.get("cam", ())
    cam = next((metric for metric in maps if isinstance(metric, CamIoU)), None)
    semantic = next((metric for metric in counts.get("semantic", ()) if isinstance(metric, IoU)), None)
    if cam is None or semantic is None:
        return []
    best, reached = max(cam.means().values()), semantic.mean(semantic.columns[0])
    if not reached < best:
        return []
    pixels = semantic.confusion
    true, labelled = (1 - pixels.sum(axis)[0] / pixels.sum() for axis in (1, 0))
    remedy = "raise" if labelled > true else "lower"
    return [
        f"{split}: semantic labels ({reached:.3f}) score below the CAMs at their best threshold ({best:.3f}); they call"
        f" {labelled:.2f} of the pixels foreground, ground truth {true:.2f}: {remedy} labels.semantic_threshold, and"
        " look at the boundary maps in the panels"
    ]
