"""The stages of the workflow, a row each.

Keys and options of rules, the command line, `irn status` and the tables in docs/ are made from these rows. What a stage
needs of a machine is in resources.py.
"""

from functools import partial

from irn.data.corrected.places import FORMATS as CORRECTED_FORMATS
from irn.data.dataset import has_ground_truth
from irn.data.kinds import KINDS, truth_modules
from irn.settings.final_networks import GROUND_TRUTH, TRAINED_NETWORKS, FinalNetwork
from irn.settings.settings import Settings, value
from irn.workflow import options as o
from irn.workflow.command import Splits, Stage
from irn.workflow.options import optional

TRAIN_SPLIT = Splits("dataset.train_split", lambda settings: settings.dataset.train_split)
EVAL_SPLIT = Splits("dataset.eval_split", lambda settings: settings.dataset.eval_split)
HELD_OUT_SPLIT = Splits("held out", lambda settings: settings.dataset.held_out_split)


def _always(settings: Settings) -> bool:
    return True


def _never(settings: Settings) -> bool:
    return False


def _teaches_irnet(settings: Settings, labels: str) -> bool:
    """Whether IRNet learns from these labels."""
    return settings.irn.epochs > 0 and settings.irn.labels == labels


def _teachers_of_irnet(settings: Settings) -> tuple[str, ...]:
    return ("irn.training.targets", *truth_modules()) if _teaches_irnet(settings, "ground_truth") else ()


def _readers_of_truth(settings: Settings) -> tuple[str, ...]:
    return truth_modules()


# ---- data

MAKE_DEMO_DATA = Stage(
    "make_demo_data", "Draw the demonstration data set.",
    group="Data",
    takes=(o.OUT_FOLDER, o.WORKERS),
    makes=("data",),
    when=lambda settings: KINDS[settings.dataset.kind].is_drawn,
    needs="dataset.kind: demo",
)  # fmt: skip
BUILD_MANIFEST = Stage(
    "build_manifest", "List the images of a data set and the classes in each.",
    group="Data",
    takes=(
        o.KIND, o.ROOT, o.OUT_MANIFEST, o.OUT_LABELS, o.LABELS_CSV, optional(o.CLASS_MASKS), optional(o.OBJECT_MASKS),
        o.DATA_LINK, o.WORKERS,
    ),
    reads=(MAKE_DEMO_DATA,),
    makes=("manifest.csv", "labels.csv"),
    loads=lambda settings: (KINDS[settings.dataset.kind].layout_module, "irn.data.reading"),
)  # fmt: skip
READ_CORRECTIONS = Stage(
    "read_corrections", "Read masks that were corrected by hand, and which classes their images have by them.",
    group="Data",
    takes=(o.MANIFEST, o.LABELS, o.CORRECTIONS, o.OUT, o.OUT_LABELS),
    reads=(BUILD_MANIFEST,),
    makes=("corrected.h5", "labels.csv"),
    when=lambda settings: settings.dataset.corrected is not None,
    needs="dataset.corrected",
    loads=lambda settings: CORRECTED_FORMATS,
)  # fmt: skip

# ---- class attention maps

DOWNLOAD_BACKBONE = Stage(
    "download_backbone", "Fetch a backbone's ImageNet weights.",
    group="Class attention maps",
    takes=(o.OUT,),
    makes=("backbone.pt",),
    when=lambda settings: settings.pretrained == "imagenet",
    needs="pretrained: imagenet",
)  # fmt: skip
TRAIN_CAM = Stage(
    "train_cam", "Train the classifier of class attention maps.",
    group="Class attention maps",
    takes=(
        o.MANIFEST, o.LABELS, o.OUT, o.SPLIT, o.BACKBONE_WEIGHTS, o.FROM_SCRATCH, o.METRICS,
        o.DEVICE, o.PROCESSES, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, DOWNLOAD_BACKBONE),
    makes=("weights.pt", "metrics.jsonl"),
    splits=TRAIN_SPLIT,
    when=lambda settings: not settings.cam.external,
    needs="cam.external: null",
)  # fmt: skip
MAKE_CAMS = Stage(
    "make_cams", "Make class attention maps, or copy external ones.",
    group="Class attention maps",
    takes=(
        o.MANIFEST, o.LABELS, optional(o.WEIGHTS), o.EXTERNAL, o.OUT, o.SPLIT, o.SHARD, o.DEVICE, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, TRAIN_CAM),
    cache="cam",
)  # fmt: skip

