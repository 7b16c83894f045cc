"""The configuration: its checks, what nobody sets, presets, and what is made from the table of settings."""

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT, refused, run
from jsonschema import Draft202012Validator

from irn.errors import IrnError
from irn.settings.lookup import all_settings, of_stage
from irn.settings.reading import check_config, check_files, read_config
from irn.settings.settings import Settings, value
from irn.settings.sweeps import variations
from irn.settings.types import NO_STAGE
from irn.settings.writing import as_yaml
from irn.workflow.commands_without_rule import COMMANDS
from irn.workflow.stages import ALL_STAGES

PRESETS = sorted((ROOT / "configs").glob("*.yaml"))


def demo(**edits: Any) -> dict[str, Any]:
    """The demonstration's data with keys, dots written as double underscores, set to other values."""
    config: dict[str, Any] = {"dataset": {"kind": "demo"}}
    for key, given in edits.items():
        *parents, last = key.split("__")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = given
    return config


# ---- what nobody sets


def test_what_nobody_sets_is_the_papers_value() -> None:
    settings = check_config(demo())
    paper = {
        "backbone": "resnet50", "pretrained": "imagenet", "momentum": 1e-4, "weight_decay": 1e-4,
        "cam.epochs": 5, "cam.batch_size": 16, "cam.learning_rate": 0.1, "cam.head_factor": 10,
        "cam.crop_size": 512, "cam.long_side": (320, 640), "cam.scales": (1, 0.5, 1.5, 2),
        "ir_labels.foreground_threshold": 0.3, "ir_labels.background_threshold": 0.05, "ir_labels.crf": "numba",
        "irn.epochs": 5, "irn.batch_size": 16, "irn.learning_rate": 0.1, "irn.head_factor": 10,
        "irn.crop_size": 512, "irn.scale": (0.5, 1.5),
        "irn.radius": 10, "seed": 0, "walk.beta": 10, "walk.centroid_length": 2.5,
        "walk.steps": 256, "walk.radius": 5, "labels.semantic_threshold": 0.25, "labels.instance_threshold": 0.25,
        "evaluate.cam_threshold": 0.15, "precision": "float32",
    }  # fmt: skip
    assert {key: value(settings, key) for key in paper} == paper


def test_without_files_the_demonstration_holds_and_with_files_it_does_not(tmp_path: Path) -> None:
    demonstration = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert read_config().cam.crop_size == demonstration["cam"]["crop_size"] != 512
    assert read_config(entries=["cam={epochs: 2}"]).cam.crop_size == demonstration["cam"]["crop_size"]
    (tmp_path / "own.yaml").write_text("dataset: {kind: demo}\ncam: {epochs: 2}")
    own = read_config([tmp_path / "own.yaml"])
    assert (own.cam.epochs, own.cam.crop_size) == (2, 512)


