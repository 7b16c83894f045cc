"""Finding new images, which belong to no data set."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from irn.data.findings import Findings
from irn.data.listing import IMAGE_SUFFIXES, Listed, find_images, without_suffix
from irn.errors import IrnError


def new_images(paths: Sequence[Path], findings: Findings) -> list[Listed]:
    """The images of files and folders, and of all folders within; each named by its path in the folder given.

    Files whose names are not text go to the findings, and so does what else `find_images` says of a folder.

    Raises IrnError for a path that does not exist, a folder without an image, and two images of one name.
    """
    images: list[Listed] = []
    for path in paths:
        if path.is_dir():
            inside = find_images(path, findings, below=True)
            if not inside:
                raise IrnError(
                    f"--images {path}: no image in this folder or below; expected files that end in"
                    f" {', '.join(IMAGE_SUFFIXES)}"
                )
            images += [Listed(name, file, "") for name, files in inside.items() for file in files]
        elif path.is_file():
            images.append(Listed(without_suffix(path.name), path, ""))
        else:
            raise IrnError(f"--images {path}: no such file or folder")
    image_id, count = Counter(image.image_id for image in images).most_common(1)[0]
    if count > 1:
        alike = [image for image in images if image.image_id == image_id]
        raise IrnError(
            f"--images: {count} files are called {alike[0].name!r}, and so would be their masks ({alike[0].path},"
            f" {alike[1].path}); rename them, or segment them one by one"
        )
    return images
