"""Draw a small data set in the layout of PASCAL VOC: invented animals, alike but for their heads, on clutter."""

from functools import partial
from pathlib import Path

import numpy as np

from irn.data.demo.animals import CLASSES
from irn.data.demo.files import make_folders, write_image, write_lists
from irn.data.demo.scenes import draw_scene
from irn.io.files import whole_folder
from irn.io.parallel import available_cores, map_in_order
from irn.io.progress import progress
from irn.settings.dataset import Demo
from irn.settings.settings import Settings


def make_demo_data(out: Path, settings: Settings, workers: int | None = None) -> None:
    """Write a data set of drawn animals in the layout of PASCAL VOC; every sixth image goes to val, the rest to train.

    Parameters
    ----------
    out: folder that does not exist yet or is empty; it appears only when the data set is whole.
    settings: the same seed gives the same bytes; image k is the same whatever the number of images.

    Raises
    ------
    IrnError for a folder that holds something already.
    """
    demo = settings.dataset.demo
    cores = available_cores() if workers is None else workers
    with whole_folder(out) as unfinished:
        make_folders(unfinished)
        drawn = map_in_order(partial(_draw_image, unfinished, demo), range(demo.images), cores, str)
        for _ in progress(drawn, demo.images, "drawing"):
            pass
        write_lists(unfinished, _splits(demo.images), CLASSES)


def _draw_image(root: Path, demo: Demo, index: int) -> None:
    """Draw one image and write its files; it does not depend on how many there are."""
    scene = draw_scene(np.random.default_rng([demo.seed, index]), demo.size)
    pixels = (scene.rgb * 255).round().astype(np.uint8)
    write_image(root, _image_id(index), pixels, scene.objects, [sprite.species for sprite in scene.sprites], CLASSES)


def _splits(images: int) -> dict[str, list[str]]:
    """The ids of each split."""
    ids = [_image_id(index) for index in range(images)]
    val = ids[1::6]  # from the second on, so that two images are enough for one of each
    return {"train": [image_id for image_id in ids if image_id not in val], "val": val, "trainval": ids}


def _image_id(index: int) -> str:
    return f"demo_{index + 1:04d}"
