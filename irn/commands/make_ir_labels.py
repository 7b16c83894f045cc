"""Inter-pixel relation labels from class attention maps, by dense CRF."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from irn.data.corrected.cache import open_corrected
from irn.data.images import read_record
from irn.data.tables import images_of
from irn.inference.ir_labels import ir_label_of
from irn.io.cache import CacheReader, write_cache
from irn.io.parallel import map_images
from irn.io.progress import notice
from irn.ops.shares import Shares, label_shares
from irn.records import WHOLE, ImageRecord, Shard
from irn.settings.settings import Settings
from irn.workflow.provenance import provenance
from irn.workflow.stages import MAKE_IR_LABELS

PYDENSECRF_LATTICE = 1000  # bytes of a pixel, in place of those of this project's CRF
MUCH_UNSURE, LITTLE = 0.6, 0.02  # shares of the pixels at which the command says so


def make_ir_labels(
    manifest: Path,
    cams: Sequence[Path],
    out: Path,
    settings: Settings,
    corrected: Path | None = None,
    split: str | None = None,
    shard: Shard = WHOLE,
    workers: int | None = None,
) -> None:
    """Write an IR label cache of the images of a split, and say how the pixels divide.

    corrected: a cache of corrected masks; those of its images are taken over, with their objects told apart.
    """
    made_by = provenance("make_ir_labels", settings, split=split)
    records = images_of(manifest, split, shard)
    reader = CacheReader(cams, "cam")
    reader.require(record.image_id for record in records)
    masks = open_corrected(corrected)
    label = partial(_label, cams=reader, masks=masks, settings=settings)
    memory = MAKE_IR_LABELS.resources.process
    if settings.ir_labels.crf == "pydensecrf":
        memory = memory._replace(working=PYDENSECRF_LATTICE)
    labels = map_images(label, records, workers, partial(memory.of, max_side=settings.dataset.max_side))
    _say(write_cache(out, "ir_label", made_by, records, labels, _shares))


def _label(record: ImageRecord, cams: CacheReader, masks: CacheReader, settings: Settings) -> dict[str, np.ndarray]:
    if record.image_id in masks:
        return masks.image(record)
    return ir_label_of(read_record(record), cams.image(record, ["classes", "high_res"]), settings)


def _shares(arrays: dict[str, np.ndarray]) -> Shares:
    return label_shares(arrays["label"])


def _say(shares: Sequence[Shares]) -> None:
    if not shares:
        return
    foreground, background, unsure = np.mean(shares, 0)
    print(f"pixels: {foreground:.2f} foreground, {background:.2f} background, {unsure:.2f} unsure")
    if unsure > MUCH_UNSURE:
        notice("most pixels are unsure; lower ir_labels.foreground_threshold or raise ir_labels.background_threshold")
    if foreground < LITTLE:
        notice("hardly a pixel is sure foreground; lower ir_labels.foreground_threshold, or look at the CAMs")
    if background < LITTLE:
        notice("hardly a pixel is sure background; raise ir_labels.background_threshold, or look at the CAMs")