def test_later_files_win(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dataset: {kind: demo}\nwalk: {beta: 5, steps: 7}\ncam: {scales: [1, 2]}")
    (tmp_path / "b.yaml").write_text("walk: {steps: 8}\ncam: {scales: [3]}")
    settings = read_config([tmp_path / "a.yaml", tmp_path / "b.yaml"], ["walk={radius: 6}"])
    assert (settings.walk.beta, settings.walk.steps, settings.walk.radius, settings.cam.scales) == (5, 8, 6, (3,))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_right(preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = yaml.safe_load(preset.read_text())
    (tmp_path / given["dataset"]["root"]).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert check_config(given).run == given["run"] != "demo"


def test_the_papers_preset_says_nothing_that_the_defaults_say() -> None:
    given = yaml.safe_load((ROOT / "configs/voc2012_paper.yaml").read_text())
    assert not {"cam", "walk", "labels", "ir_labels", "backbone", "pretrained", "momentum"} & set(given)


# ---- checks


def test_numbers_that_the_command_line_gives_as_text() -> None:
    settings = check_config(
        demo(seed="3", walk__beta="2.5", cam__scales=["1", "0.5"], pretrained="null", seeds=["1", "2"])
    )
    assert (settings.seed, settings.walk.beta, settings.cam.scales, settings.pretrained) == (3, 2.5, (1.0, 0.5), None)
    assert settings.seeds == (1, 2)


def test_whole_numbers_with_a_point_are_whole_numbers() -> None:
    settings = check_config(demo(shards=2.0, cam__long_side=[64.0, 96]))
    assert (repr(settings.shards), repr(settings.cam.long_side)) == ("2", "(64, 96)")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"walk: [", b"3"])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "own.yaml").write_bytes(content)
    with pytest.raises(IrnError, match=r"own\.yaml: [^\n]+$"):
        read_config([tmp_path / "own.yaml"])


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"walk__betas": 3}, "config: walk.betas is not a key of the configuration; did you mean beta?"),
        ({"colour": 3}, "config: colour is not a key of the configuration; known keys: run, seed"),
        ({"walk__beta": "much"}, "config: walk.beta is 'much'; expected a number of at least 0"),
        ({"walk__beta": -1}, "config: walk.beta is -1; expected a number of at least 0"),
        ({"walk__beta": True}, "config: walk.beta is True; expected a number of at least 0"),
        ({"shards": 0}, "config: shards is 0; expected a whole number of at least 1"),
        ({"shards": 1.5}, "config: shards is 1.5; expected a whole number of at least 1"),
        ({"seed": True}, "config: seed is True; expected a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "config: seed is 4294967296; expected a whole number from 0 to 4294967295"),
        ({"run": "x" * 101}, "config: run is 'xxx"),
        (
            {"seeds": [0, -1]},
            "config: seeds is [0, -1]; expected a list of whole numbers from 0 to 4294967295, or null",
        ),
        ({"seeds": []}, "config: seeds is []; expected a list of whole numbers from 0 to 4294967295, or null"),
        ({"seeds": [1, 0, 1]}, "config: seeds is [1, 0, 1]; expected each seed once"),
        (
            {"seeds": [0], "sweep": {"seed": [1]}},
            "config: sweep names 'seed' beside seeds, which sets it too; leave one",
        ),
        ({"sweep": {"walk.beta": [1, "1.0"]}}, "config: sweep: walk.beta is [1, '1.0']; expected each value once"),
        (
            {"sweep": {"walk.beta": [1, 2], "cam.scales": [[1], [1, 2], [1.0]]}, "seeds": [0, 1]},
            "config: sweep: cam.scales is [[1], [1, 2], [1.0]]; expected each value once",
        ),
        ({"run": "a/b"}, "config: run is 'a/b'; expected a name"),
        ({"run": "store"}, "config: run is 'store'; expected a name"),
        ({"run": None}, "config: run is None; expected a name"),
        ({"backbone": "resnet-50"}, "config: backbone is 'resnet-50'; expected a name of letters, digits, '_' and '.'"),
        (
            {"labels__instance_threshold": 1.2},
            "config: labels.instance_threshold is 1.2; expected a number from 0 to 1",
        ),
        ({"cam__scales": []}, "config: cam.scales is []; expected a list of numbers above 0"),
        ({"cam__scales": [1, 0]}, "config: cam.scales is [1, 0]; expected a list of numbers above 0"),
        ({"cam__scales": 1}, "config: cam.scales is 1; expected a list of numbers above 0"),
        ({"cam__crop_size": 100}, "config: cam.crop_size is 100; expected a multiple of 16"),
        (
            {"cam__long_side": [300, 200]},
            "config: cam.long_side is [300, 200]; expected two whole numbers of pixels, the smaller first",
        ),
        (
            {"cam__long_side": [None, 3]},
            "config: cam.long_side is [None, 3]; expected two whole numbers of pixels, the smaller first",
        ),
        ({"cam__long_side": [1, 10**400]}, "config: cam.long_side is [1, 1000"),
        (
            {"dataset__value_range": [5, 5]},
            "config: dataset.value_range is [5, 5]; expected a list of two numbers, the smaller first",
        ),
        (
            {"cam__long_side": [300]},
            "config: cam.long_side is [300]; expected two whole numbers of pixels, the smaller first",
        ),
        (
            {"irn__crop_size": 64, "irn__radius": 10},
            "config: irn.crop_size is 64; expected at least 80 for pairs of radius 10, or a smaller radius",
        ),
        (
            {"irn__radius": 20, "irn__crop_size": 128},
            "config: irn.crop_size is 128; expected at least 160 for pairs of radius 20, or a smaller radius",
        ),
        (
            {"walk__radius": 21},
            "config: walk.radius is 21; expected a whole number from 2 to 20",
        ),
        (
            {"ir_labels__background_threshold": 0.5, "ir_labels__foreground_threshold": 0.3},
            "config: ir_labels.background_threshold is 0.5; expected at most the foreground's 0.3",
        ),
        ({"dataset__kind": "imagenet"}, "config: dataset.kind is 'imagenet'; expected one of demo, voc, coco, folder"),
        (
            {"dataset__kind": "voc"},
            "config: dataset.root is null, but dataset.kind 'voc' needs the folder of the data set",
        ),
        (
            {"dataset__kind": "voc", "dataset__root": "nowhere"},
            "config: dataset.root is 'nowhere', which does not exist",
        ),
        (
            {"dataset__root": "somewhere"},
            "config: dataset.root is 'somewhere', but the demonstration data is drawn in the store; set it to null",
        ),
        ({"dataset__train_split": "a/b"}, "config: dataset.train_split is 'a/b'; expected the name of a split"),
        ({"dataset__eval_split": ".."}, "config: dataset.eval_split is '..'; expected the name of a split"),
        (
            {"pretrained": "nowhere.pt"},
            "config: pretrained is 'nowhere.pt', which is not a file; expected imagenet, null or the path",
        ),
        (
            {"cam__external": ["nowhere.h5"], "pretrained": None},
            "config: pretrained is null, but with cam.external no classifier is trained",
        ),
        ({"cam__external": ["nowhere.h5"]}, "config: cam.external names 'nowhere.h5', which is not a file"),
        ({"dataset__demo__images": 1}, "config: dataset.demo.images is 1; expected a whole number of at least 2"),
        ({"walk": 3}, "config: walk is 3; expected keys with values"),
        ({"walk": None}, "config: walk is None; expected keys with values"),
        ({"cam__learning_rate": float("inf")}, "config: cam.learning_rate is inf; expected a finite number above 0"),
        (
            {"labels__semantic_threshold": "nan"},
            "config: labels.semantic_threshold is 'nan'; expected a finite number from 0 to 1",
        ),
        ({"irn__scale": [0.5, float("inf")]}, "config: irn.scale is [0.5, inf]; expected two finite numbers above 0"),
        (
            {"sweep": {"walk.bet": [1]}},
            "config: sweep names 'walk.bet', which cannot be swept; expected a key such as 'walk.beta'",
        ),
        (
            {"sweep": {"ablation": [True]}},
            "config: sweep names 'ablation', which cannot be swept; expected a key such as",
        ),
        ({"ablation": "perhaps"}, "config: ablation is 'perhaps'; expected true or false"),
        ({"sweep": {"shards": [1]}}, "config: sweep names 'shards', which cannot be swept; expected a key such as"),
        ({"sweep": {"walk.beta": [1, "x"]}}, "config: sweep: walk.beta is 'x'; expected a number of at least 0"),
        (
            {"sweep": {"walk.beta": 3}},
            "config: sweep is {'walk.beta': 3}; expected a mapping from keys to lists of values, or null",
        ),
        (
            {"accumulate": 8, "cam__batch_size": 6},
            "config: cam.batch_size is 6, too few images for gpus: 0 and accumulate: 8; raise it",
        ),
        (
            {"gpus": 3, "deeplab__labels": "pseudo", "deeplab__batch_size": 2},
            "config: deeplab.batch_size is 2, too few images for gpus: 3",
        ),
        ({"sweep": {"pretrained": ["nowhere.pt"]}}, "config: pretrained is 'nowhere.pt', which is not a file"),
    ],
)
def test_mistakes_are_named_in_one_line(edits: dict[str, Any], message: str) -> None:
    with pytest.raises(IrnError) as caught:
        check_config(demo(**edits))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_sweep_has_every_combination_with_every_seed() -> None:
    settings = check_config(
        demo(sweep={"walk.beta": ["1", 2], "labels.semantic_threshold": [0.3]}, seeds=[0, 5], walk__beta=4)
    )
    found = [(one.values, one.seed, one.settings.walk.beta) for one in variations(settings)]
    first, second = ({"walk.beta": beta, "labels.semantic_threshold": 0.3} for beta in (1.0, 2.0))
    assert found == [({}, 0, 4), ({}, 5, 4), (first, 0, 1), (first, 5, 1), (second, 0, 2), (second, 5, 2)]