TRAIN_OBJECTNESS = Stage(
    "train_objectness", "Train objectness, which knows no classes, on masks of any classes.",
    group="Class attention maps",
    takes=(
        o.MANIFEST, optional(o.LABELS), o.CLASS_MASKS, o.OUT, o.SPLIT, o.BACKBONE_WEIGHTS, o.METRICS, o.DEVICE,
        o.WORKERS,
    ),
    reads=(BUILD_MANIFEST,),
    makes=("weights.pt", "metrics.jsonl"),
    splits=TRAIN_SPLIT,
    uses_truth=_always,
    on_request=True,
    loads=_readers_of_truth,
)  # fmt: skip
TRAIN_CELL_CLASSIFIER = Stage(
    "train_cell_classifier", "Train what tells the classes of an image apart, cell by cell.",
    group="Class attention maps",
    takes=(o.MANIFEST, o.LABELS, o.CAMS, o.OUT, o.SPLIT, o.DEVICE, o.WORKERS),
    reads=(BUILD_MANIFEST, MAKE_CAMS),
    makes=("weights.pt",),
    splits=TRAIN_SPLIT,
    when=lambda settings: settings.refine.classifies_cells,
    needs="refine.cell_classifier: true and refine.objectness",
)  # fmt: skip
REFINE_CAMS = Stage(
    "refine_cams", "Refine class attention maps by features of a frozen backbone and by objectness.",
    group="Class attention maps",
    takes=(
        o.MANIFEST, o.CAMS, o.CELL_CLASSIFIER, o.OUT, o.SPLIT, o.SHARD, o.BACKBONE_WEIGHTS, o.DEVICE, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, DOWNLOAD_BACKBONE, TRAIN_CAM, MAKE_CAMS, TRAIN_CELL_CLASSIFIER),
    cache="refined",
    when=lambda settings: settings.refine.is_on,
    needs="refine.objectness or refine.sharing_steps",
)  # fmt: skip

# ---- boundaries and displacement

MAKE_IR_LABELS = Stage(
    "make_ir_labels", "Make inter-pixel relation labels by dense CRF.",
    group="Boundaries and displacement",
    takes=(o.MANIFEST, o.CAMS, o.CORRECTED, o.OUT, o.SPLIT, o.SHARD, o.WORKERS),
    reads=(BUILD_MANIFEST, MAKE_CAMS, REFINE_CAMS, READ_CORRECTIONS),
    cache="ir_label",
)  # fmt: skip
TRAIN_IRN = Stage(
    "train_irn", "Train IRNet's boundary and displacement heads.",
    group="Boundaries and displacement",
    takes=(
        o.MANIFEST, optional(o.IR_LABELS), optional(o.LABELS), optional(o.CLASS_MASKS), optional(o.OBJECT_MASKS),
        o.OUT, o.SPLIT, o.BACKBONE_WEIGHTS, o.METRICS, o.DEVICE, o.PROCESSES, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, MAKE_IR_LABELS, DOWNLOAD_BACKBONE, TRAIN_CAM),
    does_without=lambda settings: () if _teaches_irnet(settings, "pseudo") else (MAKE_IR_LABELS,),
    makes=("weights.pt", "metrics.jsonl"),
    splits=TRAIN_SPLIT,
    uses_truth=partial(_teaches_irnet, labels="ground_truth"),
    loads=_teachers_of_irnet,
)  # fmt: skip
INFER_FIELDS = Stage(
    "infer_fields", "Infer boundary maps and displacement fields.",
    group="Boundaries and displacement",
    takes=(o.MANIFEST, o.WEIGHTS, o.OUT, o.SPLIT, o.SHARD, o.DEVICE, o.WORKERS),
    reads=(BUILD_MANIFEST, TRAIN_IRN),
    cache="field",
)  # fmt: skip

# ---- labels

RANDOM_WALK = Stage(
    "random_walk", "Spread class attention maps over instances by random walk.",
    group="Labels",
    takes=(optional(o.MANIFEST), o.CAMS, o.FIELDS, o.OUT, o.SPLIT, o.SHARD, o.WORKERS),
    reads=(BUILD_MANIFEST, MAKE_CAMS, REFINE_CAMS, INFER_FIELDS),
    cache="walk",
)  # fmt: skip
MAKE_LABELS = Stage(
    "make_labels", "Make semantic and instance labels from the walk.",
    group="Labels",
    takes=(optional(o.MANIFEST), o.WALKS, o.CORRECTED, o.OUT, o.SPLIT, o.SHARD, o.WORKERS),
    reads=(BUILD_MANIFEST, RANDOM_WALK, READ_CORRECTIONS),
    cache="label",
)  # fmt: skip

FIND_DOUBT = Stage(
    "find_doubt", "List images in the order in which correcting their labels helps most.",
    group="Labels",
    takes=(
        o.MANIFEST, o.LABELS, o.IR_LABELS, o.WALKS, o.LABEL_CACHES, o.CORRECTED, o.OUT, o.SPLIT, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, READ_CORRECTIONS, MAKE_IR_LABELS, RANDOM_WALK, MAKE_LABELS),
    makes=("doubt.csv",),
    splits=TRAIN_SPLIT,
)  # fmt: skip

