"""What runs again after an edit outside the configuration: the tests' expectations, and the table in docs/store.md."""

from typing import NamedTuple


class Rebuild(NamedTuple):
    """An edit, the first rules that run again, whether all behind them do too, and what else there is to say."""

    edit: str
    rules: tuple[str, ...] = ()
    behind: bool = True
    note: str = ""


EDITS = {
    "images": Rebuild(
        "An image added, changed or removed in the data set's folder, whether a list names it or not",
        ("build_manifest",),
    ),
    "labels": Rebuild(
        "A label changed: an XML file, an instances file of COCO, `labels.csv`, `classes.txt`, or the table named by `dataset.labels_csv`",
        ("build_manifest",),
    ),
    "lists": Rebuild(
        "A list of images changed: in `ImageSets/Segmentation/`, named by its path in `dataset.splits`, or `splits.csv`",
        ("build_manifest",),
    ),
    "masks": Rebuild("A mask added, changed or removed", ("evaluate",)),
    "pretrained": Rebuild("The content of the file named by `pretrained`", ("train_cam",)),
    "external": Rebuild("A file named by `cam.external` replaced", ("make_cams",)),
    "deleted cache": Rebuild(
        "A file in the store deleted, such as a CAM cache", ("make_cams",), False, "its own rule alone"
    ),
    "deleted weights": Rebuild("IRNet's weights in the store deleted", ("train_irn",), False, "its own rule alone"),
    "newer": Rebuild(
        "A file in the store replaced or touched", note="a name says what a file holds; `--forcerun` makes it again"
    ),
    "forced": Rebuild("`--forcerun infer_fields`", ("infer_fields",)),
    "code": Rebuild(
        "The code of a module that a stage's command imports, such as `irn/ops/walk.py`",
        ("random_walk",),
        note="the stages that import it",
    ),
    "carrying code": Rebuild(
        "The code that transports, checks and controls: `irn/io/`, `irn/checks/`, `irn/settings/`, `irn/workflow/`, "
        "`irn/weights/`, `irn/cli.py`"
    ),
    "format": Rebuild("The format of a cache, such as the number type of walks", ("random_walk",)),
    "comments": Rebuild("A comment, a docstring, the layout, an error's text or a piece of advice in any module"),
    "rules": Rebuild(
        "The command of a rule in `rules/`",
        note="`--forcerun` if it makes something else",
    ),
    "libraries": Rebuild("A library upgraded", note="see below"),
    "resources": Rebuild(
        "Cores, threads, memory, run time and GPUs (`--cores`, `--set-threads`, `--set-resources`, `--resources`)"
    ),
    "profile": Rebuild(
        "A profile (`--profile`, `--workflow-profile`)",
        note="one instead of `profiles/default` keeps its `rerun-triggers`",
    ),
    "printing": Rebuild("What is printed (`--quiet`, `--verbose`, `--printshellcmds`)"),
    "taken back": Rebuild("An edit taken back"),
}


def named(rules: tuple[str, ...], behind: bool, note: str = "") -> str:
    """Rules as the last column of a table has them; an arrow stands for all behind."""
    text = ", ".join(f"`{rule}`" for rule in rules) + (" →" if behind and rules else "") if rules else "nothing"
    return f"{text}; {note}" if note else text