# ---- what is made from the table


def test_every_setting_belongs_to_a_stage_or_is_known_to_concern_none() -> None:
    names = {*ALL_STAGES, *COMMANDS, *NO_STAGE}
    for row in all_settings().values():
        assert all(fnmatch.filter(names, pattern) for pattern in row.stages), row.key
        assert bool(row.stages) is (row.key not in ("run", "seeds", "sweep", "ablation", "shards", "gpus")), row.key


def test_no_two_options_of_a_command_have_one_name() -> None:
    for command in COMMANDS.values():
        flags = [option.flag for option in command.takes]
        flags += [setting.flag for setting in of_stage(command.name) if setting.flag]
        assert len(flags) == len(set(flags)), command.name


@pytest.mark.parametrize("files", [[], ["configs/folder.yaml"]])
def test_irn_config_prints_every_setting_so_that_it_can_be_given_back(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_images").mkdir()
    paths = [str(ROOT / file) for file in files]
    run("config", *(["--configfile", *paths] if files else []))
    text = capsys.readouterr().out
    (tmp_path / "own.yaml").write_text(text)
    assert read_config([tmp_path / "own.yaml"]) == read_config([Path(path) for path in paths])
    for row in all_settings().values():
        name = row.key.split(".")[-1]
        assert f"{name}: " in text
        assert " ".join(row.meaning.split()[:5]) in " ".join(text.replace("#", " ").split())


def test_what_irn_config_prints_says_what_a_setting_is_when_nobody_sets_it() -> None:
    text = as_yaml(read_config(entries=["walk={beta: 7}"]))
    assert "Not set: 10.0.\n  beta: 7.0" in text


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        ("cam: {epochs: 1}\nwalk: {beta: 5}\ncam:\n  batch_size: 2\n", "cam", (1, 3)),
        ("cam:\n  epochs: 1\n  # again\n  epochs: 2\n", "epochs", (2, 4)),
        ("sweep: {walk.beta: [1], walk.beta: [2]}\n", "walk.beta", (1, 1)),
    ],
)
def test_a_key_that_appears_twice_is_refused(text: str, name: str, lines: tuple[int, int], tmp_path: Path) -> None:
    """YAML takes the last, so the first half of a section would be silently lost."""
    (tmp_path / "own.yaml").write_text(text)
    message = f"own.yaml: {name} appears in line {lines[0]} and again in line {lines[1]}"
    with pytest.raises(IrnError, match=re.escape(message)):
        read_config([tmp_path / "own.yaml"])
    with pytest.raises(IrnError, match=re.escape(message)):
        check_files([tmp_path / "own.yaml"])


