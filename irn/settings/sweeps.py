"""The configurations of a run: its own, and one for each combination of swept values, each with every seed."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from irn.errors import IrnError, nearest
from irn.settings.checking import validated
from irn.settings.lookup import all_settings, set_value
from irn.settings.settings import Settings, value
from irn.settings.together import check_together

# They say where and how a run is made, not what it computes.
NOT_SWEPT = ("run", "seeds", "sweep", "ablation", "shards", "gpus")
MOST_CONFIGURATIONS = 10_000


class Variation(NamedTuple):
    """One configuration of a run: the values that `sweep` sets (none in the run's own), the seed, and all settings."""

    values: dict[str, Any]
    seed: int
    settings: Settings


def variations(settings: Settings) -> list[Variation]:
    """The configuration itself, then every combination of `sweep`; each with every seed.

    Raises IrnError for a key that cannot be swept, a value that is wrong or repeated, and too many configurations.
    """
    sweep = settings.sweep or {}
    _check_keys(sweep)
    _check_seeds(settings)
    seeds = settings.seeds or (None,)
    count = math.prod(map(len, sweep.values())) * len(seeds)
    if count > MOST_CONFIGURATIONS:
        raise IrnError(
            f"config: sweep and seeds ask for {count} configurations; expected at most {MOST_CONFIGURATIONS}:"
            " give fewer values"
        )
    combinations = [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]
    # Without a sweep, the one combination is that of nothing.
    varied = [_variation(settings, values, seed) for values in [{}, *filter(None, combinations)] for seed in seeds]
    _check_repeats(sweep, [variation.values for variation in varied if variation.values])
    return varied


def _variation(settings: Settings, values: dict[str, Any], seed: int | None) -> Variation:
    config = settings.model_dump(exclude={"sweep", "seeds"})
    changes = values if seed is None else {**values, "seed": seed}
    for key, changed in changes.items():
        set_value(config, key, changed)
    varied = validated(config, lambda key: f"config: {'sweep: ' if key in values else ''}{key}")
    if values:
        check_together(varied)
    return Variation({key: value(varied, key) for key in values}, varied.seed, varied)


def _check_keys(sweep: dict[str, Any]) -> None:
    allowed = [key for key in all_settings() if key not in NOT_SWEPT]
    for key in sweep:
        if key not in allowed:
            example = nearest(key, allowed) or "walk.beta"
            raise IrnError(f"config: sweep names {key!r}, which cannot be swept; expected a key such as {example!r}")


def _check_seeds(settings: Settings) -> None:
    seeds = settings.seeds or ()
    if len(set(seeds)) < len(seeds):
        raise IrnError(f"config: seeds is {list(seeds)}; expected each seed once")
    if seeds and "seed" in (settings.sweep or {}):
        raise IrnError("config: sweep names 'seed' beside seeds, which sets it too; leave one of them out")


def _check_repeats(sweep: dict[str, Any], combinations: Sequence[dict[str, Any]]) -> None:
    """Raise IrnError for a value that appears twice, by the values as they were read: `5` and `5.0` may be the same."""
    for key, values in sweep.items():
        # In a full grid all values are equally frequent.
        most = max(Counter(repr(read[key]) for read in combinations).values())
        if most * len(values) > len(combinations):
            raise IrnError(f"config: sweep: {key} is {list(values)}; expected each value once")
