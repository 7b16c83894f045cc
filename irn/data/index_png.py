"""Index PNGs: pictures whose values are the numbers of classes or objects."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from irn.data.containers import bare
from irn.data.file_kinds import kind_of, other_kind_of
from irn.errors import IrnError
from irn.pictures.colours import voc_palette

MASKS = ("PNG", "TIFF", "BMP", "GIF")  # Pillow's formats that keep numbers as they are


def read_index_png(path: Path, height: int, width: int) -> np.ndarray:
    """Read the values of a palette or grey PNG as (height, width) integers; the palette's colours play no part.

    Raises IrnError for a file that is missing, unreadable, of another size, in colour, or of one bit per pixel.
    """
    try:
        content = path.read_bytes()
        kind = kind_of(content)
        if kind == "JPEG":
            raise IrnError(
                f"{path}: the mask is a JPEG, which changes the numbers that it holds; save them as an index PNG"
            )
        if kind not in MASKS:
            raise OSError(other_kind_of(content) or "its first bytes are those of no kind that masks have")
        with Image.open(BytesIO(bare(kind, content).content), formats=[kind]) as picture:
            # Pillow reads one-bit grey as truth values, which leaves open whether white is index 1 or 255.
            if picture.mode not in ("P", "L", "I", "I;16"):
                raise IrnError(
                    f"{path}: mask mode is {picture.mode}, expected an index PNG (P or L);"
                    " save the class or object numbers themselves, or add CVAT's labelmap.txt, which tells its colours"
                )
            mask = np.array(picture)
    except FileNotFoundError:
        raise missing_mask(path) from None
    except (IrnError, MemoryError):
        raise
    except Exception as error:  # as in `read_image`
        raise IrnError(f"{path}: not a readable image ({error}); replace the file") from None
    if mask.shape != (height, width):
        raise mask_of_another_size(path, mask.shape, (height, width))
    return mask


def mask_of_another_size(path: Path, shape: tuple[int, ...], of_image: tuple[int, int]) -> IrnError:
    """The mistake of a mask whose height and width are not those of its image."""
    return IrnError(
        f"{path}: the mask is {shape[0]} x {shape[1]} pixels, its image {of_image[0]} x {of_image[1]};"
        " save it at the size of the image"
    )


def missing_mask(path: Path) -> IrnError:
    """The mistake of an image without a mask."""
    return IrnError(
        f"{path}: no such mask; add it, take the image out of the manifest or choose a split that has masks"
    )


def write_index_png(path: Path, mask: np.ndarray) -> None:
    """Write (H, W) uint8 as an index PNG with VOC's palette, so that every viewer shows it in colour."""
    picture = Image.fromarray(mask)
    picture.putpalette(voc_palette().ravel().tolist())
    picture.save(path, format="PNG")
