"""All commands: those that the workflow runs (irn/workflow/stages.py), and those that one runs by hand."""

from irn.workflow import options as o
from irn.workflow import stages as s
from irn.workflow.command import Command
from irn.workflow.options import optional

CHECK_DATA = Command(
    "check_data",
    "Report everything that is wrong with a data set, at once.",
    takes=(
        o.KIND,
        o.ROOT,
        o.JSON,
        o.LABELS_CSV,
        optional(o.CLASS_MASKS),
        o.WORKERS,
    ),
)
IMPORT_WEIGHTS = Command(
    "import_weights", "Import the published release's checkpoints.", takes=(o.CAM, o.IRN, o.OUT_CAM, o.OUT_IRN)
)
IMPORT_CAMS = Command(
    "import_cams",
    "Make a CAM cache from the .npy dictionaries of IRNet and its relatives.",
    takes=(o.MANIFEST, o.LABELS, o.NPY, o.OUT, o.SPLIT, o.WORKERS),
)
EXPORT_CAMS = Command(
    "export_cams", "Write CAM caches as the .npy dictionaries of IRNet and its relatives.", takes=(o.CAMS, o.OUT_FOLDER)
)
PREDICT = Command(
    "predict",
    "Segment new images by a trained network.",
    takes=(
        o.PREDICTING_WEIGHTS, o.PREDICTED_IMAGES, optional(o.MANIFEST), o.SPLIT, optional(o.OUT_FOLDER),
        o.ONNX, o.SCORE, o.DEVICE, o.WORKERS,
    ),
)  # fmt: skip
CONFIG_COMMAND = Command(
    "config",
    "Print every setting with its meaning, as YAML to edit and give back.",
    takes=(o.CONFIGFILE, o.JSON_SCHEMA),
)
STATUS = Command(
    "status",
    "List what exists of every stage, and how the rest differs from earlier results.",
    takes=(o.CONFIGFILE, o.CONFIG),
)
FREE_STORE = Command(
    "free_store",
    "List what no run and no given configuration refers to in the store, and remove it.",
    takes=(o.CONFIGFILE, o.DELETE),
)

# How `irn --help` lists the commands: in the order in which one comes to need them.
GROUPS: dict[str, tuple[Command, ...]] = {
    "Data": (s.MAKE_DEMO_DATA, s.BUILD_MANIFEST, CHECK_DATA),
    "Class attention maps": (s.DOWNLOAD_BACKBONE, IMPORT_WEIGHTS, s.TRAIN_CAM, s.MAKE_CAMS, IMPORT_CAMS, EXPORT_CAMS),
    "Boundaries and displacement": (s.MAKE_IR_LABELS, s.TRAIN_IRN, s.INFER_FIELDS),
    "Labels": (s.RANDOM_WALK, s.MAKE_LABELS, s.EXPORT_COCO, s.EXPORT_VOC),
    "Final networks": (*(stage for stage in s.TRAININGS.values() if stage.command == stage.name), PREDICT),
    "Scores and pictures": (s.EVALUATE, s.ABLATION, s.SUGGEST_THRESHOLDS, s.SHOW, s.GATHER_SCORES, s.REPORT),
    "Settings and runs": (CONFIG_COMMAND, STATUS, FREE_STORE),
}

COMMANDS = {command.name: command for group in GROUPS.values() for command in group}
