"""A page on this machine on which to accept, reject and correct the labels of a run."""

import os
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from irn.data.corrected.cache import open_corrected
from irn.data.corrected.places import CLASSES
from irn.data.doubt_table import read_doubts
from irn.data.findings import some
from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.progress import notice
from irn.records import ImageRecord
from irn.report.run_folder import RunFolder
from irn.review.corrections import MOST_OBJECTS, Corrections, Decision
from irn.review.lock import only_review
from irn.review.server import HOST, listening
from irn.review.session import ReviewedRun, Session


def review(run: Path, out: Path | None = None, port: int = 8765, no_browser: bool = False) -> None:
    """Serve the page until Ctrl-C, then say what was decided and what to type next.

    Parameters
    ----------
    run: the run's folder, results/<run>/.
    out: the folder of corrections. By default that of the run's dataset.corrected if it holds index PNGs, else
        corrected/<run>/ beside results/, where neither the store nor `make clean` removes anything. What the run has
        been given from elsewhere is copied into it, as far as nothing is decided there.
    port: of 127.0.0.1; 0 for any free one.

    Raises
    ------
    IrnError for a folder that is not a run's, a run without labels, images that are missing, a folder of corrections
    that cannot be read or that another review is open on, and a port that is taken.
    """
    place = _corrected(RunFolder(run)) if out is None else out
    with only_review(place):
        session = open_session(run, place)
        with listening(session, port) as server:
            print(f"corrections: {place}/, {_decided(session)}")
            print(f"open {server.address}")
            _open_browser(server.address, server.server_port, no_browser)
            print("Ctrl-C ends the review; decisions and edits are saved as you go", flush=True)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
    print(f"\n{_decided(session)}")
    if session.corrections.masks:
        print(*session.next_step)


def open_session(run: Path, out: Path | None = None) -> Session:
    """A review of a run's labels, as `review` serves it, and with its parameters and errors."""
    folder = RunFolder(run)
    reviewed = _open(folder)
    labels = folder.settings.labels
    images = read_manifest(folder.stages["build_manifest"].folder / "manifest.csv")
    thresholds = labels.semantic_threshold, labels.instance_threshold
    place = _corrected(folder) if out is None else out
    corrections = Corrections(place, images, reviewed.classes.names, thresholds)
    _take_over(folder, corrections)
    return Session(reviewed, corrections, _next_step(corrections.folder, folder.project))


def _open(folder: RunFolder) -> ReviewedRun:
    """The images of a run that have labels and are trained on, in the order in which to look at them."""
    manifest, table = folder.file("build_manifest", "manifest.csv"), folder.file("build_manifest", "labels.csv")
    files = {kind: folder.caches(stage) for kind, stage in (("label", "make_labels"), ("walk", "random_walk"))}
    if not (manifest and table and all(files.values())):
        raise IrnError(f"{folder.folder}: no labels to review; run snakemake first, at least --until make_labels")
    classes = read_classes(table)
    labels, walks = (CacheReader(paths, kind, len(classes.names)) for kind, paths in files.items())
    records = [
        record
        for record in read_manifest(manifest, folder.settings.dataset.train_split)
        if record.image_id in labels and record.image_id in walks
    ]
    if not records:
        raise IrnError(f"{folder.folder}: no image that is trained on has a label; run snakemake first")
    missing = [record for record in records if not record.path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more of {len(records)} images)" if len(missing) > 1 else ""
        raise IrnError(f"{missing[0].path}: no such image{more}; put the images back, or run snakemake again")
    ordered, order = _in_order(records, folder.folder / "doubt.csv")
    return ReviewedRun(folder.name, ordered, order, classes, labels, walks, folder.settings)


def _in_order(records: Sequence[ImageRecord], doubt: Path) -> tuple[Sequence[ImageRecord], str]:
    """The images in the order of the table of doubt, if there is one, and what that order is."""
    if not doubt.exists():
        return records, "in the order of the manifest"
    place = {row.image_id: number for number, row in enumerate(read_doubts(doubt))}
    return sorted(records, key=lambda record: place.get(record.image_id, len(place))), "the most doubtful first"


def _corrected(folder: RunFolder) -> Path:
    """Where corrections lie: where the run has taken some from, or else beside results/, which one may remove."""
    before = folder.settings.dataset.corrected
    if before and (folder.project / before / CLASSES).is_dir():
        return _short(folder.project / before)
    return _short(folder.project / "corrected" / folder.name)


def _take_over(folder: RunFolder, corrections: Corrections) -> None:
    """Copy the masks that a run has been given from another place, which the next run would not read any more."""
    before = folder.settings.dataset.corrected
    if not before or (folder.project / before).resolve() == corrections.folder.resolve():
        return
    taken, beyond = corrections.take_over(open_corrected(folder.file("read_corrections", "corrected.h5")))
    if taken:
        print(f"{len(taken)} images that were corrected in {before} are copied to {corrections.folder}/")
    if beyond:
        notice(
            f"{len(beyond)} images of {before} have more than {MOST_OBJECTS} objects and are not copied, so the next"
            f" run would not have their corrections: {some(beyond)}"
        )


def _short(path: Path) -> Path:
    """The path from here, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _next_step(corrected: Path, project: Path) -> tuple[str, str]:
    """What to do with the corrections, in words, and the option of snakemake."""
    place = corrected.absolute()
    path = place.relative_to(project) if place.is_relative_to(project) else place
    words = shlex.quote(f"dataset={{corrected: {path}}}")
    return "To use the corrections, add this to your snakemake command:", f"--config {words}"


def _decided(session: Session) -> str:
    """How many images were decided, and how."""
    corrections, ids = session.corrections, {record.image_id for record in session.run.images}
    counts = dict.fromkeys(Decision, 0)
    for image_id in ids & corrections.decided.keys():
        counts[corrections.decided[image_id].decision] += 1
    parts = ", ".join(f"{count} {decision}" for decision, count in counts.items() if count)
    return f"{sum(counts.values())} of {len(ids)} images decided" + (f": {parts}" if parts else "")


def _open_browser(address: str, port: int, no_browser: bool) -> None:
    """Open the page where a browser would be seen; over ssh, say how to reach it."""
    if "SSH_CONNECTION" in os.environ:
        there = os.environ["SSH_CONNECTION"].split()
        host = there[2] if len(there) > 2 else "this-machine"
        print(f"from your own machine: ssh -L {port}:{HOST}:{port} {host}, then open that address there")
        return
    # A browser for terminals would take this one.
    has_display = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if has_display and not no_browser:
        webbrowser.open(address)
