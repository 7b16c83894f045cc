"""Ground truth: index PNGs of classes and of objects, one `<image_id>.png` for each image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from irn.data.tables import ImageRecord
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.metrics import object_classes


def require_masks(folder: Path, records: Sequence[ImageRecord]) -> None:
    """Raise IrnError for the first image without a mask."""
    for record in records:
        if not _mask(folder, record).is_file():
            raise _missing(_mask(folder, record))


def read_class_mask(folder: Path, record: ImageRecord, class_count: int) -> np.ndarray:
    """(H, W) integers, 0 background, 1 + class index, 255 void; IrnError for other values."""
    truth = read_index_png(_mask(folder, record), record.height, record.width)
    beyond = truth[(truth > class_count) & (truth != UNSURE)]
    if beyond.size:
        raise IrnError(
            f"{folder}: the mask of image {record.image_id!r} holds value {beyond[0]}, "
            f"expected 0 to {class_count} or {UNSURE}; fix the mask or give the labels table of this data set"
        )
    return truth


def read_objects(folder: Path, record: ImageRecord, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The object mask (H, W), the values in it that are objects, and 1 + class index of each by the class mask `truth`."""
    path = _mask(folder, record)
    objects = read_index_png(path, record.height, record.width)
    ids, labels = object_classes(objects, truth)
    if (labels == 0).any():
        raise IrnError(
            f"{path}: object {ids[labels == 0][0]} lies on background alone in the class mask, "
            f"expected its class number or {UNSURE} (void) there; fix one of the two masks"
        )
    # An object that is void all over is not one to be found.
    return objects, ids[labels != UNSURE], labels[labels != UNSURE]


def read_index_png(path: Path, height: int, width: int) -> np.ndarray:
    """Read the values of a palette or grey PNG as (height, width) integers; the palette's colours play no part.

    Raises IrnError for a file that is missing, unreadable, of another size, in colour, or of one bit per pixel.
    """
    try:
        with Image.open(path) as picture:
            # Pillow reads one-bit grey as truth values, which leaves open whether white is index 1 or 255.
            if picture.mode not in ("P", "L", "I", "I;16"):
                raise IrnError(
                    f"{path}: mask mode is {picture.mode}, expected an index PNG (P or L); save the class or object numbers themselves"
                )
            mask = np.array(picture)
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, SyntaxError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file") from None
    if mask.shape != (height, width):
        raise IrnError(
            f"{path}: the mask is {mask.shape[0]} x {mask.shape[1]} pixels, the manifest says {height} x {width}; give its own mask"
        )
    return mask


def _mask(folder: Path, record: ImageRecord) -> Path:
    return folder / f"{record.image_id}.png"


def _missing(path: Path) -> IrnError:
    return IrnError(f"{path}: no such mask; add it, take the image out of the manifest or choose a split that has masks")
