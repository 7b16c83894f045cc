"""What runs again after an edit outside the configuration: expectations of tests, and the table in docs/store.md."""

from typing import NamedTuple


class Rebuild(NamedTuple):
    """An edit, the first rules that run again, whether all behind them do too, and a note."""

    edit: str
    rules: tuple[str, ...] = ()
    behind: bool = True
    note: str = ""


EDITS = {
    "images": Rebuild(
        "An image added, changed or removed in the data set's folder, whether or not a list names it",
        ("build_manifest",),
    ),
    "labels": Rebuild(
        "A label changed: an XML file, an instances file of COCO, `labels.csv`, `classes.txt`, or the file in"
        " `dataset.labels_csv`",
        ("build_manifest",),
    ),
    "lists": Rebuild(
        "A list of images changed: in `ImageSets/Segmentation/`, a path in `dataset.splits`, or `splits.csv`",
        ("build_manifest",),
    ),
    "masks": Rebuild("A mask added, changed or removed", ("evaluate",)),
    "pretrained": Rebuild("The content of the file named by `pretrained`", ("train_cam",)),
    "external": Rebuild("A file named by `cam.external` replaced", ("make_cams",)),
    "deleted cache": Rebuild(
        "A file in the store deleted, such as a CAM cache", ("make_cams",), False, "only its own rule"
    ),
    "deleted weights": Rebuild("IRNet's weights in the store deleted", ("train_irn",), False, "only its own rule"),
    "newer": Rebuild("A file in the store replaced or touched", note="the name decides; `--forcerun` recomputes it"),
    "forced": Rebuild("`--forcerun infer_fields`", ("infer_fields",)),
    "code": Rebuild(
        "The code of a module that a stage's command imports, such as `irn/ops/walk.py`",
        ("random_walk",),
        note="whichever stages import it",
    ),
    "carrying code": Rebuild(
        "Code that transports, checks or controls: `irn/io/`, `irn/checks/`, `irn/settings/`, `irn/workflow/`, "
        "`irn/weights/`, `irn/cli.py`"
    ),
    "format": Rebuild("The format of a cache, such as the number type of walks", ("random_walk",)),
    "comments": Rebuild("A comment, a docstring, layout, an error message or a printed notice in any module"),
    "rules": Rebuild(
        "The command of a rule in `rules/`",
        note="use `--forcerun` if the result changes",
    ),
    "libraries": Rebuild("A library upgraded", note="see below"),
    "resources": Rebuild(
        "Cores, threads, memory, run time and GPUs (`--cores`, `--set-threads`, `--set-resources`, `--resources`)"
    ),
    "profile": Rebuild(
        "A profile (`--profile`, `--workflow-profile`)",
        note="a replacement for `profiles/default` must keep its `rerun-triggers`",
    ),
    "printing": Rebuild("What is printed (`--quiet`, `--verbose`, `--printshellcmds`)"),
    "taken back": Rebuild("An edit undone"),
}


def named(rules: tuple[str, ...], behind: bool, note: str = "") -> str:
    """Rules as the last column of a table has them; an arrow stands for all behind."""
    text = ", ".join(f"`{rule}`" for rule in rules) + (" →" if behind and rules else "") if rules else "nothing"
    return f"{text}; {note}" if note else text
