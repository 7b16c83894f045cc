"""The report of a run: one HTML file with what was run, its scores, and what its labels look like."""

from functools import partial
from pathlib import Path

from irn.data.corrected.cache import open_corrected
from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.report.doubtful import most_doubtful
from irn.report.facts import facts_of, ranked
from irn.report.gallery import cards
from irn.report.images import RunImages, draw
from irn.report.page import render
from irn.report.run_folder import RunFolder
from irn.report.warnings import warnings_of
from irn.settings.settings import Settings
from irn.workflow.recipes import STORE
from irn.workflow.stages import STAGES

CACHES = {stage.cache: stage.name for stage in STAGES if stage.cache}


def report(run: Path, out: Path, settings: Settings, workers: int | None = None) -> None:
    """Write the report of a run, with all that its folder has.

    Parameters
    ----------
    run: the run's folder, results/<run>/. With several seeds or a sweep, images are those of the run's own settings.
    out: an HTML file that needs no other file and no network.

    Raises
    ------
    IrnError for a folder that is not a run's, and for a run that has not listed its images yet.
    """
    folder = RunFolder(run)
    if STORE in out.parents and not folder.shows(out):
        raise IrnError(
            f"{run}: shows other settings by now, those of another snakemake; give each its own run (run: NAME), and"
            " repeat the same command"
        )
    manifest, labels = folder.file("build_manifest", "manifest.csv"), folder.file("build_manifest", "labels.csv")
    if not manifest or not labels:
        raise IrnError(
            f"{run}: no manifest and labels in build_manifest/; expected a run that has listed its images;"
            " run snakemake first"
        )
    # By corrected masks where there are some.
    records, classes = read_manifest(manifest), read_classes(folder.file("read_corrections", "labels.csv") or labels)
    corrected = open_corrected(folder.file("read_corrections", "corrected.h5"))
    caches = _open_caches(folder, len(classes.names))
    images = RunImages(caches, classes, folder.settings.walk.centroid_length, frozenset(corrected.ids))
    in_caches = {
        record.image_id: record
        for record in records
        if all(record.image_id in cache for cache in images.caches.values())
    }
    if "label" in images.caches:
        left_out = folder.settings.dataset.leave_out or ()
        images.open_truth(folder.masks(), list(in_caches.values()), folder.scored_splits, left_out)
    looked_at = list(in_caches.values()) if images.caches else []
    facts = list(map_images(partial(facts_of, images=images), looked_at, workers))
    ranking = ranked(facts, folder.scored_splits)
    places = ranking.places(settings.report.images)
    pictures = draw(images, [in_caches[ranking.images[place].image_id] for place in places], workers)
    gallery = cards(ranking, places, pictures, classes)
    doubtful = most_doubtful(folder.folder / "doubt.csv", in_caches, images, workers)
    text = render(
        folder, records, classes, facts, ranking, gallery, doubtful, warnings_of(folder, records, classes, facts)
    )
    with whole_file(out) as file:
        file.write_text(text, encoding="utf-8")


def _open_caches(folder: RunFolder, classes: int) -> dict[str, CacheReader]:
    """The caches that a run has made, by kind."""
    files = {kind: folder.caches(stage) for kind, stage in CACHES.items()}
    return {kind: CacheReader(paths, kind, classes=classes) for kind, paths in files.items() if paths}