# ---- final networks, each trained on the labels or on ground truth, and their predictions of held-out images


def _teaches(settings: Settings, network: str, labels: str) -> bool:
    return value(settings, f"{network}.labels") in (labels, "both")


def _training(name: str, network: FinalNetwork) -> Stage:
    by_truth = name.endswith(GROUND_TRUTH)
    labels = "ground_truth" if by_truth else "pseudo"
    loaded = (f"irn.training.{network.name}", *(truth_modules() if by_truth else ()))
    masks = (o.CLASS_MASKS, o.OBJECT_MASKS) if network.learns == "objects" else (o.CLASS_MASKS,)
    return Stage(
        f"train_{name}", f"Train {network.title} on the labels that were made, or on ground truth.",
        group="Final networks",
        takes=(
            o.MANIFEST, o.LABELS, optional(o.LABEL_CACHES), *map(optional, masks), o.OUT, o.SPLIT,
            o.BACKBONE_WEIGHTS, o.FROM_SCRATCH, o.METRICS, o.DEVICE, o.PROCESSES, o.WORKERS,
        ),
        reads=(BUILD_MANIFEST, *(() if by_truth else (READ_CORRECTIONS, MAKE_LABELS)), DOWNLOAD_BACKBONE),
        makes=("weights.pt", "metrics.jsonl"),
        splits=TRAIN_SPLIT,
        uses_truth=_always if by_truth else _never,
        when=partial(_teaches, network=network.name, labels=labels),
        needs=f"{network.name}.labels: {labels}",
        network=network, runs=f"train_{network.name}", loads=lambda settings: loaded,
    )  # fmt: skip


def _prediction(name: str, network: FinalNetwork, training: Stage) -> Stage:
    return Stage(
        f"predict_{name}", "Segment held-out images.",
        takes=(o.WEIGHTS, o.MANIFEST, o.OUT_FOLDER, o.SPLIT, o.DEVICE),
        reads=(BUILD_MANIFEST, training),
        makes=("predictions",),
        last="images.json",
        splits=HELD_OUT_SPLIT,
        when=training.when,
        needs=training.needs,
        runs="predict", loads=lambda settings: (f"irn.inference.{network.name}",),
    )  # fmt: skip


TRAININGS = {name: _training(name, network) for name, network in TRAINED_NETWORKS.items()}
PREDICTING = {name: _prediction(name, network, TRAININGS[name]) for name, network in TRAINED_NETWORKS.items()}

# ---- scores and pictures

EVALUATE = Stage(
    "evaluate", "Score CAMs and labels against ground truth.",
    group="Scores and pictures",
    takes=(
        o.MANIFEST, o.LABELS, optional(o.CAMS), o.REFINED_CAMS, optional(o.LABEL_CACHES), o.PREDICTIONS,
        o.CLASS_MASKS, optional(o.OBJECT_MASKS), o.CORRECTED, o.OUT, o.THRESHOLDS_OUT, o.SPLIT, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, READ_CORRECTIONS, MAKE_CAMS, REFINE_CAMS, MAKE_LABELS, *PREDICTING.values()),
    makes=("scores.csv", "thresholds.csv"),
    splits=EVAL_SPLIT,
    uses_truth=_always,
    when=lambda settings: has_ground_truth(settings.dataset),
    needs="masks (dataset.class_masks)",
    loads=_readers_of_truth,
)  # fmt: skip
ABLATION = Stage(
    "ablation", "Score labels with and without each part of the method.",
    group="Scores and pictures",
    takes=(
        o.MANIFEST, o.LABELS, o.CAMS, o.REFINED_CAMS, o.WALKS, o.CLASS_MASKS, optional(o.OBJECT_MASKS), o.CORRECTED,
        o.OUT, optional(o.FIGURE), o.SPLIT, o.WORKERS,
    ),
    reads=(BUILD_MANIFEST, READ_CORRECTIONS, MAKE_CAMS, REFINE_CAMS, RANDOM_WALK),
    makes=("ablation.csv", "ablation.svg"),
    splits=EVAL_SPLIT,
    uses_truth=_always,
    when=lambda settings: settings.ablation,
    needs="ablation: true",
    loads=_readers_of_truth,
)  # fmt: skip
SHOW = Stage(
    "show", "Draw what each stage made of an image, side by side.",
    group="Scores and pictures",
    takes=(
        o.MANIFEST, optional(o.LABELS), optional(o.CAMS), o.REFINED_CAMS, optional(o.IR_LABELS), optional(o.FIELDS),
        optional(o.WALKS), optional(o.LABEL_CACHES), o.IMAGES, o.OUT_FOLDER, o.SPLIT,
    ),
    reads=(
        BUILD_MANIFEST, READ_CORRECTIONS, MAKE_CAMS, REFINE_CAMS, MAKE_IR_LABELS, INFER_FIELDS, RANDOM_WALK,
        MAKE_LABELS,
    ),
    makes=("panels",),
    splits=EVAL_SPLIT,
)  # fmt: skip

