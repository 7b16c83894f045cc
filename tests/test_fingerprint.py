"""The code fingerprint: which edits of which files make results stale."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import irn.workflow.fingerprint
import irn.workflow.sources
from irn.data.kinds import KINDS
from irn.settings.checking import settings_of_options
from irn.settings.final_networks import GROUND_TRUTH
from irn.settings.settings import Settings
from irn.workflow.command import Stage
from irn.workflow.commands_without_rule import COMMANDS
from irn.workflow.fingerprint import CARRYING, CONTROLLING, code_fingerprint, counted_modules
from irn.workflow.stages import GATHER_SCORES, REPORT, STAGES

PACKAGE = irn.workflow.fingerprint.PACKAGE
ALL = [*STAGES, GATHER_SCORES, REPORT]
TRAININGS = {"train_cam", "train_objectness", "train_irn", "train_mask_rcnn", "train_deeplab"}
PREDICTIONS = {"predict_mask_rcnn", "predict_deeplab"}
CELLS = {"train_cell_classifier", "refine_cams"}
NETWORKS = {*TRAININGS, *PREDICTIONS, *CELLS, "make_cams", "infer_fields"}

Edit = Callable[[str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Put text at the end of a module of a copy of the package, whose fingerprints count from now on."""
    copy = shutil.copytree(PACKAGE, tmp_path / "irn", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(irn.workflow.fingerprint, "PACKAGE", copy)

    def append(module: str, text: str) -> None:
        path = copy / module
        write(path, (path.read_text(encoding="utf-8") if path.exists() else "") + text)

    return append


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Code does not change while a program runs, but here.
    irn.workflow.fingerprint._source_of.cache_clear()
    irn.workflow.fingerprint._templates.cache_clear()


def rewrite(module: str, old: str, new: str) -> None:
    """Replace text in the copy."""
    path = irn.workflow.fingerprint.PACKAGE / module
    text = path.read_text(encoding="utf-8")
    assert old in text
    write(path, text.replace(old, new))


def fingerprints() -> dict[str, str]:
    """Of the stages that do not learn from ground truth, by name."""
    stages = [stage for stage in ALL if not stage.name.endswith(GROUND_TRUTH)]
    return {stage.name: code_fingerprint(*stage.modules(Settings())) for stage in stages}


@pytest.fixture(scope="module")
def untouched() -> dict[str, str]:
    """The fingerprints of the package as it is."""
    return fingerprints()


def fingerprint_of_walk() -> str:
    return code_fingerprint("irn.commands.random_walk")


def test_a_copy_has_the_same_fingerprints(untouched: dict[str, str], edit: Edit) -> None:
    assert fingerprints() == untouched
    assert all(len(digits) == 12 and int(digits, 16) >= 0 for digits in untouched.values())


@pytest.mark.parametrize(
    "module",
    [
        "cli.py", "settings/settings.py", "settings/types.py", "workflow/stages.py", "workflow/recipes.py", "errors.py",
        "weights/files.py", "checks/data_set.py", "inference/notebook.py", "new_module.py", "io/cache.py",
        "io/cache_format.py", "io/checkpoint.py", "io/progress.py", "io/devices.py", "commands/status.py",
    ],
)  # fmt: skip
def test_what_cannot_change_results_leaves_all_alone(untouched: dict[str, str], edit: Edit, module: str) -> None:
    edit(module, "\nNUMBER = 1\n")
    assert fingerprints() == untouched


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("commands/random_walk.py", {"random_walk"}),
        ("ops/walk.py", {"random_walk"}),
        ("ops/instances.py", {"random_walk", "ablation"}),
        ("ops/paths.py", {"random_walk", "train_irn", "report"}),
        ("ops/labels.py", {"make_labels", "find_doubt", "ablation", "suggest_thresholds"}),
        ("ops/crf.py", {"make_ir_labels", "ablation"}),
        ("ops/losses.py", {"train_irn"}),
        ("inference/fields.py", {"train_irn", "infer_fields"}),
        ("inference/mask_rcnn.py", {"predict_mask_rcnn"}),
        ("inference/predictor.py", PREDICTIONS),
        ("networks/base.py", NETWORKS | {"download_backbone"}),
        ("networks/backbones.py", NETWORKS | {"download_backbone"}),
        ("networks/resnets.py", NETWORKS | {"download_backbone"}),
        ("networks/timm_networks.py", NETWORKS | {"download_backbone"}),
        ("networks/imagenet.py", TRAININGS | {"download_backbone"} | CELLS),
        ("networks/classifier.py", {"train_cam", "make_cams"}),
        ("networks/irnet.py", {"train_irn", "infer_fields"}),
        ("networks/mask_rcnn.py", {"train_mask_rcnn", "predict_mask_rcnn"}),
        ("networks/deeplab.py", {"train_deeplab", "predict_deeplab"}),
        ("networks/folding.py", {"train_cam", "make_cams", "infer_fields"} | CELLS | PREDICTIONS),
        ("networks/precision.py", NETWORKS),
        ("training/loop.py", TRAININGS),
        ("training/views.py", TRAININGS),
        ("training/features.py", {"train_cam"}),
        ("training/targets.py", {"train_mask_rcnn", "train_deeplab"}),
        ("training/deeplab.py", {"train_deeplab"}),
        ("data/demo/animals.py", {"make_demo_data"}),
        ("pictures/panels.py", {"show", "report"}),
        ("pictures/strip.py", {"show"}),
        ("report/page.py", {"report"}),
        ("report/templates/report.html.j2", {"report"}),
    ],
)
def test_what_computes_counts_for_the_stages_that_import_it(
    untouched: dict[str, str], edit: Edit, module: str, stages: set[str]
) -> None:
    edit(module, "\nNUMBER = 1\n")
    edited = fingerprints()
    assert {name for name in edited if edited[name] != untouched[name]} == stages


