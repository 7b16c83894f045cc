"""Which labels to look at first: images in the order in which correcting them helps most."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from irn.data.corrected.cache import open_corrected
from irn.data.doubt_table import Doubt, write_doubts
from irn.data.tables import ImageClasses, images_of, read_classes
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.doubt import Signs, agreement, in_words, ranks, steepness
from irn.ops.labels import class_walks, leading_maps
from irn.records import ImageRecord


def find_doubt(
    manifest: Path,
    labels: Path,
    ir_labels: Sequence[Path],
    walks: Sequence[Path],
    label_caches: Sequence[Path],
    out: Path,
    corrected: Path | None = None,
    split: str | None = None,
    workers: int | None = None,
) -> None:
    """Write a table of the images of a split, the most doubtful first.

    Doubt is the mean of an image's ranks by its signs (irn/ops/doubt.py). It is 0 for images without a class, whose
    label cannot be wrong, and for those with a corrected mask, which come last.

    corrected: a cache of corrected masks.
    Raises IrnError for an image that a cache lacks, and for caches that do not fit the tables.
    """
    records, classes, masks = images_of(manifest, split), read_classes(labels), open_corrected(corrected)
    kinds = {"ir_label": ir_labels, "walk": walks, "label": label_caches}
    caches = {kind: CacheReader(paths, kind, len(classes.names)) for kind, paths in kinds.items()}
    doubted = [r for r in records if r.image_id not in masks and classes.of(r.image_id)]
    for cache in caches.values():
        cache.require(record.image_id for record in doubted)
    results = map_images(partial(_signs, classes=classes, caches=caches), doubted, workers)
    signs = list(progress(results, len(doubted), "find doubt"))
    of_images = ranks(signs)
    doubts = [
        Doubt(record.image_id, float(of_image.mean()), in_words(sign, of_image), sign)
        for record, sign, of_image in zip(doubted, signs, of_images, strict=True)
    ]
    doubtful = {row.image_id for row in doubts}
    others = [record for record in records if record.image_id not in doubtful]
    # Corrected images come last.
    for record in sorted(others, key=lambda record: record.image_id in masks):
        doubts.append(Doubt(record.image_id, 0.0, "corrected" if record.image_id in masks else "no class"))
    with whole_file(out) as unfinished:
        write_doubts(unfinished, doubts)
    print(f"{len(doubts)} images, {len(others)} of them without doubt")


def _signs(record: ImageRecord, classes: ImageClasses, caches: dict[str, CacheReader]) -> Signs:
    semantic = caches["label"].image(record, ["semantic"])["semantic"]
    ir_label = caches["ir_label"].image(record, ["label"])["label"]
    maps = caches["walk"].image(record, ["walk", "walk_class"])
    score = leading_maps(class_walks(maps["walk"], maps["walk_class"])[0], record.height, record.width).score
    present = classes.of(record.image_id)
    agreed = agreement(ir_label, semantic, present, len(classes.names))
    return Signs(len(present), agreed, steepness(semantic, score))
