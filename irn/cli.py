"""The command line: one command a stage. Nothing heavy is imported until a command runs, so that help is quick."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from irn import __version__
from irn.errors import IrnError
from irn.memory import keep_freed_memory
from irn.shards import WHOLE, Shard

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bf16")
# Options that name files to write.
OUTPUTS = ("out", "out_manifest", "out_labels", "out_cam", "out_irn", "metrics", "thresholds_out")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


Options = argparse.ArgumentParser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, or 2 after one line on standard error for a mistake of the user's."""
    options = vars(build_parser().parse_args(arguments))
    stage = options.pop("stage")
    keep_freed_memory()
    try:
        _check_outputs(options)
        function: Callable[..., None] = getattr(importlib.import_module(f"irn.stages.{stage}"), stage)
        function(**options)
    except (IrnError, OSError, MemoryError, RuntimeError) as error:
        said = " ".join(str(error).split())
        if isinstance(error, MemoryError | RuntimeError):
            # torch raises a RuntimeError, of several kinds on GPUs.
            signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
            if isinstance(error, RuntimeError) and not any(sign in said for sign in signs):
                raise
            sizes = [name for name in ("batch_size", "crop_size", "long_side", "scales", "workers") if name in options]
            lower = f"lower --{' or --'.join(sizes).replace('_', '-')}, or " if sizes else ""
            said = f"not enough memory{said and f' ({said})'}; {lower}give the command more memory"
        print(f"irn {stage.replace('_', '-')}: {said}", file=sys.stderr)
        return 2
    return 0


def _check_outputs(options: dict[str, Any]) -> None:
    """IrnError where a file to write is one that is read, or another one to write."""
    named: dict[str, str] = {}
    for name in sorted(options, key=lambda name: name in OUTPUTS):
        values = options[name] if isinstance(options[name], list) else [options[name]]
        for path in (value for value in values if isinstance(value, Path)):
            flag, place = f"--{name.replace('_', '-')}", os.path.realpath(path)
            if name in OUTPUTS and place in named:
                raise IrnError(f"{flag} {path}: {named[place]} is the same file, which would be replaced; name another")
            named[place] = flag


def build_parser() -> Parser:
    """All commands with their options."""
    parser = Parser(prog="irn", description="Weakly supervised instance segmentation with inter-pixel relations, stage by stage.")
    parser.add_argument("--version", action="version", version=f"irn {__version__}")
    commands = parser.add_subparsers(dest="stage", required=True, metavar="COMMAND", parser_class=Parser)
    for stage, (help_text, add_options) in STAGES.items():
        name = stage.replace("_", "-")
        command = commands.add_parser(
            name, help=help_text, description=help_text, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
        )
        add_options(command)
        command.set_defaults(stage=stage)
    return parser


def make_demo_data(o: Options) -> None:
    o.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make, in the VOC layout")
    o.add_argument("--images", type=whole(2), default=360, metavar="N", help="number of images, five sixths of them for training")
    o.add_argument("--size", type=whole(64), default=192, metavar="PX", help="long side of the images")
    _seed(o)
    _workers(o)


def build_manifest(o: Options) -> None:
    o.add_argument("--kind", required=True, choices=("demo", "voc", "folder"), help="layout of the data set")
    o.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the data set")
    o.add_argument("--out-manifest", type=file_to_write, required=True, metavar="M", help="table of the images to write")
    o.add_argument("--out-labels", type=file_to_write, required=True, metavar="L", help="table of the classes in each image to write")
    o.add_argument("--splits", nargs="+", default=(), metavar="NAME", help="splits to list; in the VOC layout also paths to lists of ids")
    o.add_argument("--labels-csv", type=Path, metavar="CSV", help="classes of the images, in place of the data set's own")


def download_backbone(o: Options) -> None:
    o.add_argument("--backbone", choices=BACKBONES, default="resnet50", help="network whose ImageNet weights are fetched")
    _out(o, "W", "state dict to write")


def check_cams(o: Options) -> None:
    _manifest(o)
    _labels(o)
    _caches(o, "--cams", "CAM", required=True)
    _split(o)


