"""A configuration: its table of settings, how it is read and checked, in one line a mistake, and how it is written."""

import difflib
import itertools
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from irn.data.kinds import has_ground_truth, mask_folders
from irn.errors import IrnError
from irn.io.files import dictionaries_of_maps
from irn.settings.final_networks import FINAL_NETWORKS, GROUND_TRUTH
from irn.settings.types import Expected, Section
from irn.settings.values import Settings, value

DEMONSTRATION = Path(__file__).with_name("demonstration.yaml")  # a link to config.yaml at the root
# What says where and how a run is made, not what.
NOT_SWEPT = ("run", "seeds", "sweep", "ablation", "shards", "gpus")
MOST_SWEPT = 10_000  # configurations of a run
LONGEST = 200  # characters of what a message quotes


class Setting(NamedTuple):
    """One row of the table; `flag` is its option, empty where there is none."""

    key: str
    default: Any
    expected: str
    meaning: str
    stages: tuple[str, ...]
    flag: str


@cache
def table() -> dict[str, Setting]:
    """Every setting by its key, with dots for nesting, in the order of irn/settings/values.py."""
    return {row.key: row for row in _rows(Settings, "")}


def of_stage(stage: str) -> list[Setting]:
    """The settings that a stage gets."""
    return [row for row in table().values() if stage.removesuffix(GROUND_TRUTH) in row.stages]


def _rows(section: type[Section], prefix: str) -> Iterator[Setting]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _rows(field.annotation, f"{prefix}{name}.")
            continue
        extra: Any = field.json_schema_extra
        flag = name if extra.flag is None else extra.flag
        words = next(part.words for part in field.metadata if isinstance(part, Expected))
        dashed = f"--{flag.replace('_', '-')}" if flag else ""
        yield Setting(
            prefix + name, field.default, words, field.description or "", extra.stages or section.stages, dashed
        )


# ---- reading and checking


def read_config(files: Sequence[Path] = (), entries: Sequence[str] = ()) -> Settings:
    """The checked configuration of `--configfile` and `--config`, as Snakemake takes them; without files the demonstration's.

    entries: KEY=VALUE each, a key at the top and YAML. Raises IrnError for what cannot be read, and as `check_config` does.
    """
    config: dict[str, Any] = {}
    for path in files or (DEMONSTRATION,):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise IrnError(f"{path}: cannot be read ({reason}); expected a YAML file of settings") from None
        _lay_over(config, _read_yaml(text, str(path)))
    for entry in entries:
        key, equals, text = entry.partition("=")
        where = f"--config {_shown(entry)}"
        if not equals:
            raise IrnError(f"{where}: expected KEY=VALUE, such as run=other or 'walk={{beta: 5}}'")
        _lay_over(config, _read_yaml(f"{key}: {text}", where))
    return check_config(config)


def check_files(files: Sequence[Path]) -> None:
    """Raise IrnError for configuration files in which a key stands twice, which what Snakemake read of them does not tell."""
    import yaml  # not at the top: help is shown without it

    for path in files:
        root = None
        # What is JSON and no YAML, Snakemake reads too.
        with suppress(yaml.YAMLError):
            root = yaml.compose(path.read_bytes(), Loader=yaml.SafeLoader)
        _check_once(root, str(path))


def check_config(config: Mapping[str, Any]) -> Settings:
    """The settings of a nested configuration; those that it does not name have the paper's values.

    Raises IrnError that names the key, what it holds, what was expected and the remedy.
    """
    _check_keys(config)
    settings = _validated(config, lambda key: f"config: {key}", snippets=True)
    _check_together(settings)
    variations(settings)
    return settings


def settings_of_options(options: Mapping[str, Any], flags: Mapping[str, str], remedy: str) -> Settings:
    """The settings of a command, from the keys whose options were given; IrnError names the option of a wrong one."""
    nested: dict[str, Any] = {}
    for key, given in options.items():
        _set(nested, key, given)
    try:
        return _validated(nested, lambda key: flags.get(key, key))
    except IrnError as error:
        raise IrnError(f"{error}; {remedy}") from None


class Variation(NamedTuple):
    """A configuration that a run is made with: what `sweep` sets (nothing in the run's own), the seed and all settings."""

    values: dict[str, Any]
    seed: int
    settings: Settings


