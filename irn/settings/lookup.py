"""The table of settings: a row for each, drawn from the sections of irn/settings/settings.py."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

from irn.settings.final_networks import GROUND_TRUTH
from irn.settings.settings import Settings
from irn.settings.types import Expected, OfPath, Section


class Setting(NamedTuple):
    """One row of the table.

    key: with dots for nesting.
    expected: what a message says that a value has to be.
    stages: the stages and commands that get it, by name or by a pattern of names such as `train_*`.
    flag: the option of those commands, empty if there is none.
    place: for paths, how they count.
    """

    key: str
    default: Any
    expected: str
    meaning: str
    stages: tuple[str, ...]
    flag: str
    place: OfPath | None

    def goes_to(self, stage: str) -> bool:
        """Whether a stage gets it; those that use ground truth get what their twins get."""
        return any(fnmatchcase(stage.removesuffix(GROUND_TRUTH), pattern) for pattern in self.stages)


@cache
def all_settings() -> dict[str, Setting]:
    """Every setting by its key, with dots for nesting, in the order of irn/settings/settings.py."""
    return {row.key: row for row in _rows(Settings, "")}


@cache
def of_stage(stage: str) -> tuple[Setting, ...]:
    """The settings that a stage gets."""
    return tuple(setting for setting in all_settings().values() if setting.goes_to(stage))


def set_value(config: dict[str, Any], key: str, value: Any) -> None:
    """Set a key, with dots for nesting, in a nested configuration; missing sections are added."""
    *sections, name = key.split(".")
    for section in sections:
        config = config.setdefault(section, {})
    config[name] = value


def _rows(section: type[Section], prefix: str) -> Iterator[Setting]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _rows(field.annotation, f"{prefix}{name}.")
            continue
        wiring: Any = field.json_schema_extra
        expected = next(part for part in field.metadata if isinstance(part, Expected))
        flag = name if wiring.flag is None else wiring.flag
        yield Setting(
            key=prefix + name,
            default=field.default,
            expected=expected.words,
            meaning=field.description or "",
            stages=wiring.stages or section.stages,
            flag=f"--{flag.replace('_', '-')}" if flag else "",
            place=expected if isinstance(expected, OfPath) else None,
        )
