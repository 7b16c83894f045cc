"""Ground truth: index PNGs of classes and of objects, one `<image_id>.png` for each image, or instances files of COCO."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from irn.data.instances import InstancesFile, boxes_at_a_glance, instances_file, names_at_a_glance
from irn.data.listing import Listed, names_of, safe_id
from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.metrics import object_classes
from irn.records import ImageRecord


class MaskFolder:
    """Ground truth in a folder of index PNGs, of classes or of objects."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path, self.names = path, names

    def require(self, records: Sequence[ImageRecord]) -> None:
        """Raise IrnError for the first image without ground truth."""
        for record in records:
            if not self.has(record):
                raise _missing(self._mask(record))

    def has(self, record: ImageRecord) -> bool:
        """Whether an image has ground truth."""
        return self._mask(record).is_file()

    def class_mask(self, record: ImageRecord) -> np.ndarray:
        """(H, W) integers, 0 background, 1 + class index, 255 void; IrnError for other values."""
        truth = read_index_png(self._mask(record), record.height, record.width)
        beyond = truth[(truth > len(self.names)) & (truth != UNSURE)]
        if beyond.size:
            raise IrnError(
                f"{self.path}: the mask of image {record.image_id!r} holds value {beyond[0]}, "
                f"expected 0 to {len(self.names)} or {UNSURE}; fix the mask or give the labels table of this data set"
            )
        return truth

    def objects(self, record: ImageRecord, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, H, W) bool masks of the objects of an image, none empty, and (T,) 1 + class index of each by the class mask `truth`."""
        path = self._mask(record)
        mask = read_index_png(path, record.height, record.width)
        ids, labels = object_classes(mask, truth)
        if (labels == 0).any():
            raise IrnError(
                f"{path}: object {ids[labels == 0][0]} lies on background alone in the class mask, "
                f"expected its class number or {UNSURE} (void) there; fix one of the two masks"
            )
        # An object that is void all over is not one to be found.
        return mask == ids[labels != UNSURE, None, None], labels[labels != UNSURE]

    def crowds(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
        """None: such masks know no crowds."""
        return np.zeros((0, record.height, record.width), bool), np.zeros(0, np.int64)

    def _mask(self, record: ImageRecord) -> Path:
        """The file of an image's mask, which may have the image's own name instead of the id made of it."""
        paths = [self.path / f"{name}.png" for name in names_of(record.image_id, record.path)]
        return next((path for path in paths if path.is_file()), paths[0])


class InstanceMasks:
    """Ground truth in an instances file, whose categories are among the classes `names`.

    Crowds are void, and they are no objects. Where other instances overlap, the class mask shows the smaller one (of equal ones
    the later in the file), while the masks of objects stay whole. An instance too small to cover a pixel does not count.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self.file = InstancesFile(path)
        self.labels = np.array([names.index(name) + 1 if name in names else 0 for name in self.file.names])
        self._last: tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None

    def require(self, records: Sequence[ImageRecord]) -> None:
        """Raise IrnError for the first image without ground truth, of another size than the manifest's, or with an unknown class."""
        for record in records:
            picture = self.file.images.get(record.image_id)
            if picture is None:
                raise IrnError(
                    f"{self.path}: no image {record.image_id!r} in it; give the file of split {record.split!r}"
                )
            if picture.size not in (None, (record.height, record.width)):
                raise IrnError(
                    f"{self.path}: image {record.image_id!r} is {picture.size[0]} x {picture.size[1]} pixels, the manifest says "
                    f"{record.height} x {record.width}; give the file of these images"
                )
            unknown = [index for index in self.file.classes(record.image_id) if not self.labels[index]]
            if unknown:
                raise IrnError(
                    f"{self.path}: image {record.image_id!r} has category {self.file.names[unknown[0]]!r}, which is no class of the labels"
                    " table; give the labels table of this data set, or masks of its classes"
                )

    def has(self, record: ImageRecord) -> bool:
        """Whether an image has ground truth."""
        return record.image_id in self.file.images

    def class_mask(self, record: ImageRecord) -> np.ndarray:
        """(H, W) uint8, 0 background, 1 + class index, 255 void."""
        masks, labels, crowd = self._read(record)
        truth = np.concatenate([[0], labels]).astype(np.uint8)[smaller_on_top(masks)]
        truth[masks[crowd].any(0)] = UNSURE
        return truth

    def objects(self, record: ImageRecord, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, H, W) bool masks of the objects of an image, none empty, and (T,) 1 + class index of each; `truth` is not needed."""
        masks, labels, crowd = self._read(record)
        counted = ~crowd & masks.any((1, 2))
        return masks[counted], labels[counted]

    def crowds(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
        """(T, H, W) bool masks of the crowds of an image, none empty, and (T,) 1 + class index of each."""
        masks, labels, crowd = self._read(record)
        counted = crowd & masks.any((1, 2))
        return masks[counted], labels[counted]

    def _read(self, record: ImageRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks, labels and crowds of an image; kept until another is read, since both methods want them."""
        if self._last is None or self._last[0] != record.image_id:
            masks, index, crowd = self.file.masks(record.image_id, record.height, record.width)
            self._last = record.image_id, (masks, self.labels[index], crowd)
        return self._last[1]


