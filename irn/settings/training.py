"""The settings that all trainings have."""

from typing import ClassVar

from irn.settings import types as t
from irn.settings.types import Section, setting


class Training(Section):
    """What the trainings of all networks have in common."""

    epochs: t.Count = setting(5, "Number of epochs.")
    batch_size: t.Count = setting(16, "Batch size, in images; at most the number of training images.")
    learning_rate: t.Positive = setting(
        0.1,
        "Initial learning rate of the backbone (classifier) or the boundary head (IRNet); it falls as (1 - step /"
        " steps)^0.9.",
    )
    crop_size: t.Side = setting(
        512, "Side of the training crop in pixels, a multiple of 16. IRNet also pads images to its own at inference."
    )

    # Images that a part of a batch has at least, over all processes.
    least_part: ClassVar[int] = 1

    def can_split(self, processes: int, accumulate: int) -> bool:
        """Whether a batch has enough images for `accumulate` parts, each computed by all processes together."""
        return self.images_of_part(processes, accumulate) >= self.least_part

    def images_of_part(self, processes: int, accumulate: int) -> int:
        """The images that batch norm sees at least: those of the smallest part, in all processes."""
        return self.batch_size // (processes * accumulate) * processes


class HeadTraining(Training):
    """What the trainings of networks have in common whose head learns at a rate of its own."""

    head_factor: t.Positive = setting(
        10.0, "Learning rate of the classifier's last layer or the displacement head, as a multiple of the other."
    )