def variations(settings: Settings) -> list[Variation]:
    """The configuration itself, then every combination of `sweep`; each with every seed. Raises IrnError as `check_config` does."""
    swept = settings.sweep or {}
    for key in swept:
        if key not in table() or key in NOT_SWEPT:
            near = difflib.get_close_matches(key, [known for known in table() if known not in NOT_SWEPT], 1)
            such = near[0] if near else "walk.beta"
            raise IrnError(f"config: sweep names {key!r}, which cannot be swept; expected a key such as {such!r}")
    count = math.prod(map(len, swept.values())) * len(settings.seeds or (None,))
    if count > MOST_SWEPT:
        raise IrnError(
            f"config: sweep and seeds ask for {count} configurations; expected at most {MOST_SWEPT}: give fewer values"
        )
    combinations = (
        [dict(zip(swept, chosen, strict=True)) for chosen in itertools.product(*swept.values())] if swept else []
    )
    found = []
    for chosen in [{}, *combinations]:
        for seed in settings.seeds or (None,):
            nested = settings.model_dump(exclude={"sweep", "seeds"})
            for key, given in {**chosen, **({} if seed is None else {"seed": seed})}.items():
                _set(nested, key, given)
            one = _validated(nested, lambda key: f"config: {'sweep: ' if key in swept else ''}{key}")
            if chosen:
                _check_together(one)
            found.append(Variation({key: value(one, key) for key in chosen}, one.seed, one))
    return found


def _validated(config: Mapping[str, Any], where: Callable[[str], str], snippets: bool = False) -> Settings:
    """The checked settings; IrnError for the first mistake, by `snippets` with what could be written in its place."""
    try:
        return Settings.model_validate(dict(config))
    except ValidationError as error:
        # The mistake nearest to the root explains those below it.
        found = min(error.errors(include_url=False), key=lambda error: len(error["loc"]))
    path = [part for part in found["loc"] if isinstance(part, str)]
    given: Any = config
    for name in path:
        given = given[name]
    if found["type"] == "extra_forbidden":
        *parents, unknown = path
        section: Any = Settings
        for name in parents:
            section = section.model_fields[name].annotation
        near = difflib.get_close_matches(unknown, section.model_fields, 1)
        known = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(section.model_fields)}"
        write = f" Write {written('.'.join([*parents, near[0]]), given)}" if near and snippets else ""
        raise IrnError(f"{where(_shown('.'.join(path)))} is not a key of the configuration; {known}{write}")
    key, expected = ".".join(path), "keys with values"
    right: Any = None
    if found["type"] == "together":
        key, given, expected, right = (found["ctx"][name] for name in ("name", "given", "expected", "right"))
        key = ".".join([*path, key])
    elif (row := table().get(key) or table().get(path[0] if path else "")) is not None:
        key, given, expected, right = row.key, given if row.key == key else config[row.key], row.expected, row.default
    if any(word in str(given).lower() for word in ("inf", "nan")):
        expected = expected.replace("number", "finite number")
    # Of a whole section, one of its settings.
    example = key if key in table() else next((known for known in table() if known.startswith(f"{key}.")), "run")
    such = f", such as {written(example, right if key in table() else table()[example].default)}" if snippets else ""
    raise IrnError(f"{where(_shown(key)) if key else 'config'} is {_shown(repr(given))}; expected {expected}{such}")


def _check_keys(config: Mapping[Any, Any]) -> None:
    for key, given in config.items():
        if not isinstance(key, str):
            raise IrnError(
                f"config: {_shown(repr(key))} is no key of the configuration, which are words; expected such as walk: {{beta: 10}}"
            )
        if isinstance(given, Mapping):
            _check_keys(given)


def written(key: str, given: Any) -> str:
    """A setting in one line, as a configuration file can hold it; the setting's default where the value cannot be written so."""
    import yaml

    row = table().get(key)
    if isinstance(given, str):
        # Snakemake hands numbers within braces on as text.
        with suppress(yaml.YAMLError, ValueError, RecursionError):
            given = yaml.safe_load(given)
    for one in (given, row.default if row else None):
        nested: dict[str, Any] = {}
        _set(nested, key, one)
        try:
            text = as_text(nested)[1:-1]
        except yaml.YAMLError:
            continue
        if len(text) < LONGEST and text.isprintable():
            return text
    return f"another {key}"


def _shown(text: str) -> str:
    """A text in one line that can be read at a glance."""
    plain = text if text.isprintable() else repr(text)
    return plain if len(plain) < LONGEST else f"{plain[: LONGEST - 3]}..."


