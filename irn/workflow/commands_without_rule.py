"""All commands: those that the workflow runs (irn/workflow/stages.py), and those that one runs by hand."""

from irn.workflow import options as o
from irn.workflow.command import Command
from irn.workflow.options import optional
from irn.workflow.stages import ALL_STAGES

CHECK_DATA = Command(
    "check_data",
    "Report everything that is wrong with a data set, at once.",
    group="Data",
    takes=(
        o.KIND,
        o.ROOT,
        o.JSON,
        o.LABELS_CSV,
        optional(o.CLASS_MASKS),
        optional(o.OBJECT_MASKS),
        optional(o.CORRECTIONS),
        o.WORKERS,
    ),
)
IMPORT_WEIGHTS = Command(
    "import_weights",
    "Import the published release's checkpoints.",
    group="Class attention maps",
    takes=(o.CAM, o.IRN, o.OUT_CAM, o.OUT_IRN),
)
IMPORT_CAMS = Command(
    "import_cams",
    "Make a CAM cache from the .npy dictionaries of IRNet and its relatives.",
    group="Class attention maps",
    takes=(o.MANIFEST, o.LABELS, o.NPY, o.OUT, o.SPLIT, o.WORKERS),
)
EXPORT_CAMS = Command(
    "export_cams",
    "Write CAM caches as the .npy dictionaries of IRNet and its relatives.",
    group="Class attention maps",
    takes=(o.CAMS, o.OUT_FOLDER),
)
PREDICT = Command(
    "predict",
    "Segment new images by a trained network.",
    group="Final networks",
    takes=(
        o.PREDICTING_WEIGHTS, o.PREDICTED_IMAGES, optional(o.MANIFEST), o.SPLIT, optional(o.OUT_FOLDER),
        o.ONNX, o.SCORE, o.DEVICE, o.WORKERS,
    ),
)  # fmt: skip
REVIEW = Command(
    "review",
    "Accept, reject and correct the labels of a run on a page in a browser.",
    group="Labels",
    takes=(o.RUN, o.OUT_CORRECTIONS, o.PORT, o.NO_BROWSER),
)
CONFIG_COMMAND = Command(
    "config",
    "Print every setting with its meaning, as YAML to edit and give back.",
    group="Settings and runs",
    takes=(o.CONFIGFILE, o.JSON_SCHEMA),
)
STATUS = Command(
    "status",
    "List what exists of every stage, and how the rest differs from earlier results.",
    group="Settings and runs",
    takes=(o.CONFIGFILE, o.CONFIG),
)
FREE_STORE = Command(
    "free_store",
    "List what no run and no given configuration refers to in the store, and remove it.",
    group="Settings and runs",
    takes=(o.CONFIGFILE, o.DELETE),
)

OTHERS = (CHECK_DATA, IMPORT_WEIGHTS, IMPORT_CAMS, EXPORT_CAMS, REVIEW, PREDICT, CONFIG_COMMAND, STATUS, FREE_STORE)
# A command by its name; that of a stage which runs another stage's command is that one's.
COMMANDS = {command.name: command for command in (*ALL_STAGES.values(), *OTHERS) if command.command == command.name}
# As `irn --help` lists them: in the order in which one comes to need them.
HEADINGS = (
    "Data",
    "Class attention maps",
    "Boundaries and displacement",
    "Labels",
    "Final networks",
    "Scores and pictures",
    "Settings and runs",
)
GROUPS = {heading: tuple(command for command in COMMANDS.values() if command.group == heading) for heading in HEADINGS}
