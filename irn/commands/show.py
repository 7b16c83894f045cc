"""Pictures of what the caches hold: for each image one strip of panels."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from irn.data.images import read_record
from irn.data.tables import ImageClasses, images_of, read_classes, read_manifest
from irn.errors import IrnError
from irn.grid import MAX_CLASSES, UNSURE
from irn.io.cache import CacheReader
from irn.io.files import whole_file
from irn.io.progress import progress
from irn.pictures.panels import ARRAYS, Scene, spread
from irn.pictures.strip import draw_strip
from irn.pictures.text import is_drawable
from irn.records import ImageRecord
from irn.settings.settings import Settings


def show(
    manifest: Path,
    out: Path,
    settings: Settings,
    labels: Path | None = None,
    cams: Sequence[Path] = (),
    refined_cams: Sequence[Path] = (),
    ir_labels: Sequence[Path] = (),
    fields: Sequence[Path] = (),
    walks: Sequence[Path] = (),
    label_caches: Sequence[Path] = (),
    images: Sequence[str] = (),
    split: str | None = None,
) -> None:
    """Draw `out/<image_id>.png` for each image: the image, and a tile for each array that the caches hold of it.

    Parameters
    ----------
    labels: the labels table, for the names of classes; without it a class goes by its index.
    images: ids from the manifest. Without any, `show.images` of the settings are drawn, evenly spaced among those that
        all caches hold and, with `labels`, that have a class.
    split: only images of this split, or of several joined by `+`.

    Raises
    ------
    IrnError, before anything is written, for an id that the manifest or a cache lacks, an image that is missing or
    would be replaced by a panel, and caches that do not fit the manifest or the labels table.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise IrnError(f"{out}: is a file, expected a folder for the panels; give another name to --out")
    table = read_classes(labels) if labels else None
    paths = {
        "cam": cams,
        "refined": refined_cams,
        "ir_label": ir_labels,
        "field": fields,
        "walk": walks,
        "label": label_caches,
    }
    count = len(table.names) if table else MAX_CLASSES
    caches = {kind: CacheReader(files, kind, classes=count) for kind, files in paths.items() if files}
    records = images_of(manifest, split)
    if images:
        shown = _named(records, images, manifest, split)
    else:
        shown = _spread(records, caches, table, settings.show.images, manifest)
    _keep_images(shown, manifest, out)
    for cache in caches.values():
        cache.require(record.image_id for record in shown)

    def scenes() -> Iterator[Scene]:
        return (_read_scene(record, caches, table, settings.walk.centroid_length) for record in shown)

    # Read all twice rather than keep all: a mistake in the last image must leave no panel of the first.
    for _ in scenes():
        pass
    for scene in progress(scenes(), len(shown), "show"):
        panel = draw_strip(scene)
        with whole_file(out / f"{scene.record.image_id}.png") as partial:
            # 6, the default, takes three times as long for 10 % of the bytes.
            panel.save(partial, format="PNG", compress_level=2)
    for index, name in enumerate(table.names if table else ()):
        if not is_drawable(name):
            print(f"class {index} in the panels is {name!r}: no font here has its letters")


def _named(
    records: Sequence[ImageRecord], images: Sequence[str], manifest: Path, split: str | None
) -> list[ImageRecord]:
    """The images of these ids, each once."""
    known = {record.image_id: record for record in records}
    for image_id in images:
        if image_id not in known:
            where = f"{manifest}: no image {image_id!r}{f' in split {split}' if split else ''}"
            raise IrnError(f"{where}; expected an id of its first column, for example {records[0].image_id!r}")
    return [known[image_id] for image_id in dict.fromkeys(images)]


def _spread(
    records: Sequence[ImageRecord],
    caches: dict[str, CacheReader],
    table: ImageClasses | None,
    count: int,
    manifest: Path,
) -> list[ImageRecord]:
    """`count` images, evenly spaced among those that all caches hold, only those with a class where there are any."""
    in_caches = [record for record in records if all(record.image_id in cache for cache in caches.values())]
    if not in_caches:
        files = ", ".join(str(path) for cache in caches.values() for path in cache.paths)
        raise IrnError(
            f"{files}: no image of {manifest} is in all of these caches; give caches that were made from this manifest"
        )
    with_class = [record for record in in_caches if table is None or table.present.get(record.image_id)] or in_caches
    return [with_class[place] for place in spread(len(with_class), count)]


def _keep_images(shown: Sequence[ImageRecord], manifest: Path, out: Path) -> None:
    """IrnError where a panel would replace an image of the manifest."""
    existing = [record for record in shown if (out / f"{record.image_id}.png").exists()]
    # Every path of a long manifest is looked up only where there is something to replace.
    sources = {record.path.resolve() for record in read_manifest(manifest)} if existing else set()
    for record in existing:
        if (out / f"{record.image_id}.png").resolve() in sources:
            raise IrnError(
                f"--out {out}: the panel of image {record.image_id!r} would replace that image; give another folder"
            )


def _read_scene(
    record: ImageRecord,
    caches: dict[str, CacheReader],
    table: ImageClasses | None,
    centroid_length: float,
) -> Scene:
    pixels = read_record(record)
    arrays = {kind: cache.image(record, ARRAYS[kind]) for kind, cache in caches.items()}
    present = table.of(record.image_id) if table else _classes_in(arrays)
    return Scene(record, pixels, arrays, present, table.names if table else None, centroid_length)


def _classes_in(arrays: dict[str, dict[str, np.ndarray]]) -> list[int] | None:
    """The class indices that the caches of an image name; None without a cache that could name any."""
    indices = []
    indices += [arrays[kind]["classes"] for kind in ("cam", "refined") if kind in arrays]
    if "ir_label" in arrays:
        label = arrays["ir_label"]["label"]
        indices.append(label[(label > 0) & (label != UNSURE)].astype(int) - 1)
    if "label" in arrays:
        semantic = arrays["label"]["semantic"]
        indices += [arrays["label"]["instance_class"], semantic[semantic > 0].astype(int) - 1]
    return np.unique(np.concatenate(indices)).astype(int).tolist() if indices else None
