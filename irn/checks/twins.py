"""The same picture in several files: scored after it was learned from, or with classes that contradict each other."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from irn.data.findings import Findings, some
from irn.data.images import Look
from irn.data.listing import Listed


def check_twins(readable: Mapping[Listed, Look], present: Mapping[str, Sequence[int]], findings: Findings) -> None:
    """Notices of files that hold the same picture, one for those of each kind."""
    by_digest = defaultdict(list)
    for image, look in readable.items():
        by_digest[look.digest].append(image)
    twins = [images for images in by_digest.values() if len(images) > 1]
    within = [images for images in twins if len({image.split for image in images}) == 1]
    across = [images for images in twins if len({image.split for image in images}) > 1]
    _notice(within, "", findings)
    _notice(across, ", also in several splits, so scores are of images learned from", findings)
    contrary = [images for images in twins if len({tuple(present.get(image.image_id, ())) for image in images}) > 1]
    if contrary:
        findings.notice(
            f"files of {len(contrary)} such pictures have different classes, which contradict each other"
            f" ({some(list(map(_names, contrary)))}); keep one file of each, with all of its classes in a labels.csv"
        )


def _notice(twins: Sequence[Sequence[Listed]], words: str, findings: Findings) -> None:
    if len(twins) == 1:
        findings.notice(f"the same picture {len(twins[0])} times{words} ({some(_files(twins[0]))})")
    elif twins:
        findings.notice(f"{len(twins)} pictures are there several times{words} ({some(list(map(_names, twins)))})")


def _names(images: Sequence[Listed]) -> str:
    return " and ".join(_files(images))


def _files(images: Sequence[Listed]) -> list[str]:
    """The files of images, with the folders that are part of their names."""
    return [f"{image.name.removesuffix(image.path.suffix)}{image.path.suffix}" for image in images]
