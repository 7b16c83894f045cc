"""Every command and every stage of the workflow, said once.

Rules, keys, the command line, `irn status` and the tables in docs/ are made from these rows. The module
irn/commands/<name>.py holds a function of the same name, and a stage's rule has its name too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from irn.data.dataset import has_ground_truth
from irn.data.kinds import KINDS, truth_modules
from irn.settings.final_networks import FINAL_NETWORKS, GROUND_TRUTH, TRAINED_NETWORKS
from irn.settings.values import Settings, value
from irn.workflow.options import Option, options


@dataclass(frozen=True)
class Command:
    """A command, its help and its options other than settings (irn/workflow/options.py)."""

    name: str
    help: str
    takes: str

    @property
    def command(self) -> str:
        """The name of its function."""
        return self.name

    @property
    def words(self) -> str:
        """Its name on the command line."""
        return self.command.replace("_", "-")

    @property
    def options(self) -> list[Option]:
        """Its options other than settings."""
        return options(self.takes)


@dataclass(frozen=True)
class Stage(Command):
    """A command that the workflow runs, and what it reads and makes.

    A stage has files of its own in the store, or, when it makes a `cache` of some kind (irn/io/cache_format.py), one for
    each split and shard. One that reads such caches as a whole wants those of the splits that its setting `images` names.
    One `by_name` is made only when its rule is asked for by name, of the run's own configuration. `memory` is MB for all
    its cores together, and for each core. A stage of another name than its command's says which it `runs`. `loads` are
    modules that its command imports by a name that depends on the settings, and whose code is part of its key.
    """

    reads: str = ""
    makes: str = ""
    cache: str = ""
    by_name: bool = False
    images: str = ""
    when: Callable[[Settings], bool] = lambda settings: True
    cores: int = 1
    memory: tuple[int, int] = (1000, 0)
    minutes: int = 20
    gpu: bool = False
    runs: str = ""
    loads: Callable[[Settings], tuple[str, ...]] = lambda settings: ()

    @property
    def per_image(self) -> bool:
        """Whether it makes a cache for each split and shard."""
        return bool(self.cache)

    @property
    def command(self) -> str:
        """The name of its command."""
        return self.runs or self.name

    @property
    def shares_batches(self) -> bool:
        """Whether several processes, each with a GPU, can compute it together."""
        return any(option.flag == "--processes" for option in self.options)


def _final_networks() -> Iterator[Stage]:
    """The final networks: trained on the labels or on ground truth, and what they predict of images that they have not seen."""
    for network in FINAL_NETWORKS:
        masks = "class-masks? object-masks?" if network.learns == "objects" else "class-masks?"
        for suffix, taught_by, reads in (("", "pseudo", "make_labels"), (GROUND_TRUTH, "ground_truth", "")):
            when = partial(_learns, network=network.name, taught_by=taught_by)
            name = f"train_{network.name}{suffix}"
            yield Stage(
                name, f"Train {network.title} on the labels that were made, or on ground truth.",
                f"manifest labels label-caches? {masks} out split? backbone-weights? from-scratch metrics? device processes workers?",
                reads=f"build_manifest {reads} download_backbone", makes="weights.pt", images="dataset.train_split",
                when=when, cores=16, memory=(16000, 0), minutes=480, gpu=True, runs=f"train_{network.name}",
                loads=_readers_of_truth,
            )  # fmt: skip
            yield Stage(
                f"predict_{network.name}{suffix}", "Segment new images.", "manifest", reads=f"build_manifest {name}", makes="predictions",
                images="unseen_split", when=when, cores=16, memory=(16000, 0), minutes=240, gpu=True, runs="predict",
            )  # fmt: skip


def _learns(settings: Settings, network: str, taught_by: str) -> bool:
    return value(settings, f"{network}.labels") in (taught_by, "both")


def _reader_of(settings: Settings) -> tuple[str, ...]:
    """What reads the data set, and its images."""
    return (KINDS[settings.dataset.kind].layout_module, "irn.data.images")


def _readers_of_truth(settings: Settings) -> tuple[str, ...]:
    """What may read ground truth."""
    return truth_modules()


STAGES = (
    Stage(
        "make_demo_data", "Draw the demonstration data set.", "out-folder workers?",
        makes="data", when=lambda settings: KINDS[settings.dataset.kind].is_drawn, cores=16, minutes=10,
    ),
    Stage(
        "build_manifest", "List the images of a data set and the classes in each.",
        "kind root out-manifest out-labels labels-csv? class-masks? workers?",
        # An instances file of COCO has half a gigabyte. Each image is opened in full, in a process for each core.
        reads="make_demo_data", makes="manifest.csv labels.csv", cores=4, memory=(2000, 500), loads=_reader_of,
    ),
    Stage(
        "download_backbone", "Fetch a backbone's ImageNet weights.", "out",
        makes="backbone.pt", when=lambda settings: settings.pretrained == "imagenet", memory=(2000, 0), minutes=30,
    ),
    Stage(
        "train_cam", "Train the classifier of class attention maps.",
        "manifest labels out split? backbone-weights? from-scratch metrics? device processes workers?",
        reads="build_manifest download_backbone", makes="weights.pt", images="dataset.train_split",
        when=lambda settings: not settings.cam.external, cores=16, memory=(16000, 0), minutes=240, gpu=True,
    ),
    Stage(
        "make_cams", "Make class attention maps, or take external ones over.",
        "manifest labels weights? external? out split? shard device workers?",
        reads="build_manifest train_cam", cache="cam", cores=16, memory=(8000, 0), minutes=240, gpu=True,
    ),
    Stage(
        "make_ir_labels", "Make inter-pixel relation labels by dense CRF.", "manifest cams out split? shard workers?",
        # A process has 180 MB, and a lattice of a 500 x 375 image 20 to 40 MB.
        reads="build_manifest make_cams", cache="ir_label", cores=16, memory=(1000, 300), minutes=240,
    ),
    Stage(
        "train_irn", "Train IRNet's boundary and displacement heads.",
        "manifest ir-labels out split? backbone-weights? metrics? device processes workers?",
        reads="build_manifest make_ir_labels download_backbone train_cam", makes="weights.pt", images="dataset.train_split",
        cores=16, memory=(16000, 0), minutes=240, gpu=True,
    ),
    Stage(
        "infer_fields", "Infer boundary maps and displacement fields.", "manifest weights out split? shard device workers?",
        reads="build_manifest train_irn", cache="field", cores=16, memory=(8000, 0), minutes=240, gpu=True,
    ),
    Stage(
        "random_walk", "Spread class attention maps over instances by random walk.",
        "manifest? cams fields out split? shard walk-device precision workers?",
        # A process for each core, and 6 MB for the walk of a 500 x 375 image.
        reads="build_manifest make_cams infer_fields", cache="walk", cores=16, memory=(1000, 300), minutes=120,
    ),
    Stage(
        "make_labels", "Make semantic and instance labels from the walk.", "manifest? walks out split? shard workers?",
        reads="build_manifest random_walk", cache="label", cores=16, memory=(1000, 500), minutes=120,
    ),
    *_final_networks(),
    Stage(
        "evaluate", "Score CAMs and labels against ground truth.",
        "manifest labels cams? label-caches? predictions? class-masks object-masks? out thresholds-out?"
        " split? workers?",
        reads=f"build_manifest make_cams make_labels {' '.join(f'predict_{name}' for name in TRAINED_NETWORKS)}",
        makes="scores.csv thresholds.csv", images="dataset.eval_split",
        when=lambda settings: has_ground_truth(settings.dataset), cores=16, memory=(1000, 300), minutes=60, loads=_readers_of_truth,
    ),
    Stage(
        "ablation", "Score labels with and without each part of the method.",
        "manifest labels cams walks class-masks object-masks? out figure? split? workers?",
        reads="build_manifest make_cams random_walk", makes="ablation.csv ablation.svg", images="dataset.eval_split",
        when=lambda settings: settings.ablation, cores=16, memory=(4000, 500), minutes=120, loads=_readers_of_truth,
    ),
    Stage(
        "show", "Draw what each stage made of an image, side by side.",
        "manifest labels? cams? ir-labels? fields? walks? label-caches? images? out-folder split?",
        reads="build_manifest make_cams make_ir_labels infer_fields random_walk make_labels", makes="panels",
        images="dataset.eval_split", memory=(2000, 0),
    ),
    Stage(
        "suggest_thresholds", "Say which thresholds separate foreground best, without ground truth.",
        "cams? walks? out manifest? split? workers?", reads="build_manifest make_cams random_walk", makes="suggested.csv",
        images="dataset.train_split", by_name=True, cores=16, memory=(1000, 300), minutes=30,
    ),
    Stage(
        "export_coco", "Write instances of labels as an instances file of COCO.", "manifest labels label-caches out split? workers?",
        # The annotations of all images are kept; 1 GB holds 300,000.
        reads="build_manifest make_labels", makes="instances.json", images="dataset.train_split", by_name=True,
        cores=16, memory=(2000, 300), minutes=60,
    ),
    Stage(
        "export_voc", "Write labels as index PNGs in the layout of PASCAL VOC.", "manifest label-caches out-folder split? workers?",
        reads="build_manifest make_labels", makes="SegmentationClass SegmentationObject", images="dataset.train_split", by_name=True,
        cores=16, memory=(1000, 300), minutes=60,
    ),
)  # fmt: skip

# Of a whole run; they belong to none of its configurations.
GATHER_SCORES = Stage(
    "gather_scores", "Put the scores of several seeds and settings into one table.", "configurations out sweep-out?",
    reads="evaluate", makes="scores.csv sweep.csv",
)  # fmt: skip
REPORT = Stage(
    "report", "Make the report of a run, one HTML file.", "run out workers?",
    reads=" ".join(stage.name for stage in (*STAGES, GATHER_SCORES) if not stage.by_name), makes="report.html",
    cores=16, memory=(2000, 300), minutes=60, loads=_readers_of_truth,
)  # fmt: skip

OTHERS = (
    Command(
        "check_data",
        "Say everything that is wrong with a data set, at once.",
        "kind root json? labels-csv? class-masks? workers?",
    ),
    Command("import_weights", "Import the published release's checkpoints.", "cam irn out-cam out-irn"),
    Command(
        "predict",
        "Segment new images by a trained network.",
        "trained new-images? manifest? split? out-folder? onnx? least-score? device workers?",
    ),
    Command(
        "import_cams",
        "Make a CAM cache from the .npy dictionaries of IRNet and its relatives.",
        "manifest labels npy out split? workers?",
    ),
    Command("export_cams", "Write CAM caches as the .npy dictionaries of IRNet and its relatives.", "cams out-folder"),
    Command(
        "config", "Print every setting with its meaning, as YAML to edit and give back.", "configfile? json-schema"
    ),
    Command(
        "status", "Say of every stage what there is, and what differs from what was made before.", "configfile? config?"
    ),
    Command(
        "free_store",
        "List what no run and no given configuration refers to in the store, and remove it.",
        "configfile? delete",
    ),
)

# How `irn --help` lists the commands: in the order in which one comes to need them.
GROUPS = {
    "Data": "make_demo_data build_manifest check_data",
    "Class attention maps": "download_backbone import_weights train_cam make_cams import_cams export_cams",
    "Boundaries and displacement": "make_ir_labels train_irn infer_fields",
    "Labels": "random_walk make_labels export_coco export_voc",
    "Networks that learn from the labels": " ".join(
        [*(f"train_{network.name}" for network in FINAL_NETWORKS), "predict"]
    ),
    "Scores and pictures": "evaluate ablation suggest_thresholds show gather_scores report",
    "Settings and runs": "config status free_store",
}

BY_NAME = {stage.name: stage for stage in (*STAGES, GATHER_SCORES, REPORT)}
COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (*STAGES, GATHER_SCORES, REPORT, *OTHERS)
    if not isinstance(command, Stage) or command.command == command.name
}


def groups() -> dict[str, list[Command]]:
    """The commands by the title of their group; one that none names is in the last."""
    found = {title: [COMMANDS[name] for name in names.split()] for title, names in GROUPS.items()}
    listed = {command.name for group in found.values() for command in group}
    found[list(GROUPS)[-1]] += [command for name, command in COMMANDS.items() if name not in listed]
    return found


def behind(name: str) -> list[str]:
    """All stages that read from this one, directly or not, in the order of the workflow."""
    found = [name]
    for stage in BY_NAME.values():
        if set(found) & set(stage.reads.split()):
            found.append(stage.name)
    return found[1:]
