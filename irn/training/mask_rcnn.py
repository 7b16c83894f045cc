"""How Mask R-CNN learns: what it sees of an image and its instances, and what it minimises."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torchvision.ops import masks_to_boxes

from irn.grid import UNSURE
from irn.networks.backbones import Trainable
from irn.networks.mask_rcnn import MaskRcnn
from irn.records import ImageRecord
from irn.training.parts import Forward, Losses, Objective, Whole
from irn.training.views import Batch, Place, Sample, draw_seed, sized_view

SMALLEST_SIDE = 2  # pixels of an instance's box in the crop
Instances = tuple[np.ndarray, np.ndarray]


def instance_view(
    place: Place,
    records: Sequence[ImageRecord],
    instances_of: Callable[[ImageRecord], Instances],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """What Mask R-CNN sees: a crop (S, S, 3) uint8, the box that the image fills in it, and its instances.

    `instances_of` gives of an image (H, W) uint8, 0 none, i = instance i - 1, at most 254; and (N,) class indices. The sample
    has that map as (S, S) uint8, 255 outside the image, (255,) int64 `labels`, 1 + class index of instance i at i, and the seed of
    its draws.
    """
    record = records[place.image]
    instance_map, classes = instances_of(record)
    crop, box, map_crop = sized_view(place, record, instance_map, long_side, crop_size, seed)
    assert map_crop is not None
    labels = np.zeros(UNSURE, np.int64)
    labels[1 : 1 + len(classes)] = classes.astype(np.int64) + 1
    return {"pixels": crop, "box": box, "instances": map_crop, "labels": labels, "seed": draw_seed(place, seed)}


# What each of torchvision's losses is a mean over: of what `MaskRcnn.counts` returns the place.
ANCHORS, REGIONS, MASKS = 0, 1, 2
MEAN_OVER = {
    "loss_objectness": ANCHORS, "loss_rpn_box_reg": ANCHORS, "loss_classifier": REGIONS, "loss_box_reg": REGIONS, "loss_mask": MASKS,
}  # fmt: skip


def mask_rcnn_losses(batch: Batch, forward: Forward, whole: Whole) -> Losses:
    """The sum of torchvision's five losses, and each of them."""
    means, counts = forward(batch["images"], _targets(batch), batch["seed"].tolist())
    share = counts / whole(counts).clamp(min=1)
    losses = {name: mean * share[MEAN_OVER[name]] for name, mean in means.items()}
    return {"loss": torch.stack(list(losses.values())).sum(), **losses}


def _counts(batch: Batch, model: Trainable) -> torch.Tensor:
    assert isinstance(model, MaskRcnn)
    return model.counts(batch["images"], _targets(batch), batch["seed"].tolist())


MASK_RCNN = Objective(mask_rcnn_losses, _counts)


def _targets(batch: Batch) -> list[dict[str, torch.Tensor]]:
    return [_target(*pair) for pair in zip(batch["instances"], batch["labels"], strict=True)]


def _target(instance_map: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Boxes, labels and masks of the instances in a crop that are large enough for a box."""
    found = torch.unique(instance_map).long()
    found = found[(found > 0) & (found < UNSURE)]
    masks = instance_map == found[:, None, None]
    boxes = masks_to_boxes(masks) if len(found) else torch.zeros(0, 4, device=masks.device)
    # Its last pixel belongs to an instance.
    boxes[:, 2:] += 1
    large = (
        (boxes[:, 2:] - boxes[:, :2]).amin(1) >= SMALLEST_SIDE
        if len(found)
        else torch.zeros(0, dtype=torch.bool, device=masks.device)
    )
    return {"boxes": boxes[large], "labels": labels[found[large]], "masks": masks[large].to(torch.uint8)}