# ---- on request

SUGGEST_THRESHOLDS = Stage(
    "suggest_thresholds", "Find the thresholds that separate foreground best, without ground truth.",
    group="Scores and pictures",
    takes=(optional(o.CAMS), optional(o.WALKS), o.CORRECTED, o.OUT, o.MANIFEST_OF_SHARED, o.SPLIT, o.WORKERS),
    reads=(BUILD_MANIFEST, READ_CORRECTIONS, MAKE_CAMS, REFINE_CAMS, RANDOM_WALK),
    makes=("suggested.csv",),
    splits=TRAIN_SPLIT,
    on_request=True,
)  # fmt: skip


# Labels for other programs, a row each, from which its rule in rules/exports.smk follows.
def _export(name: str, title: str, makes: tuple[str, ...], *takes: o.Option) -> Stage:
    return Stage(
        f"export_{name}", f"Write labels as {title}.",
        group="Labels",
        takes=(o.MANIFEST, *takes, o.DOUBT, o.SPLIT, o.WORKERS),
        reads=(BUILD_MANIFEST, MAKE_LABELS, FIND_DOUBT),
        does_without=lambda settings: () if settings.export.doubtful else (FIND_DOUBT,),
        makes=makes,
        splits=TRAIN_SPLIT,
        on_request=True,
    )  # fmt: skip


_FILE, _FOLDER = (o.LABELS, o.LABEL_CACHES, o.OUT), (o.LABELS, o.LABEL_CACHES, o.OUT_FOLDER)
EXPORTS = (
    _export("coco", "an instances file of COCO", ("instances.json",), *_FILE),
    _export(
        "voc", "index PNGs in the layout of PASCAL VOC", ("SegmentationClass", "SegmentationObject"),
        o.LABEL_CACHES, o.OUT_FOLDER,
    ),
    _export("yolo", "polygons in the layout of YOLO", ("images", "labels", "data.yaml"), *_FOLDER, o.COPY),
    _export("label_studio", "Label Studio's tasks with predictions", ("tasks.json", "tasks.xml"), *_FILE),
    _export("labelme", "labelme's files, one JSON an image", ("annotations",), *_FOLDER),
)  # fmt: skip

# The stages of a configuration, in an order in which each comes after those that it reads.
STAGES = (
    MAKE_DEMO_DATA,
    BUILD_MANIFEST,
    READ_CORRECTIONS,
    DOWNLOAD_BACKBONE,
    TRAIN_CAM,
    MAKE_CAMS,
    TRAIN_OBJECTNESS,
    TRAIN_CELL_CLASSIFIER,
    REFINE_CAMS,
    MAKE_IR_LABELS,
    TRAIN_IRN,
    INFER_FIELDS,
    RANDOM_WALK,
    MAKE_LABELS,
    FIND_DOUBT,
    *TRAININGS.values(),
    *PREDICTING.values(),
    EVALUATE,
    ABLATION,
    SHOW,
    SUGGEST_THRESHOLDS,
    *EXPORTS,
)

# ---- of a whole run, not of one of its configurations

GATHER_SCORES = Stage(
    "gather_scores", "Put the scores of several seeds and settings into one table.",
    group="Scores and pictures",
    takes=(o.CONFIGURATIONS, o.OUT, o.SWEEP_OUT),
    reads=(EVALUATE,),
    makes=("scores.csv", "sweep.csv"),
    needs="seeds or sweep, and masks (dataset.class_masks)",
)  # fmt: skip
REPORT = Stage(
    "report", "Make the report of a run, one HTML file.",
    group="Scores and pictures",
    takes=(o.RUN, o.OUT, o.WORKERS),
    reads=tuple(stage for stage in (*STAGES, GATHER_SCORES) if not stage.on_request),
    makes=("report.html",),
    loads=_readers_of_truth,
)  # fmt: skip

ALL_STAGES = {stage.name: stage for stage in (*STAGES, GATHER_SCORES, REPORT)}


def behind(name: str) -> list[str]:
    """The names of all stages that read from this one, directly or not, in the order of the workflow."""
    before = [ALL_STAGES[name]]
    for stage in ALL_STAGES.values():
        if set(before) & set(stage.reads):
            before.append(stage)
    return [stage.name for stage in before[1:]]
