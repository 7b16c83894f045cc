"""The checks of a configuration: a mistake is one line that says what, where, what was expected and the remedy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from irn.errors import IrnError, nearest
from irn.settings.lookup import all_settings, set_value
from irn.settings.settings import Settings
from irn.settings.writing import as_snippet, quoted

# What a message calls the place of a key, such as `config: walk.beta` or `--beta`.
Place = Callable[[str], str]


def validated(config: Mapping[str, Any], place: Place, snippets: bool = False) -> Settings:
    """The settings of a nested configuration. Raises IrnError for the first mistake.

    place: what a message calls a key.
    snippets: whether a message also says what could be written instead.
    """
    try:
        return Settings.model_validate(dict(config))
    except ValidationError as error:
        # The mistake nearest to the root explains those below it.
        mistake = min(error.errors(include_url=False), key=lambda mistake: len(mistake["loc"]))
    names = [part for part in mistake["loc"] if isinstance(part, str)]
    if mistake["type"] == "extra_forbidden":
        message = _unknown_key(config, names, place, snippets)
    elif mistake["type"] == "together":
        message = _values_together(names, mistake["ctx"], place, snippets)
    else:
        message = _wrong_value(config, names, place, snippets)
    raise IrnError(message)


def check_keys_are_words(config: Mapping[Any, Any]) -> None:
    """Raise IrnError for a key that is not text, such as a number."""
    for key, value in config.items():
        if not isinstance(key, str):
            raise IrnError(
                f"config: {quoted(repr(key))} is not a key of the configuration;"
                " expected a word, such as walk: {beta: 10}"
            )
        if isinstance(value, Mapping):
            check_keys_are_words(value)


def settings_of_options(options: Mapping[str, Any], flags: Mapping[str, str], remedy: str) -> Settings:
    """The settings of a command, from the keys whose options were given; the rest keep the paper's values.

    flags: the option of each key, which a message names. Raises IrnError, which ends in `remedy`.
    """
    config: dict[str, Any] = {}
    for key, value in options.items():
        set_value(config, key, value)
    try:
        return validated(config, lambda key: flags.get(key, key))
    except IrnError as error:
        raise IrnError(f"{error}; {remedy}") from None


def _unknown_key(config: Mapping[str, Any], names: Sequence[str], place: Place, snippets: bool) -> str:
    *sections, unknown = names
    section: Any = Settings
    for name in sections:
        section = section.model_fields[name].annotation
    name, colon, text = unknown.partition(":")
    if colon and name in section.model_fields:
        snippet = as_snippet(".".join([*sections, name]), text.strip()) if snippets else f"{name}: {text.strip()}"
        return f"{place(quoted('.'.join(names)))}: YAML needs a blank after the colon; write {snippet}"
    near = nearest(unknown, section.model_fields)
    hint = f"did you mean {near}?" if near else f"known keys: {', '.join(section.model_fields)}"
    if near and snippets:
        hint += f" Write {as_snippet('.'.join([*sections, near]), _value_at(config, names))}"
    return f"{place(quoted('.'.join(names)))} is not a key of the configuration; {hint}"


def _wrong_value(config: Mapping[str, Any], names: Sequence[str], place: Place, snippets: bool) -> str:
    key, value = ".".join(names), _value_at(config, names)
    settings = all_settings()
    # Of a list or a mapping, a part can be wrong; the message names the whole.
    setting = settings.get(key) or settings.get(names[0] if names else "")
    if setting is not None:
        whole = value if setting.key == key else config[setting.key]
        return _message(setting.key, whole, setting.expected, setting.default, place, snippets)
    # A section that does not hold settings: one of its own is the example.
    example = next((known for known in settings if known.startswith(f"{key}.")), "run")
    message = f"{place(quoted(key)) if key else 'config'} is {quoted(repr(value))}; expected keys with values"
    such = f", such as {as_snippet(example, settings[example].default)}" if snippets else ""
    astray = [name for name in config if f"{key}.{name}" in settings and name not in Settings.model_fields]
    if value is None and astray:
        return f"{message}: {', '.join(astray)} must be indented by two blanks to belong to it"
    return message + such


def _values_together(names: Sequence[str], context: Mapping[str, Any], place: Place, snippets: bool) -> str:
    """The message for what `irn.settings.types.together` says of a setting."""
    key = ".".join([*names, context["name"]])
    return _message(key, context["value"], context["expected"], context["right"], place, snippets)


def _message(key: str, value: Any, expected: str, right: Any, place: Place, snippets: bool) -> str:
    """What is wrong with the value of a setting; `right` is a value that would do."""
    if any(word in str(value).lower() for word in ("inf", "nan")):
        expected = expected.replace("number", "finite number")
    such = f", such as {as_snippet(key, right)}" if snippets else ""
    return f"{place(key)} is {quoted(repr(value))}; expected {expected}{such}"


def _value_at(config: Mapping[str, Any], names: Sequence[str]) -> Any:
    value: Any = config
    for name in names:
        value = value[name]
    return value