def train_cam(o: Options) -> None:
    _manifest(o)
    _labels(o)
    _out(o, "W", "weights file to write")
    _split(o)
    _backbone(o)
    o.add_argument(
        "--from-scratch", action="store_true", help="start from random weights, with no --backbone-weights, and train every layer"
    )
    _training(o, "classifier")
    o.add_argument(
        "--long-side", type=whole(1), nargs=2, default=(320, 640), metavar="PX", help="range of the random long side of the image"
    )
    _compute(o)


def make_cams(o: Options) -> None:
    _manifest(o)
    _labels(o)
    _weights(o, "train-cam or import-weights")
    _out(o, "F", "CAM cache to write")
    o.add_argument(
        "--scales", type=number(0.0, above=True), nargs="+", default=(1.0, 0.5, 1.5, 2.0), metavar="S", help="scales of the image"
    )
    _split(o)
    _shard(o)
    _compute(o)


def make_ir_labels(o: Options) -> None:
    _manifest(o)
    _caches(o, "--cams", "CAM", required=True)
    _out(o, "F", "IR label cache to write")
    o.add_argument("--foreground-threshold", type=share, default=0.30, metavar="T", help="score of background in finding sure foreground")
    o.add_argument("--background-threshold", type=share, default=0.05, metavar="T", help="score of background in finding sure background")
    _split(o)
    _shard(o)
    _workers(o)


def train_irn(o: Options) -> None:
    _manifest(o)
    _caches(o, "--ir-labels", "IR label", required=True)
    _out(o, "W", "weights file to write")
    _split(o)
    o.add_argument("--mean-split", metavar="NAME", help="images of the mean displacement; those of --split if not given")
    _backbone(o)
    _training(o, "displacement head")
    o.add_argument(
        "--scale", type=number(0.0, above=True), nargs=2, default=(0.5, 1.5), metavar="S", help="range of the random scale of the image"
    )
    o.add_argument("--radius", type=whole(2), default=10, metavar="R", help="pairs of pixels are nearer than this, in cells of stride 4")
    _compute(o)


def infer_fields(o: Options) -> None:
    _manifest(o)
    _weights(o, "train-irn or import-weights")
    _out(o, "F", "field cache to write")
    _split(o)
    _shard(o)
    _compute(o)


def random_walk(o: Options) -> None:
    _caches(o, "--cams", "CAM", required=True)
    _caches(o, "--fields", "field", required=True)
    _out(o, "F", "walk cache to write")
    o.add_argument("--beta", type=number(0.0), default=10.0, help="exponent of the affinities")
    o.add_argument("--steps", type=whole(0), default=256, metavar="N", help="steps of the walk")
    o.add_argument("--radius", type=whole(2), default=5, metavar="R", help="the walk goes to cells nearer than this")
    o.add_argument("--manifest", type=Path, metavar="M", help="table of the images to walk; those of the first CAM cache if not given")
    _split(o)
    _shard(o)
    _compute(o, "changes nothing here, where no network computes")


def make_labels(o: Options) -> None:
    _caches(o, "--walks", "walk", required=True)
    _out(o, "F", "label cache to write")
    o.add_argument("--semantic-threshold", type=share, default=0.25, metavar="T", help="score of background in semantic labels")
    o.add_argument("--instance-threshold", type=share, default=0.25, metavar="T", help="score of background in instance labels")
    o.add_argument("--manifest", type=Path, metavar="M", help="table of the images to label; those of the first walk cache if not given")
    _split(o)
    _shard(o)
    _workers(o)


def evaluate(o: Options) -> None:
    _manifest(o)
    _labels(o)
    _caches(o, "--cams", "CAM")
    _caches(o, "--label-caches", "label")
    o.add_argument(
        "--class-masks", type=Path, required=True, metavar="DIR", help="ground truth, <image_id>.png of 1 + class index, 255 void"
    )
    o.add_argument("--object-masks", type=Path, metavar="DIR", help="ground truth, <image_id>.png of object numbers, 255 void")
    _out(o, "CSV", "table of scores to write")
    o.add_argument("--thresholds-out", type=file_to_write, metavar="CSV", help="table to write of the mIoU of the CAMs at each threshold")
    o.add_argument("--cam-threshold", type=share, default=0.15, metavar="T", help="score of background in the CAM's segmentation")
    _split(o)
    _workers(o)


