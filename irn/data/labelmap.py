"""CVAT's masks in colours, whose classes a file `labelmap.txt` beside their folder tells."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from irn.data.index_png import MASKS, mask_of_another_size, missing_mask
from irn.errors import IrnError
from irn.grid import UNSURE

LABELMAP = "labelmap.txt"
BLACK, VOID = (0, 0, 0), (224, 224, 192)  # VOC's void
Colour = tuple[int, ...]


def labelmap_of(masks: Path) -> Path | None:
    """The file beside a folder of masks, or in it, if there is one."""
    return next((path for path in (masks.parent / LABELMAP, masks / LABELMAP) if path.is_file()), None)


def read_labelmap(path: Path) -> dict[str, Colour]:
    """The colour of each class, in the file's order and without the background, which is black.

    Its lines are `label:red,green,blue:parts:actions`. Raises IrnError for others.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except ValueError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected CVAT's labelmap") from None
    colours: dict[str, Colour] = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            colour = tuple(map(int, rest.partition(":")[0].split(",")))
        except ValueError:
            colour = ()
        if len(colour) != 3 or not all(0 <= value < 256 for value in colour) or colour in colours.values():
            raise IrnError(f"{path}: {line!r}: expected label:red,green,blue:: with a colour of its own; fix the line")
        if colour != BLACK:
            colours[name.strip()] = colour
    if not colours:
        raise IrnError(f"{path}: no class in it; expected a line label:red,green,blue:: for each")
    return colours


def read_colours(path: Path, height: int, width: int) -> np.ndarray | None:
    """(height, width, 3) uint8 of a mask in colours; None for a grey one, whose values are numbers.

    Raises IrnError for a file that is missing, unreadable, or of another size.
    """
    try:
        with Image.open(path, formats=[*MASKS, "JPEG"]) as picture:
            if picture.format == "JPEG":
                raise IrnError(f"{path}: the mask is a JPEG, which changes colours; save it as a PNG")
            colours = None if picture.mode in ("L", "I", "I;16") else np.array(picture.convert("RGB"))
            size = picture.size
    except FileNotFoundError:
        raise missing_mask(path) from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, IrnError):
            raise
        raise IrnError(f"{path}: not a readable image ({error}); replace the file") from None
    if size != (width, height):
        raise mask_of_another_size(path, size[::-1], (height, width))
    return colours


def numbered(colours: np.ndarray) -> tuple[np.ndarray, list[Colour]]:
    """(H, W) numbers of the colours of a picture, and the colours."""
    codes = colours.astype(np.int64) @ (1 << np.array([16, 8, 0]))
    values, inverse = np.unique(codes, return_inverse=True)
    return inverse.reshape(codes.shape), [(int(v) >> 16, int(v) >> 8 & 255, int(v) & 255) for v in values]


def class_mask_of(
    path: Path, colours: np.ndarray, labelmap: Path, names: list[str], left_out: Collection[str] = ()
) -> np.ndarray:
    """(H, W) uint8 by the labels of colours: 0 background, 1 + index in `names`, 255 void.

    left_out: labels whose pixels are void.

    Raises IrnError for a colour that `labelmap` does not tell, and for a class that is not among the names.
    """
    label_of = {colour: name for name, colour in read_labelmap(labelmap).items()}
    inverse, used = numbered(colours)
    numbers = np.zeros(len(used), np.uint8)
    for place, colour in enumerate(used):
        if label_of.get(colour) in left_out:
            numbers[place] = UNSURE
            continue
        if colour in label_of and label_of[colour] not in names:
            raise IrnError(
                f"{path}: it has pixels of {label_of[colour]!r}, which is not a class of the labels table; give the"
                " labels table of this data set"
            )
        if colour in label_of:
            numbers[place] = names.index(label_of[colour]) + 1
        elif colour == VOID:
            numbers[place] = UNSURE
        elif colour != BLACK:
            raise IrnError(f"{path}: the colour {colour} is not in {labelmap}; add its class there, or fix the mask")
    return numbers[inverse]


def object_mask_of(colours: np.ndarray) -> np.ndarray:
    """(H, W) integers by colours: 0 none, 255 void, any other number one object."""
    inverse, used = numbered(colours)
    numbers = [0 if c == BLACK else UNSURE if c == VOID else UNSURE + 1 + place for place, c in enumerate(used)]
    return np.array(numbers, np.int64)[inverse]
