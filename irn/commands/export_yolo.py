"""The instances of label caches as polygons in the layout of Ultralytics' YOLO."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml

from irn.data.exported import check_files, labels_to_export, pieces
from irn.errors import IrnError
from irn.io.cache import CacheReader
from irn.io.files import whole_file, whole_folder
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.ops.outlines import joined, outlines
from irn.records import ImageRecord
from irn.settings.settings import Settings

IMAGES, LABELS, DATA = "images", "labels", "data.yaml"


def export_yolo(
    manifest: Path,
    labels: Path,
    label_caches: Sequence[Path],
    out: Path,
    settings: Settings,
    doubt: Path | None = None,
    split: str | None = None,
    copy: bool = False,
    workers: int | None = None,
) -> None:
    """Write `images/<split>/`, `labels/<split>/<image_id>.txt` and `data.yaml` for the images of a split.

    Images are links, or copies with `copy`. A label file has a line for each piece whose score is above 0: class index,
    then x and y of the corners of its outline in shares of width and height. An image without a piece has an empty one.

    Raises
    ------
    IrnError for a folder that holds these already, caches that lack an image, and an image whose file is missing.
    """
    if out.exists() and not out.is_dir():
        raise IrnError(f"{out}: is a file, expected a folder for the data set; give another name to --out")
    if (out / DATA).exists():
        raise IrnError(f"{out / DATA}: exists already; name a new folder, or remove this file")
    records, caches, names = labels_to_export(manifest, label_caches, split, labels, doubt, settings.export.doubtful)
    check_files(records)
    with whole_folder(out / IMAGES) as images, whole_folder(out / LABELS) as texts, whole_file(out / DATA) as data:
        for name in {record.split for record in records}:
            (images / name).mkdir()
            (texts / name).mkdir()
        lines = map_images(partial(_lines, caches=caches, settings=settings), records, workers)
        for record, of_image in zip(records, progress(lines, len(records), "export yolo"), strict=True):
            _put(record.path, images / record.split / f"{record.image_id}{record.path.suffix}", copy)
            (texts / record.split / f"{record.image_id}.txt").write_text("".join(of_image), encoding="ascii")
        data.write_text(_described(records, names), encoding="utf-8")
    print(f"{len(records)} images, {'copied' if copy else 'linked'}; train with data={out / DATA}")


def _lines(record: ImageRecord, caches: CacheReader, settings: Settings) -> list[str]:
    lines = []
    for piece in pieces(record, caches):
        outline = joined(outlines(piece.mask, settings.export.tolerance, inside=True))
        shares = (outline / (record.width, record.height)).ravel()
        lines.append(f"{piece.class_index} {' '.join(f'{share:.6f}' for share in shares)}\n")
    return lines


def _put(image: Path, place: Path, copy: bool) -> None:
    if copy:
        shutil.copyfile(image, place)
    else:
        place.symlink_to(image.resolve())


def _described(records: Sequence[ImageRecord], names: Sequence[str]) -> str:
    """The text of data.yaml. Ultralytics needs `train` and `val`, whatever splits there are."""
    splits = list(dict.fromkeys(record.split for record in records))
    folders: dict[str, object] = {name: f"{IMAGES}/{name}" for name in splits}
    others = [folder for name, folder in folders.items() if name != "val"] or list(folders.values())
    needed = {"train": others[0] if len(others) == 1 else others, "val": others[0]}
    return yaml.safe_dump(
        needed | folders | {"names": dict(enumerate(names))}, sort_keys=False, allow_unicode=True, width=10**6
    )
