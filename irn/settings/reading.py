"""A configuration as it comes in: YAML files laid over each other, a command line, or Snakemake's dictionary."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from irn.errors import IrnError
from irn.settings.checking import check_keys_are_words, validated
from irn.settings.settings import Settings
from irn.settings.sweeps import variations
from irn.settings.together import check_together
from irn.settings.writing import quoted

DEMONSTRATION = Path(__file__).with_name("demonstration.yaml")  # a link to config.yaml at the root


def read_config(files: Sequence[Path] = (), entries: Sequence[str] = ()) -> Settings:
    """The checked settings of `--configfile` and `--config`, as Snakemake takes them.

    files: YAML, of which a later one wins; without any, the demonstration's.
    entries: KEY=VALUE each, a key at the top and its value as YAML, laid over the files.

    Raises IrnError for what cannot be read, and as `check_config` does.
    """
    config: dict[str, Any] = {}
    for path in files or (DEMONSTRATION,):
        _lay_over(config, read_file(path))
    for entry in entries:
        key, equals, text = entry.partition("=")
        where = f"--config {quoted(entry)}"
        if not equals:
            raise IrnError(f"{where}: expected KEY=VALUE, such as run=other or 'walk={{beta: 5}}'")
        _lay_over(config, _parsed(f"{key}: {text}", where))
    return check_config(config)


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, not yet checked; IrnError for one that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise IrnError(f"{path}: cannot be read ({reason}); expected a YAML file of settings") from None
    return _parsed(text, str(path))


def check_config(config: Mapping[str, Any]) -> Settings:
    """The settings of a nested configuration; those that it leaves out keep the paper's values.

    Raises IrnError that names the key, its value, what was expected and the remedy.
    """
    check_keys_are_words(config)
    settings = validated(config, lambda key: f"config: {key}", snippets=True)
    check_together(settings)
    variations(settings)
    return settings


def check_files(files: Sequence[Path]) -> None:
    """Raise IrnError for configuration files in which a key appears twice, which Snakemake's reading of them hides."""
    import yaml  # not at the top: help is shown without it

    for path in files:
        root = None
        # Snakemake also reads JSON that is not YAML.
        with suppress(yaml.YAMLError):
            root = yaml.compose(path.read_bytes(), Loader=yaml.SafeLoader)
        _check_no_key_twice(root, str(path))


def _parsed(text: str, where: str) -> dict[str, Any]:
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        config = None if root is None else loader.construct_document(root)
    # A date that does not exist is a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise IrnError(f"{where}: not readable as YAML ({' '.join(str(error).split())}); fix it") from None
    _check_no_key_twice(root, where)
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise IrnError(f"{where}: expected keys with values, as config.yaml has them")
    return config


def _check_no_key_twice(root: Any, where: str) -> None:
    """Raise IrnError for a key that appears twice in a mapping, where YAML silently takes the last.

    root: a node of YAML.
    """
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(getattr(node, "value", None), list):
            continue
        seen.add(id(node))
        lines: dict[str, int] = {}
        for part in node.value:
            if not isinstance(part, tuple):  # an item of a list
                waiting.append(part)
                continue
            waiting += part
            name, line = str(part[0].value), part[0].start_mark.line + 1
            if name in lines:
                raise IrnError(
                    f"{where}: {quoted(name)} appears in line {lines[name]} and again in line {line}, and only the last"
                    " would count; write what belongs to it in one place"
                )
            lines[name] = line


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Merge as Snakemake does: dictionaries deeply, anything else is replaced."""
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _lay_over(below[key], value)
        else:
            below[key] = dict(value) if isinstance(value, Mapping) else value
