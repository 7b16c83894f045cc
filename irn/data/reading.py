"""A data set as it is read: its images and their classes, as the two tables will hold them."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from irn.data.findings import Findings
from irn.data.images import Look, look
from irn.data.layout import Layout
from irn.data.listing import Listed
from irn.data.tables import ImageClasses
from irn.errors import IrnError
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import Colours, ImageRecord


class Contents(NamedTuple):
    """What a data set holds.

    seen: how each image looks, or why it cannot be read.
    records: rows of the manifest, of the images that can be read.
    classes: of these images.
    has_labels: whether any image that is listed has a class.
    """

    seen: dict[Listed, Look | IrnError]
    records: list[ImageRecord]
    classes: ImageClasses
    has_labels: bool


def read_data_set(
    layout: Layout,
    root: Path,
    splits: Sequence[str] | None,
    labels_csv: Path | None,
    colours: Colours,
    workers: int | None,
    findings: Findings,
    missing_remedy: str,
    left_out: Collection[str] = (),
) -> Contents:
    """Read a data set and open each of its images in full; what cannot be read goes to the findings.

    left_out: names that are taken out of the classes.
    """
    images: list[Listed] = []
    classes = ImageClasses([], {})
    with findings.collected():
        if not root.is_dir():
            raise IrnError(f"{root}: no such folder; {missing_remedy}")
        images, classes = layout.read(root, splits, labels_csv, findings, left_out)
        classes = classes.without(left_out)
    looks = progress(map_images(partial(_look, colours=colours), images, workers), len(images), "check images")
    seen = dict(zip(images, looks, strict=True))
    records = records_of(seen, colours, findings)
    present = {record.image_id: classes.present.get(record.image_id, []) for record in records}
    return Contents(
        seen, records, ImageClasses(classes.names, present, numbers=classes.numbers), any(classes.present.values())
    )


def records_of(seen: Mapping[Listed, Look | IrnError], colours: Colours, findings: Findings) -> list[ImageRecord]:
    """Rows of the manifest; problems of images that cannot be read or have another size than annotated."""
    records = []
    for image, seen_image in seen.items():
        if isinstance(seen_image, IrnError):
            findings.mistake(seen_image)
            continue
        height, width = seen_image.height, seen_image.width
        if image.size not in (None, (height, width)):
            size = f"{height} x {width} pixels{' as EXIF turns it' if seen_image.how.turned else ''}"
            problem = f"{size}, but the annotations say {image.size[0]} x {image.size[1]}"
            findings.problem(image.path, problem, "give the image that was annotated")
        records.append(ImageRecord(image.image_id, image.path, height, width, image.split, colours))
    return records


def _look(image: Listed, colours: Colours) -> Look | IrnError:
    return look(image.path, colours)
