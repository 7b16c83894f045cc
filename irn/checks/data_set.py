"""The check of a data set before hours of training: all images in full, tables, classes and masks, and all problems at once."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from irn.checks.masks import check_masks, check_outlines
from irn.data.findings import Findings, some
from irn.data.images import Look, look
from irn.data.kinds import kind as reader_of
from irn.data.listing import Listed
from irn.data.tables import ImageClasses, same_but_for_case
from irn.errors import IrnError
from irn.io.parallel import map_images
from irn.io.progress import progress
from irn.records import ImageRecord

SMALL = 32  # pixels of a side, two cells of the classifier's maps


@dataclass
class DataSet:
    """A data set that was checked: the manifest's rows, the classes, how many images have each Pillow mode, and what was found."""

    records: list[ImageRecord]
    classes: ImageClasses
    modes: Counter[str]
    findings: Findings

    def counts(self) -> dict[str, dict[str, int]]:
        """How many images of each class each split holds, the whole set first."""
        splits = {"all": self.records} | {
            split: [r for r in self.records if r.split == split] for split in self.splits()
        }
        held = {
            name: Counter(index for r in records for index in self.classes.present[r.image_id])
            for name, records in splits.items()
        }
        return {name: {split: held[split][index] for split in splits} for index, name in enumerate(self.classes.names)}

    def splits(self) -> dict[str, int]:
        """How many images each split holds."""
        return dict(Counter(record.split for record in self.records))

    def sizes(self) -> dict[str, tuple[int, int]]:
        """The smallest and the largest height and width."""
        sides = {"height": [r.height for r in self.records], "width": [r.width for r in self.records]}
        return {name: (min(values), max(values)) for name, values in sides.items() if values}


def check_data_set(
    kind: str,
    root: Path,
    splits: Sequence[str] | None,
    labels_csv: Path | None,
    class_masks: Path | None,
    workers: int | None,
    value_range: tuple[float, float] | None = None,
) -> DataSet:
    """Read a data set as `build_manifest` needs it, open each image in full, and collect all that is wrong or looks wrong.

    class_masks: where the class masks lie; None for the data set's own, if it has any. Only images that have one are checked
    against it. value_range: as of `read_image`.
    """
    findings = Findings()
    root, reader = Path(root).absolute(), reader_of(kind)
    images: list[Listed] = []
    classes = ImageClasses([], {})
    with findings.collected():
        if not root.is_dir():
            remedy = (
                "make it with irn make-demo-data, or fix the path" if kind == "demo" else "fix the path of the data set"
            )
            raise IrnError(f"{root}: no such folder; {remedy}")
        images, classes = reader.read(root, splits, labels_csv, findings)
    looks = map_images(partial(_look, value_range=value_range), images, workers)
    seen = dict(zip(images, progress(looks, len(images), "check images"), strict=True))
    records = _records(seen, value_range, findings)
    present = {record.image_id: classes.present.get(record.image_id, []) for record in records}
    modes = Counter(found.mode for found in seen.values() if isinstance(found, Look))
    data = DataSet(records, ImageClasses(classes.names, present), modes, findings)
    if classes.names:
        _check_classes(data, root, any(classes.present.values()))
        if class_masks is not None and not Path(class_masks).exists():
            findings.problem(class_masks, "no such folder or file of class masks", "fix the path")
        place = Path(class_masks or root / reader.CLASS_MASKS)
        if kind == "coco" and place.absolute() == root / reader.CLASS_MASKS:
            # The instances files that the images are of have no other images, and no other classes.
            check_outlines(records, place, findings, workers)
        elif place.exists():
            check_masks(records, data.classes, place, findings, workers)
    return data


def _look(image: Listed, value_range: tuple[float, float] | None) -> Look | IrnError:
    return look(image.path, value_range)


# ---- images


def _records(
    seen: dict[Listed, Look | IrnError], value_range: tuple[float, float] | None, findings: Findings
) -> list[ImageRecord]:
    """The manifest's rows of the images that can be read; problems of the others, and notices of what is odd about these."""
    records = []
    for image, found in seen.items():
        if isinstance(found, IrnError):
            findings.mistake(found)
            continue
        if image.size not in (None, (found.height, found.width)):
            said = f"{found.height} x {found.width} pixels{' as EXIF turns it' if found.turned else ''}"
            problem = f"{said}, but the annotations say {image.size[0]} x {image.size[1]}"
            findings.problem(image.path, problem, "give the image that was annotated")
        records.append(ImageRecord(image.image_id, image.path, found.height, found.width, image.split, value_range))
    looks = {image: found for image, found in seen.items() if isinstance(found, Look)}
    _note_kinds(looks, findings)
    _note_names(list(seen), findings)
    _note_twins(looks, findings)
    return records


def _note_kinds(looks: dict[Listed, Look], findings: Findings) -> None:
    """Count what is done to images when they are read."""
    turned = Counter(found.mode for found in looks.values() if found.mode != "RGB")
    if turned:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(turned.items()))
        findings.notes.append(
            f"{turned.total()} of {len(looks)} images are not RGB and are turned into it when they are read ({modes})"
        )
    odd: tuple[tuple[str, Callable[[Look], bool]], ...] = (
        (
            "are turned as their EXIF orientation says; masks and boxes have to be of the turned image",
            lambda found: found.turned,
        ),
        ("hold several pictures, of which the first is read", lambda found: found.frames > 1),
        ("have 16 bits for each colour, of which the upper 8 are read", lambda found: found.deep),
        ("have values beyond dataset.value_range, which become its ends", lambda found: found.beyond),
        (
            f"have a side below {SMALL} pixels, where maps have a few cells only",
            lambda found: min(found.height, found.width) < SMALL,
        ),
    )
    for words, is_so in odd:
        chosen = [image.path.name for image, found in looks.items() if is_so(found)]
        if chosen:
            findings.notices.append(f"{len(chosen)} of {len(looks)} images {words} ({some(chosen)})")


