"""What several test files need: commands run in this process, and small images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from irn.cache import CacheReader
from irn.cli import main


def run(*arguments: object) -> None:
    """Run a command of the package, which must succeed."""
    assert main([str(argument) for argument in arguments]) == 0


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> str:
    """The one line that a refused command says; it must end with code 2 and leave `folder` as it was."""
    before = sorted(folder.rglob("*"))
    capsys.readouterr()
    try:
        code: object = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.endswith("\n")
    assert len(said.err.splitlines()) == 1, said.err
    assert sorted(folder.rglob("*")) == before
    return said.err.rstrip("\n")


def read_all(paths: Path | list[Path], kind: str) -> dict[str, dict[str, np.ndarray]]:
    """Everything in some cache files, by image id."""
    reader = CacheReader([paths] if isinstance(paths, Path) else paths, kind)
    return {image_id: reader.read(image_id) for image_id in reader.ids}


def smooth_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 with coloured patches, as photographs have them."""
    noise = ndimage.gaussian_filter(rng.random((height, width, 3)), (4, 4, 0))
    scaled = (noise - noise.min()) / (noise.max() - noise.min()) if noise.size > 3 else noise
    return (255 * scaled).astype(np.uint8)


def save_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
