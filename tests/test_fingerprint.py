"""The code fingerprint: which edits of which files make results stale."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import irn.workflow.fingerprint
from irn.workflow.fingerprint import code_fingerprint
from irn.workflow.stages import STAGES

PACKAGE = irn.workflow.fingerprint.PACKAGE
TRAININGS = {"train_cam", "train_irn", "train_mask_rcnn", "train_deeplab"}
NETWORKS = {*TRAININGS, "make_cams", "infer_fields", "predict"}

Edit = Callable[[str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Put text at the end of a module of a copy of the package; each edit makes a fresh copy of the last."""
    copies = [PACKAGE]

    def append(module: str, text: str) -> None:
        copy = tmp_path / str(len(copies)) / "irn"
        shutil.copytree(copies[-1], copy, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / module
        path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + text, encoding="utf-8")
        copies.append(copy)
        monkeypatch.setattr(irn.workflow.fingerprint, "PACKAGE", copy)

    append("errors.py", "")
    return append


def rewrite(module: str, old: str, new: str) -> None:
    """Replace text in the copy in use, before its fingerprint is first asked for."""
    path = irn.workflow.fingerprint.PACKAGE / module
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def fingerprints() -> dict[str, str]:
    return {stage.command: code_fingerprint(stage.command) for stage in STAGES}


def test_a_copy_has_the_same_fingerprints(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = fingerprints()
    monkeypatch.setattr(irn.workflow.fingerprint, "PACKAGE", PACKAGE)
    assert fingerprints() == copied
    assert all(len(digits) == 12 and int(digits, 16) >= 0 for digits in copied.values())


@pytest.mark.parametrize(
    "module",
    [
        "cli.py", "config.py", "settings.py", "stages.py", "store.py", "options.py", "errors.py", "notebook.py", "new_module.py",
        "commands/random_walk.py", "commands/train_irn.py", "commands/evaluate.py", "io/cache.py", "io/cache_format.py",
        "io/checkpoint.py", "io/images.py", "io/imagenet.py", "io/weights.py", "io/progress.py", "io/devices.py", "data/tables.py",
        "data/voc.py", "pictures/tiles.py",
    ],
)  # fmt: skip
def test_what_does_not_compute_leaves_all_alone(edit: Edit, module: str) -> None:
    before = fingerprints()
    edit(module, "\nNUMBER = 1\n")
    assert fingerprints() == before


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("ops/walk.py", {"random_walk", "predict"}),
        ("ops/instances.py", {"random_walk", "ablation", "predict"}),
        ("ops/paths.py", {"random_walk", "train_irn", "predict"}),
        ("ops/labels.py", {"make_labels", "ablation", "suggest_thresholds", "predict"}),
        ("ops/crf.py", {"make_ir_labels", "ablation"}),
        ("ops/losses.py", {"train_irn"}),
        ("ops/fields.py", {"train_irn", "infer_fields", "predict"}),
        ("ops/metrics.py", {"evaluate", "ablation"}),
        ("networks/backbones.py", NETWORKS),
        ("networks/resnets.py", NETWORKS),
        ("networks/timm_networks.py", NETWORKS),
        ("networks/classifier.py", {"train_cam", "make_cams", "predict"}),
        ("networks/irnet.py", {"train_irn", "infer_fields", "predict"}),
        ("networks/mask_rcnn.py", {"train_mask_rcnn", "predict"}),
        ("networks/deeplab.py", {"train_deeplab", "predict"}),
        ("networks/inference.py", {"make_cams", "infer_fields", "predict"}),
        ("training/loop.py", TRAININGS),
        ("training/views.py", TRAININGS),
        ("data/demo/animals.py", {"make_demo_data"}),
    ],
)
def test_what_computes_counts_for_the_stages_that_import_it(edit: Edit, module: str, stages: set[str]) -> None:
    before = fingerprints()
    edit(module, "\nNUMBER = 1\n")
    first = fingerprints()
    assert {name for name in first if first[name] != before[name]} == stages
    edit("errors.py", "")
    rewrite(module, "\nNUMBER = 1\n", "\nNUMBER = 2\n")
    second = fingerprints()
    assert {name for name in second if second[name] not in (before[name], first[name])} == stages


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("\n# A comment.\n", "\n# Another comment, and a longer one.\n# Of two lines.\n"),
        ("\n\n\n\n", "\n"),
        (
            '\n\ndef name() -> None:\n    """What it does."""\n',
            '\n\ndef name() -> None:\n    """What it\n    really does."""\n',
        ),
        (
            "\n\nclass Name:\n    value = (1, 2)\n",
            "\n\nclass Name:\n    value = (\n        1,  # one\n        2,\n    )\n",
        ),
        (
            "\n\ndef check(x: int) -> int:\n    if x < 0:\n        raise ValueError('x is negative')\n    return x\n",
            "\n\ndef check(x: int) -> int:\n    if x <= 0 or x > 9:\n        raise ValueError(f'{x}, expected 1 to 9')\n    return x\n",
        ),
    ],
    ids=["comment", "blank lines", "docstring", "layout", "errors and their conditions"],
)
def test_what_decides_no_number_does_not_count(edit: Edit, text: str, other: str) -> None:
    edit("ops/walk.py", text)
    before = code_fingerprint("random_walk")
    edit("errors.py", "")
    rewrite("ops/walk.py", text, other)
    assert code_fingerprint("random_walk") == before


def test_a_condition_that_decides_something_else_too_counts(edit: Edit) -> None:
    edit(
        "ops/walk.py",
        "\n\ndef f(x: int) -> int:\n    if x < 0:\n        raise ValueError\n    else:\n        x = 1\n    return x\n",
    )
    before = code_fingerprint("random_walk")
    edit("errors.py", "")
    rewrite("ops/walk.py", "if x < 0:", "if x < 1:")
    assert code_fingerprint("random_walk") != before


@pytest.mark.parametrize(
    "statement",
    [
        "import irn.ops.new_module", "from irn.ops.new_module import NUMBER", "from irn.ops import new_module",
        "import irn.ops.new_module as n",
    ],
)  # fmt: skip
def test_every_form_of_import_is_followed(edit: Edit, statement: str) -> None:
    edit("ops/new_module.py", "NUMBER = 1\n")
    # Inside a function too.
    edit("ops/paths.py", f"\n\ndef name() -> None:\n    {statement}\n")
    before = code_fingerprint("random_walk")
    edit("ops/new_module.py", "OTHER = 2\n")
    assert code_fingerprint("random_walk") != before


def test_modules_that_import_each_other(edit: Edit) -> None:
    edit("ops/one.py", "import irn.ops.other\n")
    edit("ops/other.py", "import irn.ops.one\n")
    edit("ops/paths.py", "\nimport irn.ops.one\n")
    before = code_fingerprint("random_walk")
    edit("ops/other.py", "NUMBER = 2\n")
    assert code_fingerprint("random_walk") != before
