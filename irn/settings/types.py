"""Types of settings, each with the words that a message uses for it, and the sections that hold settings."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from irn.grid import STEP


@dataclass(frozen=True)
class Expected:
    """What a message says that a value has to be."""

    words: str


@dataclass(frozen=True)
class OfPath(Expected):
    """A path, or a list of them. What lies there decides a result (docs/store.md), not how the path is written.

    instead: values that are not paths. by_content: whether the content of a file counts, not its name, size and time.
    """

    instead: tuple[str, ...] = ()
    by_content: bool = False

    def paths_in(self, value: Any) -> list[str]:
        """The paths in a value of the setting; none where it is null or one of `instead`."""
        paths = [value] if isinstance(value, str) else list(value or ())
        return [path for path in paths if path not in self.instead]


class Choice(Expected):
    """One of some names."""

    def __init__(self, *names: str) -> None:
        super().__init__(f"one of {', '.join(names)}")
        object.__setattr__(self, "names", names)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.literal_schema(list(self.names))  # type: ignore[attr-defined]


def _ascending(values: Any) -> Any:
    try:
        descending = isinstance(values, list | tuple) and len(values) == 2 and float(values[0]) > float(values[1])
    except (TypeError, OverflowError):
        raise ValueError from None
    if descending:
        raise ValueError
    return values


def _apart(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] == values[1]:
        raise ValueError
    return values


def _as_word(value: Any) -> Any:
    """A number where text is due: YAML reads `run=7` and a split 2014 so."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Count = Annotated[int, Field(ge=1), Expected("a whole number of at least 1")]
SomeOrAll = Annotated[Annotated[int, Field(ge=1)] | None, Expected("a whole number of at least 1, or null")]
Seed = Annotated[int, Field(ge=0, lt=2**32), Expected("a whole number from 0 to 4294967295")]
CountFromZero = Annotated[int, Field(ge=0), Expected("a whole number of at least 0")]
# The paths of larger ones take minutes to work out, in each process.
Radius = Annotated[int, Field(ge=2, le=20), Expected("a whole number from 2 to 20")]
Side = Annotated[int, Field(ge=STEP, multiple_of=STEP), Expected("a multiple of 16")]
Share = Annotated[float, Field(ge=0, le=1), Expected("a number from 0 to 1")]
PositiveShare = Annotated[float, Field(gt=0, le=1), Expected("a number above 0 and at most 1")]
Positive = Annotated[float, Field(gt=0), Expected("a number above 0")]
NotNegative = Annotated[float, Field(ge=0), Expected("a number of at least 0")]
Scales = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1), Expected("a list of numbers above 0")
]
Lengths = Annotated[
    tuple[Annotated[int, Field(ge=STEP)], ...],
    Field(min_length=1),
    Expected(f"a list of whole numbers of pixels, each at least {STEP}"),
]
Sides = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
    BeforeValidator(_ascending),
    Expected("two whole numbers of pixels, the smaller first"),
]
Range = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
    BeforeValidator(_ascending),
    Expected("two numbers above 0, the smaller first"),
]
ValueRange = Annotated[
    Annotated[tuple[float, float], BeforeValidator(_ascending), AfterValidator(_apart)] | None,
    Expected("a list of two numbers, the smaller first, or null"),
]
LargestSide = Annotated[
    Annotated[int, Field(ge=4 * STEP, multiple_of=STEP)] | None, Expected("a multiple of 16 of at least 64, or null")
]
Name = Annotated[
    str,
    Field(pattern=r"^(?!store$)[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$"),
    BeforeValidator(_as_word),
    Expected("a name of at most 100 letters, digits, '_', '.' and '-', other than store"),
]
Network = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$"), Expected("a name of letters, digits, '_' and '.'")]
# Splits name folders in the store.
_SPLIT = r"[^\s+/{}.][^+/{}\n]*"
Splits = Annotated[
    str,
    Field(pattern=rf"^{_SPLIT}(\+{_SPLIT})*$"),
    BeforeValidator(_as_word),
    Expected("the name of a split, or several joined by '+'"),
]
NonEmpty = Annotated[str, Field(min_length=1), BeforeValidator(_as_word)]
Path = Annotated[NonEmpty | None, OfPath("a path, or null")]
Paths = Annotated[Annotated[tuple[NonEmpty, ...], Field(min_length=1)] | None, OfPath("a list of paths, or null")]
Names = Annotated[Annotated[tuple[NonEmpty, ...], Field(min_length=1)] | None, Expected("a list of names, or null")]
Seeds = Annotated[
    Annotated[tuple[Seed, ...], Field(min_length=1)] | None,
    Expected("a list of whole numbers from 0 to 4294967295, or null"),
]
Sweep = Annotated[
    dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] | None,
    Expected("a mapping from keys to lists of values, or null"),
]


class Section(BaseModel):
    """A part of the configuration. Its settings go to `stages` unless they name others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, regex_engine="python-re")
    stages: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, stages: tuple[str, ...] = (), **_: Any) -> None:
        cls.stages = stages

    @model_validator(mode="before")
    @classmethod
    def _as_text(cls, values: Any) -> Any:
        """Snakemake passes numbers and null in nested `--config` as text; true and false are not numbers."""
        if not isinstance(values, dict):
            return values
        numbers = {name for name, field in cls.model_fields.items() if field.annotation in (int, float)}
        read = {
            key: None if value in ("null", "None", "") else value
            for key, value in values.items()
            if not isinstance(value, bool)
        }
        return read | {
            key: str(value) if key in numbers else value for key, value in values.items() if isinstance(value, bool)
        }


# Of a setting that decides which stages and files there are, and that no stage gets.
NO_STAGE = ("",)


class Wiring(NamedTuple):
    """The stages that get a setting, and its option where that is not its name."""

    stages: tuple[str, ...]
    flag: str | None

    def __call__(self, schema: dict[str, Any]) -> None:
        """Add nothing to the JSON schema."""


def setting(default: Any, meaning: str, stages: tuple[str, ...] = (), flag: str | None = None) -> Any:
    """A setting of a section.

    default: the paper's value.
    meaning: a sentence or two, for `irn config`, the help of commands and docs/configuration.md.
    stages: the stages and commands that get it, by name or by a pattern such as `train_*`; by default, those of its
        section.
    flag: its option, by default its name; empty if it has none, since it names or selects files that a rule passes.
    """
    return Field(default, description=meaning, json_schema_extra=Wiring(stages, flag))  # type: ignore[arg-type]


def together(section: Section, name: str, words: str, right: Any) -> PydanticCustomError:
    """The error for a setting that does not fit another one of its section; `right` is the nearest value that does."""
    return PydanticCustomError(
        "together", "{expected}", {"name": name, "value": getattr(section, name), "expected": words, "right": right}
    )
