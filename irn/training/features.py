"""Training of the last layer alone, on what the backbone makes of a few views of each image, computed once."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from irn.errors import IrnError
from irn.io.bars import in_units
from irn.io.parallel import map_in_order
from irn.io.processes import count, rank, total
from irn.io.progress import progress
from irn.networks.base import Trainable
from irn.networks.folding import for_inference
from irn.networks.precision import autocast
from irn.training.memory import FEATURES
from irn.training.parts import to_batch
from irn.training.schedule import Schedule
from irn.training.task import Task
from irn.training.views import Sample, SampleId

PIXELS = ("pixels", "box")  # of a sample, what the features take the place of


def view_of_features(
    network: Trainable, task: Task, schedule: Schedule, device: torch.device, workers: int, views: int
) -> Callable[[SampleId], Sample]:
    """What gives the pooled features of `views` views of each image, those of the first epochs, over and over.

    network: with `pooled`, and with a backbone that does not change while the last layer learns alone; it computes as
        in inference, without dropout.

    Of several processes each computes a part of the images.

    Raises IrnError where they take more than 4 GiB of memory.
    """
    views = min(views, schedule.head_epochs)
    _check_size(network, len(task.image_ids), views)
    # Batch norm that is folded into convolutions takes a third of the time away.
    folded: Any = for_inference(copy.deepcopy(network).eval(), device)
    images = range(rank(), len(task.image_ids), count())
    ids = (SampleId(view, image) for image in images for view in range(views))
    samples = map_in_order(task.view, ids, workers, lambda sample_id: task.image_ids[sample_id.image])
    arrays: dict[str, torch.Tensor] = {}
    with torch.no_grad(), autocast(device, schedule.precision):
        for image in progress(images, len(images), f"features of {in_units(views, 'view')}"):
            batch = to_batch([next(samples) for _ in range(views)], network, device)
            batch["features"] = folded.pooled(batch.pop("images")).float()
            for name in sorted(batch.keys() - set(PIXELS)):
                if name not in arrays:
                    arrays[name] = torch.zeros(len(task.image_ids), *batch[name].shape, device=device)
                arrays[name][image] = batch[name]
    # Each process has zeros where the others have values.
    whole = {name: total(array).cpu().numpy() for name, array in arrays.items()}
    return lambda sample_id: {name: array[sample_id.image, sample_id.epoch % views] for name, array in whole.items()}


def _check_size(network: Trainable, images: int, views: int) -> None:
    size = 4 * images * views * network.backbone.channels[-1]
    if size > FEATURES:
        raise IrnError(
            f"--head-views {views}: features of {images} images take {size / 2**30:.1f} GiB of memory, where"
            f" {FEATURES / 2**30:g} are allowed; take fewer, or 0 for a new view in every epoch"
        )
