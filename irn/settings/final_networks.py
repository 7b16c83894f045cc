"""The final networks, a row each: they are trained on the labels and segment new images.

A network is a class of settings and a row here, and its own modules, named after the row: irn/networks/<name>.py,
irn/training/<name>.py and irn/inference/<name>.py.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from irn.settings import types as t
from irn.settings.training import HeadTraining
from irn.settings.types import Expected, setting

GROUND_TRUTH = "_gt"  # ends the names of stages and scores of a network trained on ground truth


class FinalTraining(HeadTraining):
    """The settings that all final networks have."""

    labels: Annotated[str, t.Choice("none", "pseudo", "ground_truth", "both")] = setting(
        "none",
        "What the network is trained on: `pseudo` (the labels that were made), `ground_truth` (the data set's masks,"
        " to see what weak labels cost), `both` (a network for each), or `none` (it is not trained).",
        t.NO_STAGE,
        flag="",
    )
    momentum: t.Share = setting(0.9, "Momentum of SGD, 0 to 1.")
    weight_decay: t.NotNegative = setting(1e-4, "Weight decay.")
    warmup: t.CountFromZero = setting(
        500, "Steps in which the learning rate rises to its maximum. Detectron's are 500."
    )
    repeat_threshold: t.Share = setting(
        0.0,
        "Images of a class that fewer than this fraction of the images have are repeated sqrt(threshold /"
        " fraction) times in an epoch, as in LVIS (Gupta et al., CVPR 2019; 0.001 there). 0: each image once.",
    )


class MaskRcnnSettings(FinalTraining, stages=("train_mask_rcnn",)):
    """Mask R-CNN, which segments instances. Values without a source are those of the method's author for VOC."""

    epochs: t.Count = setting(7, "Number of epochs. 7 are 18,000 steps of 4 of VOC's 10,582 images.")
    batch_size: t.Count = setting(4, "Batch size, in images; at most the number of training images.")
    learning_rate: t.Positive = setting(
        0.01, "Maximum learning rate of the backbone; it falls as (1 - step / steps)^0.9."
    )
    head_factor: t.Positive = setting(
        1.0, "Learning rate of the pyramid and the heads, as a multiple of `learning_rate`."
    )
    crop_size: t.Side = setting(
        688,
        "Side of the training crop in pixels, a multiple of 16, and the long side to which new images are scaled.",
    )
    long_side: t.Sides = setting(
        (688, 688), "Range from which the long side of an image is drawn in training, in pixels."
    )
    channels: t.Count = setting(
        256, "Channels of the pyramid and the heads, 256 in the paper. 64 take a tenth of the time on a CPU."
    )
    regions: t.Count = setting(512, "Regions of each image that the heads are trained on in a step.")
    min_score: t.Share = setting(
        0.0, "Score above which instances are trained on. 0 leaves out those of score 0, as users of the release do."
    )
    min_area: t.CountFromZero = setting(
        0,
        "Least size in pixels of instances that are trained on. Those smaller than"
        " `labels.smallest_piece` have score 0 and are already left out.",
    )


class DeepLabSettings(FinalTraining, stages=("train_deeplab",)):
    """DeepLabV3, which gives each pixel a class. Values are its paper's for VOC (Chen et al., 2017)."""

    epochs: t.Count = setting(45, "Number of epochs. 45 are 30,000 steps of 16 of VOC's 10,582 images.")
    batch_size: Annotated[int, Field(ge=2), Expected("a whole number of at least 2")] = setting(
        16, "Batch size, in images, at least 2; at most the number of training images."
    )
    learning_rate: t.Positive = setting(
        0.007, "Maximum learning rate of the backbone; it falls as (1 - step / steps)^0.9."
    )
    head_factor: t.Positive = setting(1.0, "Learning rate of the head, as a multiple of that.")
    warmup: t.CountFromZero = setting(0, "Steps in which the learning rate rises to its maximum. The paper has none.")
    crop_size: t.Side = setting(512, "Side of the training crop in pixels, a multiple of 16.")
    long_side: t.Sides = setting(
        (256, 1024), "Range from which the long side of an image is drawn in training, in pixels."
    )
    scales: t.Scales = setting(
        (1.0,),
        "Scales of the image over which predictions are averaged, each with its mirror image if there are several."
        " The paper's are 0.5, 0.75, 1, 1.25, 1.5 and 1.75.",
        ("predict", "predict_deeplab"),
        flag="deeplab_scales",
    )

    least_part: ClassVar[int] = 2  # for its batch norm


@dataclass(frozen=True)
class FinalNetwork:
    """A final network.

    name: of its settings, stages, scores and modules.
    title: for people.
    learns: which masks teach it, and so how it is scored: "objects" by AP, "classes" by mIoU.
    colour: in charts, as #rrggbb.
    section: its settings.
    """

    name: str
    title: str
    learns: Literal["objects", "classes"]
    colour: str
    section: type[FinalTraining]


FINAL_NETWORKS = (
    FinalNetwork("mask_rcnn", "Mask R-CNN", "objects", "#b5521b", MaskRcnnSettings),
    FinalNetwork("deeplab", "DeepLab", "classes", "#0b7d5c", DeepLabSettings),
)
# By the name in stages and scores: `mask_rcnn` is trained on labels, `mask_rcnn_gt` on ground truth.
TRAINED_NETWORKS = {f"{network.name}{suffix}": network for network in FINAL_NETWORKS for suffix in ("", GROUND_TRUTH)}


def titles(last: str) -> str:
    """The titles of all networks in words, with a word such as "or" before the last."""
    *others, title = (network.title for network in FINAL_NETWORKS)
    return f"{', '.join(others)} {last} {title}" if others else title
