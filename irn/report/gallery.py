"""The gallery of the page: a card for each image that is shown."""

from collections.abc import Sequence
from typing import NamedTuple

from irn.data.tables import ImageClasses
from irn.pictures.class_colours import class_colours
from irn.pictures.text import name_in_text
from irn.report.facts import FOUND, Facts, Ranking
from irn.report.images import Picture


class CardClass(NamedTuple):
    """A class of a card: its index, its name and its colour in pictures, as in HTML."""

    class_index: int
    name: str
    colour: str


class Card(NamedTuple):
    """An image in words and pictures, each picture with words for readers who do not see it.

    rank: its place among all images that were not corrected, 1 for the best; below 1 for those that were.
    above: the index of the picture that lies over the image at first.
    """

    image_id: str
    classes: list[CardClass]
    badge: str
    lines: list[str]
    rank: int
    pictures: list[tuple[Picture, str]]
    above: int


def cards(
    ranking: Ranking, places: Sequence[int], pictures: Sequence[list[Picture]], classes: ImageClasses
) -> list[Card]:
    """The cards of the images at some places of the ranking, from 0, with the pictures of each."""
    ranks = [place + 1 - ranking.corrected for place in places]
    named = badges([rank for rank in ranks if rank > 0], len(ranking.images) - ranking.corrected)
    return [
        card(ranking.images[place], rank, named.get(rank, ""), drawn, classes)
        for place, rank, drawn in zip(places, ranks, pictures, strict=True)
    ]


def card(facts: Facts, rank: int, badge: str, pictures: list[Picture], classes: ImageClasses) -> Card:
    """What the gallery says of an image."""
    present = classes_of_card(facts.present, classes)
    names = ", ".join(entry.name for entry in present) or "no class"
    in_words = [(picture, f"{picture.caption}, of image {facts.image_id} with {names}") for picture in pictures]
    kinds = [picture.kind for picture in pictures]
    above = next((kinds.index(kind) for kind in ("semantic", "ir_label", "cam") if kind in kinds), 0)
    badge = "corrected" if facts.corrected else badge
    lines = _lines(facts) if facts.corrected else [f"rank {rank}", *_lines(facts)]
    return Card(facts.image_id, present, badge, lines, rank, in_words, above)


def classes_of_card(present: Sequence[int], classes: ImageClasses) -> list[CardClass]:
    """The classes of an image, by their indices, as a card shows them."""
    palette = class_colours()
    return [
        CardClass(index, name_in_text(classes.names[index], index), "#{:02x}{:02x}{:02x}".format(*palette[index + 1]))
        for index in present
    ]


def _lines(facts: Facts) -> list[str]:
    """What is known of an image in numbers."""
    lines = []
    if facts.iou is not None:
        lines.append(f"mIoU {facts.iou:.3f}")
    if facts.overlaps is not None:
        lines.append(f"objects found {facts.objects_found} of {len(facts.overlaps)} (IoU {FOUND:g} or more)")
    if facts.unsure is not None:
        lines.append(f"unsure {facts.unsure:.0%}")
    if facts.foreground is not None:
        lines.append(f"foreground {facts.foreground:.0%}")
    return lines


def badges(ranks: Sequence[int], count: int) -> dict[int, str]:
    """The ranks among `count` images that have a name: the best, the worst and the nearest to the middle."""
    if not ranks:
        return {}
    middle = min(ranks, key=lambda rank: abs(rank - (count + 1) / 2))
    return {middle: "median", count: "worst", 1: "best"}


def class_filters(gallery: Sequence[Card]) -> list[tuple[int, str, int]]:
    """Index and name of each class in the gallery, and how many of its images have it."""
    entries = [entry for card in gallery for entry in card.classes]
    names = {entry.class_index: entry.name for entry in entries}
    return [(index, names[index], sum(entry.class_index == index for entry in entries)) for index in sorted(names)]