def _note_names(images: Sequence[Listed], findings: Findings) -> None:
    ids = defaultdict(list)
    for image in images:
        ids[image.image_id.casefold()].append(image)
    for same in ids.values():
        if len({image.image_id for image in same}) < len(same):
            findings.problem(
                same[1].path,
                f"would have the same id as {same[0].path.name}, {same[1].image_id!r}",
                "rename one of the files",
            )
        elif len(same) > 1:
            names = ", ".join(image.image_id for image in same)
            findings.notices.append(
                f"{names}: ids that differ in case alone; files of results overwrite each other where case does not count"
            )
    made = [image for image in images if image.image_id != image.name]
    if made:
        examples = some([f"{image.name!r} is {image.image_id}" for image in made])
        findings.notes.append(f"{len(made)} of {len(images)} images have an id made of their name ({examples})")


def _note_twins(looks: dict[Listed, Look], findings: Findings) -> None:
    same = defaultdict(list)
    for image, found in looks.items():
        same[found.digest].append(image)
    for twins in same.values():
        if len(twins) > 1:
            across = (
                ", also in several splits, so scores are of images learned from"
                if len({image.split for image in twins}) > 1
                else ""
            )
            findings.notices.append(
                f"the same picture {len(twins)} times{across} ({some([image.path.name for image in twins])})"
            )


# ---- classes


def _check_classes(data: DataSet, root: Path, labelled: bool) -> None:
    """A problem without any class in any image; notices of classes that teach nothing."""
    total, counts = len(data.records), {name: row["all"] for name, row in data.counts().items()}
    if total and not labelled:
        data.findings.problem(
            root, "no image has a class, so there is nothing to learn", "give the labels, or fix their table"
        )
        return
    for number, words in (
        (
            total,
            "on every image, so nothing tells it from the background and its maps carry no information; add images without it",
        ),
        (0, "on no image, so nothing can be learned of it"),
    ):
        names = [name for name, count in counts.items() if count == number]
        if names and total:
            data.findings.notices.append(f"{len(names)} of {len(counts)} classes are {words} ({some(names)})")
    for name in data.classes.names:
        if name.strip("_").casefold() in ("background", "bg"):
            data.findings.notices.append(
                f"class {name!r} is learned like any other; background is what no class covers: take it out unless it is meant"
            )
    for one, other in same_but_for_case(data.classes.names):
        data.findings.notices.append(f"classes {one!r} and {other!r} differ by case or blanks alone, and are two")
    for slip, meant in _slips(counts):
        data.findings.notices.append(
            f"class {slip!r} ({counts[slip]} of the images) is spelt like {meant!r} ({counts[meant]}); correct it if it is a slip"
        )
    without = sum(not present for present in data.classes.present.values())
    if without:
        data.findings.notes.append(f"{without} of {total} images have no class")


def _slips(counts: dict[str, int]) -> list[tuple[str, str]]:
    """Classes of an image or two whose name is that of a more frequent one with letters swapped, or with one letter more or less."""
    rare = [name for name, count in counts.items() if count <= 2]
    return [
        (one, other)
        for one in rare
        for other, count in counts.items()
        if count > counts[one] and _spelt_alike(one, other)
    ]


def _spelt_alike(one: str, other: str) -> bool:
    one, other = one.casefold(), other.casefold()
    shorter, longer = sorted((one, other), key=len)
    # Names that differ by digits or blanks alone, such as grade 1 and grade 11, are meant.
    if "".join(filter(str.isalpha, one)) == "".join(filter(str.isalpha, other)):
        return False
    return sorted(one) == sorted(other) or (
        len(longer) > 3 and any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))
    )


# ---- words


def as_json(data: DataSet) -> dict[str, Any]:
    """All that the check says, ready for JSON."""
    return {
        "images": len(data.records),
        "splits": data.splits(),
        "classes": data.counts(),
        "sizes": data.sizes(),
        "modes": dict(data.modes),
        "problems": [problem._asdict() for problem in data.findings.problems],
        "notices": data.findings.notices,
        "notes": data.findings.notes,
    }


def as_lines(data: DataSet) -> list[str]:
    """The same as text: what there is, how it was understood, and a table of the problems."""
    sizes = ", ".join(f"{name} {low} to {high}" for name, (low, high) in data.sizes().items())
    splits = ", ".join(f"{count} {split}" for split, count in data.splits().items())
    lines = [f"{len(data.records)} images ({splits}); {sizes}"] if data.records else []
    if data.records and data.classes.names:
        columns = ["all", *data.splits()]
        rows = [["class", *columns, "without"]]
        rows += [
            [name, *(str(row[c]) for c in columns), str(len(data.records) - row["all"])]
            for name, row in data.counts().items()
        ]
        lines += _aligned(rows)
    lines += data.findings.notes
    if data.findings.problems:
        lines += ["", *_aligned([["file", "problem", "remedy"], *map(list, data.findings.problems)])]
    return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table, each column as wide as its longest cell."""
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
