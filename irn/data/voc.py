"""Data sets in the layout of PASCAL VOC.

Layout: `JPEGImages/ID.*`, `Annotations/ID.xml`, lists `ImageSets/Segmentation/SPLIT.txt`, and `classes.txt` (one name
per line) where classes other than VOC's need an order; ground truth in `SegmentationClass/` and
`SegmentationObject/`. In CVAT's exports `labelmap.txt` tells the colours of masks, which tell the classes where there
are no annotations.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from unicodedata import normalize

from irn.data.findings import Findings
from irn.data.label_table import read_labels
from irn.data.labelmap import LABELMAP, labelmap_of
from irn.data.layout import Layout
from irn.data.listing import Listed, all_taken, find_images, one_each, without_suffix
from irn.data.painted_classes import read_painted
from irn.data.tables import ImageClasses
from irn.data.voc_annotations import ANNOTATIONS, NAMES, read_annotations
from irn.errors import IrnError

IMAGES, LISTS = "JPEGImages", "ImageSets/Segmentation"
CVAT_SPLIT = "default"


class Voc(Layout):
    """PASCAL VOC's layout."""

    def watched(self, root: Path) -> list[Path]:
        """The folders of images, annotations and lists, the tables of class names, and masks that tell the classes."""
        masks = [self.class_masks] if self._masks_tell_classes(root) else []
        return [root / name for name in (IMAGES, ANNOTATIONS, LISTS, NAMES, LABELMAP, *masks)]

    def listed(
        self, root: Path, splits: Sequence[str] | None, findings: Findings, labels_csv: Path | None = None
    ) -> list[Listed]:
        """The images of the lists, in the lists' order.

        splits: names of lists under ImageSets/Segmentation or paths of list files, whose stem is then the split's
            name; None means `train` and `val`, as far as they exist, or CVAT's only list `default`, as `train`. An
            image in several belongs to the one named first.
        """
        folder = root / IMAGES
        if not folder.is_dir():
            raise IrnError(
                f"{folder}: no such folder; expected the root of a VOC layout, such as VOCdevkit/VOC2012, with"
                " JPEGImages/"
                " in it"
            )
        there = find_images(folder, findings)
        split_of: dict[str, str] = {}
        for split, path in _split_lists(root, splits).items():
            names = _read_list(path, there, findings)
            if all(name in split_of for name in names):
                raise all_taken(path, split)
            for name in names:
                if name not in there:
                    remedy = "add the file or take the line out of the list"
                    findings.problem(folder, f"no image {name!r}, which {path.name} lists", remedy)
                # train_aug holds all of train, and VOC's own scores are over train alone.
                split_of.setdefault(name, split)
        paths = one_each({name: there[name] for name in split_of if name in there}, findings)
        return [Listed(name, path, split_of[name]) for name, path in paths.items()]

    def read(
        self,
        root: Path,
        splits: Sequence[str] | None,
        labels_csv: Path | None,
        findings: Findings,
        left_out: Collection[str] = (),
    ) -> tuple[list[Listed], ImageClasses]:
        """The images as in `listed`, and their classes.

        labels_csv: a table with `image_id` and a 0/1 column for each class, to use instead of the annotations; rows
            beyond the images listed do no harm. The annotations are read as `read_annotations` says: the label files
            that CAM methods share have the classes of objects marked difficult, too.
        """
        images = self.listed(root, splits, findings)
        if labels_csv is not None:
            return images, read_labels(labels_csv, images, findings, every_row=False)
        if self._masks_tell_classes(root):
            return images, read_painted(root / self.class_masks, images, findings)
        return images, read_annotations(root, images, findings, left_out)

    def _masks_tell_classes(self, root: Path) -> bool:
        """Whether the classes come from CVAT's masks, unless a table gives them."""
        return not (root / ANNOTATIONS).is_dir() and labelmap_of(root / self.class_masks) is not None


LAYOUT = Voc()


def _split_lists(root: Path, splits: Sequence[str] | None) -> dict[str, Path]:
    """The list file of each split asked for, by the split's name."""
    folder = root / LISTS
    known = sorted(path.stem for path in folder.glob("*.txt"))
    if not splits and known == [CVAT_SPLIT]:
        return {"train": folder / f"{CVAT_SPLIT}.txt"}
    if not splits:
        splits = [name for name in ("train", "val") if name in known]
        if not splits:
            remedy = (
                "name the lists to use as splits, or give their paths"
                if known
                else "write train.txt there, with the name of an image a line, without its extension"
            )
            raise IrnError(f"{folder}: neither train.txt nor val.txt ({_or_none(known)}); {remedy}")
    lists: dict[str, Path] = {}
    for name in splits:
        is_path = "/" in name or name.endswith(".txt")
        path = Path(name) if is_path else folder / f"{name}.txt"
        if not path.is_file():
            raise IrnError(
                f"{path}: no such list of images; name one in {folder} ({_or_none(known)}), or give a list's path"
            )
        if path.stem in lists:
            raise IrnError(f"{path}: split {path.stem!r} is asked for twice; give each split once")
        lists[path.stem] = path
    return lists


def _read_list(path: Path, there: Collection[str], findings: Findings) -> list[str]:
    """The names of a list's images: one for each line, or the path of an image; further columns do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise IrnError(f"{path}: not a text file ({error}); expected a list with one image id per line") from None
    # Systems write letters with marks in one of two forms.
    known = {normalize("NFC", name): name for name in there} | {name: name for name in there}
    names: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines)):
        # A name may have blanks of its own.
        whole, first = _name_in(line), _name_in(line.split()[0])
        written = (form for part in (whole, first) for form in (part, normalize("NFC", part)))
        name = next((known[form] for form in written if form in known), first)
        if name in names and (line == names[name] or "/" not in line):
            findings.problem(path, f"image id {name!r} appears in more than one row", "take one of the lines out")
        elif name in names:
            problem = f"{names[name]!r} and {line!r} would both be image {name!r}, since folders do not count here"
            remedy = f"give the images names of their own, and put them into {IMAGES} itself"
            findings.problem(path, problem, remedy)
        names[name] = line
    if not names:
        raise IrnError(f"{path}: the list names no image; expected one image id per line")
    return list(names)


def _name_in(entry: str) -> str:
    """The name in a line, which may be the path of an image."""
    return without_suffix(entry.rsplit("/", 1)[-1])


def _or_none(lists: Sequence[str]) -> str:
    """The lists that there are, for an error."""
    return f"has {', '.join(lists)}" if lists else "has no list"