def test_keys_of_one_name_in_several_sections_and_files_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("cam: &same {epochs: 1}\nirn: {epochs: 2}\nmask_rcnn: *same\n")
    (tmp_path / "own.json").write_text('{\n\t"cam": {"epochs": 2}\n}\n')
    check_files([tmp_path / "own.yaml", tmp_path / "own.json"])


def test_irn_config_names_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml: cannot be read" in refused(
        capsys, tmp_path, "config", "--configfile", tmp_path / "nowhere.yaml"
    )


def test_the_schema_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    run("config", "--json-schema")
    said = capsys.readouterr().out
    assert said == (ROOT / "configs/schema.json").read_text(), "make tables brings configs/schema.json up to date"
    validator = Draft202012Validator(json.loads(said))
    for path in [*PRESETS, ROOT / "config.yaml"]:
        assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []
    assert list(validator.iter_errors({"walk": {"beta": -1}}))
    assert list(validator.iter_errors({"walk": {"betas": 1}}))
    assert validator.schema["$defs"]["Walk"]["properties"]["beta"]["default"] == Settings().walk.beta


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("my_image", "did you mean dataset: {root: my_images}?"),
        ("my_images ", "did you mean dataset: {root: my_images}?"),
        ("~/my_images", "~ is not expanded here: write dataset: {root: /home/me/my_images}"),
        ("elsewhere", "fix the path, such as dataset: {root: /path/of/it}"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "my_images").mkdir()
    with pytest.raises(IrnError) as error:
        check_config({"dataset": {"kind": "folder", "root": root}})
    assert str(error.value) == f"config: dataset.root is {root!r}, which does not exist; {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("walk: {beta:5}", "walk.beta:5: YAML needs a blank after the colon; write walk: {beta: 5}"),
        ("dataset:\nkind: demo\n", "kind must be indented by two blanks to belong to it"),
    ],
)
def test_slips_in_yaml(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(IrnError) as error:
        read_config([tmp_path / "config.yaml"])
    assert said in str(error.value)
