"""From a data set of any kind to the two tables that all stages after it read."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from irn import data
from irn.data.listing import Listed
from irn.data.tables import ImageRecord, write_classes, write_manifest
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.io.progress import progress
from irn.settings import Settings


def build_manifest(
    kind: str,
    root: Path,
    out_manifest: Path,
    out_labels: Path,
    settings: Settings,
    labels_csv: Path | None = None,
) -> None:
    """List the images of a data set with their sizes and splits, and the classes present in each.

    Parameters
    ----------
    kind: the kind of data set, one of `irn.data.KINDS`; its module says what lies in the folder.
    root: the data set's folder.
    out_manifest, out_labels: the tables to write. Both hold the same images in the same order: that of the lists (VOC
        layout) or of the file names (folder).
    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the data set's own classes.

    Notes
    -----
    Sizes are those of the stored pixels: an EXIF orientation is not applied, here or when images are read.

    Raises
    ------
    IrnError for anything missing, an image without labels, a split without images of its own, an id with other characters than
    letters, digits, `_`, `.` and `-`, a file that is not an image or not RGB. Then nothing is written.
    """
    if kind not in data.KINDS:
        raise IrnError(f"data set kind {kind!r} is not known; expected one of {', '.join(data.KINDS)}")
    root = Path(root).absolute()
    if not root.is_dir():
        remedy = "make it with irn make-demo-data, or fix the path" if kind == "demo" else "fix the path of the data set"
        raise IrnError(f"{root}: no such folder; {remedy}")
    reader, splits = data.kind(kind), settings.dataset.splits
    labels_csv = Path(labels_csv) if labels_csv is not None else None
    inputs = [*(root / name for name in reader.WATCHED), *map(Path, splits or ()), *([labels_csv] if labels_csv else [])]
    _check_outputs(Path(out_manifest), Path(out_labels), inputs)
    images, classes = reader.read(root, splits, labels_csv)
    records = _measure(images)
    # Both tables appear only after both were written.
    with whole_file(out_manifest) as manifest_file, whole_file(out_labels) as labels_file:
        write_manifest(manifest_file, records)
        write_classes(labels_file, classes)


def _check_outputs(out_manifest: Path, out_labels: Path, inputs: Sequence[Path]) -> None:
    """IrnError where an output would overwrite the other or a table that is read."""
    if out_manifest.resolve() == out_labels.resolve():
        raise IrnError(f"{out_manifest}: named for both the manifest and the labels; give two names")
    for out in (out_manifest, out_labels):
        if out.resolve() in [path.resolve() for path in inputs]:
            raise IrnError(f"{out}: writing there would replace a table that this command reads; choose another name for the output")


def _measure(images: Sequence[Listed]) -> list[ImageRecord]:
    """Manifest rows, with the sizes in the files' headers; IrnError where an image is not RGB."""
    headers = [_read_header(image.path) for image in progress(images, len(images), "read image sizes")]
    others = [(image.path, mode) for image, (_, _, mode) in zip(images, headers, strict=True) if mode != "RGB"]
    if others:
        path, mode = others[0]
        raise IrnError(
            f"{path}: image mode is {mode}, expected RGB ({len(others)} of {len(images)} images are not RGB); grey, palette and alpha "
            "images are not converted in silence: convert the files first, for example with Pillow's convert('RGB')"
        )
    return [ImageRecord(i.image_id, i.path, height, width, i.split) for i, (height, width, _) in zip(images, headers, strict=True)]


def _read_header(path: Path) -> tuple[int, int, str]:
    """Height and width in pixels and Pillow's mode, without decoding the image."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width, picture.mode
    except (OSError, Image.DecompressionBombError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file or take it out of the data set") from None
