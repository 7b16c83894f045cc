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
    """All that was found: in the classes, in the images, and what the stages themselves said in their logs."""
    found = [*_of_classes(run, classes, facts), *_of_images(classes, facts)]
    for stage in run.stages.values():
        found += [PageWarning(f"Said by {stage.name}", line, []) for line in stage.notices]
    return found


def _of_classes(run: RunFolder, classes: ImageClasses, facts: Sequence[Facts]) -> list[PageWarning]:
    learned = run.settings.dataset.train_split.split("+")
    rows = [one.present for one in facts if one.split in learned]
    counts = [sum(index in present for present in rows) for index in range(len(classes.names))]
    never = [name for name, count in zip(classes.names, counts, strict=True) if rows and count == 0]
    always = [name for name, count in zip(classes.names, counts, strict=True) if rows and count == len(rows)]
    return [
        *_one(
            "Classes in no training image",
            "Nothing can be learned of them; take them out of the labels, or add images.",
            never,
        ),
        *_one(
            "Classes in every training image",
            "The classifier cannot tell them from what is always there, so their CAMs may lie anywhere; add images without them.",
            always,
        ),
    ]


def _of_images(classes: ImageClasses, facts: Sequence[Facts]) -> list[PageWarning]:
    def ids(holds: Callable[[Facts], bool]) -> list[str]:
        return [one.image_id for one in facts if one.present and holds(one)]

    flat = [f"{one.image_id} ({', '.join(classes.names[index] for index in one.flat)})" for one in facts if one.flat]
    return [
        *_one("Flat CAMs", "These maps are nearly the same all over the image, so they point to nothing.", flat),
        *_one(
            "More than half unsure",
            "The IR label says little of these images; lower ir_labels.foreground_threshold or raise ir_labels.background_threshold"
            " if there are many.",
            ids(lambda one: (one.unsure or 0) > HALF),
        ),
        *_one(
            "Labels all background",
            "These images have a class, but their semantic label has none; look at their CAMs, or lower labels.semantic_threshold.",
            ids(lambda one: one.foreground == 0),
        ),
    ]


def _one(title: str, text: str, about: list[str]) -> list[PageWarning]:
    more = max(0, len(about) - MOST_NAMED)
    return [PageWarning(f"{title}: {len(about)}", text, about[:MOST_NAMED], more)] if about else []