@pytest.mark.parametrize("module", ["ops/walk.py", "report/templates/report.html.j2"])
def test_each_edit_counts(untouched: dict[str, str], edit: Edit, module: str) -> None:
    edit(module, "\nNUMBER = 1\n")
    first = fingerprints()
    rewrite(module, "\nNUMBER = 1\n", "\nNUMBER = 2\n")
    second = fingerprints()
    changed = {name for name in second if second[name] != untouched[name]}
    assert changed
    assert changed == {name for name in second if second[name] != first[name]}


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
            "\n\ndef say(x: int) -> None:\n    if x < 0:\n        notice('x is negative')\n",
            "\n\ndef say(x: int) -> None:\n    if x <= 0:\n        for _ in range(2):\n            notice('raise x')\n",
        ),
        (
            "\n\ndef mistake(x: int) -> IrnError:\n    return IrnError(f'{x} is negative')\n",
            "\n\ndef mistake(x: int) -> IrnError:\n    return IrnError(f'{x}: expected 0 or more')\n",
        ),
        (
            "\n\ndef check(x: int) -> int:\n    if x < 0:\n        raise ValueError('x is negative')\n    return x\n",
            "\n\ndef check(x: int) -> int:\n"
            "    if x <= 0 or x > 9:\n        raise ValueError(f'{x}, expected 1 to 9')\n    return x\n",
        ),
    ],
    ids=["comment", "blank lines", "docstring", "layout", "advice", "errors", "errors and their conditions"],
)
def test_what_decides_no_number_does_not_count(edit: Edit, text: str, other: str) -> None:
    edit("ops/walk.py", text)
    before = fingerprint_of_walk()
    rewrite("ops/walk.py", text, other)
    assert fingerprint_of_walk() == before


def test_a_condition_that_decides_something_else_too_counts(edit: Edit) -> None:
    edit(
        "ops/walk.py",
        "\n\ndef f(x: int) -> int:\n    if x < 0:\n        raise ValueError\n    else:\n        x = 1\n    return x\n",
    )
    before = fingerprint_of_walk()
    rewrite("ops/walk.py", "if x < 0:", "if x < 1:")
    assert fingerprint_of_walk() != before


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
    before = fingerprint_of_walk()
    edit("ops/new_module.py", "OTHER = 2\n")
    assert fingerprint_of_walk() != before


def test_modules_that_import_each_other(edit: Edit) -> None:
    edit("ops/one.py", "import irn.ops.other\n")
    edit("ops/other.py", "import irn.ops.one\n")
    edit("ops/paths.py", "\nimport irn.ops.one\n")
    before = fingerprint_of_walk()
    edit("ops/other.py", "NUMBER = 2\n")
    assert fingerprint_of_walk() != before


def test_a_module_that_does_not_exist_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"irn\.ops\.nowhere"):
        code_fingerprint("irn.commands.random_walk", "irn.ops.nowhere")


# ---- every module of the package

RECORD_IMPORTS = """
import builtins, importlib, json, sys
edges = []
original = builtins.__import__

def recording(name, globals=None, locals=None, fromlist=(), level=0):
    module = original(name, globals, locals, fromlist, level)
    importer = (globals or {}).get("__name__", "")
    if importer.startswith("irn") and name.split(".")[0] == "irn":
        parts = [f"{name}.{part}" for part in fromlist or () if f"{name}.{part}" in sys.modules]
        edges.extend((importer, part) for part in (name, *parts))
    return module

builtins.__import__ = recording
for module in sys.argv[1:]:
    importlib.import_module(module)
print(json.dumps(edges))
"""


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """What each module of the package imports when the modules of all stages are imported."""
    modules = sorted({module for stage in ALL for module in stage.modules(Settings())})
    done = subprocess.run([sys.executable, "-c", RECORD_IMPORTS, *modules], capture_output=True, text=True, check=True)
    edges: dict[str, set[str]] = {}
    for importer, imported in json.loads(done.stdout):
        edges.setdefault(importer, set()).add(imported)
    return edges


