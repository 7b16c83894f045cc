"""What may be wrong with the classes of a data set, or look wrong."""

import re
from collections.abc import Mapping
from pathlib import Path

from irn.data.findings import Findings, some
from irn.data.names import same_but_for_case
from irn.data.tables import ImageClasses

# What tools and data sets call regions that are not to be learned, without case and signs.
MARKERS = (
    *("ignore", "ignored", "ignoreregion", "ignoredregion", "ignoredregions", "dontcare", "void", "unlabeled"),
    *("unlabelled", "unknown", "undefined", "crowd", "difficult", "others", "other", "misc", "na", "none"),
)


def check_classes(
    classes: ImageClasses, counts: Mapping[str, int], root: Path, is_labelled: bool, findings: Findings
) -> None:
    """A problem where no image has a class; notices of classes that teach nothing, or whose name looks odd.

    counts: in how many of the images that can be read each class is. is_labelled: whether any image has a class, the
        unreadable ones too.
    """
    total = len(classes.present)
    if total and not is_labelled:
        findings.problem(
            root, "no image has a class, so there is nothing to learn", "give the labels, or fix their table"
        )
        return
    _check_counts(counts, total, findings)
    _check_names(classes.names, counts, findings)
    without = sum(not present for present in classes.present.values())
    if without:
        findings.note(f"{without} of {total} images have no class")


def _check_counts(counts: Mapping[str, int], total: int, findings: Findings) -> None:
    everywhere = (
        "on every image, so nothing tells it from the background and its maps carry no information; add images without"
        " it"
    )
    nowhere = "on no image, so nothing can be learned of it"
    for number, words in ((total, everywhere), (0, nowhere)):
        names = [name for name, count in counts.items() if count == number]
        if names and total:
            findings.notice(f"{len(names)} of {len(counts)} classes are {words} ({some(names)})")


def _check_names(names: list[str], counts: Mapping[str, int], findings: Findings) -> None:
    for name in names:
        if name.strip("_").casefold() in ("background", "bg"):
            findings.notice(
                f"class {name!r} is learned like any other; background is what no class covers: take it out unless"
                f" it is meant, with dataset.leave_out: [{name}] (--leave-out)"
            )
        elif (absent := _absent(name)) in {other.casefold() for other in names}:
            findings.notice(
                f"class {name!r} reads like the absence of {absent!r}, and is learned like any other; what has no class"
                f" needs no name: leave it out with dataset.leave_out: [{name}] (--leave-out)"
            )
        elif "".join(filter(str.isalpha, name.casefold())) in MARKERS:
            findings.notice(
                f"class {name!r} ({counts[name]} of the images) is learned like any other; if it marks what is to be"
                f" ignored, leave it out with dataset.leave_out: [{name}] (--leave-out)"
            )
    for first, second in same_but_for_case(names):
        findings.notice(f"classes {first!r} and {second!r} differ by case or blanks alone, and are two")
    for slip, meant in _slips(counts):
        findings.notice(
            f"class {slip!r} ({counts[slip]} of the images) is spelt like {meant!r} ({counts[meant]}); correct it if"
            " it is a slip"
        )


def _absent(name: str) -> str:
    """The class that a name such as `no_cat` says to be absent; empty for other names."""
    words = re.split(r"[\W_]+", name.casefold(), maxsplit=1)
    return words[1].replace("_", " ") if len(words) == 2 and words[0] in ("no", "not", "non", "without") else ""


def _slips(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Classes of an image or two that are spelt like a more frequent one, each with that one."""
    rare = [name for name, count in counts.items() if count <= 2]
    return [
        (name, other)
        for name in rare
        for other, count in counts.items()
        if count > counts[name] and _is_spelt_alike(name, other)
    ]


def _is_spelt_alike(first: str, second: str) -> bool:
    """Whether two names have the same letters in another order, or one has a letter more."""
    first, second = first.casefold(), second.casefold()
    shorter, longer = sorted((first, second), key=len)
    # Names that differ by digits or blanks alone, such as grade 1 and grade 11, are meant.
    if "".join(filter(str.isalpha, first)) == "".join(filter(str.isalpha, second)):
        return False
    with_one_less = (longer[:place] + longer[place + 1 :] for place in range(len(longer)))
    return sorted(first) == sorted(second) or (len(longer) > 3 and shorter in with_one_less)
