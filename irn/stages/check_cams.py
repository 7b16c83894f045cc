"""Check CAM caches from elsewhere before anything is made from them."""

from collections.abc import Sequence
from pathlib import Path

from irn.cache import CacheReader
from irn.errors import IrnError
from irn.progress import progress
from irn.tables import ImageRecord, read_labels, read_manifest

SAMPLES = 10


def check_cams(manifest: Path, labels: Path, cams: Sequence[Path], split: str | None = None) -> None:
    """Raise IrnError for the first thing in CAM caches that no later stage could use.

    Each image of the split must be there in the manifest's size, with arrays of the shapes and number types of CAM caches,
    and with classes that its row in `labels` has. Maps are read of a few images alone, since mistakes in values
    are in all: they must lie in [0, 1].
    """
    table = read_labels(labels)
    records = read_manifest(manifest, split)
    reader = CacheReader(cams, "cam")
    missing = [record.image_id for record in records if record.image_id not in reader]
    if missing:
        more = f" (and {len(missing) - 1} more of {len(records)})" if len(missing) > 1 else ""
        files = ", ".join(str(path) for path in cams)
        raise IrnError(f"{files}: image {missing[0]!r}{more} is missing; write it there too, or leave its split out of those that are used")
    for record in progress(records, len(records), "check CAMs"):
        reader.require_size(record.image_id, record.height, record.width, "the manifest")
        reader.check(record.image_id)
        classes = reader.read(record.image_id, ["classes"])["classes"].tolist()
        _check_classes(record.image_id, classes, table.of(record.image_id, labels), table.names, labels)
    for record in records[:: -(-len(records) // SAMPLES)]:
        _check_values(reader, record)


def _check_classes(image_id: str, classes: list[int], present: list[int], names: list[str], labels: Path) -> None:
    wrong = [index for index in classes if index not in present]
    if wrong:
        named = f" ({names[wrong[0]]})" if 0 <= wrong[0] < len(names) else ""
        given = ", ".join(f"{index} ({names[index]})" for index in present) or "none"
        raise IrnError(
            f"CAMs of image {image_id!r}: class index {wrong[0]}{named}, but {labels} gives it {given};"
            " indices count from 0 in the order of its columns"
        )
    if len(set(classes)) < len(classes):
        raise IrnError(f"CAMs of image {image_id!r}: a class index stands twice in {classes}; give each class one map")


def _check_values(reader: CacheReader, record: ImageRecord) -> None:
    for name, maps in reader.read(record.image_id, ["cam", "high_res"]).items():
        if maps.size and not (maps.min() >= 0 and maps.max() <= 1):
            raise IrnError(
                f"CAMs of image {record.image_id!r}: {name} goes from {maps.min():.4g} to {maps.max():.4g}; expected values in [0, 1],"
                " each map divided by its maximum + 1e-5"
            )
