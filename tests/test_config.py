"""The configuration: its checks, and that config.yaml, schema, presets and docs agree."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from irn.config import SCHEMA, check_config, flat, read_config
from irn.errors import IrnError
from irn.store import SETTINGS

ROOT = Path(__file__).parents[1]
DEFAULTS = yaml.safe_load((ROOT / "config.yaml").read_text())
PRESETS = sorted((ROOT / "configs").glob("*.yaml"))


def changed(**edits: Any) -> dict[str, Any]:
    """config.yaml with keys, dots written as double underscores, set to other values."""
    config = copy.deepcopy(DEFAULTS)
    for key, value in edits.items():
        *parents, last = key.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    return config


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As --configfile merges: dictionaries deeply, anything else replaced."""
    result = dict(base)
    for key, value in over.items():
        result[key] = merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
    return result


def test_config_yaml_is_right() -> None:
    assert check_config(DEFAULTS) == DEFAULTS


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_right(preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = yaml.safe_load(preset.read_text())
    config = merged(DEFAULTS, over)
    for key in ("root", "labels_csv", "class_masks", "object_masks"):
        if config["dataset"][key]:
            (tmp_path / config["dataset"][key]).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert check_config(config)["run"] == over["run"] != "demo"
    # A preset stands on its own: no value of the demonstration's shines through where the paper has one.
    for section in ("cam", "irn", "walk", "labels", "ir_labels"):
        assert set(over[section]) == set(DEFAULTS[section])


def test_numbers_that_the_command_line_gives_as_text() -> None:
    config = check_config(changed(seed="3", walk__beta="2.5", cam__scales=["1", "0.5"], pretrained="null"))
    assert (config["seed"], config["walk"]["beta"], config["cam"]["scales"], config["pretrained"]) == (3, 2.5, [1.0, 0.5], None)


def test_whole_numbers_with_a_point_are_whole_numbers() -> None:
    config = check_config(changed(shards=2.0, cam__long_side=[64.0, 96]))
    assert (repr(config["shards"]), repr(config["cam"]["long_side"])) == ("2", "[64, 96]")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"walk: [", b"3"])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "own.yaml").write_bytes(content)
    with pytest.raises(IrnError, match=r"own\.yaml: [^\n]+$"):
        read_config([tmp_path / "own.yaml"])


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"walk__betas": 3}, "config: walk.betas is no key of the configuration; did you mean 'beta'?"),
        ({"colour": 3}, "config: colour is no key of the configuration; known keys: run, seed"),
        ({"walk__beta": "much"}, "config: walk.beta is 'much'; expected a number of at least 0"),
        ({"walk__beta": -1}, "config: walk.beta is -1.0; expected a number of at least 0"),
        ({"shards": 0}, "config: shards is 0; expected a whole number of at least 1"),
        ({"shards": 1.5}, "config: shards is 1.5; expected a whole number of at least 1"),
        ({"seed": True}, "config: seed is True; expected a whole number of at least 0"),
        ({"run": "a/b"}, "config: run is 'a/b'; expected a name"),
        ({"run": "store"}, "config: run is 'store'; expected a name"),
        ({"backbone": "vgg16"}, "config: backbone is 'vgg16'; expected one of resnet18, resnet34, resnet50, resnet101"),
        ({"labels__instance_threshold": 1.2}, "config: labels.instance_threshold is 1.2; expected a number from 0 to 1"),
        ({"cam__scales": []}, "config: cam.scales is []; expected a list of numbers above 0"),
        ({"cam__scales": [1, 0]}, "config: cam.scales is 0.0; expected a list of numbers above 0"),
        ({"cam__scales": 1}, "config: cam.scales is 1; expected a list of numbers above 0"),
        ({"cam__crop_size": 100}, "config: cam.crop_size is 100; expected a multiple of 16"),
        ({"cam__long_side": [300, 200]}, "config: cam.long_side is [300, 200]; expected the smaller number first"),
        (
            {"irn__crop_size": 64, "irn__radius": 10},
            "config: irn.crop_size is 64, too small for pairs of irn.radius 10; expected at least 80",
        ),
        (
            {"ir_labels__background_threshold": 0.5, "ir_labels__foreground_threshold": 0.3},
            "config: ir_labels.background_threshold is 0.5, above ir_labels.foreground_threshold, 0.3",
        ),
        ({"dataset__kind": "coco"}, "config: dataset.kind is 'coco'; expected one of demo, voc, folder"),
        ({"dataset__kind": "voc"}, "config: dataset.root is null, but dataset.kind 'voc' needs the folder of the data set"),
        ({"dataset__kind": "voc", "dataset__root": "nowhere"}, "config: dataset.root is 'nowhere', which does not exist"),
        (
            {"dataset__root": "somewhere"},
            "config: dataset.root is 'somewhere', but the demonstration data is drawn in the store; set it to null",
        ),
        ({"pretrained": "nowhere.pt"}, "config: pretrained is 'nowhere.pt', which is no file; expected imagenet, null or the path"),
        ({"cam__external": ["nowhere.h5"]}, "config: pretrained is null, but with cam.external no classifier is trained"),
        ({"cam__external": ["nowhere.h5"], "pretrained": "imagenet"}, "config: cam.external names 'nowhere.h5', which is no file"),
        ({"dataset__demo__images": 1}, "config: dataset.demo.images is 1; expected a whole number of at least 2"),
        ({"walk": 3}, "config: walk is 3; expected"),
        ({"cam__learning_rate": float("inf")}, "config: cam.learning_rate is inf; expected finite numbers"),
        ({"labels__semantic_threshold": "nan"}, "config: labels.semantic_threshold is nan; expected finite numbers"),
        ({"irn__scale": [0.5, float("inf")]}, "config: irn.scale is [0.5, inf]; expected finite numbers"),
    ],
)
def test_mistakes_are_named_in_one_line(edits: dict[str, Any], message: str) -> None:
    with pytest.raises(IrnError) as caught:
        check_config(changed(**edits))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    config = copy.deepcopy(DEFAULTS)
    del config["walk"]["steps"]
    with pytest.raises(IrnError, match=r"config: walk\.steps is missing; take it over from config\.yaml"):
        check_config(config)


def test_every_key_belongs_to_a_stage_or_is_known_to_concern_none() -> None:
    used = {key for keys in SETTINGS.values() for key in keys}
    assert set(flat(DEFAULTS)) - used == {"run", "shards", "gpus"}
    assert used <= set(flat(DEFAULTS))


def test_every_key_has_a_comment_above_it() -> None:
    lines = (ROOT / "config.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r" *[a-z_]+: \S", line):
            above = [lines[n].strip() for n in range(max(0, number - 4), number)]
            assert any(text.startswith("#") for text in above), line


def test_the_docs_list_every_key_with_its_default() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \|", (ROOT / "docs/configuration.md").read_text(), re.M)
    documented = {key: yaml.safe_load(value) for key, value in rows}
    assert documented == flat(DEFAULTS)
    assert len(rows) == len(documented)


def test_schema_and_config_have_the_same_keys() -> None:
    def keys(schema: dict[str, Any], prefix: str = "") -> set[str]:
        found: set[str] = set()
        for key, value in schema["properties"].items():
            found |= keys(value, f"{prefix}{key}.") if "properties" in value else {prefix + key}
        return found

    assert keys(yaml.safe_load(SCHEMA.read_text())) == set(flat(DEFAULTS))
