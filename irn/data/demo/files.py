"""The demonstration's files, in the layout of PASCAL VOC."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from irn.data.index_png import write_index_png
from irn.data.voc import ANNOTATIONS, IMAGES, LAYOUT, LISTS, NAMES

CLASS_MASKS, OBJECT_MASKS = LAYOUT.class_masks, LAYOUT.object_masks


def make_folders(root: Path) -> None:
    """Make the folders of the layout."""
    for folder in (IMAGES, ANNOTATIONS, LISTS, CLASS_MASKS, OBJECT_MASKS):
        (root / folder).mkdir(parents=True)


def write_image(
    root: Path, image_id: str, pixels: np.ndarray, objects: np.ndarray, classes: Sequence[int], names: Sequence[str]
) -> None:
    """Write an image's picture, its two masks and its annotation.

    pixels: (H, W, 3) uint8. objects: (H, W) uint8, object numbers from 1, 0 elsewhere. classes: the class index of
        each object.
    names: those of all classes.
    """
    Image.fromarray(pixels).save(root / IMAGES / f"{image_id}.jpg", quality=90)
    class_of = np.array([0] + [1 + index for index in classes], np.uint8)
    for folder, mask in ((CLASS_MASKS, class_of[objects]), (OBJECT_MASKS, objects)):
        write_index_png(root / folder / f"{image_id}.png", mask)
    text = _annotation(image_id, objects, [names[index] for index in classes])
    (root / ANNOTATIONS / f"{image_id}.xml").write_text(text, encoding="utf-8")


def write_lists(root: Path, splits: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    """Write the list of each split, and the names of the classes."""
    for split, ids in splits.items():
        (root / LISTS / f"{split}.txt").write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf-8")
    (root / NAMES).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _annotation(image_id: str, objects: np.ndarray, names: Sequence[str]) -> str:
    """The text of the XML file, with the name and the box of each object."""
    height, width = objects.shape
    lines = ["<annotation>", "  <folder>demo</folder>", f"  <filename>{image_id}.jpg</filename>"]
    lines += [f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>"]
    for number, name in enumerate(names, 1):
        rows, columns = np.nonzero(objects == number)
        # VOC counts pixels from 1 and its boxes hold both ends.
        box = {"xmin": columns.min() + 1, "ymin": rows.min() + 1, "xmax": columns.max() + 1, "ymax": rows.max() + 1}
        corners = "".join(f"<{side}>{value}</{side}>" for side, value in box.items())
        lines += [f"  <object><name>{name}</name><difficult>0</difficult><bndbox>{corners}</bndbox></object>"]
    return "\n".join([*lines, "</annotation>", ""])
