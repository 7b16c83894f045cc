"""Everything that is wrong with a data set, at once."""

import json as jsons
from pathlib import Path

from irn.checks.corrections import check_corrections
from irn.checks.data_set import check_data_set
from irn.checks.summary import as_json, as_lines
from irn.data.corrected.reading import listed
from irn.io.files import whole_file
from irn.io.progress import notice
from irn.settings.settings import Settings


def check_data(
    kind: str,
    root: Path,
    settings: Settings,
    json: Path | None = None,
    labels_csv: Path | None = None,
    class_masks: Path | None = None,
    object_masks: Path | None = None,
    corrected: Path | None = None,
    workers: int | None = None,
) -> None:
    """Read a data set and open each image in full; print what it holds and a table of its problems.

    json: where the same is written for programs, if anywhere.
    corrected: masks that were corrected, to be checked too (docs/how-to/correct.md).

    Raises IrnError, after everything is printed, if there are problems.
    """
    data = check_data_set(
        kind,
        root,
        settings.dataset.splits,
        labels_csv,
        class_masks,
        workers,
        settings.dataset.colours(),
        settings.dataset.leave_out,
        object_masks,
    )
    if corrected and data.records:
        records = {record.image_id: record for record in data.records}
        images = list(map(listed, records.values()))
        check_corrections(
            corrected, images, data.classes.names, records.__getitem__, data.findings, settings.dataset.leave_out or ()
        )
    print("\n".join(as_lines(data)))
    for line in data.findings.notices:
        notice(line)
    if json:
        with whole_file(json) as partial:
            partial.write_text(jsons.dumps(as_json(data), indent=1) + "\n", encoding="utf-8")
    data.findings.check()
