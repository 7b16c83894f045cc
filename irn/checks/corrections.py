"""Corrected masks beside the data set that they belong to."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from irn.data.corrected.places import format_of
from irn.data.corrected.reading import Corrections, listed
from irn.data.findings import Findings
from irn.data.images import look
from irn.data.kinds import KINDS
from irn.data.listing import Listed
from irn.data.tables import read_classes, read_manifest
from irn.errors import IrnError
from irn.records import ImageRecord


def check_corrections(
    place: Path,
    images: Sequence[Listed],
    classes: Sequence[str],
    record_of: Callable[[str], ImageRecord],
    findings: Findings,
    left_out: Collection[str],
) -> None:
    """Read all corrected masks; a problem for each of an unknown image, of another size, or with an unknown class.

    images, classes, left_out: of the data set. record_of: gives the image of an id, with its size.
    """
    with findings.collected():
        corrections = Corrections(place, images, classes, findings, left_out)
        count = sum(1 for _ in corrections.readable(record_of, findings))
        findings.note(f"{place}: corrected masks of {count} of {len(images)} images")


def refuse_bad_corrections(dataset: Any, tables: tuple[Path, Path] | None) -> None:
    """Raise IrnError, before a run, if the corrected masks of a data set do not do; with the first of the problems.

    dataset: the section of the settings.
    tables: the manifest and the labels table, where they have been made. Otherwise the data set itself is read; of one
        that has to be drawn first, only the format of the masks is checked.
    """
    place, kind, findings = Path(dataset.corrected), KINDS[dataset.kind], Findings()
    left_out = dataset.leave_out or ()
    if tables:
        records = {record.image_id: record for record in read_manifest(tables[0])}
        names = read_classes(tables[1]).names
        check_corrections(place, list(map(listed, records.values())), names, records.__getitem__, findings, left_out)
    elif kind.is_drawn:
        format_of(place)
    else:
        root, labels_csv = Path(dataset.root).absolute(), Path(dataset.labels_csv) if dataset.labels_csv else None
        try:
            images, table = kind.layout.read(root, dataset.splits, labels_csv, Findings(), left_out)
            table = table.without(left_out)
        except (IrnError, OSError):
            return  # irn build-manifest refuses the data set, with all that is wrong
        by_id = {image.image_id: image for image in images}

        def record_of(image_id: str) -> ImageRecord:
            return _record(by_id[image_id], dataset)

        check_corrections(place, images, table.names, record_of, findings, left_out)
    if findings.problems:
        more = len(findings.problems) - 1
        raise IrnError(f"{findings.problems[0]}" + (f" ({more} more; irn check-data lists all)" if more else ""))


def _record(image: Listed, dataset: Any) -> ImageRecord:
    seen = look(image.path, dataset.colours())
    if isinstance(seen, IrnError):
        raise seen
    return ImageRecord(image.image_id, image.path, seen.height, seen.width, image.split, dataset.colours())
