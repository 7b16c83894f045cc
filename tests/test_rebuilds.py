"""What runs again after an edit, by dry runs on finished small runs."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT, SMALL, missing, rules_to_run, run_in

from irn.errors import IrnError
from irn.settings.lookup import all_settings
from irn.settings.reading import check_config, read_config
from irn.settings.settings import value
from irn.settings.writing import as_text
from irn.workflow.digests import content_digest
from irn.workflow.recipes import Recipe
from irn.workflow.run import Run
from irn.workflow.stages import STAGES, behind

PER_IMAGE = {stage.name for stage in STAGES if stage.per_image}
# Other values for keys that name files, splits or data; paths lie in a folder of the fixture's.
FILES = {
    "dataset.splits": ["train"],
    "dataset.labels_csv": Path("labels.csv"),
    "dataset.class_masks": Path("masks"),
    "dataset.object_masks": Path("masks"),
    "dataset.corrected": Path("corrected"),
    "dataset.colour_profiles": False,
    "dataset.train_split": "train+val",
    "dataset.eval_split": "val",
    "irn.mean_split": "val",
    "backbone": "resnet34",
    "pretrained": Path("pretrained.pth"),
    "irn.start": Path("pretrained.pth"),
    "dataset.root": Path("data"),
    "cam.external": [Path("cams.h5")],
    "run": "other",
    "seeds": [0, 1],
    "sweep": {"walk.beta": [10, 5]},
}


def as_config(key: str, given: Any) -> str:
    """A setting as Snakemake's command line takes it."""
    first, *rest = key.split(".")
    for name in reversed(rest):
        given = {name: given}
    return f"{first}={as_text(given)}"


def below(folder: Path, given: Any) -> Any:
    if isinstance(given, list):
        return [below(folder, item) for item in given]
    return str(folder / given) if isinstance(given, Path) else given


def with_behind(rules: set[str], there: set[str]) -> set[str]:
    """Some rules and all behind them, as far as a configuration has them."""
    return {name for rule in rules for name in (rule, *behind(rule))} & there


# ---- finished runs


