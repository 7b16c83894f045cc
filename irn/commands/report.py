"""The report of a run: one HTML file of what was run, its scores, and what its labels look like."""

from functools import partial
from pathlib import Path

import numpy as np

from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.ops.image_scores import best_overlaps, flat_maps, image_iou
from irn.ops.shares import label_shares
from irn.pictures.tiles import spread
from irn.records import ImageRecord
from irn.report.images import Facts, Sources, draw, ordered
from irn.report.page import Shown, render
from irn.report.run_folder import RunFolder
from irn.report.warnings import warnings_of
from irn.settings.values import Settings
from irn.workflow.stages import STAGES

CACHES = {stage.cache: stage.name for stage in STAGES if stage.cache}


def report(run: Path, out: Path, settings: Settings, workers: int | None = None) -> None:
    """Write the report of a run, of what there is in its folder.

    Parameters
    ----------
    run: the run's folder, results/<run>/. Of several seeds or a sweep, images are those of the run's own settings.
    out: an HTML file that needs no other file and no network.

    Raises
    ------
    IrnError for a folder that is not a run's, and one whose images were not listed yet.
    """
    folder = RunFolder(run)
    manifest, labels = folder.file("build_manifest", "manifest.csv"), folder.file("build_manifest", "labels.csv")
    if not manifest or not labels:
        raise IrnError(
            f"{run}: no manifest and labels in build_manifest/; expected a run that has listed its images; run"
            " snakemake first"
        )
    records, classes = read_manifest(manifest), read_classes(labels)
    caches = {
        kind: CacheReader(files, kind, classes=len(classes.names))
        for kind, stage in CACHES.items()
        if (files := folder.caches(stage))
    }
    sources = Sources(caches, classes, folder.settings.walk.centroid_length)
    held = [record for record in records if all(record.image_id in cache for cache in caches.values())]
    scored = folder.settings.dataset.eval_split.split("+")
    if "label" in caches:
        sources.open_truth(folder.masks(), held, scored)
    facts = list(map_images(partial(_look_at, sources), held, workers)) if caches else []
    order = ordered([image for image in facts if image.split in scored] or facts)
    places = spread(len(order.images), settings.report.images) if order.images else []
    by_id = {record.image_id: record for record in held}
    pictures = draw(sources, [by_id[order.images[place].image_id] for place in places], workers)
    shown = [Shown(order.images[place], place + 1, drawn) for place, drawn in zip(places, pictures, strict=True)]
    text = render(folder, records, classes, facts, order, shown, warnings_of(folder, classes, facts))
    with whole_file(out) as file:
        file.write_text(text, encoding="utf-8")


def _look_at(sources: Sources, record: ImageRecord) -> Facts:
    """What the caches hold of an image, and how good its labels are where there is ground truth."""
    caches, image_id = sources.caches, record.image_id
    flat: list[int] = []
    unsure = foreground = iou = overlaps = None
    pieces = 0
    if "cam" in caches:
        maps = caches["cam"].image(record, ["classes", "cam"])
        flat = maps["classes"][flat_maps(maps["cam"])].tolist()
    if "ir_label" in caches:
        unsure = label_shares(caches["ir_label"].image(record)["label"]).unsure
    if "label" in caches:
        label = caches["label"].image(record)
        foreground, pieces = label_shares(label["semantic"]).foreground, int((label["instance_score"] > 0).sum())
        if truth := sources.truth(record):
            iou = image_iou(truth.class_mask, label["semantic"], len(sources.classes.names))
            if truth.has_objects:
                overlaps = best_overlaps(
                    label["instance_class"], label["instance_score"], label["instance_map"], *truth.objects
                ).tolist()
    present = sources.classes.of(image_id)
    return Facts(
        image_id,
        record.split,
        present,
        flat,
        unsure,
        foreground,
        pieces,
        None if iou is None or np.isnan(iou) else iou,
        overlaps,
    )
