"""Check the workflow's configuration, in one line a mistake."""

import difflib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from irn.errors import IrnError

SCHEMA = Path(__file__).with_name("config.schema.yaml")
DEFAULTS = Path(__file__).parents[1] / "config.yaml"
Config = dict[str, Any]


def read_config(files: Sequence[Path] = (), entries: Sequence[str] = ()) -> Config:
    """The checked configuration that Snakemake makes of `config.yaml`, `--configfile` and `--config`.

    entries: KEY=VALUE each, a key at the top and YAML. Raises IrnError for what cannot be read, and as `check_config` does.
    """
    from snakemake.utils import update_config  # not at the top: environments of single rules lack Snakemake

    config: Config = {}
    for path in (DEFAULTS, *files):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
            raise IrnError(f"{path}: cannot be read ({reason}); expected a YAML file of settings") from None
        update_config(config, _read_yaml(text, str(path)))
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals:
            raise IrnError(f"--config {entry}: expected KEY=VALUE, such as run=other or 'walk={{beta: 5}}'")
        update_config(config, _read_yaml(f"{key}: {value}", f"--config {entry}"))
    return check_config(config)


def check_config(config: Config) -> Config:
    """A checked copy of the configuration, with numbers that the command line gave as text turned into numbers.

    Raises IrnError that names the key, what it holds, what was expected and the remedy.
    """
    schema = _schema()
    config = _convert(config, schema)
    errors = list(Draft202012Validator(schema).iter_errors(config))
    if errors:
        # The mistake nearest to the root explains those below it.
        raise IrnError(_message(min(errors, key=lambda error: len(error.absolute_path))))
    for key, value in flat(config).items():
        for number in value if isinstance(value, list) else [value]:
            # JSON Schema lets them through.
            if isinstance(number, float) and not math.isfinite(number):
                raise IrnError(f"config: {key} is {value}; expected finite numbers")
    _check_together(config)
    return config


def flat(config: Config, prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots, with their values."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        result.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return result


def _check_together(config: Config) -> None:
    """Rules that concern more than one key, or files."""
    dataset, cam, irn, ir_labels = config["dataset"], config["cam"], config["irn"], config["ir_labels"]
    if dataset["kind"] != "demo" and dataset["root"] is None:
        raise IrnError(
            f"config: dataset.root is null, but dataset.kind {dataset['kind']!r} needs the folder of the data set; set dataset.root"
        )
    if dataset["kind"] == "demo" and dataset["root"] is not None:
        raise IrnError(f"config: dataset.root is {dataset['root']!r}, but the demonstration data is drawn in the store; set it to null")
    for key in ("root", "labels_csv", "class_masks", "object_masks"):
        if dataset[key] is not None and not Path(dataset[key]).exists():
            raise IrnError(f"config: dataset.{key} is {dataset[key]!r}, which does not exist; mend the path")
    if config["pretrained"] is None and cam["external"] is not None:
        raise IrnError(
            "config: pretrained is null, but with cam.external no classifier is trained for IRNet to stand on;"
            " set pretrained to imagenet or to the path of a state dict"
        )
    if config["pretrained"] not in (None, "imagenet") and not Path(config["pretrained"]).is_file():
        raise IrnError(
            f"config: pretrained is {config['pretrained']!r}, which is no file; expected imagenet, null or the path of a state dict"
        )
    for path in cam["external"] or []:
        if not Path(path).is_file():
            raise IrnError(f"config: cam.external names {path!r}, which is no file; mend the path of the CAM cache")
    if ir_labels["background_threshold"] > ir_labels["foreground_threshold"]:
        raise IrnError(
            f"config: ir_labels.background_threshold is {ir_labels['background_threshold']}, above ir_labels.foreground_threshold,"
            f" {ir_labels['foreground_threshold']}; sure background needs the lower score"
        )
    for key, (low, high) in {"cam.long_side": cam["long_side"], "irn.scale": irn["scale"]}.items():
        if low > high:
            raise IrnError(f"config: {key} is [{low}, {high}]; expected the smaller number first")
    if irn["crop_size"] // 4 < 2 * irn["radius"] - 1:
        raise IrnError(
            f"config: irn.crop_size is {irn['crop_size']}, too small for pairs of irn.radius {irn['radius']};"
            f" expected at least {-(-4 * (2 * irn['radius'] - 1) // 16) * 16}, or a smaller radius"
        )


def _read_yaml(text: str, where: str) -> Config:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise IrnError(f"{where}: no readable YAML ({' '.join(str(error).split())}); mend it") from None
    if not isinstance(config, dict):
        raise IrnError(f"{where}: expected keys with values, as config.yaml has them")
    return config


@cache
def _schema() -> Config:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def _convert(value: Any, schema: Config) -> Any:
    """Turn text into the number or null that the schema wants; leave what does not fit for the validator."""
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, dict):
        return {key: _convert(item, schema.get("properties", {}).get(key, {})) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_convert(item, schema.get("items", {})) for item in value]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if isinstance(value, int) and not isinstance(value, bool) and types == ["number"]:
        # 10 and 10.0 are one setting, and must not give two keys in the store.
        return float(value)
    if isinstance(value, float) and value.is_integer() and "integer" in types and "number" not in types:
        return int(value)
    if not isinstance(value, str):
        return value
    if "null" in types and value in ("null", "None", ""):
        return None
    for name, kind in (("integer", int), ("number", float)):
        if name in types:
            try:
                return kind(value)
            except ValueError:
                pass
    return value


def _message(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path if not isinstance(part, int))
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(schema["properties"]))[0]
        near = difflib.get_close_matches(unknown, schema["properties"], 1)
        known = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(schema['properties'])}"
        return f"config: {'.'.join(filter(None, [where, unknown]))} is no key of the configuration; {known}"
    if error.validator == "required":
        missing = next(key for key in schema["required"] if key not in error.instance)
        return f"config: {'.'.join(filter(None, [where, missing]))} is missing; take it over from config.yaml"
    # A list's own words serve for its items.
    says = schema.get("says") or _says_of_key(error)
    expected = says or (f"one of {', '.join(map(str, schema['enum']))}" if "enum" in schema else f"a value of type {schema.get('type')}")
    return f"config: {where} is {error.instance!r}; expected {expected}"


def _says_of_key(error: ValidationError) -> str | None:
    schema = _schema()
    for part in error.absolute_path:
        if isinstance(part, str):
            schema = schema["properties"][part]
    return schema.get("says")
