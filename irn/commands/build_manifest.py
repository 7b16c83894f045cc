"""From a data set of any kind to the two tables that all stages after it read."""

from collections.abc import Sequence
from pathlib import Path

from irn.checks.data_set import check_data_set
from irn.checks.summary import as_lines
from irn.data.coco_lists import write_own_ids
from irn.data.kinds import kind as kind_named
from irn.data.tables import write_classes, write_manifest
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.io.progress import notice
from irn.settings.settings import Settings


def build_manifest(
    kind: str,
    root: Path,
    out_manifest: Path,
    out_labels: Path,
    settings: Settings,
    labels_csv: Path | None = None,
    class_masks: Path | None = None,
    object_masks: Path | None = None,
    data_link: Path | None = None,
    workers: int | None = None,
) -> None:
    """List the images of a data set with their sizes and splits, and the classes present in each.

    Parameters
    ----------
    kind: the kind of data set, a key of `irn.data.kinds.KINDS`.
    root: the data set's folder.
    out_manifest, out_labels: the tables to write. Both hold the same images in the same order: that of the lists (VOC
        layout), of the instances files (COCO layout) or of the file names (folder).
    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the data set's own classes.
    class_masks, object_masks: where these masks lie, to be checked; by default the data set's own, if it has any.
    data_link: a link to `root`, beside the manifest or below it. Paths of images then go through it and count from the
        manifest; without it they are absolute.

    Notes
    -----
    Sizes are those of the image as shown: EXIF orientations are applied, here and when images are read.

    Raises
    ------
    IrnError for any problem that `irn.checks.data_set` finds. Then nothing is written; where there are
    several, all are printed.
    """
    root, splits = Path(root).absolute(), settings.dataset.splits
    labels_csv = Path(labels_csv) if labels_csv is not None else None
    inputs = [*kind_named(kind).layout.watched(root), *map(Path, splits or ()), *([labels_csv] if labels_csv else [])]
    _check_outputs(Path(out_manifest), Path(out_labels), inputs)
    data = check_data_set(
        kind,
        root,
        splits,
        labels_csv,
        class_masks,
        workers,
        settings.dataset.colours(),
        settings.dataset.leave_out,
        object_masks,
    )
    if len(data.findings.problems) != 1:
        print("\n".join(as_lines(data)))
    data.findings.check()
    for line in data.findings.notices:
        notice(line)
    # Both tables appear only after both were written.
    with whole_file(out_manifest) as manifest_file, whole_file(out_labels) as labels_file:
        write_manifest(manifest_file, data.records, root, data_link)
        write_classes(labels_file, data.classes)
    write_own_ids(Path(out_manifest), data.numbers, dict(zip(data.classes.names, data.classes.numbers, strict=False)))


def _check_outputs(out_manifest: Path, out_labels: Path, inputs: Sequence[Path]) -> None:
    """IrnError where an output would overwrite the other or a table that is read."""
    if out_manifest.resolve() == out_labels.resolve():
        raise IrnError(f"{out_manifest}: named for both the manifest and the labels; give two names")
    for out in (out_manifest, out_labels):
        if out.resolve() in [path.resolve() for path in inputs]:
            raise IrnError(
                f"{out}: writing there would replace a table that this command reads; choose another name for the"
                " output"
            )