def _check_together(settings: Settings) -> None:
    """Rules that concern settings of several sections, or files."""
    dataset, pretrained, external = settings.dataset, settings.pretrained, settings.cam.external
    if dataset.kind != "demo" and dataset.root is None:
        raise IrnError(
            f"config: dataset.root is null, but dataset.kind {dataset.kind!r} needs the folder of the data set; set it, such as"
            f" dataset: {{kind: {dataset.kind}, root: path/of/the/data}}"
        )
    if dataset.kind == "demo" and dataset.root is not None:
        raise IrnError(
            f"config: dataset.root is {dataset.root!r}, but the demonstration data is drawn in the store; set it to null:"
            " dataset: {root: null}"
        )
    for key in ("root", "labels_csv", "class_masks", "object_masks"):
        path = getattr(dataset, key)
        if path is not None and not Path(path).exists():
            raise IrnError(
                f"config: dataset.{key} is {path!r}, which does not exist; fix the path, such as dataset: {{{key}: /path/of/it}}"
            )
    if pretrained is None and external is not None:
        raise IrnError(
            "config: pretrained is null, but with cam.external no classifier is trained for IRNet to stand on;"
            " set pretrained to imagenet or to the path of a state dict, such as pretrained: imagenet"
        )
    if pretrained not in (None, "imagenet") and not Path(pretrained).is_file():
        raise IrnError(
            f"config: pretrained is {pretrained!r}, which is not a file; expected imagenet, null or the path of a state dict"
        )
    for network in ("cam", "irn", *(row.name for row in FINAL_NETWORKS)):
        trained = (
            external is None if network == "cam" else network == "irn" or value(settings, f"{network}.labels") != "none"
        )
        own = value(settings, network)
        if trained and not own.can_split(max(settings.gpus, 1), settings.accumulate):
            raise IrnError(
                f"config: {network}.batch_size is {own.batch_size}, too few images for gpus: {settings.gpus} and accumulate:"
                f" {settings.accumulate}; raise it, or lower these"
            )
    class_masks, object_masks = mask_folders(dataset, Path(dataset.root or ""))
    for row in FINAL_NETWORKS:
        labels = value(settings, f"{row.name}.labels")
        kind, masks = ("object", object_masks) if row.learns == "objects" else ("class", class_masks)
        if labels in ("ground_truth", "both") and masks is None:
            where = f"config: {row.name}.labels is {labels!r}"
            raise IrnError(
                f"{where}, but there are no {kind} masks; set dataset.{kind}_masks to them, or {row.name}.labels to pseudo"
            )
    if settings.ablation and not has_ground_truth(dataset):
        raise IrnError(
            "config: ablation is true, but there are no class masks to score against; set dataset.class_masks to them, or ablation to false"
        )
    for path in external or ():
        if other := dictionaries_of_maps(Path(path)):
            raise IrnError(f"config: cam.external names {other}")
        if not Path(path).is_file():
            raise IrnError(f"config: cam.external names {path!r}, which is not a file; fix the path of the CAM cache")


def _read_yaml(text: str, where: str) -> dict[str, Any]:
    import yaml  # not at the top: help is shown without it

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        config = None if root is None else loader.construct_document(root)
    # A date that there is not is a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise IrnError(f"{where}: not readable as YAML ({' '.join(str(error).split())}); fix it") from None
    _check_once(root, where)
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise IrnError(f"{where}: expected keys with values, as config.yaml has them")
    return config


def _check_once(root: Any, where: str) -> None:
    """Raise IrnError for a key that stands twice in a mapping, of which YAML takes the last without a word. root: a node of YAML."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(getattr(node, "value", None), list):
            continue
        seen.add(id(node))
        lines: dict[str, int] = {}
        for part in node.value:
            if not isinstance(part, tuple):
                waiting.append(part)
                continue
            key = part[0]
            waiting += part
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise IrnError(
                    f"{where}: {_shown(name)} stands in line {lines[name]} and again in line {line}, and only the last would count;"
                    " write what belongs to it in one place"
                )
            lines[name] = line


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Merge as Snakemake does: dictionaries deeply, anything else is replaced."""
    for key, given in above.items():
        if isinstance(given, Mapping) and isinstance(below.get(key), dict):
            _lay_over(below[key], given)
        else:
            below[key] = dict(given) if isinstance(given, Mapping) else given


def _set(config: dict[str, Any], key: str, given: Any) -> None:
    *parents, last = key.split(".")
    for name in parents:
        config = config.setdefault(name, {})
    config[last] = given


# ---- writing


def as_text(given: Any) -> str:
    """A value as YAML in one line."""
    import yaml

    return (
        yaml.safe_dump(_plain(given), default_flow_style=True, width=10_000, sort_keys=False)
        .removesuffix("...\n")
        .strip()
    )


def _plain(given: Any) -> Any:
    """Lists and dictionaries in place of what they are kept as."""
    if isinstance(given, Mapping):
        return {key: _plain(one) for key, one in given.items()}
    return [_plain(one) for one in given] if isinstance(given, tuple | list) else given


def as_yaml(settings: Settings) -> str:
    """Every setting with its meaning above it, as YAML that can be edited and given back."""
    return "\n".join(_lines(settings, "")) + "\n"


def _lines(section: Section, prefix: str) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for name in type(section).model_fields:
        given = getattr(section, name)
        if isinstance(given, Section):
            yield from (
                "",
                f"{indent}# {' '.join((given.__doc__ or '').split())}",
                f"{indent}{name}:",
                *_lines(given, f"{prefix}{name}."),
            )
            continue
        row = table()[prefix + name]
        paper = "" if given == row.default else f" Not set: {as_text(row.default)}."
        yield from textwrap.wrap(
            f"{row.meaning}{paper}", 110, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        yield f"{indent}{name}: {as_text(given)}"
