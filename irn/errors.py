"""The one error that a user can cause, and the remedy for a mistyped name."""

import difflib
from collections.abc import Iterable

ALIKE = 0.65  # share of letters in which a mistyped name and what was meant agree


class IrnError(ValueError):
    """A mistake in what the user gave: its text is one line that says what, where, what was expected and the remedy."""

    exit_code = 2


class Incomplete(IrnError):
    """Some of the images could not be used; everything is there for all others."""

    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like an unknown one; None where none is."""
    return next(iter(difflib.get_close_matches(name, [*known], 1, ALIKE)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The question whether the nearest known name was meant, or `otherwise` where none is near."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else otherwise


def did_you_mean_network(name: str, known: Iterable[str]) -> str:
    """The same for networks of timm: first for those whose names are longer."""
    longer = [other for other in known if other.startswith(name)][:3]
    if longer:
        return f"did you mean {' or '.join(longer)}?"
    return did_you_mean(name, known, "timm.list_models() lists all")