# Both have one face.
Truth = MaskFolder | InstanceMasks


def open_truth(path: Path, split: str, names: Sequence[str]) -> Truth:
    """Ground truth of a split by classes `names`: a folder of index PNGs, an instances file, or a folder of such files.

    Raises IrnError for a folder of instances files without one of the split, and for a file that is not one.
    """
    if path.is_dir() and is_of_instances(path):
        path = instances_file(path, split)
    return InstanceMasks(path, names) if path.is_file() else MaskFolder(path, names)


def open_truths(
    class_masks: Path, object_masks: Path | None, records: Sequence[ImageRecord], names: Sequence[str]
) -> tuple[Truth, Truth | None]:
    """Ground truth of classes, and of objects if it is given, for images of one split; IrnError where it lacks an image."""
    classes = open_truth(Path(class_masks), records[0].split, names)
    classes.require(records)
    if object_masks is None or Path(object_masks) == Path(class_masks):
        return classes, classes if object_masks else None
    objects = open_truth(Path(object_masks), records[0].split, names)
    objects.require(records)
    return classes, objects


def lacking(path: Path, images: Sequence[Listed]) -> list[str]:
    """The names of images that have no ground truth, where a glance shows it: files are looked for, and what is in them is not checked.

    Raises IrnError for a folder of instances files without that of an image's split, and for boxes without a segmentation.
    """
    if not path.is_file() and not is_of_instances(path):
        return [
            i.name
            for i in images
            if not any(os.path.isfile(f"{path}/{name}.png") for name in names_of(i.image_id, i.path))
        ]
    files = {
        split: path if path.is_file() else instances_file(path, split)
        for split in dict.fromkeys(image.split for image in images)
    }
    held = {file: {safe_id(Path(name).stem) for name in names_at_a_glance(file)} for file in set(files.values())}
    for file in held:
        boxes, count = boxes_at_a_glance(file)
        if boxes:
            remedy = "give them one, take them out, or set dataset.eval_split to a split in which all have one"
            raise IrnError(
                f"{file}: {boxes} of {count} annotations have no segmentation, and boxes cannot be scored; {remedy}"
            )
    return [image.name for image in images if image.image_id not in held[files[image.split]]]


def is_of_instances(path: Path) -> bool:
    """Whether a folder holds ground truth as instances files."""
    return any(path.glob("instances_*.json"))


def smaller_on_top(masks: np.ndarray) -> np.ndarray:
    """(H, W) integers, 0 none, i = mask i - 1, of (N, H, W) bool that may overlap; of equal ones the later lies on top."""
    numbers = np.zeros(masks.shape[1:], np.int64)
    for row in np.argsort(-masks.sum((1, 2)), kind="stable"):
        numbers[masks[row]] = row + 1
    return numbers


def read_index_png(path: Path, height: int, width: int) -> np.ndarray:
    """Read the values of a palette or grey PNG as (height, width) integers; the palette's colours play no part.

    Raises IrnError for a file that is missing, unreadable, of another size, in colour, or of one bit per pixel.
    """
    try:
        with Image.open(path) as picture:
            if picture.format == "JPEG":
                raise IrnError(
                    f"{path}: the mask is a JPEG, which changes the numbers that it holds; save them as an index PNG"
                )
            # Pillow reads one-bit grey as truth values, which leaves open whether white is index 1 or 255.
            if picture.mode not in ("P", "L", "I", "I;16"):
                raise IrnError(
                    f"{path}: mask mode is {picture.mode}, expected an index PNG (P or L); save the class or object numbers themselves"
                )
            mask = np.array(picture)
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, SyntaxError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); replace the file") from None
    if mask.shape != (height, width):
        raise IrnError(
            f"{path}: the mask is {mask.shape[0]} x {mask.shape[1]} pixels, the manifest says {height} x {width}; give its own mask"
        )
    return mask


def _missing(path: Path) -> IrnError:
    return IrnError(
        f"{path}: no such mask; add it, take the image out of the manifest or choose a split that has masks"
    )
