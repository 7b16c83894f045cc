"""Every setting, told once: name, type, range, the paper's value, meaning, and the stages that get it.

The command line's options, the checks of a configuration, the store's keys, the rules' options, `irn config`, the JSON
schema for editors and the table in docs/configuration.md are made from here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import create_model, model_validator

from irn.grid import STRIDE, padded
from irn.settings import types as t
from irn.settings.dataset import Dataset
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.training import HeadTraining, Training
from irn.settings.types import Expected, OfPath, Section, setting, together

# The trainings of whole networks. Objectness and the cell classifier learn on a frozen backbone, always by AdamW.
TRAINED = ("train_cam", "train_irn", *(f"train_{network.name}" for network in FINAL_NETWORKS))
PACKAGED_OBJECTNESS = Path(__file__).parents[1] / "weights" / "objectness_lite0.pt"


class Cam(HeadTraining, stages=("train_cam",)):
    """The classifier and its class attention maps."""

    head_epochs: t.CountFromZero = setting(
        0,
        "Epochs before these in which only the last layer is trained, at its own learning rate. The paper has"
        " none. Small data sets need some: a backbone trained under a random last layer forgets where things are in"
        " the image (Kumar et al., ICLR 2022).",
    )
    head_views: t.CountFromZero = setting(
        0,
        "Views of each image on which the last layer is trained in these epochs: their features are computed once and"
        " kept in memory, 20 kB per image for 4 views and EfficientNet-Lite0, 4 GiB at most. 0: a new view in every"
        " epoch, which takes longer. Not used without pretrained weights.",
    )
    long_side: t.Sides = setting(
        (320, 640), "Range from which the long side of an image is drawn in training, in pixels."
    )
    scales: t.Scales = setting(
        (1.0, 0.5, 1.5, 2.0), "Scales of the image at which maps are computed and summed.", ("make_cams", "predict")
    )
    external: t.Paths = setting(
        None,
        "List of external CAM caches, which `make_cams` copies instead of computing its own; null for none.",
        ("make_cams",),
        flag="",
    )


class ObjectnessTraining(Training, stages=("train_objectness",)):
    """The training of objectness, by AdamW; by name alone (`snakemake train_objectness`)."""

    epochs: t.Count = setting(4, "Number of epochs.")
    batch_size: t.Count = setting(8, "Batch size, in images; at most the number of training images.")
    learning_rate: t.Positive = setting(0.001, "Initial learning rate; it falls as (1 - step / steps)^0.9.")
    crop_size: t.Side = setting(448, "Side of the training crop in pixels, a multiple of 16.")
    long_side: t.Sides = setting(
        (384, 960),
        "Range from which the long side of an image is drawn in training, in pixels. It should hold those at which"
        " images are looked at later (`refine.long_sides`).",
    )


class CellClassifierTraining(Section, stages=("train_cell_classifier",)):
    """The training of the cell classifier."""

    rounds: t.Count = setting(
        3, "Rounds. In each the classifier learns from the maps, sharpened by the classifier of the round before."
    )
    steps: t.Count = setting(
        200, "Steps of a round, each on 8 images. With more it learns by heart what the maps say, mistakes too."
    )
    learning_rate: t.Positive = setting(
        0.0003, "Initial learning rate of a round; it falls to 0, by as much at each step."
    )
    cells: t.Count = setting(
        64,
        "Cells drawn from each image, by their objectness. Fewer where their features and scores would take more than"
        " 4 GiB.",
    )


class Refine(Section, stages=("refine_cams", "predict")):
    """Refinement of the class attention maps, by default none. IR labels and the walk use the refined maps."""

    objectness: Annotated[
        t.NonEmpty,
        OfPath("none, packaged, or the path of a weights file", instead=("none", "packaged"), by_content=True),
    ] = setting(
        "none",
        "What tells objects, of whatever class, from background: `none`, `packaged` (comes with the installation;"
        " docs/objectness.md says what it knows), or the path of a weights file of `irn train-objectness`.",
        ("refine_cams", "train_cell_classifier", "predict"),
    )
    cam_exponent: t.PositiveShare = setting(
        0.25,
        "Exponent of class maps before they are multiplied by objectness, above 0 and at most 1. Less: objectness alone"
        " decides what is foreground, and the maps which class it has.",
    )
    long_sides: t.Lengths = setting(
        (512, 896),
        "Long sides in pixels at which images are looked at, made larger or smaller; objectness is the mean over them."
        " Larger ones find smaller objects, and take longer. Features are compared and cells classified at the first.",
        ("refine_cams", "train_cell_classifier", "predict"),
    )
    sharing_steps: t.CountFromZero = setting(
        0, "How often cells that look alike share their scores. 0: not at all. 2 to 4 are usual."
    )
    sharing_power: t.Positive = setting(
        6.0, "Exponent of the likeness by which cells share their scores. Higher: only with those that look the same."
    )

    cell_classifier: Annotated[bool, Expected("true or false")] = setting(
        False,
        "Whether, where there is objectness, a classifier of cells says which of an image's classes objects have. It"
        " learns from the maps of the training images (`train_cell_classifier`).",
        ("train_cell_classifier",),
        flag="",
    )

    @property
    def is_on(self) -> bool:
        """Whether class maps are refined at all."""
        return self.objectness != "none" or self.sharing_steps > 0

    @property
    def classifies_cells(self) -> bool:
        """Whether there is a cell classifier."""
        return self.cell_classifier and self.objectness != "none"

    @property
    def objectness_file(self) -> Path | None:
        """The weights of objectness; None where there is none."""
        return {"none": None, "packaged": PACKAGED_OBJECTNESS}.get(self.objectness, Path(self.objectness))


class IrLabels(Section, stages=("make_ir_labels",)):
    """Inter-pixel relation labels."""

    foreground_threshold: t.Share = setting(
        0.30, "Background score with which sure foreground is found, 0 to 1. Higher: less foreground, but surer."
    )
    background_threshold: t.Share = setting(
        0.05,
        "Background score with which sure background is found, 0 to 1, at most the other. Lower: less background,"
        " but surer.",
    )
    crf: Annotated[str, t.Choice("numba", "pydensecrf")] = setting(
        "numba",
        "Implementation of the dense CRF: `numba` (this project's) or `pydensecrf` (the package that the release"
        " used; slower). Their labels differ in single pixels.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "IrLabels":
        if self.background_threshold > self.foreground_threshold:
            words = f"at most the foreground's {self.foreground_threshold:g}: it finds background"
            raise together(self, "background_threshold", words, self.foreground_threshold)
        return self


class Irn(HeadTraining, stages=("train_irn",)):
    """IRNet."""

    epochs: t.CountFromZero = setting(
        5,
        "Number of epochs; the release's default is 3, with batches of 32. 0: the IRNet in `start` is used unchanged.",
    )
    labels: Annotated[str, t.Choice("pseudo", "ground_truth")] = setting(
        "pseudo",
        "What IRNet learns from: `pseudo` (inter-pixel relation labels), or `ground_truth` (object masks, to see what"
        " weak labels cost, or to make a `start` for other data).",
        t.NO_STAGE,
        flag="",
    )
    start: Annotated[t.NonEmpty, OfPath("none, or the path of a weights file", instead=("none",), by_content=True)] = (
        setting(
            "none",
            "Weights of an IRNet that this one starts from: `none` (random heads), or the path of a weights file of"
            " `irn train-irn` on the same backbone.",
        )
    )
    scale: t.Range = setting((0.5, 1.5), "Range from which the scale of an image is drawn in training, as a factor.")
    radius: t.Radius = setting(
        10, "Pairs in the losses are closer than this, in cells of 4 pixels. The crop must hold 2 radius - 1 cells."
    )
    mean_split: Annotated[t.Splits | None, Expected("the name of a split, several joined by '+', or null")] = setting(
        None,
        "Splits over which the mean displacement is computed; null for `dataset.train_split`. The paper's is `train`.",
    )

    @property
    def start_file(self) -> Path | None:
        """The weights to start from; None where there are none."""
        return None if self.start == "none" else Path(self.start)

    @model_validator(mode="after")
    def _has_heads(self) -> "Irn":
        if self.epochs == 0 and self.start_file is None:
            raise together(self, "epochs", "at least 1 without weights to start from (irn.start)", 1)
        return self

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
    steps: t.CountFromZero = setting(256, "Number of steps of the random walk. More: scores spread farther.")
    radius: t.Radius = setting(5, "A step leads to cells closer than this, in cells of 4 pixels.")
    centroid_length: t.Positive = setting(
        2.5,
        "Cells whose displacement is shorter than this, in cells of 4 pixels, form centroids, the middles of"
        " instances. Choose less for small images, whose objects are only a few cells wide.",
        ("random_walk", "predict", "show"),
    )


class Labels(Section, stages=("make_labels", "predict")):
    """Label synthesis."""

    semantic_threshold: t.Share = setting(
        0.25, "Background score in semantic labels, as a fraction of the highest score in the image."
    )
    instance_threshold: t.Share = setting(
        0.25, "Background score in instance labels, as a fraction of the highest score in the image."
    )
    smallest_piece: t.Share = setting(
        0.01,
        "Instances smaller than this fraction of the image get score 0, and nothing learns from them. Lower: small"
        " objects are kept, and fragments too. Of 500 x 375 pixels, 0.002 are 19 x 19.",
        ("make_labels", "predict", "ablation"),
    )
    maximum: Annotated[str, t.Choice("image", "instance")] = setting(
        "image",
        "Which highest score `instance_threshold` is a fraction of: that of the `image`, or of each `instance`. The"
        " latter keeps weak instances, such as small objects beside large ones, and also false ones.",
        ("make_labels", "predict", "ablation"),
    )


class Evaluate(Section, stages=("evaluate",)):
    """Scores."""

    cam_threshold: t.Share = setting(
        0.15,
        "Background score of the CAM segmentation that is scored or predicted, 0 to 1.",
        ("evaluate", "predict"),
    )
    refined_threshold: t.Share = setting(
        0.25, "Background score of the segmentation by refined CAMs that is scored, 0 to 1."
    )


class Export(Section, stages=("export_coco", "export_label_studio")):
    """Labels for other programs."""

    outlines: Annotated[str, t.Choice("rle", "polygons")] = setting(
        "rle",
        "Masks in COCO's and Label Studio's files: `rle` (run lengths, which keep every pixel; a brush in Label"
        " Studio) or `polygons`, whose corners can be moved. Those of YOLO and labelme are always polygons.",
    )
    tolerance: t.NotNegative = setting(
        1.0,
        "How far polygons may be from the edge of a mask, in pixels. Where a polygon and its mask would agree less than"
        " IoU 0.98, it is closer. 0: every corner of a pixel.",
        ("export_coco", "export_label_studio", "export_labelme", "export_yolo"),
    )
    image_url: Annotated[t.NonEmpty, Expected("the beginning of an address")] = setting(
        "/data/local-files/?d=",
        "What Label Studio's tasks put before the path of an image. The default is for local files that Label Studio"
        " serves.",
        ("export_label_studio",),
    )
    doubtful: t.SomeOrAll = setting(
        None,
        "How many images to export, those whose labels are most doubtful (`doubt.csv`). Null: all.",
        ("export_coco", "export_label_studio", "export_labelme", "export_voc", "export_yolo"),
    )


class Predict(Section, stages=("predict",)):
    """Segmentation of new images by a classifier, alone or with IRNet."""

    class_score: t.Share = setting(
        0.5, "Least probability at which the classifier takes a class to be in an image, 0 to 1."
    )


class Show(Section, stages=("show",)):
    """Pictures."""

    images: t.Count = setting(12, "Number of images to draw, stage by stage.", flag="count")


class Report(Section, stages=("report",)):
    """The report of a run."""

    images: t.Count = setting(36, "Number of images in its gallery. A picture of all stages takes about 0.2 MB.")


class _Method(Section):
    """The settings that do not depend on the final networks."""

    run: t.Name = setting(
        "run",
        "Name of the run; its results appear in `results/<run>/`. Letters, digits, `_`, `.` and `-`; not `store`.",
    )
    seed: t.Seed = setting(0, "Seed of training: initial weights, order of images, crops. 0 or more.", ("train_*",))
    seeds: t.Seeds = setting(
        None,
        "List of seeds: the run is repeated with each, and scores get a mean and standard deviation. null for"
        " `seed` alone.",
    )
    sweep: t.Sweep = setting(
        None,
        "Lists of values to try, by key, with dots for nesting. Every combination is scored in"
        " `results/<run>/sweep.csv`; what combinations share is computed once. null for none.",
    )
    ablation: Annotated[bool, Expected("true or false")] = setting(
        False,
        "Whether to score labels with and without each part of the method as well, in `results/<run>/ablation.csv`"
        " and `ablation.svg`.",
    )
    shards: t.Count = setting(
        1,
        "Number of jobs that each per-image stage is split into. Each job loads its network once, so use tens at most.",
    )
    gpus: t.CountFromZero = setting(
        0,
        "Number of GPUs that a training of the classifier, IRNet or a final network uses, each for its part of every"
        " batch; other GPU rules use one. 0: the CPU.",
    )
    accumulate: t.Count = setting(
        1,
        "Parts in which each batch of a training is computed, one after another, for GPUs that cannot hold a whole"
        " batch. The result is the same but for rounding; where batch norm is trained (DeepLab, objectness, and"
        " all networks from scratch), its statistics are those of a part.",
        (*TRAINED, "train_objectness"),
    )
    precision: Annotated[str, t.Choice("float32", "bf16")] = setting(
        "float32",
        "Number format of the networks' convolutions: `float32`, or `bf16` (bfloat16) for GPUs and processors that"
        " support it; results differ slightly.",
        ("train_*", "make_cams", "refine_cams", "infer_*", "predict*"),
    )
    dataset: Dataset = Dataset()
    backbone: t.Network = setting(
        "resnet50",
        "Backbone of all networks: one of torchvision's ResNets, or the name of a timm model.",
        (*TRAINED, "train_objectness", "download_backbone", "refine_cams"),
    )
    pretrained: Annotated[
        t.NonEmpty | None, OfPath("imagenet, the path of a state dict, or null", instead=("imagenet",), by_content=True)
    ] = setting(
        "imagenet",
        "Initial weights of the backbone: `imagenet` (its ImageNet weights; those of EfficientNet-Lite0 are"
        " installed, others are downloaded once), the path of a torchvision state dict, or null (from scratch:"
        " every layer is trained, and IRNet starts from the classifier's backbone).",
        (*TRAINED, "train_objectness", "refine_cams"),
        flag="",
    )
    optimiser: Annotated[str, t.Choice("sgd", "adamw")] = setting(
        "sgd",
        "Optimiser: `sgd` (the paper's) or `adamw` (better for few images), the latter with learning rates of"
        " about 0.0001 (classifier, `head_factor` 10) and 0.001 (IRNet, `head_factor` 1), and without weight decay"
        " of norms and biases.",
        TRAINED,
    )
    momentum: t.Share = setting(
        1e-4,
        "Momentum of SGD for both networks, 0 to 1. The published results used 1e-4; 0.9 at the same learning rate"
        " is a different method (docs/method.md explains why).",
        ("train_cam", "train_irn"),
    )
    weight_decay: t.NotNegative = setting(1e-4, "Weight decay for both networks.", ("train_cam", "train_irn"))
    cam: Cam = Cam()
    objectness: ObjectnessTraining = ObjectnessTraining()
    refine: Refine = Refine()
    cell_classifier: CellClassifierTraining = CellClassifierTraining()
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
    """The settings of what follows the labels."""

    evaluate: Evaluate = Evaluate()
    export: Export = Export()
    predict: Predict = Predict()
    show: Show = Show()
    report: Report = Report()


# pydantic puts the fields of the last base first.
class Settings(_Outcome, _FinalNetworks, _Method):
    """The whole configuration."""


def value(settings: Settings, key: str) -> Any:
    """The value of a key, with dots for nesting."""
    part: Any = settings
    for name in key.split("."):
        part = getattr(part, name)
    return part