def show(o: Options) -> None:
    _manifest(o)
    o.add_argument("--labels", type=Path, metavar="L", help="labels.csv, for the names of the classes")
    _caches(o, "--cams", "CAM")
    _caches(o, "--ir-labels", "IR label")
    _caches(o, "--fields", "field")
    _caches(o, "--label-caches", "label")
    o.add_argument("--images", nargs="+", default=(), metavar="ID", help="images to draw; some evenly spaced ones if not given")
    o.add_argument("--count", type=whole(1), default=12, metavar="N", help="how many to draw where --images is not given")
    o.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for one PNG an image")


def link_results(o: Options) -> None:
    o.add_argument("--folders", nargs="+", required=True, metavar="STAGE=DIR", help="folder of each stage in the store")
    o.add_argument("--scores", type=Path, metavar="CSV", help="table of scores in the store")
    _out(o, "JSON", "list of the folders to write; the links lie beside it")


def import_weights(o: Options) -> None:
    o.add_argument("--cam", type=Path, required=True, metavar="P", help="the release's checkpoint of the CAM network")
    o.add_argument("--irn", type=Path, required=True, metavar="P", help="the release's checkpoint of IRNet")
    o.add_argument("--out-cam", type=file_to_write, required=True, metavar="W", help="classifier weights to write")
    o.add_argument("--out-irn", type=file_to_write, required=True, metavar="W", help="IRNet weights to write")


def status(o: Options) -> None:
    _configfiles(o, "YAML files laid over config.yaml, as Snakemake is given them")
    o.add_argument("--config", nargs="+", default=(), metavar="KEY=VALUE", help="settings laid over them, likewise")
    o.add_argument("--brief", action="store_true", help="one line a stage, without settings and code")


def free_store(o: Options) -> None:
    _configfiles(o, "YAML files, each a configuration over config.yaml by itself, whose folders are kept")
    o.add_argument("--delete", action="store_true", help="remove what is listed")


STAGES: dict[str, tuple[str, Callable[[Options], None]]] = {
    "make_demo_data": ("Draw the demonstration data set.", make_demo_data),
    "build_manifest": ("List the images of a data set and the classes in each.", build_manifest),
    "download_backbone": ("Fetch a backbone's ImageNet weights.", download_backbone),
    "check_cams": ("Check CAM caches from elsewhere.", check_cams),
    "train_cam": ("Train the classifier of class attention maps.", train_cam),
    "make_cams": ("Make class attention maps.", make_cams),
    "make_ir_labels": ("Make inter-pixel relation labels by dense CRF.", make_ir_labels),
    "train_irn": ("Train IRNet's boundary and displacement heads.", train_irn),
    "infer_fields": ("Infer boundary maps and displacement fields.", infer_fields),
    "random_walk": ("Spread class attention maps over instances by random walk.", random_walk),
    "make_labels": ("Make semantic and instance labels from the walk.", make_labels),
    "evaluate": ("Score CAMs and labels against ground truth.", evaluate),
    "show": ("Draw what each stage made of an image, side by side.", show),
    "link_results": ("Show a run's files in one folder.", link_results),
    "import_weights": ("Import the published release's checkpoints.", import_weights),
    "status": ("Say of every stage what there is, and what would be made again and why.", status),
    "free_store": ("List what no run and no configuration refers to in the store, and remove it.", free_store),
}


