"""The files of the images that an instances file of COCO names."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from irn.data.coco_files import image_names, name_of, names_at_a_glance
from irn.data.coco_instances import InstancesFile
from irn.data.file_names import FileFinder
from irn.data.findings import Findings, some
from irn.errors import IrnError

# The folder that holds the most of this number of images holds all.
_TRIED = 200


def names_and_files(path: Path) -> dict[str, str]:
    """The names of the images of an instances file and those of their files, as far as a glance shows them."""
    files = list(dict.fromkeys(names_at_a_glance(path)))
    return dict(zip(image_names(files), files, strict=True))


def folder_of_images(root: Path, path: Path, file_names: Sequence[str]) -> Path:
    """The folder from which the names of files count: that with the most of these files.

    Raises IrnError where no folder for images exists.
    """
    split = name_of(path)
    folders = [root / split, root / "images" / split, root / "images", root]
    tried = file_names[:: len(file_names) // _TRIED + 1]
    counts = {folder: sum(_is_there(folder, name) for name in tried) for folder in folders}
    existing = [folder for folder in folders[:-1] if folder.is_dir()]
    if any(counts.values()):
        return max(counts, key=lambda folder: counts[folder])
    if not existing:
        raise IrnError(
            f"{root}: no folder of images; expected {split}/ or images/{split}/ with the images that {path.name} names"
        )
    return existing[0]


def placed(root: Path, file: InstancesFile, findings: Findings) -> dict[str, Path]:
    """The files of the images that exist, by the images' names; a problem where some do not.

    A name that no file has is looked for in the root: without escapes or a tool's additions, and with an extension.
    """
    if not file.images:
        raise IrnError(f"{file.path}: it lists no image; name another split")
    names = {picture.name: picture.file_name for picture in file.images.values()}
    folder = folder_of_images(root, file.path, list(names.values()))
    paths = {name: folder / file_name for name, file_name in names.items() if _is_there(folder, file_name)}
    astray = {name: file_name for name, file_name in names.items() if name not in paths}
    if not astray:
        return paths
    finder, taken = FileFinder(root), set(paths.values())
    guesses = {name: path for name in astray if (path := finder.find(astray[name])) and path not in taken}
    times = Counter(guesses.values())
    guesses = {name: path for name, path in guesses.items() if times[path] == 1}
    if guesses:
        examples = some([f"{astray[name]!r} is {path.relative_to(root)}" for name, path in guesses.items()])
        findings.notice(f"{file.path}: {len(guesses)} of {len(names)} images are found by another name ({examples})")
    missing = [file_name for name, file_name in astray.items() if name not in guesses]
    _refuse(folder, file.path, missing, len(names), findings)
    return {name: paths.get(name) or guesses[name] for name in names if name in paths or name in guesses}


def _is_there(folder: Path, file_name: str) -> bool:
    return _is_within(file_name) and os.path.isfile(folder / file_name)


def _is_within(file_name: str) -> bool:
    path = Path(file_name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in file_name


def _refuse(folder: Path, path: Path, missing: Sequence[str], count: int, findings: Findings) -> None:
    """Problems of images that are not there: one for those outside of the data set, and one for all others."""
    outside = [name for name in missing if not _is_within(name)]
    if outside:
        raise IrnError(
            f"{path}: image {outside[0]!r} lies outside of the data set"
            + (f", and so do {len(outside) - 1} others" if len(outside) > 1 else "")
            + "; expected a path below its folder of images"
        )
    if len(missing) == 1:
        remedy = "add the file or take the image out there"
        findings.problem(folder, f"no image {missing[0]!r}, which {path.name} names", remedy)
    elif missing:
        problem = f"{len(missing)} of the {count} images that {path.name} names are missing ({some(missing)})"
        findings.problem(folder, problem, "add the files or take the images out there")
