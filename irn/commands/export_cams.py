"""`.npy` dictionaries, as IRNet and its relatives read them, from CAM caches."""

from collections.abc import Sequence
from pathlib import Path

from irn.data.cam_dictionaries import write_dictionary
from irn.io.cache import CacheReader
from irn.io.files import whole_folder
from irn.io.progress import progress


def export_cams(cams: Sequence[Path], out: Path) -> None:
    """Write `out/<image_id>.npy` for each image of the caches, with `keys`, `cam` and `high_res`.

    `out` is a new or an empty folder; `cam` is a tensor, as the release has it. Raises IrnError for a folder that holds
    something already, and for damaged caches.
    """
    reader = CacheReader(cams, "cam")
    with whole_folder(out) as unfinished:
        for image_id in progress(reader.ids, len(reader.ids), "export cams"):
            write_dictionary(unfinished / f"{image_id}.npy", **reader.read(image_id))
