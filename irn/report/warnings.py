"""What looks wrong in what a run made, for a reader to look at."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from irn.data.tables import ImageClasses
from irn.records import ImageRecord
from irn.report.facts import Facts
from irn.report.run_folder import RunFolder

MOST_NAMED = 20
HALF = 0.5  # share of unsure pixels from which on an image is named


class PageWarning(NamedTuple):
    """What looks wrong, what it means and what to do; the classes or images concerned, and how many more there are."""

    title: str
    text: str
    about: list[str]
    more: int = 0


def warnings_of(
    run: RunFolder, records: Sequence[ImageRecord], classes: ImageClasses, facts: Sequence[Facts]
) -> list[PageWarning]:
    """What looks wrong in the classes of all images, in those whose facts are known, and in the logs of stages."""
    notices = [
        PageWarning(f"Said by {stage.name}", notice, []) for stage in run.stages.values() for notice in stage.notices
    ]
    return [*_of_classes(run, records, classes), *_of_images(run, classes, facts), *notices]


def nothing_wrong(facts: Sequence[Facts]) -> str:
    """What a page without warnings says, which is what was looked at."""
    parts = ["Nothing looks wrong: each class is in some training images and not in others"]
    if any(image.flat is not None for image in facts):
        parts.append("no CAM is flat")
    if any(image.unsure is not None for image in facts):
        parts.append("no IR label is more than half unsure")
    if any(image.foreground is not None for image in facts):
        parts.append("no label is all background")
    return ", ".join([*parts, "and no stage gave notice of anything."])


def _of_classes(run: RunFolder, records: Sequence[ImageRecord], classes: ImageClasses) -> list[PageWarning]:
    splits = run.settings.dataset.train_split.split("+")
    trained = [classes.present.get(record.image_id, []) for record in records if record.split in splits]
    counts = [sum(index in present for present in trained) for index in range(len(classes.names))]
    never = [name for name, count in zip(classes.names, counts, strict=True) if trained and count == 0]
    always = [name for name, count in zip(classes.names, counts, strict=True) if trained and count == len(trained)]
    return [
        *_warning(
            "Classes in no training image",
            "Nothing can be learned of them; take them out of the labels, or add images.",
            never,
        ),
        *_warning(
            "Classes in every training image",
            "The classifier cannot tell them from what is always there, so their CAMs may lie anywhere;"
            " add images without them.",
            always,
        ),
    ]


def _of_images(run: RunFolder, classes: ImageClasses, facts: Sequence[Facts]) -> list[PageWarning]:
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
            " ir_labels.background_threshold if there are many.",
            ids(lambda image: (image.unsure or 0) > HALF),
        ),
        *_warning(
            "Labels all background",
            # Scores are shares of the image's highest, which is above any other threshold.
            "These images have a class, but no score is above labels.semantic_threshold, which is 1; lower it."
            if run.settings.labels.semantic_threshold >= 1
            else "These images have a class, but the random walk left no score: their CAMs are 0, or their boundary"
            " maps 1 all over. Look at both.",
            ids(lambda image: image.foreground == 0),
        ),
    ]


def _warning(title: str, text: str, about: list[str]) -> list[PageWarning]:
    """A warning about some classes or images; none about none."""
    more = max(0, len(about) - MOST_NAMED)
    return [PageWarning(f"{title}: {len(about)}", text, about[:MOST_NAMED], more)] if about else []
