"""Label caches as index PNGs in the layout of PASCAL VOC."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from irn.data.exported import labels_to_export
from irn.data.index_png import write_index_png
from irn.data.voc import LAYOUT
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.io.cache import CacheReader
from irn.io.files import whole_folder
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord
from irn.settings.settings import Settings


def export_voc(
    manifest: Path,
    label_caches: Sequence[Path],
    out: Path,
    settings: Settings,
    doubt: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write the masks of a split's images, `SegmentationClass/<image_id>.png` and `SegmentationObject/<image_id>.png`.

    The first holds the semantic label, 0 background and 1 + class index. The second numbers the pieces whose score is
    above 0 from 1, in the order of their rows; those of score 0 are 255, void. Both have VOC's palette. Neither
    folder may hold anything.

    Raises
    ------
    IrnError for a folder that holds something already, caches that lack an image, and more than 254 instances
    in an image.
    """
    if out.exists() and not out.is_dir():
        raise IrnError(f"{out}: is a file, expected a folder for the masks; give another name to --out")
    records, reader, _ = labels_to_export(manifest, label_caches, split, doubt=doubt, doubtful=settings.export.doubtful)
    with whole_folder(out / LAYOUT.class_masks) as classes, whole_folder(out / LAYOUT.object_masks) as objects:
        written = map_images(partial(_write, reader=reader, classes=classes, objects=objects), records, workers)
        for _ in progress(written, len(records), "export voc"):
            pass
    print(f"masks of {len(records)} images")


def _write(record: ImageRecord, reader: CacheReader, classes: Path, objects: Path) -> None:
    arrays = reader.image(record, ["semantic", "instance_map", "instance_score"])
    write_index_png(classes / f"{record.image_id}.png", arrays["semantic"].astype(np.uint8))
    write_index_png(
        objects / f"{record.image_id}.png", _objects(record, arrays["instance_map"], arrays["instance_score"])
    )


def _objects(record: ImageRecord, instance_map: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(height, width) uint8 of object numbers."""
    numbers = np.where(score > 0, np.cumsum(score > 0), UNSURE)
    if (score > 0).sum() >= UNSURE:
        raise IrnError(
            f"image {record.image_id!r}: {(score > 0).sum()} instances; an index PNG holds 254: export to COCO's"
            " format instead"
        )
    return np.concatenate([[0], numbers]).astype(np.uint8)[instance_map]