@pytest.fixture(scope="module")
def finished(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since edits of its files would be seen by other processes."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("copy") / "finished", symlinks=True)


@pytest.fixture(scope="module")
def voc(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run as one of a user's data set in the VOC layout, `data`, with a backbone `pretrained.pth`."""
    folder = tmp_path_factory.mktemp("voc")
    shutil.copytree(finished / "results/small/make_demo_data/data", folder / "data")
    (folder / "pretrained.pth").write_bytes(b"\0backbone")
    return taken_over(finished, folder, {"dataset": {"kind": "voc", "root": "data"}, "pretrained": "pretrained.pth"})


@pytest.fixture(scope="module")
def external(finished: Path, voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with external CAMs, `cams.h5`."""
    folder = tmp_path_factory.mktemp("external")
    shutil.copy2(finished / "results/small/make_cams/0-of-1.h5", folder / "cams.h5")
    dataset = {"kind": "voc", "root": str(voc / "data")}
    return taken_over(
        finished,
        folder,
        {"dataset": dataset, "pretrained": str(voc / "pretrained.pth"), "cam": {"external": ["cams.h5"]}},
    )


def taken_over(finished: Path, folder: Path, changes: dict[str, Any]) -> Path:
    """Complete a run with other settings in a folder, by copies of the files of its stages under their new names."""
    (folder / "small.yaml").write_text(
        yaml.safe_dump({**SMALL, **changes, "cam": {**SMALL["cam"], **changes.get("cam", {})}})
    )
    old, new = {recipe.stage.name: recipe for recipe in run_in(finished).shown}, run_in(folder)
    for recipe in new.shown:
        shutil.copytree(
            finished / old[recipe.stage.name].folder, folder / recipe.folder, ignore=shutil.ignore_patterns("key.json")
        )
    with contextlib.chdir(folder):
        run_in(folder).show()
    assert rules_to_run(folder) == set()
    return folder


# ---- keys


@pytest.fixture(scope="module")
def place(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that other settings name."""
    folder = tmp_path_factory.mktemp("edits")
    shutil.copytree(voc / "data", folder / "data")
    # A copy of a data set with the same times is the same data set.
    os.utime(next((folder / "data/JPEGImages").iterdir()))
    (folder / "masks").mkdir()
    (folder / "corrected/SegmentationClass").mkdir(parents=True)
    (folder / "pretrained.pth").write_bytes(b"\0another backbone")
    for name in ("labels.csv", "cams.h5"):
        (folder / name).touch()
    return folder


def another(key: str, current: Any, nested: dict[str, Any]) -> Any:
    """Another value of a setting that the checks let through."""
    several = isinstance(current, tuple)
    numbers = [current] if not several else list(current)
    tries: list[Any] = []
    if all(isinstance(number, int | float) for number in numbers):
        tries = [
            [change(number) for number in numbers] for change in (lambda n: n + 1, lambda n: n + 16, lambda n: n / 2)
        ]
    else:
        tries = [[name] for name in all_settings()[key].expected.removeprefix("one of ").split(", ") if name != current]
        tries += [[512], [[0, 65535]]]
    for found in tries:
        config = yaml.safe_load(yaml.safe_dump(nested))
        *parents, last = key.split(".")
        part = config
        for name in parents:
            part = part.setdefault(name, {})
        part[last] = found if several else found[0]
        with contextlib.suppress(IrnError):
            check_config(config)
            return part[last]
    raise AssertionError(f"no other value found for {key}")


def edit_of(key: str, folder: Path, place: Path) -> str:
    if key == "dataset.kind":
        return f"dataset={{kind: voc, root: '{place / 'data'}'}}"
    if key in FILES:
        return as_config(key, below(place, FILES[key]))
    with contextlib.chdir(folder):
        return as_config(
            key, another(key, value(run_in(folder).settings, key), yaml.safe_load((folder / "small.yaml").read_text()))
        )


def expected_after(key: str, there: set[str]) -> set[str]:
    """The stages that get a setting and those behind; others for settings that say which files there are."""
    special = {
        "run": {"report"},
        "gpus": set(),
        # The seed of the run and the configurations beside it.
        "seeds": with_behind({"train_cam"}, there) - {"show", "find_doubt"} | {"gather_scores"},
        "sweep": {"random_walk", "make_labels", "evaluate", "gather_scores", "report"},
        "ablation": {"ablation", "report"},
        "shards": PER_IMAGE & there,
        "dataset.eval_split": PER_IMAGE & there | {"evaluate", "show", "report"},
        **{
            f"{name}.labels": {f"train_{name}", f"predict_{name}", "evaluate", "report"}
            for name in ("mask_rcnn", "deeplab")
        },
        "irn.labels": with_behind({"train_irn"}, there),
        "dataset.train_split": PER_IMAGE & there | with_behind({"train_cam"}, there),
    }
    stages = {name for name in there if all_settings()[key].goes_to(name)}
    return special[key] if key in special else with_behind(stages, there)


@pytest.mark.parametrize("key", all_settings())
def test_an_edit_of_a_key_makes_again_the_stages_that_get_it_and_those_behind(
    finished: Path, voc: Path, place: Path, key: str
) -> None:
    folder = voc if key in ("dataset.root", "cam.external") else finished
    entry = edit_of(key, folder, place)
    there = {recipe.stage.name for recipe in run_in(folder, entry).shown}
    expected = expected_after(key, there)
    if key == "pretrained":
        expected -= {"download_backbone"}
    assert missing(folder, entry) == expected


@pytest.mark.parametrize(
    "key", ["walk.beta", "shards", "dataset.eval_split", "cam.external", "sweep", "seeds", "run", "gpus"]
)
def test_snakemake_makes_what_is_missing_and_no_more(finished: Path, voc: Path, place: Path, key: str) -> None:
    folder = voc if key == "cam.external" else finished
    entry = edit_of(key, folder, place)
    assert rules_to_run(folder, "--config", entry) == missing(folder, entry)


def test_a_backbone_that_becomes_imagenets_is_downloaded(finished: Path) -> None:
    there = {recipe.stage.name for recipe in run_in(finished, "pretrained=imagenet").shown}
    assert rules_to_run(finished, "--config", "pretrained=imagenet") == with_behind({"download_backbone"}, there)


def test_labels_of_another_split_compute_nothing_for_the_first_again(finished: Path) -> None:
    def files(recipe: Recipe) -> set[str]:
        return {file for file in recipe.files() if not (finished / file).exists()}

    run = run_in(finished, "dataset={eval_split: val}")
    for recipe in run.shown:
        if recipe.stage.per_image:
            assert files(recipe) == {str(recipe.folder / "val/0-of-1.h5")}
        assert recipe.stage.name not in ("train_cam", "train_irn") or not files(recipe)


def test_scoring_another_split_that_has_labels_scores_alone(finished: Path) -> None:
    one, other = (
        run_in(finished, f"dataset={{train_split: train+val, eval_split: {name}}}").configurations[0]
        for name in ("train", "val")
    )
    assert [name for name in one if one[name].key != other[name].key] == ["evaluate", "show"]


def test_predictions_are_of_the_images_that_are_held_out() -> None:
    def key(train: str, scored: str) -> str:
        entries = [f"dataset={{kind: demo, train_split: {train}, eval_split: {scored}}}", "mask_rcnn={labels: pseudo}"]
        return Run(read_config(entries=entries)).configurations[0]["predict_mask_rcnn"].key

    assert key("train", "val") == key("train", "train+val")
    assert key("train", "val") != key("train", "test")


def test_masks_that_are_named_count_for_drawn_data_too(tmp_path: Path) -> None:
    def keys(masks: str) -> list[str]:
        entries = [f"dataset={{kind: demo, class_masks: {masks}}}", "deeplab={labels: ground_truth}"]
        recipes = Run(read_config(entries=entries)).configurations[0]
        return [recipes[stage].key for stage in ("train_deeplab_gt", "evaluate")]

    (tmp_path / "a.png").touch()
    drawn, named = keys("null"), keys(str(tmp_path))
    assert not {*drawn} & {*named}
    (tmp_path / "b.png").touch()
    assert not {*named} & {*keys(str(tmp_path))}


def test_with_external_cams_the_classifiers_settings_do_nothing(external: Path) -> None:
    assert missing(external, "cam={epochs: 7, scales: [0.5], crop_size: 96}") == set()
    assert "train_irn" not in missing(external, "dataset={eval_split: val}")


def test_a_sweep_shares_what_its_combinations_have_in_common(finished: Path) -> None:
    count = {}
    for swept in (
        "walk.beta: [5, 10], labels.semantic_threshold: [0.2, 0.3]",
        "labels.semantic_threshold: [0.2, 0.3, 0.5]",
    ):
        recipes = run_in(finished, f"sweep={{{swept}}}").shown
        count[swept] = {stage.name: sum(recipe.stage == stage for recipe in recipes) for stage in STAGES}
    walks, labels = count.values()
    one = {recipe.stage.name: 1 for recipe in run_in(finished).shown if recipe.stage in STAGES}
    # The run's own configuration is one more.
    assert {name: number for name, number in walks.items() if number} == one | {
        "random_walk": 2,
        "make_labels": 5,
        "evaluate": 5,
    }
    assert {name: number for name, number in labels.items() if number} == one | {"make_labels": 4, "evaluate": 4}


def test_two_runs_share_what_they_have_in_common(finished: Path) -> None:
    one = {recipe.key for recipe in run_in(finished, "run=one", "walk={beta: 5}").shown}
    other = {recipe.key for recipe in run_in(finished, "run=other", "sweep={walk.beta: [5, 3]}").shown}
    # All but the order of doubt, the pictures and the report, which are of a run's own settings.
    assert len(one - other) == 3


def test_five_corrections_train_no_classifier_and_make_no_maps(finished: Path, tmp_path: Path) -> None:
    masks = finished / "results/small/make_demo_data/data/SegmentationClass"
    (tmp_path / masks.name).mkdir()
    for mask in sorted(masks.iterdir())[:5]:
        shutil.copy2(mask, tmp_path / masks.name)
    entry = f"dataset={{corrected: '{tmp_path}'}}"
    planned = rules_to_run(finished, "--config", entry)
    assert planned == missing(finished, entry)
    assert not planned & {"make_demo_data", "build_manifest", "train_cam", "make_cams"}
    assert {"read_corrections", "make_ir_labels", "train_irn", "make_labels", "evaluate", "report"} <= planned


def test_corrections_count_by_what_they_hold_not_by_where_they_lie(finished: Path, tmp_path: Path) -> None:
    def key(folder: str) -> str:
        return run_in(finished, f"dataset={{corrected: '{tmp_path / folder}'}}").configurations[0]["make_labels"].key

    path = tmp_path / "one/SegmentationClass/a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a mask")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    before = key("one")
    assert before == key("other")
    (path.parents[1] / "notes.txt").touch()
    assert before == key("one")
    content_digest.cache_clear()
    path.write_bytes(b"another")
    assert before != key("one")


# ---- edits of other things: each is a block inside which it holds, and gives what the dry run is told


@contextmanager
def added(path: Path) -> Iterator[None]:
    path.write_bytes(b"new")
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def gone(path: Path) -> Iterator[None]:
    path = path.resolve()
    with tempfile.TemporaryDirectory(dir=path.parents[1]) as aside:
        path.rename(Path(aside) / path.name)
        try:
            yield
        finally:
            (Path(aside) / path.name).rename(path)


@contextmanager
def newer(path: Path) -> Iterator[None]:
    before = path.stat()
    os.utime(path)
    try:
        yield
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def moved(data: Path) -> Iterator[None]:
    """The data set lies elsewhere, and the configuration says so."""
    settings, elsewhere = data.with_name("small.yaml"), data.with_name("elsewhere")
    text = settings.read_text(encoding="utf-8")
    data.rename(elsewhere)
    settings.write_text(text.replace("root: data", f"root: {elsewhere}"), encoding="utf-8")
    try:
        yield
    finally:
        elsewhere.rename(data)
        settings.write_text(text, encoding="utf-8")


@contextmanager
def other_content(path: Path) -> Iterator[None]:
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def edited_source(*edits: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
    """A copy of the checkout in which files were edited: each a name, text in it and what is there instead."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for part in ("irn", "rules", "profiles", "Snakefile", "config.yaml"):
            take = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            take(ROOT / part, copy / part)
        for name, old, new in edits:
            text = (copy / name).read_text(encoding="utf-8")
            assert old in text
            (copy / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        yield {"checkout": copy}


@contextmanager
def upgraded(library: str) -> Iterator[dict[str, Any]]:
    """Python finds another version of a library installed."""
    with tempfile.TemporaryDirectory() as site:
        about = Path(site) / f"{library}-999.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: 999.0\n", encoding="utf-8")
        environment = {"PYTHONPATH": os.pathsep.join([site, *filter(None, [os.environ.get("PYTHONPATH")])])}
        code = f"from importlib.metadata import version; assert version('{library}') == '999.0'"
        subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, check=True)
        yield {"environment": environment}


@contextmanager
def options(*arguments: str) -> Iterator[dict[str, Any]]:
    yield {"arguments": arguments}


@contextmanager
def profile(option: str) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        text = "retries: 2\nkeep-going: true\nset-threads: [train_cam=2]\nrerun-triggers: [mtime]\n"
        (Path(place) / "config.yaml").write_text(text, encoding="utf-8")
        yield {"arguments": [option, place]}


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


NEW_CONSTANT = ("\nimport ", "\nNUMBER = 1\nimport ")
WALK_SHAPE = '("M", "h", "w"), "f",'
Edit = Callable[[Path], AbstractContextManager[dict[str, Any] | None]]
# How a row of the table begins, and an edit of the user's data, given the folder of `voc`.
IN_DATA: list[tuple[str, Edit]] = [
    ("An image added", lambda f: added(f / "data/JPEGImages/new.jpg")),
    ("An image added", lambda f: gone(first(f, "data/JPEGImages/*"))),
    ("A label changed", lambda f: newer(first(f, "data/Annotations/*"))),
    ("A label changed", lambda f: newer(f / "data/classes.txt")),
    ("A list of images changed", lambda f: newer(f / "data/ImageSets/Segmentation/train.txt")),
    ("A mask added", lambda f: added(f / "data/SegmentationClass/new.png")),
    ("A mask added", lambda f: gone(first(f, "data/SegmentationObject/demo_0002*"))),
    ("A data set, masks", lambda f: moved(f / "data")),
]
# How a row begins, the finished run in which it is tried, and the edit, given its folder.
CASES: list[tuple[str, str, Edit]] = [
    ("An image added", "voc", lambda f: newer(first(f, "data/JPEGImages/*"))),
    ("A mask added", "voc", lambda f: newer(first(f, "data/SegmentationObject/*"))),
    ("The content of the file named by `pretrained`", "voc", lambda f: other_content(f / "pretrained.pth")),
    ("A file named by `cam.external`", "external", lambda f: newer(f / "cams.h5")),
    ("A file in the store deleted", "finished", lambda f: gone(f / "results/small/make_cams/0-of-1.h5")),
    ("IRNet's weights", "finished", lambda f: gone(f / "results/small/train_irn/weights.pt")),
    ("A file in the store replaced", "finished", lambda f: newer((f / "results/small/make_cams/0-of-1.h5").resolve())),
    ("A file in the store replaced", "finished", lambda f: newer(f / "results/small/train_cam/weights.pt")),
    ("`--forcerun", "finished", lambda f: options("--forcerun", "infer_fields")),
    ("The code of a module", "finished", lambda f: edited_source(("irn/ops/walk.py", *NEW_CONSTANT))),
    (
        "Code that transports", "finished",
        lambda f: edited_source(*((f"irn/{name}", "\nfrom ", "\nNUMBER = 1\nfrom ") for name in (
            "io/cache.py", "io/parallel.py", "checks/data_set.py", "settings/settings.py", "workflow/recipes.py",
            "weights/files.py", "cli.py",
        ))),
    ),
    (
        "The format of a cache", "finished",
        lambda f: edited_source(("irn/io/cache_format.py", f'{WALK_SHAPE} "float32"', f'{WALK_SHAPE} "float16"')),
    ),
    (
        "A comment", "finished",
        lambda f: edited_source(
            ("irn/ops/walk.py", '"""', '"""Surely: '),
            ("irn/ops/walk.py", "\ndef ", "\n# A comment.\n\n\n\ndef "),
            ("irn/ops/labels.py", "pieces of instances in one image", "pieces in an image"),
        ),
    ),
    (
        "The command of a rule", "finished",
        lambda f: edited_source(("rules/stage.smk", '"irn {params', '"irn  {params')),
    ),
    ("A library", "finished", lambda f: upgraded("torch")),
    (
        "Cores, threads", "finished",
        lambda f: options("--cores", "1", "--set-threads", "random_walk=3", "--resources", "gpu=2", "mem_mb=9000"),
    ),
    (
        "Cores, threads", "finished",
        lambda f: options("--set-resources", "random_walk:mem_mb=99", "train_cam:runtime=9"),
    ),
    ("A profile", "finished", lambda f: profile("--profile")),
    ("A profile", "finished", lambda f: profile("--workflow-profile")),
    ("What is printed", "finished", lambda f: options("--verbose", "--printshellcmds", "--quiet", "progress")),
    ("An edit undone", "finished", lambda f: edited_source(("irn/ops/walk.py", "", ""))),
]  # fmt: skip


def listed_edits() -> dict[str, str]:
    """The table in docs/store.md: what runs again by the edit."""
    table = (ROOT / "docs/store.md").read_text(encoding="utf-8").partition("| edit | runs again |\n|---|---|\n")[2]
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    return dict(rows)


EDITS = listed_edits()


def row_of(beginning: str) -> str:
    (row,) = [edit for edit in EDITS if edit.startswith(beginning)]
    return row


def expected_of(beginning: str, there: set[str]) -> set[str]:
    """The rules that a row names; with an arrow those behind them too."""
    again = EDITS[row_of(beginning)].partition(";")[0]
    rules = set(re.findall(r"`(\w+)`", again))
    assert rules or again == "nothing"
    return with_behind(rules, there) if again.endswith("→") else rules


@pytest.mark.parametrize(
    ("row", "base", "edit"), CASES, ids=[f"{number}: {row}" for number, (row, _, _) in enumerate(CASES)]
)
def test_an_edit_outside_the_configuration(request: pytest.FixtureRequest, row: str, base: str, edit: Edit) -> None:
    folder: Path = request.getfixturevalue(base)
    with edit(folder) as told:
        arguments = (told or {}).pop("arguments", ())
        found = rules_to_run(folder, *arguments, **(told or {}))
    there = {recipe.stage.name for recipe in run_in(folder).shown}
    assert found == expected_of(row, there)


@pytest.mark.parametrize(("row", "edit"), IN_DATA, ids=[f"{number}: {row}" for number, (row, _) in enumerate(IN_DATA)])
def test_an_edit_of_the_data_set_changes_the_keys_of_what_reads_it(voc: Path, row: str, edit: Edit) -> None:
    there = {recipe.stage.name for recipe in run_in(voc).shown}
    with edit(voc):
        found = missing(voc)
    assert found == expected_of(row, there)


def test_every_row_of_other_edits_is_tried() -> None:
    # Corrections have tests of their own, above.
    tried = ["A corrected mask changed", *(beginning for beginning, *_ in (*IN_DATA, *CASES))]
    assert {row_of(beginning) for beginning in tried} == set(EDITS)


def test_the_time_of_a_pretrained_file_does_not_count(voc: Path) -> None:
    with newer(voc / "pretrained.pth"):
        assert rules_to_run(voc) == set()


def test_tables_of_a_folder_of_images_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    names = ("data/images/a.png", "data/labels.csv", "data/splits.csv", "lists/own.txt", "own.csv")
    for name in names:
        (tmp_path / name).touch()

    def key() -> str:
        settings = "dataset={kind: folder, root: data, splits: [lists/own.txt], labels_csv: own.csv}"
        return Run(read_config(entries=[settings])).configurations[0]["build_manifest"].key

    before = key()
    for name in names:
        with other_content(tmp_path / name):
            assert key() == before
        with newer(tmp_path / name):
            assert key() != before
    assert key() == before
