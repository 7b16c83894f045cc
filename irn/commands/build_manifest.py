"""From a data set of any kind to the two tables that all stages after it read."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from irn import data
from irn.data.listing import Listed
from irn.data.tables import ImageRecord, write_classes, write_manifest
from irn.errors import IrnError
from irn.io.files import whole_file
from irn.io.images import EXPECTED, is_colour
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
        layout), of the instances files (COCO layout) or of the file names (folder).
    labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the data set's own classes.

    Notes
    -----
    Sizes are those of the stored pixels: an EXIF orientation is not applied, here or when images are read.

    Raises
    ------
    IrnError for anything missing, an image without labels, a split without images of its own, an id with other characters than
    letters, digits, `_`, `.` and `-`, a file that is not an image, cannot be turned into RGB or has another size than its
    annotations say. Then nothing is written.
    """
    if kind not in data.KINDS:
        raise IrnError(f"data set kind {kind!r} is not known; expected one of {', '.join(data.KINDS)}")
    root = Path(root).absolute()
    if not root.is_dir():
        remedy = "make it with irn make-demo-data, or fix the path" if kind == "demo" else "fix the path of the data set"
        raise IrnError(f"{root}: no such folder; {remedy}")
    reader, splits = data.kind(kind), settings.dataset.splits
    labels_csv = Path(labels_csv) if labels_csv is not None else None
    inputs = [*reader.watched(root), *map(Path, splits or ()), *([labels_csv] if labels_csv else [])]
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


class Header(NamedTuple):
    """Height and width in pixels, Pillow's mode, and whether that is or turns into RGB."""

    height: int
    width: int
    mode: str
    is_colour: bool


def _measure(images: Sequence[Listed]) -> list[ImageRecord]:
    """Manifest rows, with the sizes in the files' headers; says how many images are not RGB, and IrnError where one cannot be."""
    headers = [_read_header(image.path) for image in progress(images, len(images), "read image sizes")]
    refused = [(image.path, header.mode) for image, header in zip(images, headers, strict=True) if not header.is_colour]
    if refused:
        path, mode = refused[0]
        raise IrnError(f"{path}: image mode is {mode} ({len(refused)} of {len(images)} images cannot be read as RGB); {EXPECTED}")
    turned = Counter(header.mode for header in headers if header.mode != "RGB")
    if turned:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(turned.items()))
        print(f"{turned.total()} of {len(images)} images are not RGB and are turned into it when they are read ({modes})")
    for image, header in zip(images, headers, strict=True):
        if image.size not in (None, header[:2]):
            raise IrnError(
                f"{image.path}: {header.height} x {header.width} pixels, but the annotations say {image.size[0]} x {image.size[1]};"
                " give the image that was annotated"
            )
    return [ImageRecord(i.image_id, i.path, h.height, h.width, i.split) for i, h in zip(images, headers, strict=True)]


def _read_header(path: Path) -> Header:
    """What the header of an image file says; only an image with an alpha channel is decoded."""
    try:
        with Image.open(path) as picture:
            return Header(picture.height, picture.width, picture.mode, is_colour(picture))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file or take it out of the data set") from None
