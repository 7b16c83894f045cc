"""Labels from masks of classes and of objects, as people draw them: nothing in them is guessed."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from irn.errors import IrnError
from irn.grid import UNSURE
from irn.ops.stacking import smaller_on_top

MOST = np.iinfo(np.uint16).max


def mask_of_objects(masks: np.ndarray, labels: np.ndarray, void: np.ndarray) -> dict[str, np.ndarray]:
    """Objects that may overlap, painted into one mask; of two, the smaller one lies on top.

    Parameters
    ----------
    masks, labels: (T, H, W) bool, and (T,) 1 + class index of each.
    void: (H, W) bool, what nobody knows the class of.

    Returns
    -------
    The arrays of an IR label cache: `label` (H, W) uint8, 0 background, 1 + class index, 255 void; and `instances`
    (H, W) uint16, 0 none, i = object i, of those that can be seen.

    Raises
    ------
    IrnError for more than 65,535 objects.
    """
    numbers = np.where(void, 0, smaller_on_top(masks))
    label = np.concatenate([[0], labels]).astype(np.uint8)[numbers]
    return {"label": np.where(void, UNSURE, label).astype(np.uint8), "instances": _without_gaps(numbers)}


def mask_of_classes(class_mask: np.ndarray, objects: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """A class mask and, where there is one, an object mask beside it.

    Parameters
    ----------
    class_mask: (H, W) integers, 0 background, 1 + class index, 255 void.
    objects: (H, W) integers, 0 none, i = object i, each of one class. Without it, each 4-connected piece of a class is
        an object.

    Returns
    -------
    As `mask_of_objects`. Pixels of a class may belong to no object.
    """
    label = class_mask.astype(np.uint8)
    if objects is None:
        objects = np.zeros(label.shape, np.int64)
        for value in np.unique(label[(label > 0) & (label != UNSURE)]):
            pieces, _ = ndimage.label(label == value)
            objects[pieces > 0] = pieces[pieces > 0] + objects.max()
    return {"label": label, "instances": _without_gaps(np.where(label == UNSURE, 0, objects))}


def classes_in(label: np.ndarray) -> list[int]:
    """The class indices in a label map (H, W), ascending; 0 is background and 255 void."""
    return [int(value) - 1 for value in np.unique(label) if value not in (0, UNSURE)]


def label_of_mask(mask: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a label cache from `label` and `instances`: each object has score 1, void is background."""
    label, instances = mask["label"], mask["instances"]
    classes = np.zeros(int(instances.max(initial=0)), np.uint16)
    inside = instances > 0
    classes[instances[inside] - 1] = label[inside] - 1
    return {
        "semantic": np.where(label == UNSURE, 0, label).astype(np.uint8),
        "instance_map": instances.astype(np.uint16),
        "instance_class": classes,
        "instance_score": np.ones(len(classes), np.float32),
    }


def told_apart(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """What IRNet's pairs compare, from the arrays of an IR label cache: (H, W) uint8, 0 background, 255 unsure.

    Two pixels on something are alike where they have one value. Without `instances` that is 1 + class index. With them
    it is the number of the object, so that the pairs of two touching objects of a class are different ones, and
    displacement is learned within each; pixels of a class that belong to no object are unsure.
    """
    label = arrays["label"]
    if "instances" not in arrays:
        return label
    instances = arrays["instances"]
    numbers = _few_numbers(instances)[instances]
    return np.where(instances > 0, numbers, np.where(label == 0, 0, UNSURE)).astype(np.uint8)


def _few_numbers(instances: np.ndarray) -> np.ndarray:
    """A number from 1 to 254 for each object of (H, W) numbers from 1 without gaps, in its place; 0 in the first.

    Of more objects, each gets one that no object near it has, whose pixels a pair could meet.
    """
    most, count = UNSURE - 1, int(instances.max(initial=0))
    numbers = (np.arange(count + 1) - 1) % most + 1
    numbers[0] = 0
    if count <= most:
        return numbers
    boxes = ndimage.find_objects(instances)
    starts = np.array([[side.start for side in box] for box in boxes])
    stops = np.array([[side.stop for side in box] for box in boxes])
    for place in range(most, count):
        # Where all numbers are near, those that are nearer yet.
        for distance in (max(instances.shape) // 8, max(instances.shape) // 64, 1):
            near = (starts[:place] <= stops[place] + distance) & (stops[:place] >= starts[place] - distance)
            free = np.setdiff1d(np.arange(1, most + 1), numbers[1 : place + 1][near.all(1)])
            if len(free):
                numbers[place + 1] = free[0]
                break
    return numbers


def _without_gaps(numbers: np.ndarray) -> np.ndarray:
    """Object numbers (H, W) from 1 on, in the same order, uint16."""
    values, ranks = np.unique(numbers, return_inverse=True)
    count = np.count_nonzero(values)
    if count > MOST:
        raise IrnError(f"{count} objects in one mask, of at most {MOST}; look for noise in it")
    return (ranks.reshape(numbers.shape) + (values[0] != 0)).astype(np.uint16)
