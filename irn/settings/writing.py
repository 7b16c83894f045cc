"""Settings as text: a value in one line, a key with its value, and the whole configuration as YAML."""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from irn.settings.lookup import all_settings, set_value
from irn.settings.settings import Settings
from irn.settings.types import Section

LONGEST = 200  # characters that a message quotes
WIDTH = 110  # columns of comments


def as_text(value: Any) -> str:
    """A value as YAML in one line."""
    import yaml  # not at the top: help is shown without it

    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def as_snippet(key: str, value: Any) -> str:
    """A key and its value in one line of a configuration file, with the default if the value cannot be written so."""
    import yaml

    if isinstance(value, str):
        # Snakemake passes numbers within braces on as text.
        with suppress(yaml.YAMLError, ValueError, RecursionError):
            value = yaml.safe_load(value)
    setting = all_settings().get(key)
    for candidate in (value, setting.default if setting else None):
        config: dict[str, Any] = {}
        set_value(config, key, candidate)
        try:
            text = as_text(config)[1:-1]
        except yaml.YAMLError:
            continue
        if len(text) < LONGEST and text.isprintable():
            return text
    return f"another {key}"


def quoted(text: str) -> str:
    """A text in one line that can be read at a glance."""
    plain = text if text.isprintable() else repr(text)
    return plain if len(plain) < LONGEST else f"{plain[: LONGEST - 3]}..."


def as_yaml(settings: Settings) -> str:
    """Every setting with its meaning above it, as YAML that can be edited and given back."""
    return "\n".join(_lines(settings, "")) + "\n"


def _lines(section: Section, prefix: str) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            about = " ".join((value.__doc__ or "").split())
            yield from ("", f"{indent}# {about}", f"{indent}{name}:")
            yield from _lines(value, f"{prefix}{name}.")
            continue
        setting = all_settings()[prefix + name]
        default = "" if value == setting.default else f" Not set: {as_text(setting.default)}."
        comment = f"{indent}# "
        yield from textwrap.wrap(setting.meaning + default, WIDTH, initial_indent=comment, subsequent_indent=comment)
        yield f"{indent}{name}: {as_text(value)}"


def _plain(value: Any) -> Any:
    """Lists and dictionaries in place of tuples and other mappings, which YAML does not know."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value
