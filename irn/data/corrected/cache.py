"""The cache of corrected masks, which `irn read-corrections` writes, for the stages that use it."""

from collections.abc import Sequence
from pathlib import Path

from irn.grid import MAX_CLASSES
from irn.io.cache import CacheReader
from irn.records import ImageRecord


def open_corrected(path: Path | None, classes: int = MAX_CLASSES) -> CacheReader:
    """The cache; an empty one without a path. Raises IrnError as `CacheReader` does."""
    return CacheReader([path] if path else [], "ir_label", classes)


def without_corrected(
    splits: dict[str, list[ImageRecord]], corrected: CacheReader, what: str = "scores"
) -> dict[str, list[ImageRecord]]:
    """The images of each split less the corrected ones, whose masks were given; says how many are left out.

    A split without any other image is left out as a whole.
    """
    rest = {split: _others(records, corrected) for split, records in splits.items()}
    for split, records in rest.items():
        if left_out := len(splits[split]) - len(records):
            print(f"{split}: {left_out} corrected images are left out of the {what}, {len(records)} are in")
    return {split: records for split, records in rest.items() if records}


def _others(records: Sequence[ImageRecord], corrected: CacheReader) -> list[ImageRecord]:
    return [record for record in records if record.image_id not in corrected]
