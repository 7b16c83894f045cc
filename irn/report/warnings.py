"""What looks wrong in what a run made, for a reader to look at."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from irn.data.tables import ImageClasses
from irn.report.images import Facts
from irn.report.run_folder import RunFolder

MOST_NAMED = 20
HALF = 0.5  # share of unsure pixels from which on an image is named


class PageWarning(NamedTuple):
    """What was found, what it means and what to do, and the classes or images that it is about."""

    title: str
    text: str
    about: list[str]
    more: int = 0


def warnings_of(run: RunFolder, classes: ImageClasses, facts: Sequence[Facts]) -> list[PageWarning]:
    """All warnings: of the classes, of the images, and the notices that stages left in their logs."""
    warnings = [*_of_classes(run, classes, facts), *_of_images(classes, facts)]
    for stage in run.stages.values():
        warnings += [PageWarning(f"Said by {stage.name}", line, []) for line in stage.notices]
    return warnings


def _of_classes(run: RunFolder, classes: ImageClasses, facts: Sequence[Facts]) -> list[PageWarning]:
    learned = run.settings.dataset.train_split.split("+")
    rows = [image.present for image in facts if image.split in learned]
    counts = [sum(index in present for present in rows) for index in range(len(classes.names))]
    never = [name for name, count in zip(classes.names, counts, strict=True) if rows and count == 0]
    always = [name for name, count in zip(classes.names, counts, strict=True) if rows and count == len(rows)]
    return [
        *_warning(
            "Classes in no training image",
            "Nothing can be learned of them; take them out of the labels, or add images.",
            never,
        ),
        *_warning(
            "Classes in every training image",
            "The classifier cannot tell them from what is always there, so their CAMs may lie anywhere; add images"
            " without them.",
            always,
        ),
    ]


def _of_images(classes: ImageClasses, facts: Sequence[Facts]) -> list[PageWarning]:
    def ids(holds: Callable[[Facts], bool]) -> list[str]:
        return [image.image_id for image in facts if image.present and holds(image)]

    flat = [
        f"{image.image_id} ({', '.join(classes.names[index] for index in image.flat)})" for image in facts if image.flat
    ]
    return [
        *_warning("Flat CAMs", "These maps are nearly the same all over the image, so they point to nothing.", flat),
        *_warning(
            "More than half unsure",
            "The IR label says little of these images; lower ir_labels.foreground_threshold or raise"
            " ir_labels.background_threshold"
            " if there are many.",
            ids(lambda image: (image.unsure or 0) > HALF),
        ),
        *_warning(
            "Labels all background",
            "These images have a class, but their semantic label has none; look at their CAMs, or lower"
            " labels.semantic_threshold.",
            ids(lambda image: image.foreground == 0),
        ),
    ]


def _warning(title: str, text: str, about: list[str]) -> list[PageWarning]:
    more = max(0, len(about) - MOST_NAMED)
    return [PageWarning(f"{title}: {len(about)}", text, about[:MOST_NAMED], more)] if about else []