def is_in(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


@pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.name)
def test_all_that_python_imports_for_a_stage_is_in_its_key(imports: dict[str, set[str]], stage: Stage) -> None:
    modules = stage.modules(Settings())
    reached, waiting = set(), set(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached and not is_in(module, CONTROLLING):
            reached.add(module)
            waiting |= imports.get(module, set())
    counted = counted_modules(*modules)
    assert {module for module in reached if not is_in(module, CARRYING)} <= counted.keys()


def test_a_module_in_the_key_of_no_stage_is_one_that_cannot_change_results() -> None:
    """A new module is found here when no stage's command imports it in a way that the key follows."""
    modules = {".".join(("irn", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in PACKAGE.rglob("*.py")}
    modules = {module.removesuffix(".__init__") for module in modules}
    counted: set[str] = set()
    for kind in KINDS:
        settings = settings_of_options({"dataset.kind": kind, "dataset.root": "."}, {}, "")
        for stage in ALL:
            counted |= counted_modules(*stage.modules(settings)).keys()
    stages = {stage.command for stage in ALL}
    others = {f"irn.commands.{command}" for command in COMMANDS if command not in stages}
    # Packages that hold nothing but a docstring.
    empty = {module for module in modules if (PACKAGE / "/".join(module.split(".")[1:])).is_dir()}
    uncounted = {
        module
        for module in modules - counted - others - empty
        if not is_in(module, (*CARRYING, *CONTROLLING, "irn.review", "irn.terminal"))
    }
    # What notebooks, `irn predict` and `irn review` call, what `make env` compiles, and other programs' files.
    assert uncounted == {
        "irn.__main__", "irn.inference.guessed", "irn.inference.image", "irn.inference.labeller",
        "irn.inference.notebook", "irn.inference.precompile", "irn.data.cam_dictionaries", "irn.data.cam_layouts",
        "irn.ops.panoptic",
    }  # fmt: skip


def test_packages_hold_no_code() -> None:
    """Importing a module runs the packages that it lies in, and those are in no key."""
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent != PACKAGE:
            (docstring,) = ast.parse(path.read_text(encoding="utf-8")).body
            assert isinstance(docstring, ast.Expr), path


class TestKeptDigests:
    """Digests of sources are kept beside compiled files, and make no difference but in time."""

    @pytest.fixture
    def kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where they are kept; nothing is there or known."""
        path = tmp_path / "__pycache__/sources.json"
        monkeypatch.setattr(irn.workflow.sources, "KEPT", path)
        self.forget()
        return path

    def forget(self) -> None:
        """What another process does not know."""
        for function in (irn.workflow.fingerprint._source_of, irn.workflow.sources._known):
            function.cache_clear()

    def test_another_process_reads_them(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = fingerprint_of_walk()
        self.forget()

        def no_parsing(source: bytes) -> ast.AST:
            raise AssertionError("a source is read again")

        with monkeypatch.context() as patch:
            patch.setattr(irn.workflow.sources.ast, "parse", no_parsing)
            assert fingerprint_of_walk() == before
        assert [path.name for path in kept.parent.iterdir()] == [kept.name]

    @pytest.mark.parametrize(
        "content", [b"", b"\xff", b"[]", b"{", b'{"by": "another version", "digests": {}}', b'{"by": 1}'], ids=repr
    )
    def test_what_does_not_do_is_written_anew(self, kept: Path, content: bytes) -> None:
        before = fingerprint_of_walk()
        whole = kept.read_bytes()
        kept.write_bytes(content)
        self.forget()
        assert fingerprint_of_walk() == before
        assert kept.read_bytes() == whole

    def test_an_edit_counts(self, kept: Path, edit: Edit) -> None:
        before = fingerprint_of_walk()
        edit("ops/walk.py", "\nNUMBER = 1\n")
        self.forget()
        assert fingerprint_of_walk() != before

    def test_not_more_are_kept_than_are_of_use(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(irn.workflow.sources, "MOST", 5)
        fingerprint_of_walk()
        assert len(json.loads(kept.read_text(encoding="utf-8"))["digests"]) == 5

    def test_nothing_is_written_where_compiled_files_are_not(self, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        fingerprint_of_walk()
        assert not kept.exists()

    def test_a_place_that_cannot_be_written_is_let_be(self, kept: Path) -> None:
        kept.parent.write_text("not a folder", encoding="utf-8")
        assert len(fingerprint_of_walk()) == 12
