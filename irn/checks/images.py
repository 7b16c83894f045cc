"""What may be wrong with the images of a data set, or look wrong."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from irn.data.findings import Findings, some
from irn.data.images import Look
from irn.data.listing import Listed

SMALL = 32  # pixels of a side, two cells of the classifier's maps
BLACK, WHITE = 32, 223  # of 255: below and above them lies next to nothing that a network could see

# What is odd about an image, in words that follow "5 of 20 images".
ODDITIES: tuple[tuple[str, Callable[[Look], bool]], ...] = (
    (
        "are turned as their EXIF orientation says; masks and boxes have to be of the turned image",
        lambda image: image.how.turned,
    ),
    ("hold several pictures, of which the first is read", lambda image: image.how.frames > 1),
    ("have 16 bits for each colour, of which the upper 8 are read", lambda image: image.how.deep),
    ("have values beyond dataset.value_range, which become its ends", lambda image: image.how.beyond),
    (
        "are CMYK without a colour profile, whose colours as RGB are a guess",
        lambda image: image.how.mode == "CMYK" and not image.how.profiled,
    ),
    (
        f"have a side below {SMALL} pixels, where maps have a few cells only",
        lambda image: min(image.height, image.width) < SMALL,
    ),
)


def check_images(images: Sequence[Listed], readable: Mapping[Listed, Look], findings: Findings) -> None:
    """Problems of ids that clash; notices and notes of what is odd about images, or done to them when they are read."""
    _note_modes(readable, findings)
    _note_brightness(readable, findings)
    for words, is_odd in ODDITIES:
        odd = [image.path.name for image, seen_image in readable.items() if is_odd(seen_image)]
        if odd:
            findings.notice(f"{len(odd)} of {len(readable)} images {words} ({some(odd)})")
    _check_ids(images, findings)


def _note_modes(readable: Mapping[Listed, Look], findings: Findings) -> None:
    """Count the images that become RGB when they are read."""
    converted = Counter(image.how.mode for image in readable.values() if image.how.mode != "RGB")
    if converted:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(converted.items()))
        findings.note(
            f"{converted.total()} of {len(readable)} images are not RGB and are turned into it when they are read"
            f" ({modes})"
        )
    profiled = sum(image.how.profiled for image in readable.values())
    if profiled:
        findings.note(
            f"{profiled} of {len(readable)} images have a colour profile other than sRGB and are converted to sRGB when"
            " they are read (dataset.colour_profiles)"
        )


def _note_brightness(readable: Mapping[Listed, Look], findings: Findings) -> None:
    """Say where half of the images or more are nearly black, or nearly white, as through a wrong range of values."""
    black = [image.path.name for image, seen_image in readable.items() if seen_image.brightest < BLACK]
    white = [image.path.name for image, seen_image in readable.items() if seen_image.darkest > WHITE]
    for names, words in ((black, "black"), (white, "white")):
        if names and 2 * len(names) >= len(readable):
            findings.notice(
                f"{len(names)} of {len(readable)} images are nearly {words} ({some(names)}); if they have 16 bits or"
                " floats, say by dataset.value_range (--value-range) which values they hold, such as 0 4095 for 12 bits"
            )


def _check_ids(images: Sequence[Listed], findings: Findings) -> None:
    by_id = defaultdict(list)
    for image in images:
        by_id[image.image_id.casefold()].append(image)
    for alike in by_id.values():
        if len({image.image_id for image in alike}) < len(alike):
            first, second = alike[:2]
            problem = f"would have the same id as {first.path.name}, {second.image_id!r}"
            findings.problem(second.path, problem, "rename one of the files")
        elif len(alike) > 1:
            names = ", ".join(image.image_id for image in alike)
            findings.notice(
                f"{names}: ids that differ in case alone; files of results overwrite each other where case does not"
                " count"
            )
    renamed = [image for image in images if image.image_id != image.name]
    if renamed:
        examples = some([f"{image.name!r} is {image.image_id}" for image in renamed])
        findings.note(f"{len(renamed)} of {len(images)} images have an id made of their name ({examples})")