def whole(least: int) -> Callable[[str], int]:
    """Type of a whole number of at least `least`."""

    def convert(text: str) -> int:
        if not text.removeprefix("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return convert


def number(least: float, most: float = float("inf"), above: bool = False) -> Callable[[str], float]:
    """Type of a finite number from `least`, or `above` it, to `most`."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most or (above and value == least) or value == float("inf"):
            wanted = f"number {'above' if above else 'of at least'} {least:g}" + ("" if most == float("inf") else f" and at most {most:g}")
            raise argparse.ArgumentTypeError(f"{text!r} is no {wanted}")
        return value

    return convert


share = number(0.0, 1.0)


def file_to_write(text: str) -> Path:
    """Type of a file that can be written: found out before the work, not after it."""
    path = Path(text)
    try:
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r} is a folder; give the name of a file")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written ({error.strerror}); give another name") from None
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written, since {parent} is no folder that one may write to; choose another place"
        )
    return path


def shard(text: str) -> Shard:
    """Type of a shard I/N."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard I/N with 0 <= I < N, such as 0/4")
    return Shard(int(index), int(count))


def _configfiles(o: Options, help_text: str) -> None:
    o.add_argument("--configfile", type=Path, nargs="+", default=(), metavar="FILE", help=help_text)


def _manifest(o: Options) -> None:
    o.add_argument("--manifest", type=Path, required=True, metavar="M", help="table of the images")


def _labels(o: Options) -> None:
    o.add_argument("--labels", type=Path, required=True, metavar="L", help="table of the classes in each image")


def _weights(o: Options, source: str) -> None:
    o.add_argument("--weights", type=Path, required=True, metavar="W", help=f"weights file from {source}")


def _caches(o: Options, flag: str, kind: str, required: bool = False) -> None:
    default = None if required else ()
    o.add_argument(flag, type=Path, nargs="+", required=required, default=default, metavar="F", help=f"{kind} cache, in one or more files")


def _out(o: Options, metavar: str, help_text: str) -> None:
    o.add_argument("--out", type=file_to_write, required=True, metavar=metavar, help=help_text)


def _split(o: Options) -> None:
    o.add_argument("--split", metavar="NAME", help="only images of this split, or of several joined by '+'")


def _shard(o: Options) -> None:
    o.add_argument("--shard", type=shard, default=WHOLE, metavar="I/N", help="only rows I, I + N, ..., counted from 0")


def _backbone(o: Options) -> None:
    o.add_argument("--backbone", choices=BACKBONES, default="resnet50", help="torchvision network to stand on")
    o.add_argument(
        "--backbone-weights",
        type=Path,
        metavar="W",
        help="its weights: a torchvision state dict or a classifier's file; ImageNet's if not given",
    )


def _training(o: Options, head: str) -> None:
    o.add_argument("--epochs", type=whole(1), default=5, metavar="N", help="passes over the images")
    o.add_argument("--batch-size", type=whole(1), default=16, metavar="N", help="images a step")
    o.add_argument("--crop-size", type=multiple_of_16, default=512, metavar="PX", help="side of the random crop")
    o.add_argument("--learning-rate", type=number(0.0, above=True), default=0.1, help="at the first step")
    o.add_argument("--head-factor", type=number(0.0, above=True), default=10.0, help=f"times the learning rate, for the {head}")
    o.add_argument("--momentum", type=number(0.0, 1.0), default=1e-4, help="of SGD; the published numbers were made with 1e-4")
    o.add_argument("--weight-decay", type=number(0.0), default=1e-4, help="of SGD")
    o.add_argument("--metrics", type=file_to_write, metavar="JSONL", help="where to write the losses as JSON lines")
    _seed(o)


def multiple_of_16(text: str) -> int:
    """Type of a side in pixels that all strides of the networks divide."""
    if not text.isdigit() or int(text) < 16 or int(text) % 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no multiple of 16")
    return int(text)


def _seed(o: Options) -> None:
    o.add_argument("--seed", type=whole(0), default=0, metavar="S", help="of everything random")


def _compute(o: Options, precision: str = "of the networks' convolutions") -> None:
    o.add_argument("--device", choices=DEVICES, default="auto", help="where torch computes")
    o.add_argument("--precision", choices=PRECISIONS, default="float32", help=precision)
    _workers(o)


def _workers(o: Options) -> None:
    o.add_argument(
        "--workers",
        type=whole(0),
        metavar="N",
        help=f"processes beside this one; by default what the stage can use of {os.cpu_count()} cores",
    )
