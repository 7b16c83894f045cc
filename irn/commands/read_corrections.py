"""Corrected masks of some images, from the tool in which people corrected them, for the stages that use them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irn.data.corrected.reading import Corrections, listed
from irn.data.findings import Findings, some
from irn.data.tables import ImageClasses, read_classes, read_manifest, write_classes
from irn.grid import UNSURE
from irn.io.cache import CacheWriter
from irn.io.files import whole_file
from irn.io.progress import notice, progress
from irn.ops.object_masks import classes_in
from irn.settings.settings import Settings
from irn.workflow.provenance import provenance


def read_corrections(
    manifest: Path, labels: Path, corrected: Path, out: Path, out_labels: Path, settings: Settings
) -> None:
    """Write the masks as an IR label cache of the corrected images alone, and the labels table with their classes.

    Parameters
    ----------
    corrected: index PNGs, an instances file of COCO, Label Studio's export or labelme's files (docs/how-to/correct.md).
    out_labels: the table `labels` with the rows of corrected images as their masks have them. A mask that is void
        somewhere denies no class.

    Raises
    ------
    IrnError for an unknown image, a mask of another size or with an unknown class, and what cannot be read; where there
    are several such problems, all are printed. Then nothing is written.
    """
    records, table = {record.image_id: record for record in read_manifest(manifest)}, read_classes(labels)
    findings = Findings()
    left_out = settings.dataset.leave_out or ()
    corrections = Corrections(corrected, list(map(listed, records.values())), table.names, findings, left_out)
    present = dict(table.present)
    empty = 0
    with whole_file(out_labels) as labels_file:
        with CacheWriter(out, "ir_label", provenance("read_corrections", settings)) as cache:
            masks = corrections.readable(records.__getitem__, findings)
            for record, mask in progress(masks, len(corrections.ids), "read corrections"):
                cache.write(record.image_id, record.height, record.width, mask)
                present[record.image_id] = _present(mask["label"], table.of(record.image_id))
                empty += not mask["instances"].any()
            if len(findings.problems) > 1:
                print("\n".join(map(str, findings.problems)))
            findings.check()
        write_classes(labels_file, ImageClasses(table.names, present))
    print(f"{len(corrections.ids)} corrected images, {empty} of them without any object")
    changed = list(_changes(table, present))
    if changed:
        notice(
            f"corrected images with other classes than {labels.name} gives them: {len(changed)} ({some(changed)});"
            " labels and final networks use those of the masks, the classifier has learned from the table"
        )


def _present(label: np.ndarray, before: list[int]) -> list[int]:
    """The classes of a corrected image; a class that the table has may hide in void."""
    return sorted({*classes_in(label), *(before if (label == UNSURE).any() else [])})


def _changes(table: ImageClasses, present: dict[str, list[int]]) -> Iterator[str]:
    """What each image whose row changes gains and loses, in words."""
    for image_id, before in table.present.items():
        gained = [f"+{table.names[index]}" for index in present[image_id] if index not in before]
        lost = [f"-{table.names[index]}" for index in before if index not in present[image_id]]
        if gained or lost:
            yield f"{image_id} {' '.join(gained + lost)}"
