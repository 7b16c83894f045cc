"""How Mask R-CNN learns: what it sees of an image and its instances, and what it minimises."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torchvision.ops import masks_to_boxes

from irn.grid import UNSURE
from irn.networks.base import Trainable
from irn.networks.mask_rcnn import MaskRcnn
from irn.records import ImageRecord
from irn.settings.final_networks import MaskRcnnSettings
from irn.training.targets import LargeInstances, Targets
from irn.training.task import BatchCounts, Forward, Losses, Objective
from irn.training.views import Batch, Sample, SampleId, draw_seed, sized_view

SMALLEST_SIDE = 2  # pixels of an instance's box in the crop
Instances = tuple[np.ndarray, np.ndarray]


def make_network(section: MaskRcnnSettings, backbone: str, classes: int, from_scratch: bool) -> MaskRcnn:
    """Mask R-CNN with random values."""
    return MaskRcnn(backbone, classes, section.crop_size, section.channels, section.regions, from_scratch)


def make_view(
    section: MaskRcnnSettings, records: Sequence[ImageRecord], targets: Targets, seed: int
) -> Callable[[SampleId], Sample]:
    """What Mask R-CNN sees: `instance_view` of images and their large instances."""
    return partial(
        instance_view,
        records=records,
        instances_of=LargeInstances(targets, section.min_score, section.min_area),
        long_side=section.long_side,
        crop_size=section.crop_size,
        seed=seed,
    )


def instance_view(
    sample_id: SampleId,
    records: Sequence[ImageRecord],
    instances_of: Callable[[ImageRecord], Instances],
    long_side: tuple[int, int],
    crop_size: int,
    seed: int,
) -> Sample:
    """A crop (S, S, 3) uint8 of an image, the box that the image fills in it, its instances, and a seed.

    instances_of: of an image (H, W) uint8, 0 none, i = instance i - 1, at most 254; and (N,) class indices.

    The sample has the map as (S, S) uint8, 255 outside the image, and `labels` (255,) int64, where place i is 1 + the
    class index of instance i - 1.
    """
    record = records[sample_id.image]
    instance_map, classes = instances_of(record)
    crop, box, map_crop = sized_view(sample_id, record, instance_map, long_side, crop_size, seed)
    assert map_crop is not None
    labels = np.zeros(UNSURE, np.int64)
    labels[1 : 1 + len(classes)] = classes.astype(np.int64) + 1
    return {"pixels": crop, "box": box, "instances": map_crop, "labels": labels, "seed": draw_seed(sample_id, seed)}


# What each of torchvision's losses is a mean over, as the index in what `MaskRcnn.counts` returns.
ANCHORS, REGIONS, MASKS = 0, 1, 2
MEAN_OVER = {
    "loss_objectness": ANCHORS,
    "loss_rpn_box_reg": ANCHORS,
    "loss_classifier": REGIONS,
    "loss_box_reg": REGIONS,
    "loss_mask": MASKS,
}


def mask_rcnn_losses(batch: Batch, forward: Forward, batch_counts: BatchCounts) -> Losses:
    """The sum of torchvision's five losses, and each of them."""
    means, counts = forward(batch["images"], _targets(batch), batch["seed"].tolist())
    share = counts / batch_counts(counts).clamp(min=1)
    losses = {name: mean * share[MEAN_OVER[name]] for name, mean in means.items()}
    return {"loss": torch.stack(list(losses.values())).sum(), **losses}


def _counts(batch: Batch, network: Trainable) -> torch.Tensor:
    assert isinstance(network, MaskRcnn)
    return network.counts(batch["images"], _targets(batch), batch["seed"].tolist())


OBJECTIVE = Objective(mask_rcnn_losses, _counts)


def _targets(batch: Batch) -> list[dict[str, torch.Tensor]]:
    return [_target(*pair) for pair in zip(batch["instances"], batch["labels"], strict=True)]


def _target(instance_map: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Boxes, labels and masks of the instances in a crop that are large enough for a box."""
    numbers = torch.unique(instance_map).long()
    numbers = numbers[(numbers > 0) & (numbers < UNSURE)]
    masks = instance_map == numbers[:, None, None]
    boxes = masks_to_boxes(masks) if len(numbers) else torch.zeros(0, 4, device=masks.device)
    # The last pixel belongs to the instance.
    boxes[:, 2:] += 1
    sides = boxes[:, 2:] - boxes[:, :2]
    large = (sides >= SMALLEST_SIDE).all(1)
    return {"boxes": boxes[large], "labels": labels[numbers[large]], "masks": masks[large].to(torch.uint8)}
