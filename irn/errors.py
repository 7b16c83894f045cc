"""The one error that a user can cause."""


class IrnError(ValueError):
    """A mistake in what the user gave: its text is one line that says what, where, what was expected and the remedy."""

    exit_code = 2


class Incomplete(IrnError):
    """Some of the images could not be used; everything is there for all others."""

    exit_code = 3
