"""The classes of images by CVAT's masks, for data sets that have nothing else to tell them."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from irn.data.findings import Findings, some
from irn.data.index_png import MASKS
from irn.data.labelmap import labelmap_of, numbered, read_colours, read_labelmap
from irn.data.listing import Listed
from irn.data.names import check_class_names, names_of
from irn.data.tables import ImageClasses
from irn.errors import IrnError
from irn.io.progress import progress


def read_painted(folder: Path, images: Sequence[Listed], findings: Findings) -> ImageClasses:
    """The classes whose colours are in each image's mask, in the order of the labelmap.

    Adds problems for masks that are missing or cannot be read.
    """
    labelmap = labelmap_of(folder)
    if labelmap is None:
        raise IrnError(f"{folder}: no labelmap.txt beside it, which tells the colours of classes; add it")
    colours = read_labelmap(labelmap)
    names = list(colours)
    check_class_names(labelmap, names)
    present: dict[str, list[int]] = {}
    missing = []
    for image in progress(images, len(images), "read classes in masks"):
        paths = [folder / f"{name}.png" for name in names_of(image.image_id, image.path)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            missing.append(image.name)
            continue
        with findings.collected():
            used = _colours_in(path)
            present[image.image_id] = [index for index, name in enumerate(names) if colours[name] in used]
    findings.note(f"{folder}: classes by the colours in the masks, as {labelmap} tells them: {', '.join(names)}")
    if missing:
        problem = (
            f"no mask of {len(missing)} of the {len(images)} images ({some(missing)}), which would tell its classes"
        )
        findings.problem(folder, problem, "add them, take the images out of the list, or give a table of labels")
    return ImageClasses(names, present)


def _colours_in(path: Path) -> list[tuple[int, ...]]:
    try:
        with Image.open(path, formats=[*MASKS, "JPEG"]) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, ValueError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file") from None
    pixels = read_colours(path, height, width)
    if pixels is None:
        raise IrnError(f"{path}: a grey mask, but labelmap.txt tells colours; give the labels as a table")
    return numbered(pixels)[1]
